"""All rows of an environment as they are stored; they are parsed on access."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

from metadata_sync.database.codec import Stored, decode, decode_declared
from metadata_sync.database.journals.entries import LifecycleEntry
from metadata_sync.errors import UNFINISHED_RENAME, Fault, MetadataError
from metadata_sync.rows.model import ControlRow, ControlRows, TransformationRow, collect_rows
from metadata_sync.rows.parsing import Parsed, key_of


@dataclass(frozen=True)
class StoredRows:
    """All rows of an environment as they are stored, or a part of them.

    Attributes:
        stored: Each row with its type.
        renamed: The targets that an unfinished renaming involves; their rows count as faulty.
        is_part: Whether rows are missing that nobody asked for.
    """

    stored: Sequence[tuple[type[ControlRow], Stored]]
    renamed: Mapping[str, LifecycleEntry] = field(default_factory=dict)
    is_part: bool = False

    @cached_property
    def rows(self) -> ControlRows:
        """The typed rows.

        Raises:
            MetadataError: With all faults, when stored rows are invalid.
        """
        _refuse(self.faults)
        return self.usable

    @cached_property
    def usable(self) -> ControlRows:
        """The typed rows; faulty columns have their defaults.

        Raises:
            MetadataError: When a faulty column has no default.
        """
        _refuse([fault for item in self._parsed if item.row is None for fault in item.faults])
        rows = collect_rows(item.row for item in self._parsed if item.row is not None)
        return rows.model_copy(update={"is_part": True}) if self.is_part else rows

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of invalid stored rows."""
        found = [fault for item in self._parsed for fault in item.faults]
        if self.renamed:
            found += [
                _unfinished(row, self.renamed[row.key])
                for row in self.usable.transformations
                if row.key in self.renamed
            ]
        return tuple(found)

    @cached_property
    def _parsed(self) -> tuple[Parsed[ControlRow], ...]:
        return tuple(decode(row_type, row) for row_type, row in self.stored)

    def declared_targets(self, keys: Set[str]) -> ControlRows:
        """Return the transformations with these keys as the files last declared them.

        Raises:
            MetadataError: When such a declaration cannot be read.
        """
        return declared_rows(
            (row_type, row)
            for row_type, row in self.stored
            if row_type is TransformationRow and key_of(row_type, row) in keys
        )

    @cached_property
    def digest(self) -> str:
        """A hash of all stored values."""
        total = hashlib.sha256()
        for row_type, row in self.stored:
            total.update(f"{row_type.control_table}{tuple(row.values())}".encode(errors="surrogatepass"))
        total.update("".join(sorted(self.renamed)).encode())
        return total.hexdigest()

    @property
    def sql_paths(self) -> tuple[str, ...]:
        """The paths of the rows' SELECTs; a copy has none."""
        targets = (row for row_type, row in self.stored if row_type is TransformationRow)
        return tuple(str(row["sql_path"]) for row in targets if row["sql_path"])


def _unfinished(row: TransformationRow, entry: LifecycleEntry) -> Fault:
    """Return the fault of a row that an unfinished renaming involves: no run may load its target meanwhile."""
    return Fault(
        table=row.control_table,
        key=row.key,
        column=None,
        value=None,
        rule=UNFINISHED_RENAME,
        message=f"Is held: {entry}, is not finished.",
        remedy=f"Finish it: sluice rename {entry.target} {entry.new_target}.",
    )


def declared_rows(stored: Iterable[tuple[type[ControlRow], Stored]]) -> ControlRows:
    """Return the rows as the files last declared them.

    Raises:
        MetadataError: When a declaration cannot be read.
    """
    parsed = [item for row_type, row in stored if (item := decode_declared(row_type, row)) is not None]
    _refuse([fault for item in parsed for fault in item.faults])
    return collect_rows(item.row for item in parsed if item.row is not None)


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        count = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
        raise MetadataError(faults, f"The control database holds {count}; nothing was changed.")
