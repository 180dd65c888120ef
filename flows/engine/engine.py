"""The engine: plan a run, then run it wave by wave. Plain functions; neither Prefect nor the command line is needed.

    plan = prepare(context, request)              # sync if needed, gate; imports no dbt
    summary = execute(context, plan, observer)    # dbt in process, load log, gate for readers, records

A load counts when its row is in the warehouse's load log, which commits with the data; dbt's result alone is not
enough. A run that is killed at any moment leaves each target either loaded and logged, or unchanged. The next run
continues from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from tenacity import retry, retry_if_exception_type, stop_after_attempt

from flows.engine.engines import with_engines
from flows.engine.execution import Execution
from flows.engine.recovery import adopt_unknown, mark_crashes
from flows.gate.facts import Action
from flows.gate.gather import log_decision, open_gate
from flows.incidents.settle import deliver_or_log
from flows.run.leases import LeaseKeeper, lease_texts, wait_until_free
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary, SilentObserver
from flows.run.selection import select_transformations
from flows.warehouse.file_lock import warehouse_lock
from metadata_sync.analysis.blame import Blame
from metadata_sync.database.approval.model import Role
from metadata_sync.errors import RequestError, SoftRunError, StaleRowError, StoreError

if TYPE_CHECKING:
    from datetime import datetime

    from flows.context import Context
    from flows.gate.facts import Decision
    from flows.gate.first_load import FirstLoad
    from flows.gate.gather import Gate
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.sync.parts import Part

__all__ = [
    "RunObserver", "RunPlan", "RunRequest", "RunSummary", "SilentObserver", "execute", "hold_targets", "hold_warehouse",
    "prepare", "startup_failures_reported",
]  # fmt: skip


@contextmanager
def hold_warehouse(context: Context, command: str, on_wait: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Lock the embedded warehouse against other writers; on a server keep one session for all that is read.

    The same process can take the lock again at no cost.

    Args:
        context: Project and settings.
        command: What the holder does; shown to processes that wait.
        on_wait: Called once with a sentence when another process holds the lock.

    Raises:
        SoftRunError: When another process still holds it after `SLUICE_LOCK_WAIT_SECONDS`.
    """
    wait_seconds = context.settings.lock_wait_seconds
    lock = warehouse_lock(context.project, context.profile, command=command, wait_seconds=wait_seconds, on_wait=on_wait)
    with lock, context.connected():
        yield


@contextmanager
def hold_targets(
    context: Context, command: str, targets: Sequence[str], run_id: str, *, held_by: str | None = None
) -> Iterator[None]:
    """Lock the warehouse, and hold the leases of targets for something that is no run.

    Args:
        context: Profile, settings, control database.
        command: What the holder does; shown to processes that wait.
        targets: The targets that no run may load meanwhile.
        run_id: The run id of what is written.
        held_by: Who holds them; None: the person of the context.

    Raises:
        SoftRunError: When a run holds one of them, or another process still holds the warehouse.
    """
    with (
        hold_warehouse(context, command),
        LeaseKeeper(context.store, run_id=run_id, held_by=held_by or context.who) as keeper,
    ):
        others = keeper.take(targets)
        if others:
            message = f"{others[0].target} is being loaded by {others[0]}."
            raise SoftRunError(message, "Try again when that run has ended.")
        yield


@contextmanager
def startup_failures_reported(context: Context, request: RunRequest) -> Iterator[None]:
    """Report an error that ends the block as an incident, then raise it again.

    Two kinds of error open no incident: a faulty request concerns only its sender, and an unreachable control database
    cannot record one.

    Args:
        context: Control database, settings.
        request: The request of the run.
    """
    try:
        yield
    except (RequestError, StoreError):
        raise
    except Exception as error:
        from flows.engine.startup_failures import report_startup_failure

        report_startup_failure(context, request, error)
        raise


def prepare(
    context: Context,
    request: RunRequest,
    *,
    is_dry: bool = False,
    on_wait: Callable[[str], None] = lambda _: None,
) -> RunPlan:
    """Decide what a run would do now. Brings generated models in step with the rows; loads no data.

    Asked for some pipelines that are in step, it reads their rows and what they read, and no others. When something
    is due or held, all rows are read and the gate decides again: what follows concerns the rows of others.

    Args:
        context: Project, settings, control database.
        request: The request of the run.
        is_dry: Write nothing at all, not even generated models.
        on_wait: Called with a sentence when the request waits for another run, when a column list follows a changed
            SELECT, and when files of a lake source have new columns or wider types.

    Returns:
        The plan, with a decision and its evidence per selected target.

    Raises:
        ConfigurationError: When a pipeline does not exist, or settings and profile do not fit.
        MetadataError: When the control database holds invalid rows.
        RunError: When the warehouse cannot be read.
        StoreError: When the role `run` was granted to others only.
    """
    if not is_dry:
        context.store.approvals.require(Role.RUN)
    part = None if is_dry else _part_asked(context, request)
    if part is not None and part.is_in_step:
        plan = _decide(context, request, part.stored.usable, Blame(), on_wait=on_wait)
        if not plan.first_loads and all(decision.action is Action.SKIP for decision in plan.decisions):
            return _logged(plan)
    rows, blame = (context.store.read_rows(), Blame()) if is_dry else sync_rows(context, on_wait, part)
    return _logged(_decide(context, request, rows, blame, is_dry=is_dry, on_wait=on_wait))


def _part_asked(context: Context, request: RunRequest) -> Part | None:
    """Return the rows and files that the request alone needs; None: it needs all, or names what does not exist."""
    if not request.pipelines or request.job_group is not None:
        return None
    from metadata_sync.sync.parts import Part

    part = Part(context.store, context.project, context.columns.dialect, request.pipelines)
    known = {row["pipeline_id"] for row_type, row in part.stored.stored if row_type.control_table == "pipeline_control"}
    return part if known.issuperset(request.pipelines) else None


def _logged(plan: RunPlan) -> RunPlan:
    for decision in plan.decisions:
        log_decision(plan.run_id, decision)
    return plan


def _decide(
    context: Context,
    request: RunRequest,
    rows: ControlRows,
    blame: Blame,
    *,
    is_dry: bool = False,
    on_wait: Callable[[str], None],
) -> RunPlan:
    """Ask the gate about the targets of a request; see `prepare`."""
    stopped = blame.stopped(rows.transformations, rows) if blame.by_row else frozenset()
    selected = select_transformations(rows, request, stopped)
    wait_until_free(context.store, {str(row.name) for row in selected}, request.wait_seconds, on_wait=on_wait)
    now = context.now()
    with open_gate(context, rows, selected, blame, is_in_step=not is_dry) as gate:
        loads = context.store.latest_loads({str(row.name) for row in rows.transformations} if rows.is_part else None)
        if not is_dry:
            loads = adopt_unknown(gate, loads)
            redefined = {target: head for target, head in gate.state.heads.items() if head.is_redefined}
            if redefined:
                from flows.engine.definitions import note_definitions

                note_definitions(context, rows, redefined, gate.warehouse)
        forced_by = request.requested_by if request.is_forced else None
        answer = gate.decide(loads, now, forced_by=forced_by, leases=lease_texts(context.store))
        if not is_dry and gate.lake.seen:
            from flows.engine.shapes import note_shapes

            note_shapes(context, gate.lake, on_wait)
        orphans = gate.orphans() if not request.pipelines else ()
        decisions = with_engines(context, request, rows, gate.state, answer.decisions)
        decisions, first_loads = _with_first_loads(gate, decisions, loads, now)
    return RunPlan(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
        planned_at=now,
        request=request,
        rows=rows,
        selected=selected,
        decisions=decisions,
        orphans=orphans,
        tokens=answer.tokens,
        absent=frozenset(row.name for row in rows.transformations) - gate.state.existing,
        blame=blame,
        rejecting=loads.rejecting,
        first_loads=first_loads,
        lake=gate.lake,
    )


def execute(
    context: Context,
    plan: RunPlan,
    observer: RunObserver | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    url: str | None = None,
) -> RunSummary:
    """Execute a plan, record the outcomes, and report them.

    Args:
        context: Project, settings, control database.
        plan: What `prepare` decided.
        observer: Receives the events of the run; None: no observer.
        sleep: Waits a number of seconds, until the next retry.
        url: The run's page, for alerts; None when it has none.

    Returns:
        One outcome per selected target. A plan in which nothing is due is recorded and reported like any other.

    Raises:
        RunError: When dbt or the warehouse cannot be started. Earlier loads are recorded.
    """
    watcher = observer or SilentObserver()
    keeper = LeaseKeeper(context.store, run_id=plan.run_id, held_by=plan.request.requested_by)
    with hold_warehouse(context, f"run {plan.run_id}"), keeper:
        mark_crashes(context, plan.rows)
        summary = Execution(context, plan, watcher, keeper, sleep=sleep, url=url).run()
        summary = _with_changes(context, plan, summary)
    deliver_or_log(context)
    return summary


def _with_first_loads(
    gate: Gate, decisions: tuple[Decision, ...], loads: LatestLoads, now: datetime
) -> tuple[tuple[Decision, ...], Mapping[str, FirstLoad]]:
    """Find the first loads that are, or go on, in chunks; most runs have none."""
    is_new = any(decision.target not in gate.state.logged for decision in decisions)
    if not is_new and not gate.context.store.unfinished_first_loads():
        return decisions, {}
    from flows.engine.first_loads import find_first_loads

    found = find_first_loads(gate.context, gate, decisions, loads, now)
    return found.decisions, found.by_target


def _with_changes(context: Context, plan: RunPlan, summary: RunSummary) -> RunSummary:
    """Add to every target which of its rows an older SELECT derived, as far as they are known after the run."""
    if not any(outcome.is_redefined or outcome.decision.definition_change for outcome in summary.outcomes):
        return summary
    from flows.engine.definitions import changes_after, note_loads

    note_loads(context, plan.rows, {outcome.target: outcome.definition for outcome in summary.outcomes})
    return replace(summary, outcomes=changes_after(context, plan.rows, summary.outcomes))


@retry(retry=retry_if_exception_type(StaleRowError), stop=stop_after_attempt(3), reraise=True)
def sync_rows(
    context: Context, say: Callable[[str], None] = lambda _: None, part: Part | None = None
) -> tuple[ControlRows, Blame]:
    """Bring the generated models in step with the rows, and store the column lists that sync took from SELECTs.

    If another run has filled in the lists of the same new rows meanwhile, sync starts again with those lists.

    Args:
        context: Project, settings, control database.
        say: Receives a sentence for each column list that follows a changed SELECT.
        part: Remembers that it is in step, when everything is.

    Returns:
        The rows, and the faults of rows and SELECTs. The models of faulty rows stay as they are.

    Raises:
        MetadataError: When the control database holds a row that is invalid without its faulty part.
        SyncError: When generated files were edited by hand or cannot be written.
    """
    from metadata_sync.sync.report import SyncReport
    from metadata_sync.sync.store import sync_store

    stored = context.store.read_stored()
    report = sync_store(context.store, stored, context.project, context.columns, keep_going=True)
    for target, change in report.filled.items():
        if change.sentence:
            say(f"! {target}: {change.sentence}")
    if part is not None and report == SyncReport(unchanged=report.unchanged):
        part.remember()
    rows = context.store.usable_rows() if report.filled else stored.usable
    return rows, Blame.of(report.faults) if report.faults else Blame()
