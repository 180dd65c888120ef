"""What a text must look like to be a value of a type, and which type a column of texts has. Pure.

A value is taken as it is or not at all: `1.5` is no whole number, `12.345` no `decimal(9,2)`, a date with a time of day
no date. The patterns are those of RE2 and of Python alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flows.warehouse.lake.formats.rows import Kind
from metadata_sync.rows.model import FormatOptions
from metadata_sync.sql.types import is_widening, type_parts

NOTHING: Final = '"null"'
"""Type of a column without a value."""

_WHOLE: Final = frozenset(
    {"tinyint", "smallint", "integer", "int", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint"}
)
_DECIMAL: Final = frozenset({"decimal", "numeric"})
_FLOAT: Final = frozenset({"float", "double", "real"})
_TEXT: Final = frozenset({"varchar", "text", "string", "char", "bpchar"})
_NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_OFFSET: Final = r"( ?(Z|[+-][0-9]{2}(:[0-9]{2})?))?"
_PATTERNS: Final = {
    "boolean": r"(?i)true|false|t|f|yes|no|y|n|1|0",
    "date": _DATE,
    "time": _CLOCK,
    "timestamp": rf"{_DATE}([ T]{_CLOCK}{_OFFSET})?",
    "timestamptz": rf"{_DATE}([ T]{_CLOCK}{_OFFSET})?",
    "uuid": r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
}
_SYNONYMS: Final = {"timestamp with time zone": "timestamptz", "datetime": "timestamp", "bool": "boolean"}


def pattern_of(type_: str) -> str | None:
    """Return the pattern of a type's texts; None: any text, or a nested type.

    >>> import re
    >>> [bool(re.fullmatch(pattern_of("decimal(9,2)"), text)) for text in ("1", "-1.50", "1.500", ".5", "1.234", "1e2")]
    [True, True, True, True, False, False]
    """
    name, sizes = type_parts(_SYNONYMS.get(type_.lower(), type_.lower()))
    if name in _WHOLE:
        return r"[+-]?[0-9]+"
    if name in _DECIMAL:
        scale = sizes[1] if len(sizes) > 1 else 0 if sizes else 3
        return rf"[+-]?([0-9]+(\.[0-9]{{0,{scale}}}0*)?|\.[0-9]{{1,{scale}}}0*)" if scale else r"[+-]?[0-9]+(\.0*)?"
    if name in _FLOAT:
        return rf"(?i){_NUMBER}|[+-]?(nan|inf|infinity)"
    return _PATTERNS.get(name)


def is_text_type(type_: str) -> bool:
    """Whether a type holds any text."""
    return type_parts(type_.lower())[0] in _TEXT


@dataclass(frozen=True, slots=True)
class TextValue:
    """A column's text as SQL of DuckDB.

    Attributes:
        present: The text, or NULL where it means NULL.
        typed: The value; NULL where the text is none of the type.
    """

    present: str
    typed: str

    @property
    def is_bad(self) -> str:
        """The condition that the text is no value of the type."""
        return f"({self.present} is not null and {self.typed} is null)"


def text_value(raw: str, type_: str, options: FormatOptions, kind: Kind) -> TextValue:
    """Return a column's text and value.

    Args:
        raw: The text, as SQL.
        type_: The type.
        options: The source's options.
        kind: What the values were written as.
    """
    is_csv = Kind.TEXT in kind
    if is_text_type(type_):
        present = _without_nulls(raw, options) if is_csv else raw
        return TextValue(present, f"cast({present} as {type_})")
    if type_ == NOTHING:
        return TextValue("null", "null")
    trimmed = f"trim({raw})"
    present = _without_nulls(trimmed, options) if is_csv else raw
    pattern = pattern_of(type_)
    if pattern is None:
        return TextValue(present, f"try(cast(cast({present} as json) as {type_}))")
    return TextValue(present, _typed(present, type_.lower(), pattern, options))


def _typed(present: str, type_: str, pattern: str, options: FormatOptions) -> str:
    name = type_parts(_SYNONYMS.get(type_, type_))[0]
    format_ = {"date": options.date_format, "timestamp": options.timestamp_format}.get(name)
    if format_:
        return f"cast(try_strptime({present}, {literal(format_)}) as {type_})"
    text = f"translate({present}, ',.', '.,')" if options.decimal == "," and name in _DECIMAL | _FLOAT else present
    cast = f"try_cast({text} as {type_})"
    if name == "timestamp":
        cast = f"cast(try_cast({text} as timestamptz) at time zone 'UTC' as timestamp)"
    elif name in _FLOAT:
        cast = f"case when isfinite({cast}) or not regexp_matches({text}, '[0-9]') then {cast} end"
    return f"case when regexp_full_match({text}, {literal(pattern)}) then {cast} end"


def _without_nulls(text: str, options: FormatOptions) -> str:
    words = ", ".join(map(literal, options.null_words))
    return f"case when {text} not in ({words}) then {text} end" if words else text


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


_GUESSES: Final[Mapping[str, str]] = {
    "bigint": r"0|-?[1-9][0-9]{0,17}",
    "decimal(38,9)": r"-?(0|[1-9][0-9]{0,28})(\.[0-9]{1,9})?",
    "double": r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?",
    "boolean": "(?i)true|false",
    "date": _DATE,
    "timestamp": rf"{_DATE}[ T]{_CLOCK}{_OFFSET}",
}
"""Types in the order in which they are tried. A number that begins with 0 or + is text: it may be a code."""
_GUESSED_OF: Final = {
    Kind.TEXT: tuple(_GUESSES),
    Kind.NUMBER: ("bigint", "decimal(38,9)", "double"),
    Kind.BOOLEAN: ("boolean",),
    Kind.STRING: ("date", "timestamp"),
}


def guesses(raw: str, options: FormatOptions, kind: Kind) -> Mapping[str, str]:
    """Return the types that a column of texts may have, each with the condition that a text is of it.

    Args:
        raw: The text, as SQL.
        options: The source's options.
        kind: What the values were written as.
    """
    found = {}
    for type_ in _GUESSED_OF.get(kind, ()):
        name = type_parts(type_)[0]
        text = f"translate({raw}, ',.', '.,')" if options.decimal == "," and name in ("decimal", "double") else raw
        value = text_value(raw, type_, options, kind)
        is_formatted = (name == "date" and options.date_format) or (name == "timestamp" and options.timestamp_format)
        looks = "true" if is_formatted else f"regexp_full_match({text}, {literal(_GUESSES[type_])})"
        found[type_] = f"({value.present} is null or ({looks} and not {value.is_bad}))"
    return found


def kept_type(guessed: str, known: str | None) -> str:
    """Return the type of a column of one file, whose source may have a type for it already.

    >>> kept_type("bigint", "varchar"), kept_type("bigint", "decimal(38,9)"), kept_type("varchar", "bigint")
    ('varchar', 'decimal(38,9)', 'varchar')
    """
    if known is None or guessed == known:
        return guessed
    is_number = guessed.startswith(("bigint", "decimal"))
    fits = guessed == NOTHING or is_text_type(known) or is_widening(guessed, known)
    return known if fits or (known == "double" and is_number) else guessed


def joined_type(one: str, other: str) -> str:
    """Return the type in which the texts of two files are read, when nobody has chosen one before.

    >>> joined_type("bigint", "decimal(38,9)"), joined_type("bigint", "date"), joined_type("date", "timestamp")
    ('decimal(38,9)', 'varchar', 'timestamp')
    """
    if kept_type(one, other) == other:
        return other
    return one if kept_type(other, one) == one else "varchar"


def is_value(text: str, type_: str) -> bool:
    """Whether a text looks like a value of a type; its size is not checked."""
    pattern = pattern_of(type_)
    return pattern is None or re.fullmatch(pattern, text) is not None
