"""Backfills: load any window of the past again, chunk by chunk. The live watermark does not move.

    plan = plan_backfill(context, BackfillRequest("flights_hourly", "2013-01-01", "2013-03-31"))
    summary = run_backfill(context, plan)

A chunk is done when the warehouse's load log holds it under the backfill's id, which commits together with its rows. So
the same request resumes a backfill that was killed.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from flows.backfill.model import (
    BackfillPlan,
    BackfillRequest,
    BackfillSummary,
    ChunkLoaded,
    TargetBackfilled,
    TargetChunks,
)
from flows.backfill.restate import definition_to_restate, finish_restatement, look_ahead
from flows.backfill.slices import BackfillRange, Cutter, ExcludedTarget
from flows.context import Context, reading
from flows.engine.definitions import note_loads
from flows.engine.engine import hold_warehouse, prepare
from flows.engine.first_loads import look_again, rows_per_second
from flows.engine.recovery import adopt
from flows.incidents.settle import deliver_or_log
from flows.run.leases import LeaseKeeper, renamed_since, wait_until_free
from flows.run.model import RunRequest
from flows.run.outcome import load_variables, unlogged
from flows.run.selection import switched_off_since
from flows.spark.engine_choice import EngineChooser
from flows.spark.sizing.groups import parse_cluster
from flows.spark.sizing.scan_bytes import Span
from flows.warehouse.bounds import parse_bound
from flows.warehouse.chunks import parse_size
from flows.warehouse.connection import open_warehouse
from flows.warehouse.lake.variable import files_variable
from flows.warehouse.load_log import read_loads
from flows.warehouse.rejects import with_rejects
from metadata_sync.database.approval.model import Role
from metadata_sync.database.journals.entries import BackfillEntry
from metadata_sync.errors import ConfigurationError, RunError, SluiceError
from metadata_sync.loads import RowCounts, Window, total
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.gate.facts import EngineChoice
    from flows.run.outcome import NodeResult
    from flows.spark.stage import Staged
    from flows.warehouse.load_log import LoggedLoad
    from metadata_sync.rows.model import TransformationRow

__all__ = [
    "BackfillPlan", "BackfillRequest", "BackfillSummary", "ChunkLoaded", "TargetBackfilled", "TargetChunks",
    "plan_backfill", "run_backfill",
]  # fmt: skip

logger = logging.getLogger(__name__)

_SHOWN_TESTS: Final = 3


def plan_backfill(context: Context, request: BackfillRequest) -> BackfillPlan:
    """Plan a backfill. Syncs generated models with the rows, and loads nothing.

    Args:
        context: Project, settings, control database.
        request: The request.

    Raises:
        ConfigurationError: When the pipeline or target does not exist, or a bound or size is invalid.
        MetadataError: When rows or SELECTs have faults.
        RunError: When the warehouse cannot be read.
        StoreError: When the role `restate` was granted to others only.
    """
    if not request.is_of_row:
        context.store.approvals.require(Role.RESTATE)
    if request.cluster is not None:
        parse_cluster(request.cluster)
    key_range = _requested_range(context, request)
    run = prepare(context, RunRequest((_pipeline_of(context.store.usable_rows(), request.subject),), is_forced=True))
    targets: list[TargetChunks] = []
    left_out: list[ExcludedTarget] = []
    definition = definition_to_restate(context, run.rows, request.subject) if request.restates else None
    earlier = _earlier(context, request, definition)
    latest = context.store.latest_loads()
    warehouse = open_warehouse(
        context.profile, wait_seconds=context.settings.lock_wait_seconds, file_places=context.file_places
    )
    try:
        loads = read_loads(warehouse, context.profile, run_id=earlier.backfill_id) if earlier else ()
        cutter = Cutter(context.project, warehouse, run.rows, key_range)
        whole = Cutter(context.project, warehouse, run.rows, replace(key_range, rows_per_chunk=sys.maxsize))
        chooser = EngineChooser(context, run.rows, request.engine, request.cluster)
        for row, decision in zip(run.selected, run.decisions, strict=True):
            target = str(row.name)
            if request.subject not in (row.pipeline_id, target):
                continue
            planned = earlier.chunks.get(target) if earlier else None
            found = cutter.cut(row, decision, planned)
            if isinstance(found, ExcludedTarget):
                left_out.append(found)
                continue
            choice = _choose(chooser, row, found.chunks)
            if isinstance(choice, ExcludedTarget):
                left_out.append(choice)
                continue
            if planned is None and choice is not None and choice.engine is Engine.SPARK:
                found = whole.cut(row, decision, None)  # one chunk, because each chunk would need its own cluster
                assert not isinstance(found, ExcludedTarget), "a range that can be cut can also be read at once"
            done = _done_count(found.chunks, [load for load in loads if load.target == target])
            speed = rows_per_second(target, latest)
            targets.append(
                TargetChunks(
                    *(target, row.name.model_name, row.pipeline_id, found.chunks, done, choice),
                    row_count=found.row_count,
                    rows_per_second=speed,
                )
            )
    finally:
        warehouse.close()
    backfill_id = earlier.backfill_id if earlier else f"backfill-{context.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    plan = BackfillPlan(backfill_id, request, run, tuple(targets), tuple(left_out), earlier is not None, definition)
    return replace(plan, notes=look_ahead(context, plan)) if targets and definition is not None else plan


def _choose(
    chooser: EngineChooser, row: TransformationRow, chunks: Sequence[Window]
) -> EngineChoice | ExcludedTarget | None:
    """Return where a target's SELECT runs, or why it is not backfilled; the other targets are."""
    try:
        choice = chooser.choose(row, _spans(chunks))
    except SluiceError as error:
        return ExcludedTarget(str(row.name), error.message)
    refusal = chooser.refusal(row, choice)
    return choice if refusal is None else ExcludedTarget(str(row.name), refusal)


def run_backfill(
    context: Context,
    plan: BackfillPlan,
    on_chunk: Callable[[ChunkLoaded], None] = lambda _: None,
    *,
    say: Callable[[str], None] = lambda _: None,
    may_begin: Callable[[float], bool] = lambda _: True,
) -> BackfillSummary:
    """Run a plan, chunk by chunk, and record it.

    A target stops at its first failed chunk; the others continue. The same request resumes with the remaining chunks.

    Args:
        context: Project, settings, control database.
        plan: The result of `plan_backfill`.
        on_chunk: Called after each chunk; must be quick and must not raise.
        say: Called with sentences on the progress of Spark; must be quick and must not raise.
        may_begin: Called between two chunks, while no lease is held, with the seconds of the last one; False ends this
            attempt. It may wait.

    Raises:
        RunError: When dbt or the warehouse cannot be started at all.
    """
    return _Backfill(context, plan, on_chunk, say, may_begin).run()


class _Backfill:
    """One attempt at a plan. One run of dbt loads the next chunk of every target."""

    def __init__(
        self,
        context: Context,
        plan: BackfillPlan,
        on_chunk: Callable[[ChunkLoaded], None],
        say: Callable[[str], None],
        may_begin: Callable[[float], bool],
    ) -> None:
        from flows.dbt.runner import DbtRunner

        self._context = context
        self._plan = plan
        self._on_chunk = on_chunk
        self._say = say
        self._may_begin = may_begin
        self._dbt = DbtRunner(context.project, context.settings, context.profile)
        self._rejecting = set(plan.run.rejecting)
        self._definitions: dict[str, str | None] = {}
        self._results = {
            item.target: TargetBackfilled(item.target, len(item.chunks), item.done) for item in plan.targets
        }

    def run(self) -> BackfillSummary:
        started_at = self._context.now()
        if not self._plan.is_resumed:
            self._context.store.begin_backfill(self._entry(started_at))
        try:
            self._load_all()
            self._test()
            note_loads(self._context, self._plan.run.rows, self._definitions)
            pruned, kept_count = self._finish_restatement()
        except RunError as error:
            self._context.store.end_backfill(self._plan.backfill_id, None, str(error))
            raise
        finished_at = self._context.now()
        results = tuple(self._results.values())
        errors = "; ".join(f"{item.target}: {item.error}" for item in results if item.error)
        is_done = all(item.done == item.chunk_count for item in results)
        self._context.store.end_backfill(self._plan.backfill_id, finished_at if is_done else None, errors or None)
        deliver_or_log(self._context)
        return BackfillSummary(self._plan.backfill_id, started_at, finished_at, results, pruned, kept_count)

    def _load_all(self) -> None:
        while due := self._due():
            began = time.monotonic()
            self._load_next(due)
            if self._due() and not self._may_begin(time.monotonic() - began):
                return

    def _due(self) -> list[TargetChunks]:
        return [item for item in self._plan.targets if self._is_due(item)]

    def _is_due(self, item: TargetChunks) -> bool:
        result = self._results[item.target]
        return result.error is None and result.done < result.chunk_count

    def _load_next(self, due: Sequence[TargetChunks]) -> None:
        """Load a chunk of each target under its lease. A target that another run still holds stops here."""
        store, seconds = self._context.store, self._context.settings.lock_wait_seconds
        held_by = f"{self._plan.request.requested_by}, for a backfill"
        wait_until_free(store, {item.target for item in due}, seconds, on_wait=self._say)
        with (
            hold_warehouse(self._context, f"backfill {self._plan.backfill_id}"),
            LeaseKeeper(store, run_id=self._plan.backfill_id, held_by=held_by) as leases,
        ):
            others = {lease.target: lease for lease in leases.take([item.target for item in due])}
            complaints = {
                target: f"it is being loaded by {lease}. Repeat the command when that run has ended."
                for target, lease in others.items()
            }
            off = switched_off_since(self._plan.run.rows, store.usable_rows())
            complaints = {
                **dict.fromkeys(off, "it was switched off meanwhile; its other chunks are not loaded."),
                **renamed_since(store, self._plan.run.planned_at),
                **complaints,
            }
            free = [item for item in due if item.target not in complaints]
            for item in due:
                if item.target in complaints:
                    complaint = complaints[item.target]
                    self._note(item, item.chunks[self._results[item.target].done], None, complaint)
            free = self._left(free)
            if free:
                self._load(free)

    def _left(self, items: list[TargetChunks]) -> list[TargetChunks]:
        """Leave out what another run loaded meanwhile: each run loads the next chunk of a first load."""
        first = self._plan.first_load
        if first is None or not items:
            return items
        with reading(self._context, self._context.profile) as warehouse:
            done = look_again(self._context, warehouse, first).done
        (result,) = self._results.values()
        result.done = max(result.done, done)
        return [item for item in items if self._is_due(item)]

    def _load(self, due: Sequence[TargetChunks]) -> None:
        chunks = {item.target: item.chunks[self._results[item.target].done] for item in due}
        began_at = self._context.now()
        variables = self._variables(chunks)
        staged = self._run_on_spark([item for item in due if item.is_on_spark], variables)
        models = [item.model for item in due if item.target not in staged.failed]
        results = self._dbt.run(models, variables={**variables, **staged.variables}) if models else ()
        loads = {load.target: load for load in self._read_back(began_at)}
        self._rejecting |= {target for target, load in loads.items() if load.rejects and load.rejects.kept}
        self._definitions |= {target: load.definition for target, load in loads.items()}
        adopt(self._context, self._plan.run.rows, tuple(loads.values()), staged.costs)
        for item in due:
            result = self._results[item.target]
            result.cluster = total((result.cluster, staged.costs.get(item.target)))
            complaint = staged.failed.get(item.target) or _complaint(item, results)
            self._note(item, chunks[item.target], loads.get(item.target), complaint)

    def _run_on_spark(self, due: Sequence[TargetChunks], variables: Mapping[str, str]) -> Staged:
        from flows.spark.stage import SparkStage, Staged

        if not due:
            return Staged()
        stage = SparkStage(
            self._context,
            self._plan.run.rows,
            self._plan.backfill_id,
            requested_by=self._plan.request.requested_by,
            say=self._say,
            cluster=self._plan.request.cluster,
        )
        rows = {str(row.name): row for row in self._plan.run.selected}
        chosen = [(rows[item.target], item.choice) for item in due if item.choice is not None]
        return stage.run(chosen, partial(self._dbt.compile, variables=variables), variables.get("SLUICE_FILES"))

    def _note(self, item: TargetChunks, chunk: Window, load: LoggedLoad | None, complaint: str) -> None:
        result = self._results[item.target]
        if load is None:
            result.error = complaint
        else:
            result.done += 1
            result.rows += load.rows
        number = result.done + (load is None)
        rows = None if load is None else load.rows
        logger.info(
            "backfill.chunk id=%s target=%s chunk=%d/%d",
            self._plan.backfill_id,
            item.target,
            number,
            result.chunk_count,
        )
        self._on_chunk(ChunkLoaded(item.target, number, result.chunk_count, chunk, rows, result.error))

    def _test(self) -> None:
        """Run the data tests once, after all chunks are loaded."""
        whole = [
            item
            for item in self._plan.targets
            if self._results[item.target].error is None and self._results[item.target].done == len(item.chunks)
        ]
        if not whole:
            return
        with hold_warehouse(self._context, f"tests of backfill {self._plan.backfill_id}"):
            results = self._dbt.build(
                (),
                tested=[item.model for item in whole],
                unbuilt=[name.model_name for name in self._plan.run.absent],
                variables=self._variables({}),
                callbacks=(),
            )
        for item in whole:
            failed = [
                node for node in results if node.has_failed and any(p.endswith(f".{item.model}") for p in node.parents)
            ]
            if failed:
                shown = "; ".join(f"{node.name}: {node.message or node.status}" for node in failed[:_SHOWN_TESTS])
                self._results[item.target].error = f"loaded, but {len(failed)} data test(s) failed: {shown}"

    def _finish_restatement(self) -> tuple[RowCounts | None, int]:
        """Remove what today's SELECT did not yield again, once all chunks are loaded."""
        if self._plan.definition is None or any(item.error for item in self._results.values()):
            return None, 0
        return finish_restatement(self._context, self._plan, self._dbt)

    def _variables(self, chunks: Mapping[str, Window]) -> dict[str, str]:
        moves = self._plan.first_load is not None and self._plan.first_load.is_oldest_first
        windows = {
            target: {chunk.source: {"start": chunk.start, "end": chunk.end, "moves_watermark": moves}}
            for target, chunk in chunks.items()
        }
        request = self._plan.request
        task = "fill" if request.fill else "restate" if request.restates_all else None
        return {
            **load_variables(self._plan.backfill_id, self._plan.run.tokens),
            **files_variable(self._context, self._plan.run.rows, self._plan.run.selected, self._plan.backfill_id),
            "SLUICE_WINDOWS": json.dumps(windows),
            "SLUICE_TASKS": json.dumps(dict.fromkeys(chunks, task) if task else {}),
            "SLUICE_FILL": json.dumps(dict.fromkeys(chunks, request.fill) if request.fill else {}),
        }

    def _read_back(self, since: datetime) -> tuple[LoggedLoad, ...]:
        warehouse = open_warehouse(
            self._context.profile,
            wait_seconds=self._context.settings.lock_wait_seconds,
            file_places=self._context.file_places,
        )
        try:
            profile = self._context.profile
            found = read_loads(warehouse, profile, run_id=self._plan.backfill_id, since=since)
            return with_rejects(warehouse, profile, self._plan.run.rows, found, self._rejecting)
        finally:
            warehouse.close()

    def _entry(self, started_at: datetime) -> BackfillEntry:
        request = self._plan.request
        return BackfillEntry(
            backfill_id=self._plan.backfill_id,
            subject=request.subject,
            range_start=request.start or "",
            range_end=request.end,
            chunk_size=request.chunk_size,
            chunks={item.target: item.chunks for item in self._plan.targets},
            requested_by=request.requested_by,
            started_at=started_at,
            engine=request.engine,
            cluster=request.cluster,
            definition=_recorded(request, self._plan.definition),
        )


def _complaint(item: TargetChunks, results: Sequence[NodeResult]) -> str:
    node = next((node for node in results if node.name == item.model), None)
    message = node and (unlogged(item.target, node) or node.message)
    return message or "dbt did not run the model; `sluice sync` writes its file"


def _spans(chunks: Sequence[Window]) -> dict[str, Span]:
    """Return the span of each source that the chunks read together."""
    spans: dict[str, Span] = {}
    for chunk in chunks:
        first = spans.get(chunk.source)
        spans[chunk.source] = Span(first.start if first else chunk.start, chunk.end)
    return spans


def _requested_range(context: Context, request: BackfillRequest) -> BackfillRange:
    try:
        start = None if request.start is None else parse_bound(request.start)
        end = None if request.end is None else parse_bound(request.end)
        size = None if request.chunk_size is None else parse_size(request.chunk_size)
        is_backward = start is not None and end is not None and start.is_later_than(end)
    except ValueError as error:
        raise ConfigurationError(
            f"Nothing was loaded: {error}.", "Bounds are dates, timestamps (UTC unless they have a zone) or integers."
        ) from error
    if is_backward:
        raise ConfigurationError(f"Nothing was loaded: {start} is later than {end}.", "Swap --from and --to.")
    return BackfillRange(
        None if start is None else str(start),
        None if end is None else str(end),
        size,
        context.settings.chunk_rows,
        is_whole=request.is_whole,
    )


def _pipeline_of(rows: ControlRows, subject: str) -> str:
    """Return the pipeline that the subject names, or the pipeline of the target that it names."""
    if rows.pipeline(subject) is not None:
        return subject
    for row in rows.transformations:
        if str(row.name) == subject:
            return row.pipeline_id
    known = sorted([*(row.pipeline_id for row in rows.pipelines), *(str(row.name) for row in rows.transformations)])
    raise ConfigurationError(
        f"There is no pipeline or target {subject!r} in this environment.", f"It has: {', '.join(known) or 'none'}."
    )


def _earlier(context: Context, request: BackfillRequest, definition: str | None) -> BackfillEntry | None:
    """Return the unfinished backfill with the same request that derives rows by the same SELECT."""
    wanted = (request.start or "", request.end, request.chunk_size, _recorded(request, definition))
    for entry in context.store.unfinished_backfills(request.subject):
        if (entry.range_start, entry.range_end, entry.chunk_size, entry.definition) == wanted:
            return entry
    return None


def _recorded(request: BackfillRequest, definition: str | None) -> str | None:
    """Return what tells attempts at a restatement from others of the same range."""
    return f"{definition} filling {', '.join(request.fill)}" if request.fill else definition


def _done_count(chunks: Sequence[Window], loads: Sequence[LoggedLoad]) -> int:
    """Return the number of chunks, counted from the first, that the load log holds without a gap."""
    logged = {window for load in loads for window in load.windows}
    return next((place for place, chunk in enumerate(chunks) if chunk not in logged), len(chunks))
