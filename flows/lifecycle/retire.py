"""Retire a target: switch it off, keep it for a while, then drop its tables; its rows of the load log stay as history.

    plan = plan_retirement(context, RetireRequest("dwh.old"))    # reads, or says why it cannot be done
    for step in retire_steps(context, plan): …                   # does it

The first call switches the row off and notes when the tables may be dropped. A call after that instant drops them and
removes the row. The steps, in this order:

    export      the tables as files, when it was asked for
    begin       the row is switched off and the entry in lifecycle_log begins, in one transaction
    warehouse   tables dropped and log rows closed, in one transaction
    rows        the row is removed and the entry ends, in one transaction
    models      the generated models

After a kill the same command does what is left; the target stays switched off meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from flows.context import reading
from flows.engine.engine import hold_targets, sync_rows
from flows.lifecycle.files import declared_at
from flows.lifecycle.standing import PARTS, parse_target, part_name, read_standing, read_views
from metadata_sync.analysis.unit_tests import test_file_path
from metadata_sync.control.renaming import readers_of
from metadata_sync.database.engine import new_id
from metadata_sync.database.journals.entries import Lifecycle, LifecycleEntry
from metadata_sync.errors import ConfigurationError, HardRunError, RequestError, RunError, SoftRunError
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.merge import RowChange, replaced
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import is_view
from metadata_sync.rows.vocabulary import DeactivatedBy

if TYPE_CHECKING:
    from flows.context import Context
    from flows.lifecycle.standing import Standing
    from metadata_sync.rows.model import ControlRows, TransformationRow

GRACE_DAYS: Final = 7
"""How long a retired target's tables stay."""

_UNLOADED: Final = ("target", "side", "rejects")
_S3: Final = "s3://"


@dataclass(frozen=True, slots=True)
class RetireRequest:
    """A request to retire a target.

    Attributes:
        target: `schema.table`.
        grace_days: How long its tables stay.
        is_now: Drop its tables now.
        export: Folder, or `s3://…/` on Redshift, that its tables are written to first; None: they are not.
    """

    target: str
    grace_days: int = GRACE_DAYS
    is_now: bool = False
    export: str | None = None


@dataclass(frozen=True, slots=True)
class RetirePlan:
    """What a retirement would do now.

    Attributes:
        request: The request.
        row: Its row; None: it has none any more.
        tables: (part, table) that stand in the warehouse.
        row_count: Rows of the table; None: there is none.
        log_count: Its rows in the load log; they stay.
        is_view: Whether the target is a materialized view.
        has_log: Whether there is a load log.
        due_at: When the tables may be dropped, UTC.
        drops: Whether the tables are dropped now.
        export: Where its tables are written to first; None: they are not.
        begun: Its entry, when it was retired before.
        remarks: What is left to people, one sentence each.
    """

    request: RetireRequest
    row: TransformationRow | None
    tables: tuple[tuple[str, str], ...]
    row_count: int | None = field(compare=False)
    log_count: int = field(compare=False)
    is_view: bool
    has_log: bool
    due_at: datetime = field(compare=False)
    drops: bool
    export: str | None = None
    begun: LifecycleEntry | None = None
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def has_work(self) -> bool:
        """Whether there is something to do now: a target within its grace period only waits."""
        return self.begun is None or self.drops or self.export is not None


def plan_retirement(context: Context, request: RetireRequest) -> RetirePlan:
    """Plan what a retirement does now. Writes nothing.

    Raises:
        ConfigurationError: When the target is unknown, is read by others, or is still declared when it is dropped.
        MetadataError: When stored rows have faults.
        HardRunError: When the table was not created by Sluice.
    """
    target = parse_target(request.target)
    rows = context.store.read_rows()
    begun = _begun(context, target)
    row = rows.transformation(target)
    with reading(context, context.profile) as warehouse:
        standings, has_log = read_standing(warehouse, context.profile, (target,), counted=target)
        views = read_views(warehouse, context.profile, target)
    standing = standings[target]
    if row is None and begun is None and not standing.tables and not standing.live_count:
        raise _unknown(context, rows, target)
    _refuse(rows, target, standing, row, begun)
    now = context.now()
    due_at = begun.due_at if begun is not None and begun.due_at is not None else now + timedelta(request.grace_days)
    drops = request.is_now or due_at <= now
    places = declared_at(context.project, target)
    if drops and places:
        raise ConfigurationError(
            f"{places[0]} declares {target}: the next `control apply` would make it again.",
            "Take the row out of the file, then give the command again.",
        )
    return RetirePlan(
        request=request,
        row=row,
        tables=tuple((part, standing.tables[part]) for part in PARTS if part in standing.tables),
        row_count=standing.row_count,
        log_count=standing.log_count,
        is_view=row is not None and is_view(row, rows),
        has_log=has_log and bool(standing.live_count),
        due_at=due_at,
        drops=drops,
        export=None if request.export is None else _export_place(context, request.export, target),
        begun=begun,
        remarks=(*_remarks(target, places, views, due_at, drops=drops), *_test_remarks(context, target)),
    )


def retire_steps(context: Context, plan: RetirePlan) -> Iterator[str]:
    """Retire a target as planned, and yield each step's name when it is complete.

    Raises:
        SoftRunError: When a run holds the target, or something changed since the plan.
        HardRunError: When the warehouse or the export fails; the message says what was done.
    """
    target = parse_target(plan.request.target)
    run_id = f"retire-{context.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    with hold_targets(context, f"retire {target}", [str(target)], run_id):
        if plan_retirement(context, plan.request) != plan:
            raise SoftRunError(f"{target} or its readers changed since the plan.", "Run the command again.")
        if plan.export is not None:
            _export(context, plan, plan.export)
            yield "export"
        entry = plan.begun
        if entry is None:
            entry = _begin(context, plan, target)
            yield "begin"
        if plan.drops:
            yield from _drop(context, plan, entry)


def undo_retirement(context: Context, name: str) -> LifecycleEntry:
    """Take a retirement back while the tables stand: its row is switched on again, when the retirement switched it off.

    Raises:
        ConfigurationError: When the target is not retired, or has no row any more.
    """
    target = parse_target(name)
    entry = _begun(context, target)
    if entry is None:
        raise ConfigurationError(f"{target} is not being retired.", f"sluice control history {target} says more.")
    row = context.store.read_rows().transformation(target)
    if row is None:
        raise ConfigurationError(f"The row of {target} was removed.", "Apply it again: `sluice control apply`.")
    with reading(context, context.profile) as warehouse:
        standings, _ = read_standing(warehouse, context.profile, (target,))
    was_loaded = any(item.target == name for item in context.store.latest_loads().newest)
    if was_loaded and "head" not in standings[target].tables:
        raise ConfigurationError(f"The tables of {target} were dropped.", f"Finish it: sluice retire {target} --now.")
    is_ours = not row.is_active and row.comments == _comment(entry)
    changes = [RowChange(row, replaced(row, is_active=True))] if is_ours else []
    context.store.end_lifecycle(entry, f"taken back by {context.who}", changes)
    return entry


def _begun(context: Context, target: TableName) -> LifecycleEntry | None:
    """Return the unfinished retirement of a target.

    Raises:
        ConfigurationError: When something else with it is not finished.
    """
    for entry in context.store.lifecycle(unfinished_only=True):
        if str(target) in entry.involved and entry.kind is not Lifecycle.RETIRE:
            raise ConfigurationError(f"Not finished yet: {entry}.", "Finish that first.")
        if entry.target == str(target):
            return entry
    return None


def _unknown(context: Context, rows: ControlRows, target: TableName) -> RequestError:
    former = [entry for entry in context.store.lifecycle() if entry.target == str(target) and entry.outcome]
    if former:
        return RequestError(f"There is no {target} any more: {former[-1]}: {former[-1].outcome}.")
    known = sorted(str(row.name) for row in rows.transformations)
    hint = did_you_mean(str(target), known) or f"It has: {', '.join(known) or 'none'}."
    return RequestError(f"There is no transformation {str(target)!r} in this environment.", hint)


def _refuse(
    rows: ControlRows,
    target: TableName,
    standing: Standing,
    row: TransformationRow | None,
    begun: LifecycleEntry | None,
) -> None:
    readers = readers_of(rows, (target,))
    if readers:
        names = ", ".join(f"{item.name}{'' if item.is_active else ' (switched off)'}" for item in readers)
        raise ConfigurationError(f"{target} is read by {names}.", "Change or retire these first.")
    if "target" in standing.tables and "head" not in standing.tables:
        raise HardRunError(f"{target} was not created by Sluice: it has no head.", "Drop the table by SQL.")
    if begun is not None and row is not None and row.is_active:
        message = f"{target} is being retired, and was switched on again meanwhile."
        raise ConfigurationError(message, f"sluice retire {target} --undo, or sluice deactivate {target}.")


def _export_place(context: Context, place: str, target: TableName) -> str:
    """Return where a target's tables are written to.

    Raises:
        ConfigurationError: When the place does not fit the warehouse, or holds something.
    """
    is_redshift = context.profile.dialect == "redshift"
    if place.startswith(_S3) != is_redshift:
        needs = f"{_S3}bucket/folder" if is_redshift else "a folder on this machine"
        raise ConfigurationError(f"{place!r} is no place for an export of this warehouse.", f"Name {needs}.")
    if is_redshift:
        return f"{place.rstrip('/')}/{target}/"
    folder = Path(place).expanduser().resolve() / str(target)
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already.", "Name another folder; no export is overwritten.")
    return str(folder)


def _export(context: Context, plan: RetirePlan, place: str) -> None:
    """Write the tables. The folder gets its name when all are complete, so an interrupted export leaves none."""
    target = parse_target(plan.request.target)
    parts = [part for part, _ in plan.tables if part in _UNLOADED]
    if place.startswith(_S3):
        from flows.dbt.runner import DbtRunner

        arguments = {"target_name": str(target), "parts": parts, "folder": place}
        DbtRunner(context.project, context.settings, context.profile).operate("unload_target", arguments)
        return
    from flows.warehouse.export import export_table

    folder = Path(place)
    draft = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise HardRunError(f"{draft} cannot be made: {error.strerror}.", "Name another folder.") from error
    for part in parts:
        export_table(context.profile, *part_name(context.profile, target, part), draft)
    draft.rename(folder)


def _begin(context: Context, plan: RetirePlan, target: TableName) -> LifecycleEntry:
    now = context.now()
    entry = LifecycleEntry(
        entry_id=new_id(now),
        kind=Lifecycle.RETIRE,
        target=str(target),
        new_target=None,
        involved=(str(target),),
        requested_by=context.who,
        started_at=now,
        due_at=plan.due_at,
    )
    changes = []
    if plan.row is not None and plan.row.is_active:
        off = {"is_active": False, "deactivated_by": DeactivatedBy.OPERATOR, "comments": _comment(entry)}
        changes = [RowChange(plan.row, replaced(plan.row, **off))]
    context.store.begin_lifecycle(entry, changes)
    return entry


def _comment(entry: LifecycleEntry) -> str:
    due = f" may be dropped from {entry.due_at:%Y-%m-%d} on" if entry.due_at is not None else ""
    return f"retired by {entry.requested_by}: its tables{due}; sluice retire {entry.target} --undo takes it back"


def _drop(context: Context, plan: RetirePlan, entry: LifecycleEntry) -> Iterator[str]:
    from flows.dbt.runner import DbtRunner

    if plan.tables or plan.has_log:
        arguments = {
            "target_name": entry.target,
            "parts": [part for part, _ in plan.tables],
            "is_view": plan.is_view,
            "has_log": plan.has_log,
        }
        try:
            DbtRunner(context.project, context.settings, context.profile).operate("retire_target", arguments)
        except RunError as error:
            message = f"The tables of {entry.target} were not dropped; the target stays switched off: {error.message}"
            raise HardRunError(message, "Run the same command again.", subject=entry.target) from error
    yield "warehouse"
    row = context.store.read_rows().transformation(parse_target(entry.target))
    changes = [] if row is None else [RowChange(row, None)]
    rows = "" if plan.row_count is None else f"{plan.row_count:,} rows were "
    context.store.end_lifecycle(entry, f"{rows}dropped by {context.who}", changes, is_gone=True)
    yield "rows"
    sync_rows(context)
    yield "models"


def _test_remarks(context: Context, target: TableName) -> Iterator[str]:
    path = test_file_path(context.project, target)
    if path.exists():
        yield f"Delete {path.relative_to(context.project.root)} with the row: it tests {target}."


def _remarks(
    target: TableName, places: tuple[str, ...], views: tuple[str, ...], due_at: datetime, *, drops: bool
) -> Iterator[str]:
    if not drops:
        when = f"{due_at:%Y-%m-%d %H:%M} UTC"
        yield f"From {when} on, `sluice retire {target}` drops the tables. Until then --undo takes it back."
    if places:
        yield f"Take the row out of {', '.join(places)} before the tables are dropped."
    if views:
        yield f"Views that may read it: {', '.join(views)}. Drop them first."
