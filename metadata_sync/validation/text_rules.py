"""What can be wrong with the columns and options of a text source: CSV and JSON."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from metadata_sync.analysis.text_copies import TEXT_FORMATS, is_text
from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.rows.model import FormatOptions, SourceRow
from metadata_sync.validation.rule import Subject, repeated

_SCALARS: Final = frozenset(
    {"boolean", "tinyint", "smallint", "int", "bigint", "int128", "utinyint", "usmallint", "uint", "ubigint"}
    | {"decimal", "float", "double", "date", "time", "timestamp", "timestampntz", "timestamptz", "uuid"}
)
_NESTED: Final = ("struct", "list", "array", "map")
_CSV_ONLY: Final = ("delimiter", "quote", "escape", "header", "decimal", "null_words")
_SAMPLE: Final = datetime(2019, 8, 7, 16, 5, 4, tzinfo=UTC)


def text_columns(subject: Subject[SourceRow]) -> Iterator[Fault]:
    """Find declared columns that no text file can fill."""
    row = subject.row
    if row.columns and not is_text(row):
        yield subject.fault("columns", None, _not_for_format(row))
        return
    yield from repeated(subject, "columns", (column.name for column in row.columns))
    for number, column in enumerate(row.columns):
        problem = None if column.name.strip() else Problem("missing_value", "A column has a name.", "Name it.")
        problem = problem or _type_problem(column.type, row)
        if problem is not None:
            yield subject.fault(f"columns[{number}].type", column.type, problem)
    key, names = row.incremental_key, [column.name.lower() for column in row.columns]
    if key and names and key.lower() not in names and f"{key}=*" not in (row.location or ""):
        message = "Is none of the declared columns."
        yield subject.fault("incremental_key", key, Problem("unknown_column", message, f"Add {key} to columns."))


def text_options(subject: Subject[SourceRow]) -> Iterator[Fault]:
    """Find options by which no file can be read."""
    row, options = subject.row, subject.row.format_options
    if row.format == "csv" and options is not None and not options.header and not row.columns:
        message = "Files without a header do not name their columns."
        problem = Problem("missing_value", message, "Set columns: a name and a type for each, in the files' order.")
        yield subject.fault("columns", None, problem)
    if options is None:
        return
    if not is_text(row):
        yield subject.fault("format_options", None, _not_for_format(row))
        return
    if row.format != "csv":
        for name in _CSV_ONLY:
            if name in options.model_fields_set and getattr(options, name) != FormatOptions.model_fields[name].default:
                message = f"JSON says itself how it is written: {name} is an option of csv."
                yield _fault(subject, name, Problem("not_for_format", message, "Leave it out."))
    for name, problem in _option_problems(options):
        yield _fault(subject, name, problem)


def _option_problems(options: FormatOptions) -> Iterator[tuple[str, Problem]]:
    for name, may_be_empty in (("delimiter", False), ("quote", True), ("escape", True)):
        value = getattr(options, name)
        if not (len(value) == 1 or (may_be_empty and not value)) or value in ("\n", "\r"):
            remedy = 'Write one, e.g. ";", or "\\t" in double quotes for a tabulator.'
            yield name, Problem("bad_option", "Is not one character, or is a line break.", remedy)
    if options.delimiter and options.delimiter in (options.quote, options.escape):
        message = f"Is the {'quote' if options.delimiter == options.quote else 'escape'} as well."
        yield "delimiter", Problem("bad_option", message, "Choose another character for one of them.")
    try:
        is_text_encoding = isinstance("".encode(options.encoding), bytes) and codecs.lookup(options.encoding)
    except (LookupError, ValueError):
        is_text_encoding = None
    if not is_text_encoding:
        remedy = "Write one that Python knows: utf-8, utf-16, latin-1, cp1252, …"
        yield "encoding", Problem("unknown_word", "Is no encoding of text.", remedy)
    if options.decimal not in (".", ","):
        yield "decimal", Problem("unknown_word", "Is none of: '.', ','.", "Use one of them.")
    elif options.decimal == options.delimiter and not options.quote:
        message = "Is the delimiter as well, and nothing is quoted."
        yield "decimal", Problem("bad_option", message, "Set quote, or another delimiter.")
    for name in ("date_format", "timestamp_format"):
        format_ = getattr(options, name)
        if format_ is not None and not _is_format(format_):
            remedy = 'Use the codes of strptime: "%d.%m.%Y", "%Y-%m-%d %H:%M:%S".'
            yield name, Problem("bad_option", "Holds no code of year, month and day.", remedy)


def _is_format(text: str) -> bool:
    """Whether a format of strptime says which day it is."""
    try:
        return datetime.strptime(_SAMPLE.strftime(text), text).date() == _SAMPLE.date()  # noqa: DTZ007
    except ValueError:
        return False


def _type_problem(type_: str, row: SourceRow) -> Problem | None:
    remedy = "Use a type of DuckDB: bigint, decimal(12,2), varchar, date, timestamp, …"
    try:
        kind = exp.DataType.build(type_, dialect="duckdb")
    except SqlglotError:
        return Problem("bad_type", "Is no type.", remedy)
    name = kind.this.value.lower() if isinstance(kind.this, exp.DataType.Type) else ""
    if kind.is_type(*exp.DataType.TEXT_TYPES) or name in _SCALARS:
        return None
    if name not in _NESTED:
        return Problem("bad_type", "Cannot be read from text.", remedy)
    if row.format == "csv":
        return Problem("bad_type", "CSV holds no nested values.", "Use varchar, and take it apart in the SELECT.")
    return None


def _not_for_format(row: SourceRow) -> Problem:
    message = f"Only text files have this ({', '.join(TEXT_FORMATS)}), and format is {row.format}."
    return Problem("not_for_format", message, "Leave it out: the files say it themselves.")


def _fault(subject: Subject[SourceRow], name: str, problem: Problem) -> Fault:
    value = getattr(subject.row.format_options, name)
    return subject.fault(f"format_options.{name}", repr(value), problem)
