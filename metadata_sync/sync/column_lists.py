"""Column lists that Sluice took from SELECTs follow them; a list that the team wrote is a contract and stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metadata_sync.errors import Fault
from metadata_sync.rows.resolve import sequence_columns
from metadata_sync.rows.vocabulary import LoadType
from metadata_sync.sql.types import can_widen, is_widening

if TYPE_CHECKING:
    from metadata_sync.rows.merge import ColumnId
    from metadata_sync.rows.model import Column, ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class ListChange:
    """A column list that was taken from a SELECT, and the list that today's SELECT gives.

    Attributes:
        target: The target.
        before: The list so far; empty when it is taken for the first time.
        after: The list from now on.
    """

    target: TableName
    before: tuple[Column, ...]
    after: tuple[Column, ...]

    @property
    def added(self) -> tuple[Column, ...]:
        """Columns that only the new list has."""
        names = {column.name for column in self.before}
        return tuple(column for column in self.after if column.name not in names)

    @property
    def removed(self) -> tuple[Column, ...]:
        """Columns that only the old list has."""
        names = {column.name for column in self.after}
        return tuple(column for column in self.before if column.name not in names)

    @property
    def retyped(self) -> tuple[tuple[Column, Column], ...]:
        """Columns of both lists whose types differ, before and after."""
        before = {column.name: column for column in self.before}
        pairs = ((before[column.name], column) for column in self.after if column.name in before)
        return tuple((old, new) for old, new in pairs if old.type != new.type)

    @property
    def likely_renames(self) -> tuple[tuple[Column, Column], ...]:
        """Removed and added columns of one type at one place among the columns that both lists have."""
        kept = {column.name for column in self.before} & {column.name for column in self.after}
        old, new = _by_place(self.before, kept), _by_place(self.after, kept)
        pairs = ((old[place], new[place]) for place in old if place in new)
        return tuple(
            (before[0], after[0])
            for before, after in pairs
            if len(before) == len(after) == 1 and before[0].type == after[0].type
        )

    @property
    def sentence(self) -> str:
        """What changes, and what old and new rows hold; empty for the first list, and when only the order differs."""
        return " ".join(self._sentences()) if self.before else ""

    def _sentences(self) -> Iterator[str]:
        renames = self.likely_renames
        if self.added:
            yield f"The SELECT yields {_listed(self.added)} now; rows that are already there have NULL in it."
        for old, new in self.retyped:
            yield f"{new.name} is {new.type} now, it was {old.type}."
        if self.removed:
            yield (f"The SELECT no longer yields {_listed(self.removed)}: the table keeps it, with NULL in new rows.")
        for old, new in renames:
            yield f"{new.name} is likely the new name of {old.name}: the same type at the same place."
        if self.added:
            options = " ".join(f"--fill {column.name}" for column in self.added)
            yield f"`sluice restate {self.target} {options}` fills {'it' if len(self.added) == 1 else 'them'} in."

    def faults(self, row: TransformationRow, fixed: Collection[str], dialect: str) -> Iterator[Fault]:
        """Yield the types that a load would refuse.

        Args:
            row: The target's row, for the faults.
            fixed: Columns that no load widens: the event time of a history.
            dialect: The warehouse's dialect.
        """
        for old, new in self.retyped:
            if new.name in fixed or not can_widen(old.type, new.type, dialect):
                yield Fault(
                    row.control_table,
                    row.key,
                    "column_list",
                    new.name,
                    "column_type",
                    f"{new.name} is {old.type} in {row.key}, and the SELECT yields {new.type} now.",
                    f"Cast it to {old.type} in the SELECT; or write it into the column list as {new.type} and rebuild "
                    f"the table: sluice rebuild {row.key}.",
                )


def taken_lists(
    rows: ControlRows, framework_written: Collection[ColumnId], declared: ControlRows
) -> frozenset[TableName]:
    """Return the targets whose column list Sluice took from the SELECT.

    Args:
        rows: The environment's rows.
        framework_written: Columns whose current value Sluice wrote.
        declared: The rows as the files last declared them: a list that a file holds is the team's.
    """
    listed = {row.name for row in declared.transformations if row.column_list}
    keys = {
        column.row.key
        for column in framework_written
        if column.column == "column_list" and column.row.table == "transformation_control"
    }
    return frozenset(row.name for row in rows.transformations if row.key in keys and row.column_list) - listed


def follow_selects(rows: ControlRows, framework_written: Collection[ColumnId], declared: ControlRows) -> ControlRows:
    """Return the rows without the column lists that Sluice took: they are checked as they will be taken again."""
    return with_lists(rows, dict.fromkeys(taken_lists(rows, framework_written, declared), ()))


def with_lists(rows: ControlRows, lists: Mapping[TableName, tuple[Column, ...]]) -> ControlRows:
    """Return the rows, some of them with another column list; with an empty one, their columns are the SELECT's."""
    if not lists:
        return rows
    transformations = tuple(
        row.model_copy(update={"column_list": lists[row.name]}) if row.name in lists else row
        for row in rows.transformations
    )
    return rows.model_copy(update={"transformations": transformations})


def with_changed_lists(rows: ControlRows, changes: Mapping[TableName, ListChange]) -> ControlRows:
    """Return the rows with the lists that their SELECTs give now."""
    return with_lists(rows, {name: change.after for name, change in changes.items()})


def list_changes(rows: ControlRows, found: Mapping[TableName, tuple[Column, ...]]) -> Mapping[TableName, ListChange]:
    """Compare the stored lists with the columns of today's SELECTs; equal ones are left out.

    A column whose type became narrower keeps the wider one.

    Args:
        rows: The rows as they are stored.
        found: Target → the columns of its SELECT.
    """
    changes = (
        ListChange(row.name, row.column_list, _as_wide(row.column_list, found[row.name]))
        for row in rows.transformations
        if row.name in found
    )
    return {change.target: change for change in changes if change.after != change.before}


def refused_types(
    rows: ControlRows, changes: Mapping[TableName, ListChange], dialect: str
) -> dict[TableName, tuple[Fault, ...]]:
    """Return the faults of changed types that a load would refuse, by target.

    Args:
        rows: The environment's rows.
        changes: What changes in their lists.
        dialect: The warehouse's dialect.
    """
    found = {}
    for row in rows.transformations:
        if row.name in changes:
            change = changes[row.name]
            sequence = sequence_columns(row, rows, [column.name for column in change.after])
            fixed = sequence[:1] if row.load_type is LoadType.SCD2 else ()
            found[row.name] = tuple(change.faults(row, fixed, dialect))
    return {name: faults for name, faults in found.items() if faults}


def _as_wide(before: tuple[Column, ...], after: tuple[Column, ...]) -> tuple[Column, ...]:
    known = {column.name: column for column in before}
    return tuple(
        known[column.name] if column.name in known and is_widening(column.type, known[column.name].type) else column
        for column in after
    )


def _by_place(columns: tuple[Column, ...], kept: Collection[str]) -> dict[str, list[Column]]:
    """Group the columns that are not kept by the last kept column before them."""
    places: dict[str, list[Column]] = {}
    last = ""
    for column in columns:
        if column.name in kept:
            last = column.name
        else:
            places.setdefault(last, []).append(column)
    return places


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{column.name} ({column.type})" for column in columns)
