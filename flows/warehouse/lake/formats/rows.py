"""The protocol of a text format: a file is a sequence of records of texts, and of lines that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Flag, auto
from typing import IO, Protocol

from metadata_sync.rows.model import SourceRow

Record = tuple[int, Sequence[str | None]]
"""The line that a record begins in, from 1, and its values in the order of the reader's names."""
TellBad = Callable[[int, str, str], None]
"""Receives a line that holds no record: its number, why, and its text."""


class Kind(Flag):
    """What the values of a column were written as."""

    NONE = 0
    TEXT = auto()
    """Text of which nobody says what it means, as in CSV."""
    STRING = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    NESTED = auto()


class RowReader(Protocol):
    """Reads the records of one file.

    Attributes:
        names: The file's columns. JSON knows all of them when the last record was read; a record may be shorter.
        kinds: What the values of each column were written as.
    """

    names: list[str]
    kinds: list[Kind]

    def records(self, text: IO[str], tell_bad: TellBad) -> Iterator[Record]:
        """Yield the records of a file.

        Args:
            text: Its characters.
            tell_bad: Receives the lines that hold no record.

        Raises:
            ValueError: When the whole file is none of this format.
        """
        ...


def reader_of(source: SourceRow) -> RowReader:
    """Return a reader for one file of a text source."""
    from flows.warehouse.lake.formats.csv_rows import CsvRows
    from flows.warehouse.lake.formats.json_rows import JsonRows

    return CsvRows(source) if source.format == "csv" else JsonRows(source)


def refuse_names(names: Sequence[str]) -> None:
    """Refuse columns that cannot be told apart by name.

    Raises:
        ValueError: For a column without a name, and for two of the same name; case does not count.
    """
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise ValueError(f"column {number} of its header has no name")
        if name.lower() in seen:
            raise ValueError(f"its header names {name!r} twice, in columns {seen[name.lower()]} and {number}")
        seen[name.lower()] = number
