"""Bring the rows and SELECTs of one environment into another: a three-way merge with the last promotion.

    stage = last promoted, prod differs     prod was changed meanwhile: its value is kept
    stage differs, prod = last promoted     stage was changed: its value is promoted
    both differ                             a conflict, unless both have the same value

Before the first promotion, what the files declared for prod takes the place of what was promoted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from metadata_sync.analysis.kept_selects import selects_of
from metadata_sync.control.apply import ChangeContext
from metadata_sync.control.bundle import read_project
from metadata_sync.control.restoring import Restoring, checked
from metadata_sync.database import ControlStore
from metadata_sync.database.journals.select_texts import text_hash
from metadata_sync.errors import Fault, MetadataError, RequestError
from metadata_sync.redact import redact
from metadata_sync.rows.merge import SWITCH, ColumnId, RowChange, RowId, all_rows, replaced, rows_by_id, with_changes
from metadata_sync.rows.model import ControlRow, ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import resolve_dependencies

_OF_ITS_OWN: Final = frozenset({SWITCH})
"""Columns that each environment has of its own once the row is there: switching is operating."""


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both environments.

    Attributes:
        here: The rows of the environment that gets them.
        applied: Those rows as its files last declared them.
        source_applied: The other environment's rows as its files last declared them.
        written_here: Columns that the framework wrote.
        written_there: The same of the other environment.
        promoted: What the last promotion wrote here, by column.
        declared_there: Rows as the files declare them now for the other environment.
        declared_here: The same for this one.
    """

    here: Mapping[RowId, ControlRow]
    applied: Mapping[RowId, ControlRow]
    source_applied: Mapping[RowId, ControlRow]
    written_here: frozenset[ColumnId]
    written_there: frozenset[ColumnId]
    promoted: Mapping[ColumnId, Any]
    declared_there: Mapping[RowId, ControlRow]
    declared_here: Mapping[RowId, ControlRow]


def plan_promotion(
    context: ChangeContext, source: ControlStore, targets: Collection[str] = (), *, overwrite: bool = False
) -> Restoring:
    """Return what brings rows and SELECTs of another environment here; nothing is written.

    Args:
        context: The context of the change: the environment that gets the rows.
        source: The control database of the environment that they come from.
        targets: Only these, `schema.table`, with their pipelines and sources; all by default.
        overwrite: Take the other environment's value also where this one was changed.

    Raises:
        RequestError: When there is no such target, or nothing to promote from.
        MetadataError: With every conflict, or every fault of the files or the outcome.
    """
    there, here = source.read_state(), context.store.read_state()
    sides = _Sides(
        rows_by_id(here.rows),
        rows_by_id(here.declared),
        rows_by_id(there.declared),
        here.framework_written,
        there.framework_written,
        context.store.promoted(),
        _declared(context, source.environment),
        _declared(context, context.store.environment),
    )
    chosen = _chosen(there.rows, targets, source.environment)
    merges = [_Merge(row, sides) for row in chosen]
    changes = tuple(change for merge in merges if (change := merge.change(overwrite=overwrite)) is not None)
    conflicts = [] if overwrite else [fault for merge in merges for fault in merge.conflicts()]
    outcome = with_changes(here.rows, changes)
    texts, clashes = _texts(context, source, [row for row in chosen if not _is_left(row, sides)])
    if not overwrite:
        conflicts += clashes
    if conflicts:
        raise MetadataError(conflicts)
    notes = [
        note
        for merge in merges
        for note in merge.notes(source.environment, context.store.environment, overwrite=overwrite)
    ]
    if not targets:
        missing = {RowId.of(row) for row in all_rows(outcome)} - {RowId.of(row) for row in chosen}
        notes += [f"{name} is only in {context.store.environment}: kept." for name in sorted(map(str, missing))]
    return checked(context, changes, texts, tuple(notes))


def _declared(context: ChangeContext, environment: str) -> dict[RowId, ControlRow]:
    """Return rows as the files declare them: without all files nobody knows what is an environment's own."""
    bundle = read_project(context.project, environment)
    if bundle.faults:
        raise MetadataError(bundle.located(bundle.faults))
    return rows_by_id(bundle.rows)


def _chosen(rows: ControlRows, targets: Collection[str], environment: str) -> tuple[ControlRow, ...]:
    """Return targets with their pipelines and sources, in the order of their references."""
    if not all_rows(rows):
        raise RequestError(f"{environment} has no rows.", "Name the environment that they were applied in.")
    if not targets:
        return all_rows(rows)
    wanted: set[RowId] = set()
    for target in targets:
        row = next((row for row in rows.transformations if row.key == target), None)
        if row is None:
            raise RequestError(f"{environment} has no target {target}.", "`sluice control list transformation` has.")
        wanted |= {RowId.of(row), *(RowId.of(one) for one in rows.pipelines if one.key == row.pipeline_id)}
        reads: set[TableName] = {item.name for item in resolve_dependencies(row, rows)}
        wanted |= {RowId.of(one) for one in rows.sources if one.name in reads}
    return tuple(row for row in all_rows(rows) if RowId.of(row) in wanted)


def _is_left(row: ControlRow, sides: _Sides) -> bool:
    """Whether the files declare a row for its environment alone."""
    name = RowId.of(row)
    return name in sides.declared_there and name not in sides.declared_here


def _texts(
    context: ChangeContext, source: ControlStore, rows: Collection[ControlRow]
) -> tuple[dict[str, str], list[Fault]]:
    """Return the SELECTs that the source ran, and those whose file here is of neither environment."""
    there, here = source.select_hashes(), context.store.select_hashes()
    present = selects_of(rows, context.project)
    wanted: dict[str, str] = {}
    clashes = []
    for row in rows:
        if not isinstance(row, TransformationRow) or row.sql_path not in there:
            continue
        path, text = row.sql_path, present.get(row.sql_path)
        found = None if text is None else text_hash(text)
        if found == there[path]:
            continue
        wanted[path] = there[path]
        if found is not None and found != here.get(path):
            message = f"The file holds neither what {source.environment} nor what {context.store.environment} ran."
            remedy = f"Check out what {source.environment} ran, sync it in one of them, or pass --overwrite."
            clashes.append(Fault(row.control_table, row.key, "sql_path", path, "conflict", message, remedy))
    kept = source.select_texts(wanted.values())
    return {path: kept[name] for path, name in wanted.items()}, clashes


class _Verdict(StrEnum):
    """What becomes of a column that differs."""

    OF_ENVIRONMENT = "of the environment"
    TAKEN = "taken"
    KEPT = "kept"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of one row: its values there, here, and as last promoted."""

    row: ControlRow
    sides: _Sides

    @property
    def _here(self) -> ControlRow | None:
        return self.sides.here.get(RowId.of(self.row))

    def change(self, *, overwrite: bool) -> RowChange | None:
        if _is_left(self.row, self.sides):
            return None
        here = self._here
        if here is None:
            return RowChange(before=None, after=self._new())
        values = {
            name: getattr(self.row, name)
            for name, verdict in self._verdicts().items()
            if verdict is _Verdict.TAKEN or (overwrite and verdict is not _Verdict.OF_ENVIRONMENT)
        }
        return RowChange(before=here, after=replaced(here, **values)) if values else None

    def conflicts(self) -> Iterator[Fault]:
        here = self._here
        if here is None or _is_left(self.row, self.sides):
            return
        for name, verdict in self._verdicts().items():
            if verdict is _Verdict.CONFLICT:
                was = self.sides.promoted.get(self._id(name), "never promoted")
                message = f"Both were changed: it is {_json(here, name)!r} here; last promoted: {was!r}."
                remedy = "Give both the same value (`sluice control set`), or take the other's: --overwrite."
                value = str(_json(self.row, name))
                yield Fault(self.row.control_table, self.row.key, name, value, "conflict", message, remedy)

    def notes(self, source: str, environment: str, *, overwrite: bool) -> Iterator[str]:
        name = RowId.of(self.row)
        if _is_left(self.row, self.sides):
            yield f"{name} is declared for {source} alone: left out."
            return
        for column, verdict in self._verdicts().items():
            if verdict is _Verdict.OF_ENVIRONMENT:
                yield f"{name}.{column} is declared for {environment} alone: kept."
            elif verdict is _Verdict.KEPT and not overwrite:
                yield f"{name}.{column} was changed in {environment} since the last promotion: kept (--overwrite)."

    def _verdicts(self) -> dict[str, _Verdict]:
        """Return what becomes of each field that may be promoted and differs; none for a row that is not here."""
        here = self._here
        if here is None:
            return {}
        skipped = {*self.row.key_columns, *self.row.framework_columns, *_OF_ITS_OWN}
        return {
            name: self._verdict(here, name)
            for name, field in type(self.row).model_fields.items()
            if (field.alias or name) not in skipped
            and getattr(self.row, name) != getattr(here, name)
            and self._id(name) not in self.sides.written_there
        }

    def _verdict(self, here: ControlRow, name: str) -> _Verdict:
        if self._is_of_environment(name):
            return _Verdict.OF_ENVIRONMENT
        if self._id(name) in self.sides.written_here:
            return _Verdict.TAKEN
        if not self._has_base(name):
            return _Verdict.CONFLICT
        base = self._base(name)
        if redact(_json(here, name)) == base:
            return _Verdict.TAKEN
        return _Verdict.KEPT if redact(_json(self.row, name)) == base else _Verdict.CONFLICT

    def _new(self) -> ControlRow:
        """Return the row as it is added here: without what the framework wrote there."""
        names = [self._field(name) for name in self.row.framework_columns]
        declared = self.sides.source_applied.get(RowId.of(self.row))
        fields = type(self.row).model_fields
        values = {name: fields[name].get_default(call_default_factory=True) for name in names}
        for name, field in fields.items():
            if self._id(field.alias or name) in self.sides.written_there:
                default = field.get_default(call_default_factory=True)
                values[name] = default if declared is None else getattr(declared, name)
        ours = self.sides.declared_here.get(RowId.of(self.row))
        if ours is not None:
            values |= {name: getattr(ours, name) for name in fields if self._is_of_environment(name)}
        return self.row.model_copy(update=values)

    def _field(self, column: str) -> str:
        fields = type(self.row).model_fields
        return next(name for name, field in fields.items() if (field.alias or name) == column)

    def _id(self, name: str) -> ColumnId:
        field = type(self.row).model_fields.get(name)
        return ColumnId(RowId.of(self.row), (field.alias if field is not None else None) or name)

    def _is_of_environment(self, name: str) -> bool:
        """Whether the files declare other values for the two environments."""
        there = self.sides.declared_there.get(RowId.of(self.row))
        ours = self.sides.declared_here.get(RowId.of(self.row))
        return there is not None and ours is not None and getattr(there, name) != getattr(ours, name)

    def _has_base(self, name: str) -> bool:
        return self._id(name) in self.sides.promoted or self._was_added() or RowId.of(self.row) in self.sides.applied

    def _base(self, name: str) -> Any:
        if self._id(name) in self.sides.promoted or self._was_added():
            return self.sides.promoted.get(self._id(name))
        return redact(_json(self.sides.applied[RowId.of(self.row)], name))

    def _was_added(self) -> bool:
        """Whether a promotion brought the row here: then a column without an entry had no value."""
        return ColumnId(RowId.of(self.row), self.row.key_columns[0]) in self.sides.promoted


def _json(row: ControlRow, name: str) -> Any:
    return row.model_dump(mode="json", include={name}, by_alias=False).get(name)
