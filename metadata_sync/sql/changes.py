"""What kind of change lies between two SELECTs of one target, and what it touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from metadata_sync.rows.names import TableName
from metadata_sync.sql.canonical import Canonical, canonical
from metadata_sync.sql.parse import ParsedSelect


class ChangeKind(StrEnum):
    """The kind of a change, from harmless to far-reaching."""

    FORMATTING = "formatting"
    """It is written differently and means the same."""
    ADDED_COLUMN = "added column"
    REORDERED = "reordered columns"
    CHANGED_EXPRESSION = "changed expression"
    DROPPED_COLUMN = "dropped column"
    WHOLE_MODEL = "whole model"
    """A filter, join, grouping or source: every row may be another one."""


@dataclass(frozen=True, slots=True)
class SelectChange:
    """A change of a SELECT.

    Attributes:
        kinds: What it is, the furthest-reaching last.
        added: New output columns.
        dropped: Output columns that are gone.
        changed: Output columns whose expression changed.
        parts: What decides rows and changed: filter, join, grouping, source …
    """

    kinds: tuple[ChangeKind, ...]
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def kind(self) -> ChangeKind:
        """The furthest-reaching kind."""
        return self.kinds[-1]


UNREADABLE = SelectChange((ChangeKind.WHOLE_MODEL,), parts=("cannot be resolved",))
"""The change between SELECTs of which one cannot be resolved: it may be any."""


def select_change(before: ParsedSelect, after: ParsedSelect, tables: Mapping[TableName, Sequence[str]]) -> SelectChange:
    """Tell what changed between two SELECTs.

    Args:
        before: The SELECT as it was.
        after: The SELECT as it is.
        tables: Column names of the tables that they read.
    """
    one, other = canonical(before, tables), canonical(after, tables)
    if one is None or other is None:
        return UNREADABLE
    return _compared(one, other)


def _compared(one: Canonical, other: Canonical) -> SelectChange:
    added = tuple(name for name in other.columns if name not in one.columns)
    dropped = tuple(name for name in one.columns if name not in other.columns)
    changed = tuple(
        name for name, part in other.columns.items() if name in one.columns and one.columns[name].text != part.text
    )
    parts = _parts(one, other)
    is_moved = [name for name in one.columns if name not in dropped] != [
        name for name in other.columns if name not in added
    ]
    found = {
        ChangeKind.ADDED_COLUMN: bool(added),
        ChangeKind.REORDERED: is_moved,
        ChangeKind.CHANGED_EXPRESSION: bool(changed),
        ChangeKind.DROPPED_COLUMN: bool(dropped),
        ChangeKind.WHOLE_MODEL: bool(parts),
    }
    kinds = tuple(kind for kind, is_there in found.items() if is_there) or (ChangeKind.FORMATTING,)
    return SelectChange(kinds, added, dropped, changed, parts)


def _parts(one: Canonical, other: Canonical) -> tuple[str, ...]:
    """Return the names of the row-deciding parts that differ."""
    ours, theirs = [(called, part.text) for called, part in one.shape], [(c, part.text) for c, part in other.shape]
    if ours == theirs:
        return ()
    differing = (Counter(ours) - Counter(theirs)) + (Counter(theirs) - Counter(ours))
    return tuple(sorted({called for called, _ in differing})) or ("order of joins",)
