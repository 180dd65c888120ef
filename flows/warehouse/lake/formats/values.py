"""What a text must look like to be a value of a type, and which type a column of texts has. Pure.

A value is taken as it is or not at all: `1.5` is no whole number, `12.345` no `decimal(9,2)`, a date with a time of day
no date. The patterns are those of RE2 and of Python alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from flows.warehouse.lake.formats.rows import Kind
from metadata_sync.rows.model import FormatOptions
from metadata_sync.sql.types import is_widening, type_parts

NOTHING: Final = '"null"'
"""Type of a column without a value."""

_WHOLE: Final = frozenset(
    {"tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint"}
)
_DECIMAL: Final = frozenset({"decimal"})
_FLOAT: Final = frozenset({"float", "double"})
_TEXT: Final = frozenset({"varchar"})
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
_SYNONYMS: Final = {"timestamp with time zone": "timestamptz"}


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


def present_text(raw: str, type_: str, options: FormatOptions, kind: Kind) -> str:
    """Return a column's text as SQL: NULL where it means NULL, and without blanks around it unless its type is text.

    Args:
        raw: The text as the file holds it, as SQL.
        type_: The type.
        options: The source's options.
        kind: What the values were written as.
    """
    if type_ == NOTHING:
        return "cast(null as varchar)"
    text = raw if is_text_type(type_) or pattern_of(type_) is None else f"trim({raw})"
    return _without_nulls(text, options) if Kind.TEXT in kind else text


def typed_value(text: str, type_: str, options: FormatOptions) -> str:
    """Return a column's value as SQL: NULL where its text is none of the type.

    Args:
        text: The name of a column with the text.
        type_: The type.
        options: The source's options.
    """
    if type_ == NOTHING:
        return "null"
    if is_text_type(type_):
        return f"cast({text} as {type_})"
    pattern = pattern_of(type_)
    if pattern is None:
        return f"try(cast(cast({text} as json) as {type_}))"
    name = type_parts(_SYNONYMS.get(type_.lower(), type_.lower()))[0]
    format_ = {"date": options.date_format, "timestamp": options.timestamp_format}.get(name)
    if format_:
        return f"cast(try_strptime({text}, {literal(format_)}) as {type_})"
    number = f"translate({text}, ',.', '.,')" if options.decimal == "," and name in _DECIMAL | _FLOAT else text
    cast = f"try_cast({number} as {type_})"
    if name == "timestamp":
        cast = f"cast(try_cast({number} as timestamptz) at time zone 'UTC' as timestamp)"
    elif name in _FLOAT:
        cast = f"case when isfinite({cast}) or not regexp_matches({number}, '[0-9]') then {cast} end"
    return f"case when regexp_full_match({number}, {literal(pattern)}) then {cast} end"


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


def guesses(text: str, options: FormatOptions, kind: Kind) -> Mapping[str, str]:
    """Return the types that a column of texts may have, each with the condition that a text is of it.

    Args:
        text: The name of a column with the text.
        options: The source's options.
        kind: What the values were written as.
    """
    found = {}
    for type_ in _GUESSED_OF.get(kind, ()):
        name = type_parts(type_)[0]
        number = f"translate({text}, ',.', '.,')" if options.decimal == "," and name in ("decimal", "double") else text
        is_formatted = (name == "date" and options.date_format) or (name == "timestamp" and options.timestamp_format)
        looks = "true" if is_formatted else f"regexp_full_match({number}, {literal(_GUESSES[type_])})"
        found[type_] = f"({text} is null or ({looks} and {typed_value(text, type_, options)} is not null))"
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
