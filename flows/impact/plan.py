"""What changes against a git ref, what that does to rows that stand, and what it reaches.

impact = plan_impact(context, "origin/main")  # reads files, the catalog and git; writes nothing
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from flows.impact.base import project_at, uncommitted
from flows.impact.cost import Restating, has_control_database, with_cost
from flows.impact.types import lists_now, refusals, standing_lists
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.impact import DECIDING, READING, Change, Reach, changed_settings, reach
from metadata_sync.analysis.select_file import read_select
from metadata_sync.analysis.unit_tests import FOLDER
from metadata_sync.control.bundle import read_project
from metadata_sync.errors import MetadataError, RunError
from metadata_sync.rows.merge import all_rows
from metadata_sync.rows.model import ControlRow, ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import OnDefinitionChange
from metadata_sync.sql import parse_select
from metadata_sync.sql.canonical import Canonical, canonical
from metadata_sync.sql.changes import UNREADABLE, ChangeKind, SelectChange, select_change
from metadata_sync.sql.lineage import ColumnName
from metadata_sync.sql.parse import ParsedSelect

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.project import Project

_BY_CHANGE = {
    OnDefinitionChange.LOAD: "new rows follow; rows that stand keep what they have until `sluice restate {target}`",
    OnDefinitionChange.HOLD: "nothing is loaded until `sluice restate {target}` or `sluice accept {target}`",
    OnDefinitionChange.RESTATE: "all rows are derived again after the next run",
    OnDefinitionChange.ACCEPT: "new rows follow; rows that stand stay as they are",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One change, and what it does.

    Attributes:
        change: The change.
        effects: What happens to rows that stand, and to later ones: one sentence each.
        columns: Columns of other targets whose values may follow.
        rows: Other targets that may hold other rows.
        unresolved: Those among them whose SELECT cannot be read by column.
        broken: What breaks, one sentence each.
        owners: Owners and alert channels of the pipelines that are reached.
        tests: Tests of the target and of those that are reached: files of frozen rows, and tests of columns.
        restating: What a restatement would take, where rows that stand follow the old SELECT; None: no load is known.
    """

    change: Change
    effects: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    restating: Restating | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """All changes against a ref.

    Attributes:
        ref: The commit, branch or tag.
        effects: One per changed row.
        uncommitted: Files of the dbt project that no commit has as they are: the changes are theirs too.
    """

    ref: str
    effects: tuple[Effect, ...]
    uncommitted: tuple[str, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether something would break."""
        return any(effect.broken for effect in self.effects)


def plan_impact(context: Context, ref: str, columns: WarehouseColumns | None = None) -> Impact:
    """Compare the project's files with those of a git ref.

    Args:
        context: The project.
        ref: A commit, branch or tag.
        columns: The columns of sources; those of the warehouse by default.

    Raises:
        MetadataError: When files of the project cannot be read; those of the ref may hold faults.
        RequestError: When there is no such ref.
    """
    project, environment = context.project, context.settings.environment
    bundle = read_project(project, environment)
    if bundle.faults:
        raise MetadataError(bundle.faults)
    rows = bundle.rows
    with project_at(project, ref) as old_project:
        old = read_project(old_project, environment).rows
        known = context.columns if columns is None else columns
        effects = _effects((old, old_project), (rows, project), known)
    if columns is None:
        effects = with_cost(context, _with_refusals(context, effects, rows, project))
    return Impact(ref, effects, uncommitted(project))


def impact_of(context: Context, rows: ControlRows, project: Project) -> Impact:
    """Compare other rows and SELECTs with those that the environment has now.

    Args:
        context: The project in the environment.
        rows: All rows as they are to be.
        project: The project with the SELECTs as they are to be.
    """
    before = (context.store.read_rows(), context.project)
    effects = _with_refusals(context, _effects(before, (rows, project), context.columns), rows, project)
    return Impact(context.settings.environment, with_cost(context, effects))


def _with_refusals(
    context: Context, effects: tuple[Effect, ...], rows: ControlRows, project: Project
) -> tuple[Effect, ...]:
    """Return effects with the types that no load takes, said where they are caused."""
    if not any(effect.change.select for effect in effects) or not has_control_database(context):
        return effects
    standing = standing_lists(context)
    reached = [_values_of(effect) if effect.change.select is not None else set() for effect in effects]
    with context.columns.connected():
        lists = lists_now(rows, project, context.columns, standing, set().union(*reached))
    refused = refusals(standing, lists, context.columns.dialect)
    found = [tuple(line for name in sorted(names) for line in refused.get(name, ())) for names in reached]
    return tuple(replace(effect, broken=(*effect.broken, *lines)) for effect, lines in zip(effects, found, strict=True))


def _values_of(effect: Effect) -> set[TableName]:
    """Return the target that changes, and those whose values follow."""
    tables = (column.rpartition(".")[0] for column in effect.columns)
    return {TableName.parse(name) for name in (effect.change.key, *tables, *effect.rows)}


def _effects(
    before: tuple[ControlRows, Project], now: tuple[ControlRows, Project], known: WarehouseColumns
) -> tuple[Effect, ...]:
    (old, old_project), (rows, project) = before, now
    with known.connected():
        there = _Selects(old, old_project, Catalog(old, old_project, known))
        here = _Selects(rows, project, Catalog(rows, project, known))
        changes = list(_changes(old, rows, there, here))
        gone = {TableName.parse(item.key): item.select.dropped for item in changes if item.select is not None}
        forms = {row.name: here.form(row, gone) for row in rows.transformations}
    return tuple(_effect(change, rows, forms, here) for change in changes)


class _Selects:
    """The SELECTs of one version of the project."""

    def __init__(self, rows: ControlRows, project: Project, catalog: Catalog) -> None:
        self.rows = rows
        self.project = project
        self.catalog = catalog
        self._parsed: dict[TableName, ParsedSelect | None] = {}

    def text(self, row: TransformationRow) -> str | None:
        found = read_select(row, self.project)
        return found if isinstance(found, str) else None

    def line_of(self, target: TableName, column: ColumnName) -> int | None:
        """Return the first line of a target's SELECT that names a column; None when it is not known."""
        row = self.rows.transformation(target)
        select = None if row is None else self.select(row)
        found = () if select is None else select.tree.find_all(exp.Column)
        lines = (item.this.meta.get("line") for item in found if item.name.lower() == column.column)
        return min((line for line in lines if line), default=None)

    def select(self, row: TransformationRow) -> ParsedSelect | None:
        """Return the parsed SELECT; None when it cannot be read or parsed."""
        if row.name not in self._parsed:
            self._parsed[row.name], _ = parse_select(self.text(row) or "", self.catalog.dialect)
        return self._parsed[row.name]

    def tables(self, row: TransformationRow) -> Mapping[TableName, Sequence[str]]:
        select = self.select(row)
        found = {} if select is None else {name: self._columns(name) for name in select.tables}
        return {name: names for name, names in found.items() if names}

    def _columns(self, name: TableName) -> list[str]:
        """Return the columns of a table; none when they cannot be asked now, and a star over it counts as reached."""
        try:
            return [column.name for column in self.catalog.table_columns(name) or ()]
        except RunError:
            return []

    def form(self, row: TransformationRow, gone: Mapping[TableName, Sequence[str]]) -> Canonical | None:
        """Return what a SELECT means; one that still reads columns that are gone is resolved as if they were there."""
        select = self.select(row)
        if select is None:
            return None
        tables = self.tables(row)
        before = {name: [*names, *gone.get(name, ())] for name, names in tables.items()}
        return canonical(select, tables) or canonical(select, before)


def _changes(old: ControlRows, new: ControlRows, before: _Selects, now: _Selects) -> Iterator[Change]:
    ours = {(row.control_table, row.key): row for row in all_rows(old)}
    theirs = {(row.control_table, row.key): row for row in all_rows(new)}
    for identity in dict.fromkeys([*theirs, *ours]):
        one, other = ours.get(identity), theirs.get(identity)
        if one is None or other is None:
            yield Change(*identity, "added" if one is None else "removed")
            continue
        settings = changed_settings(one, other)
        select = _select_change(one, other, before, now)
        if settings or select is not None:
            yield Change(*identity, "changed", settings, select)


def _select_change(one: ControlRow, other: ControlRow, before: _Selects, now: _Selects) -> SelectChange | None:
    if not isinstance(one, TransformationRow) or not isinstance(other, TransformationRow):
        return None
    ours, theirs = before.text(one), now.text(other)
    if ours == theirs:
        return None
    old, new = before.select(one), now.select(other)
    if old is None or new is None:
        return UNREADABLE
    return select_change(old, new, {**before.tables(one), **now.tables(other)})


def _effect(change: Change, rows: ControlRows, forms: Mapping[TableName, Canonical | None], here: _Selects) -> Effect:
    if change.table != TransformationRow.control_table:
        return Effect(change, tuple(_settings_effects(change)))
    name = TableName.parse(change.key)
    row = rows.transformation(name)
    found = reach([change], rows, forms)
    others = {table for table in (*found.rows, *(column.table for column in found.columns)) if table != name}
    return Effect(
        change,
        tuple(_target_effects(change, row)),
        columns=tuple(
            str(column) for column in sorted(found.columns) if column.table != name and column.table not in found.rows
        ),
        rows=tuple(str(table) for table in sorted(found.rows) if table != name),
        unresolved=tuple(str(table) for table in sorted(found.unresolved)),
        broken=tuple(_broken(change, name, here, forms, found)),
        owners=tuple(_owners(rows, {name, *others})),
        tests=tuple(_tests(here, {name, *others})),
    )


def _target_effects(change: Change, row: TransformationRow | None) -> Iterator[str]:
    if change.kind == "added":
        yield "its first load creates the table"
        return
    if change.kind == "removed" or row is None:
        yield "nothing loads it any more; its table stays until `sluice retire`"
        return
    if change.select is not None:
        yield from _select_effects(change.select, row)
    yield from _settings_effects(change)


def _select_effects(select: SelectChange, row: TransformationRow) -> Iterator[str]:
    if select.kind is ChangeKind.FORMATTING:
        yield "nothing: the SELECT means what it meant"
    if select.added:
        yield (
            f"{', '.join(select.added)}: NULL in rows that stand, until "
            f"`sluice restate {row.key} --fill {' '.join(select.added)}`"
        )
    if select.dropped:
        yield f"{', '.join(select.dropped)}: the table keeps the column, with NULL for new rows"
    if ChangeKind.REORDERED in select.kinds:
        yield "the order of columns changes in the SELECT; the table keeps its own"
    if select.changed or select.parts:
        what = ", ".join(select.changed) or "which rows there are"
        yield f"{what}: {_BY_CHANGE[row.on_definition_change].format(target=row.key)}"


def _settings_effects(change: Change) -> Iterator[str]:
    names = [item.column for item in change.settings]
    deciding, reading = [n for n in names if n in DECIDING], [n for n in names if n in READING]
    if deciding:
        yield f"{', '.join(deciding)}: decides which rows there are; rows that stand follow the old setting"
    if reading:
        yield f"{', '.join(reading)}: decides what later runs read"
    rest = [name for name in names if name not in DECIDING | READING]
    if rest:
        yield f"{', '.join(rest)}: no row changes by it"


def _broken(
    change: Change, name: TableName, here: _Selects, forms: Mapping[TableName, Canonical | None], found: Reach
) -> Iterator[str]:
    rows = here.rows
    for reader, columns in sorted(found.broken.items()):
        for column in columns:
            uses, line = _uses(reader, column, forms.get(reader)), here.line_of(reader, column)
            yield f"dropping {column.column} breaks {uses}{f', line {line}' if line else ''}"
    if change.kind == "removed":
        for row in rows.transformations:
            if str(name) in {item.table for item in row.dependencies}:
                yield f"{row.key} reads it"
    gone = {ColumnName(name, column) for column in (change.select.dropped if change.select else ())}
    target = rows.transformation(name)
    for setting in ("business_key", "sequence_by", "scd_columns", "recompute_key"):
        for column in () if target is None else getattr(target, setting):
            if ColumnName(name, column.lower()) in gone:
                yield f"dropping {column} breaks {setting} of {name}"


def _uses(reader: TableName, column: ColumnName, form: Canonical | None) -> str:
    """Return the columns that a reader makes of a column, and its rows where the column decides them."""
    if form is None:
        return str(reader)
    made = [f"{reader}.{name}" for name, part in form.columns.items() if column in part.reads]
    return ", ".join([*made, *([f"the rows of {reader}"] if column in form.deciding else [])]) or str(reader)


def _tests(here: _Selects, tables: set[TableName]) -> Iterator[str]:
    """Yield the tests of targets: files of frozen rows, and data tests of their column lists."""
    for row in here.rows.transformations:
        if row.name not in tables:
            continue
        file = here.project.dbt_dir / FOLDER / f"{row.key}.yml"
        if file.exists():
            yield file.relative_to(here.project.root).as_posix()
        for column in row.column_list:
            for test in column.tests:
                yield f"{row.key}.{column.name}: {test if isinstance(test, str) else next(iter(test))}"


def _owners(rows: ControlRows, tables: set[TableName]) -> Iterator[str]:
    pipelines = {row.pipeline_id for row in rows.transformations if row.name in tables}
    for row in rows.pipelines:
        if row.pipeline_id in pipelines:
            told = [part for part in (row.owner, row.alert_channel) if part]
            yield f"{row.pipeline_id} ({', '.join(told)})" if told else row.pipeline_id
