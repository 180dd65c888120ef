"""What a comparison of two tables shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """How often one column differs in rows that both tables have.

    Attributes:
        name: The column.
        count: Rows in which it differs.
        share: Of the rows with that key in both, from 0 to 1.
    """

    name: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """A column that one table does not have, or has in another type; None: it is not there."""

    name: str
    here: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class KeyFaults:
    """Rows that cannot be compared by their key.

    Attributes:
        null_rows: Rows without a value in a column of the key.
        double_keys: Keys that more than one row has.
    """

    null_rows: int = 0
    double_keys: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """One difference.

    Attributes:
        kind: only_here, only_there, changed or moved.
        key: The key's values, in its order.
        column: The column that differs; None: the whole row.
        here: Its value in this environment, as text.
        there: Its value in the other one.
    """

    kind: str
    key: tuple[Any, ...]
    column: str | None = None
    here: str | None = None
    there: str | None = None


@dataclass(frozen=True, slots=True)
class TableDiff:
    """How a target differs between two environments.

    Attributes:
        target: `schema.table`.
        here: This environment.
        there: The other one.
        key: The columns that rows are matched by; of a history valid_from is the last.
        rows_here: Rows that were compared.
        rows_there: Rows that were compared.
        equal: Rows that are the same in both.
        changed: Rows of one key whose content differs.
        moved: Versions of a history with the same content and another beginning or end.
        only_here: Rows whose key only this environment has.
        only_there: Rows whose key only the other one has.
        columns: The columns that differ in changed rows, most first.
        schema: Columns and types that differ.
        key_faults: Rows of each side that were left out, because their key does not tell them apart.
        examples: Some differences.
        sampled: Share of the keys that was compared, 1: all of them.
    """

    target: str
    here: str
    there: str
    key: tuple[str, ...]
    rows_here: int
    rows_there: int
    equal: int
    changed: int
    moved: int
    only_here: int
    only_there: int
    columns: tuple[ColumnDifference, ...] = ()
    schema: tuple[SchemaDifference, ...] = ()
    key_faults: dict[str, KeyFaults] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    sampled: float = 1.0

    @property
    def is_empty(self) -> bool:
        """Whether rows and columns are the same."""
        left_out = any(faults.null_rows or faults.double_keys for faults in self.key_faults.values())
        return not (self.changed or self.moved or self.only_here or self.only_there or self.schema or left_out)

    @property
    def error(self) -> float:
        """How far the share of changed rows may be off, two standard errors; 0 without a sample."""
        compared = self.equal + self.changed + self.moved
        if self.sampled >= 1 or not compared:
            return 0.0
        share = self.changed / compared
        return 2 * float((max(share * (1 - share), 1 / compared) / compared) ** 0.5)
