"""What a change of rows and SELECTs reaches: columns whose values follow, and targets whose rows may be other ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from metadata_sync.rows.model import ControlRow, ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql.canonical import Canonical
from metadata_sync.sql.changes import ChangeKind, SelectChange
from metadata_sync.sql.lineage import ColumnName

DECIDING: Final = frozenset(
    {"load_type", "business_key", "sequence_by", "scd_columns", "delete_when", "increment", "recompute_key", "on_tie"}
)
"""Settings of a target that decide which rows it holds."""

READING: Final = frozenset({"dependencies", "incremental_key", "backfill_start", "trigger"})
"""Settings that decide what a run reads."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A column of a row that changes; None: it has no value."""

    column: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is added, removed, or changed in settings or SELECT.

    Attributes:
        table: The control table.
        key: The row's key.
        kind: added, removed or changed.
        settings: Settings that change.
        select: How the SELECT changes; None: it does not, or there is none.
    """

    table: str
    key: str
    kind: str
    settings: tuple[SettingChange, ...] = ()
    select: SelectChange | None = None

    @property
    def touches_rows(self) -> bool:
        """Whether the target may hold other rows, not only other values in some columns."""
        return (
            self.kind == "removed"
            or bool(DECIDING & {item.column for item in self.settings})
            or (self.select is not None and self.select.kind is ChangeKind.WHOLE_MODEL)
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """What changes reach.

    Attributes:
        columns: Columns whose values may differ, those of the changed targets included.
        rows: Targets that may hold other rows.
        unresolved: Targets among them whose SELECT cannot be resolved by column: they count as reached.
        broken: Reader → columns that it reads and that are gone.
    """

    columns: frozenset[ColumnName]
    rows: frozenset[TableName]
    unresolved: frozenset[TableName]
    broken: Mapping[TableName, tuple[ColumnName, ...]]


def changed_settings(before: ControlRow, after: ControlRow) -> tuple[SettingChange, ...]:
    """Return the settings in which two rows of one key differ."""
    ours, theirs = before.model_dump(mode="json", by_alias=True), after.model_dump(mode="json", by_alias=True)
    own = type(after).framework_columns
    return tuple(
        SettingChange(name, ours[name], theirs[name])
        for name in theirs
        if name not in own and ours[name] != theirs[name]
    )


def reach(changes: Iterable[Change], rows: ControlRows, forms: Mapping[TableName, Canonical | None]) -> Reach:
    """Follow changes to the readers of what they change.

    Args:
        changes: The changes.
        rows: The rows after them.
        forms: What each SELECT means after them; None: it cannot be resolved.
    """
    found = _Walk(forms)
    for change in changes:
        if change.table == TransformationRow.control_table:
            found.start(change)
    for row in _in_order(rows):
        found.visit(row)
    return Reach(frozenset(found.columns), frozenset(found.rows), frozenset(found.unresolved), dict(found.broken))


class _Walk:
    """Visits readers after what they read."""

    def __init__(self, forms: Mapping[TableName, Canonical | None]) -> None:
        self._forms = forms
        self.columns: set[ColumnName] = set()
        self.rows: set[TableName] = set()
        self.gone: set[ColumnName] = set()
        self.unresolved: set[TableName] = set()
        self.broken: dict[TableName, tuple[ColumnName, ...]] = {}

    def start(self, change: Change) -> None:
        name = TableName.parse(change.key)
        if change.touches_rows:
            self.rows.add(name)
        if change.select is not None:
            self.columns |= {ColumnName(name, column) for column in (*change.select.changed, *change.select.added)}
            self.gone |= {ColumnName(name, column) for column in change.select.dropped}

    def visit(self, row: TransformationRow) -> None:
        form = self._forms.get(row.name)
        read = {TableName.parse(item.table) for item in row.dependencies}
        if form is None:
            if read & (self.rows | {column.table for column in self.columns | self.gone}):
                self.rows.add(row.name)
                self.unresolved.add(row.name)
            return
        every = form.deciding.union(*(part.reads for part in form.columns.values()))
        if every & self.gone:
            self.broken[row.name] = tuple(sorted(every & self.gone))
        if read & self.rows or form.deciding & self.columns:
            self.rows.add(row.name)
        changed = {name for name, part in form.columns.items() if part.reads & self.columns}
        self.columns |= {ColumnName(row.name, name) for name in changed}
        own = {column.column for column in self.columns if column.table == row.name}
        if own & set(_deciding_columns(row)):
            self.rows.add(row.name)


def _deciding_columns(row: TransformationRow) -> Iterator[str]:
    """Yield the output columns by whose values a load decides which rows there are."""
    yield from (name.lower() for name in (*row.business_key, *row.sequence_by, *row.scd_columns, *row.recompute_key))
    if row.incremental_key:
        yield row.incremental_key.lower()
    if row.delete_when:
        yield from (word.lower() for word in _words(row.delete_when))


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).split()


def _in_order(rows: ControlRows) -> list[TransformationRow]:
    """Return targets so that each comes after those that it reads."""
    known = {row.name: row for row in rows.transformations}
    done: dict[TableName, TransformationRow] = {}
    waiting: list[tuple[TransformationRow, bool]] = [(row, False) for row in reversed(rows.transformations)]
    opened: set[TableName] = set()
    while waiting:
        row, is_ready = waiting.pop()
        if row.name in done:
            continue
        if is_ready or row.name in opened:
            done[row.name] = row
            continue
        opened.add(row.name)
        waiting.append((row, True))
        read = (known.get(TableName.parse(item.table)) for item in row.dependencies)
        waiting += [(other, False) for other in read if other is not None and other.name not in done]
    return list(done.values())
