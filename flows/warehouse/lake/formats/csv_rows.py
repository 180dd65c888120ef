"""Records of CSV files, as Python's csv module splits them, each with the line that it begins in."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from flows.warehouse.lake.formats.rows import Kind, Record, TellBad, refuse_names
from metadata_sync.rows.model import FormatOptions, SourceRow

_LONGEST_FIELD: Final = 16 * 2**20
"""Characters of a field; a longer one is mostly a quote that nobody closed."""


class CsvRows:
    """Reads one CSV file; see `RowReader`.

    Args:
        source: The source.
    """

    def __init__(self, source: SourceRow) -> None:
        self._options = source.format_options or FormatOptions()
        self.names = [] if self._options.header else [column.name for column in source.columns]
        self.kinds: list[Kind] = [Kind.TEXT] * len(self.names)

    def records(self, text: IO[str], tell_bad: TellBad) -> Iterator[Record]:
        """Yield the records of a file, the header aside."""
        csv.field_size_limit(_LONGEST_FIELD)
        lines = _Lines(text)
        reader = csv.reader(lines, **_dialect(self._options))
        header: list[str] | None = None
        while True:
            first = reader.line_num + 1
            lines.read.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                tell_bad(first, _reason(error), "".join(lines.read).rstrip("\r\n"))
                continue
            if not fields:  # an empty line
                continue
            if header is None and self._options.header:
                if fields == ["sep=", ""]:  # a hint for Excel
                    continue
                header = self._take_header(fields)
            elif len(fields) != len(self.names):
                reason = f"it has {len(fields)} fields, and {len(self.names)} columns are expected"
                tell_bad(first, reason, "".join(lines.read).rstrip("\r\n"))
            elif fields == header:
                tell_bad(first, "it is the header again", "".join(lines.read).rstrip("\r\n"))
            else:
                yield first, fields

    def _take_header(self, fields: list[str]) -> list[str]:
        self.names = [name.strip() for name in fields]
        refuse_names(self.names)
        self.kinds = [Kind.TEXT] * len(self.names)
        return fields


class _Lines:
    """Iterates over lines, and keeps those of the current record."""

    def __init__(self, text: Iterable[str]) -> None:
        self._lines = iter(text)
        self.read: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.read.append(line)
        return line


def _dialect(options: FormatOptions) -> dict[str, Any]:
    given: dict[str, Any] = {"delimiter": options.delimiter, "strict": True}
    if not options.quote:
        return {**given, "quoting": csv.QUOTE_NONE, "escapechar": options.escape if options.escape != '"' else None}
    doubles = options.escape in ("", options.quote)
    return {
        **given,
        "quotechar": options.quote,
        "doublequote": doubles,
        "escapechar": None if doubles else options.escape,
    }


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "its quote is never closed"
    if "expected after" in text:
        return "text follows a closing quote"
    return text
