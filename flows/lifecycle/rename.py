"""Rename a target: table, ledger, head, load log, control rows, journals and the team's files; its history stays.

    plan = plan_rename(context, "dwh.old", "dwh.new")     # reads, or says why it cannot be done
    for step in rename_steps(context, plan): …            # does it

The steps, in this order; each is one transaction or one file:

    begin       an entry in lifecycle_log: the rows that name the target count as faulty and no run loads them
    warehouse   tables, load log and the readers' heads, in one transaction
    files       bundles of rows and SELECTs, one after the other
    rows        control rows and journals, and the end of the entry, in one transaction
    models      the generated models

After a kill the same command plans again and does what is left. When the warehouse refuses, nothing was changed and the
entry ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from flows.context import reading
from flows.engine.engine import hold_targets, sync_rows
from flows.lifecycle.files import FileChange, declared_names, mentions, plan_files
from flows.lifecycle.standing import PARTS, Standing, parse_target, part_name, read_standing, read_views
from flows.warehouse.definition import derivation_of, row_definition
from flows.warehouse.load_log import read_state
from metadata_sync.analysis.declared_tests import read_declared_tests
from metadata_sync.control.renaming import Renaming, plan_rows, readers_of
from metadata_sync.database.engine import new_id
from metadata_sync.database.journals.entries import Lifecycle, LifecycleEntry
from metadata_sync.errors import ConfigurationError, HardRunError, MetadataError, RequestError, RunError, SoftRunError
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.merge import RowChange, with_changes
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import is_view
from metadata_sync.sql import parse_select
from metadata_sync.sql.definition import definition_hash
from metadata_sync.sql.renaming import former_hashes, rename_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, TransformationRow

_MAX_PLACES: Final = 5
"""Places in files that a remark lists."""


@dataclass(frozen=True, slots=True)
class WarehouseMove:
    """What the warehouse renames, in one transaction.

    Attributes:
        tables: (part, table now, table afterwards).
        row_count: Rows of the table; None: there is none.
        log_count: Rows of the load log that name the target, as target or as source.
        is_view: Whether the target is a materialized view.
        has_log: Whether there is a load log.
        definitions: Reader → what its head holds, and the same of its rewritten SELECT.
    """

    tables: tuple[tuple[str, str, str], ...] = ()
    row_count: int | None = field(default=None, compare=False)
    log_count: int = field(default=0, compare=False)
    is_view: bool = False
    has_log: bool = False
    definitions: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to rename, or it was renamed before."""
        return not self.tables and not self.log_count


@dataclass(frozen=True, slots=True)
class RenamePlan:
    """What a renaming would do.

    Attributes:
        renaming: Old and new name.
        involved: The targets that no run may load meanwhile.
        warehouse: What the warehouse renames.
        changes: Changes of control rows.
        kept: Columns of the renamed row that the framework wrote.
        files: Files that are rewritten.
        remarks: What is left to people, one sentence each.
        begun: The entry of an earlier attempt that was not finished.
        done: The entry of the same renaming, when it is complete.
    """

    renaming: Renaming
    involved: tuple[str, ...]
    warehouse: WarehouseMove
    changes: tuple[RowChange, ...]
    kept: tuple[RowChange, ...]
    files: tuple[FileChange, ...]
    remarks: tuple[str, ...] = field(default=(), compare=False)
    begun: LifecycleEntry | None = None
    done: LifecycleEntry | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.begun is None and self.warehouse.is_nothing and not self.changes and not self.files


def plan_rename(context: Context, old: str, new: str) -> RenamePlan:
    """Plan a renaming, or what an interrupted one has left. Writes nothing.

    Args:
        context: Project, settings, control database.
        old: The target, `schema.table`.
        new: Its new name, `schema.table`.

    Raises:
        ConfigurationError: When the new name is taken or no name, the target is unknown, or a file is in the way.
        MetadataError: When rows have faults, or would have.
        HardRunError: When the target's tables are not as Sluice left them.
    """
    renaming = Renaming.of(parse_target(old), parse_target(new), read_declared_tests(context.project))
    if renaming.old == renaming.new:
        raise ConfigurationError(f"{old} has this name already.", "Give the old name and another new one.")
    begun, done = _entries(context, renaming)
    _, state = context.store.read_renaming()
    changes, kept = plan_rows(state, renaming)
    move, standing, views = _read_warehouse(context, state.rows, renaming)
    if not changes and move.is_nothing and begun is None:
        if done is None:
            raise _unknown(context, state.rows, renaming)
        return RenamePlan(renaming, (), move, (), (), (), done=done)
    _refuse_taken(context, state.rows, renaming, standing, has_begun=begun is not None)
    _refuse_faults(context, state.rows, changes)
    files = plan_files(context.project, context.profile.dialect, state.rows, renaming)
    named = {str(row.name) for row in state.rows.transformations if renaming.names_target(row)}
    remarks = (*_remarks(context, renaming, move, files), *_view_remarks(views))
    involved = tuple(sorted({str(renaming.old), str(renaming.new), *named}))
    return RenamePlan(renaming, involved, move, changes, kept, files, remarks, begun, done)


def rename_steps(context: Context, plan: RenamePlan) -> Iterator[str]:
    """Rename a target as planned, and yield each step's name when it is complete.

    Args:
        context: Project, settings, control database.
        plan: What `plan_rename` returned and a person has seen.

    Raises:
        SoftRunError: When a run holds one of the targets, or something changed since the plan.
        HardRunError: When the warehouse or a file refuses; the message says what was done.
    """
    old, new = str(plan.renaming.old), str(plan.renaming.new)
    run_id = f"rename-{context.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    with hold_targets(context, f"rename {old}", plan.involved, run_id):
        if plan_rename(context, old, new) != plan:
            raise SoftRunError(f"{old}, its readers or their files changed since the plan.", "Run the command again.")
        entry = plan.begun or _begin(context, plan)
        yield "begin"
        if not plan.warehouse.is_nothing:
            _rename_in_warehouse(context, plan, entry)
        yield "warehouse"
        for change in plan.files:
            change.write()
            yield change.shown
        context.store.write_renaming(entry, plan.changes, plan.kept)
        yield "rows"
        sync_rows(context)
        yield "models"


def _entries(context: Context, renaming: Renaming) -> tuple[LifecycleEntry | None, LifecycleEntry | None]:
    """Return the unfinished entry of this renaming, and the last finished one.

    Raises:
        ConfigurationError: When something else with one of the names is not finished.
    """
    pair = (str(renaming.old), str(renaming.new))
    begun = done = None
    for entry in context.store.lifecycle():
        is_same = (entry.target, entry.new_target) == pair
        if entry.finished_at is not None:
            done = entry if is_same else None if set(pair) & {entry.target, entry.new_target} else done
        elif is_same:
            begun = entry
        elif set(pair) & set(entry.involved):
            raise ConfigurationError(f"Not finished yet: {entry}.", "Finish or undo that first.")
    return begun, done


def _read_warehouse(
    context: Context, rows: ControlRows, renaming: Renaming
) -> tuple[WarehouseMove, Mapping[TableName, Standing], tuple[str, ...]]:
    old, new = renaming.old, renaming.new
    readers = readers_of(rows, (old, new))
    with reading(context, context.profile) as warehouse:
        standing, has_log = read_standing(warehouse, context.profile, (old, new), counted=old)
        state = read_state(warehouse, context.profile, [], [row.name for row in readers])
        views = read_views(warehouse, context.profile, old)
    found = standing[old]
    row = rows.transformation(old) or rows.transformation(new)
    definitions = {
        str(reader.name): (head.definition, after)
        for reader in readers
        if (head := state.heads.get(str(reader.name))) is not None and head.definition
        if (after := _definition_after(context, reader, head.definition, renaming)) is not None
    }
    move = WarehouseMove(
        tables=tuple(
            (part, table, ".".join(part_name(context.profile, new, part)))
            for part, table in sorted(found.tables.items(), key=lambda item: PARTS.index(item[0]))
        ),
        row_count=found.row_count,
        log_count=found.live_count + found.read_count,
        is_view=row is not None and is_view(row, rows),
        has_log=has_log,
        definitions=definitions,
    )
    return move, standing, views


def _definition_after(context: Context, row: TransformationRow, definition: str, renaming: Renaming) -> str | None:
    """Return a reader's definition with its renamed SELECT; None when its rows are of another SELECT or have none.

    The new name is no change of the SELECT, so the reader's rows stay rows of today's definition.
    """
    from metadata_sync.analysis.select_file import read_select

    text = read_select(row, context.project)
    select = parse_select(text, context.profile.dialect)[0] if isinstance(text, str) else None
    _, stored = derivation_of(definition)
    if select is None or not stored:
        return None
    if renaming.old in select.tables:
        before = {definition_hash(select)}
        renamed = rename_table(select, renaming.old, renaming.new)
        select = None if renamed is None else parse_select(renamed, select.dialect)[0]
    else:  # the file came with the new name
        before = set(former_hashes(select, renaming.old, renaming.new))
    if select is None or stored not in {row_definition(item, row) for item in before}:
        return None
    return definition.removesuffix(stored) + row_definition(definition_hash(select), row)


def _unknown(context: Context, rows: ControlRows, renaming: Renaming) -> RequestError:
    old = str(renaming.old)
    former = [entry for entry in context.store.lifecycle() if entry.target == old and entry.new_target]
    known = sorted(str(row.name) for row in rows.transformations)
    hint = did_you_mean(old, known) or f"It has: {', '.join(known) or 'none'}."
    if former and former[-1].new_target in known:
        hint = f"It was renamed to {former[-1].new_target} by {former[-1].requested_by}."
    return RequestError(f"There is no transformation {old!r} in this environment.", hint)


def _refuse_taken(
    context: Context,
    rows: ControlRows,
    renaming: Renaming,
    standing: Mapping[TableName, Standing],
    *,
    has_begun: bool,
) -> None:
    """Refuse a new name that is taken, and a target that is not as Sluice left it."""
    old, new = renaming.old, renaming.new
    now, then = standing[old], standing[new]
    if rows.source(new) is not None:
        raise ConfigurationError(f"{new} is a source of this environment.", "Choose another name.")
    if rows.transformation(old) is not None and rows.transformation(new) is not None:
        declares_old, declares_new = declared_names(context.project, renaming)
        if declares_old or not declares_new:
            raise ConfigurationError(f"{new} is another transformation.", "Choose another name, or retire that one.")
    twice = sorted(now.tables.keys() & then.tables.keys(), key=PARTS.index)
    if twice or (now.tables and then.tables):
        table = then.tables[twice[0]] if twice else next(iter(then.tables.values()))
        raise ConfigurationError(f"The warehouse holds {table} already.", "Choose another name, or drop that table.")
    if now.live_count and then.live_count and not has_begun:
        message = f"The load log holds loads of an earlier {new}."
        raise ConfigurationError(message, "Choose another name.")
    if "target" in now.tables and "head" not in now.tables:
        raise HardRunError(f"{old} was not created by Sluice: it has no head.", "Rename the table by SQL.")
    if "head" in now.tables and "target" not in now.tables:
        message = f"The table {old} is gone, but its load log stands."
        raise HardRunError(message, "Restore the table, or load it again with --full-refresh; then rename it.")
    if context.profile.dialect == "redshift":
        _refuse_on_redshift(rows, renaming)


def _refuse_on_redshift(rows: ControlRows, renaming: Renaming) -> None:
    """Redshift renames no materialized view, and moves a table to another schema by a copy."""
    old, new = renaming.old, renaming.new
    row = rows.transformation(old)
    if row is not None and is_view(row, rows):
        message = f"{old} is a materialized view, which Redshift cannot rename."
        raise ConfigurationError(message, "It holds no history: change its name in the rows, and drop the old view.")
    views = [str(reader.name) for reader in readers_of(rows, (old,)) if is_view(reader, rows)]
    if views and old.schema != new.schema:
        message = f"Redshift cannot move {old} to another schema: the materialized view {views[0]} reads it."
        raise ConfigurationError(message, f"Keep the schema {old.schema}.")


def _refuse_faults(context: Context, rows: ControlRows, changes: Collection[RowChange]) -> None:
    from metadata_sync.validation.row_rules import row_faults

    existing = set(row_faults(rows, context.project))
    new = [fault for fault in row_faults(with_changes(rows, changes), context.project) if fault not in existing]
    if new:
        raise MetadataError(new)


def _begin(context: Context, plan: RenamePlan) -> LifecycleEntry:
    now = context.now()
    entry = LifecycleEntry(
        entry_id=new_id(now),
        kind=Lifecycle.RENAME,
        target=str(plan.renaming.old),
        new_target=str(plan.renaming.new),
        involved=plan.involved,
        requested_by=context.who,
        started_at=now,
    )
    context.store.begin_lifecycle(entry)
    return entry


def _rename_in_warehouse(context: Context, plan: RenamePlan, entry: LifecycleEntry) -> None:
    """Run the one transaction. When it is known that it did not commit, the renaming ends and nothing was changed."""
    from flows.dbt.runner import DbtRunner

    old, new, move = plan.renaming.old, plan.renaming.new, plan.warehouse
    arguments = {
        "old": str(old),
        "new": str(new),
        "parts": [part for part, _, _ in move.tables],
        "is_view": move.is_view,
        "has_log": move.has_log,
        "definitions": {reader: list(pair) for reader, pair in move.definitions.items()},
    }
    try:
        DbtRunner(context.project, context.settings, context.profile).operate("rename_target", arguments)
    except RunError as error:
        with reading(context, context.profile) as warehouse:
            standing, _ = read_standing(warehouse, context.profile, (old,))
        if tuple(sorted(standing[old].tables)) == tuple(sorted(part for part, _, _ in move.tables)):
            context.store.end_lifecycle(entry, f"given up: {error.message}")
            raise HardRunError(
                f"{old} was not renamed, and nothing was changed: {error.message}", error.hint, subject=str(old)
            ) from error
        raise


def _remarks(context: Context, renaming: Renaming, move: WarehouseMove, files: Collection[FileChange]) -> Iterator[str]:
    old, new = renaming.old, renaming.new
    is_copied = old.schema != new.schema and context.profile.dialect in {"duckdb", "redshift"}
    if move.tables and is_copied:
        yield "The rows are copied to the new schema: grants, comments and indexes of the old table are lost."
    if files:
        yield f"Commit the files. In every other environment run `sluice rename {old} {new}` before `control apply`."
    declares_old, declares_new = declared_names(context.project, renaming)
    if not declares_old and not declares_new:
        yield (
            f"No file in {context.project.control_dir.relative_to(context.project.root)}/ declares {old}. If files "
            "elsewhere do, rename it there."
        )
    places = mentions(context.project, renaming, tuple(files))
    if places:
        more = f" and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
        yield f"Still names {old}: {', '.join(places[:_MAX_PLACES])}{more}."
    yield "Grants of single persons, dashboards and programs that read the old name are not changed."


def _view_remarks(views: Collection[str]) -> Iterator[str]:
    if views:
        yield f"Views that may read it: {', '.join(views)}. Look at each, and create it again."
