"""Which types may stand where: every other type is refused before anything is loaded.

Loads compare columns, group by them and order them, so a column needs an equality under which equal values are the
same value. An event time needs MAX. An incremental key needs bounds that are text. docs/types.md shows the outcome,
and the test that writes that page loads each type into each place.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from metadata_sync.problems import Problem
from metadata_sync.sql.types import type_parts

if TYPE_CHECKING:
    from metadata_sync.sql.parse import ParsedSelect

MOST_DIGITS: Final = 38
"""Of a decimal on DuckDB and Redshift."""
MOST_BYTES: Final = {"character varying": 65535, "character": 4096}
"""Of text on Redshift; https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html."""


class Place(StrEnum):
    """Where a column stands in a load."""

    COLUMN = "column"
    KEY = "business key"
    SEQUENCE = "event time"
    INCREMENTAL = "incremental key"


_ALIASES: Final = {
    "bool": "boolean",
    "int": "integer",
    "int1": "tinyint",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "signed": "integer",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "double": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "varchar": "character varying",
    "nvarchar": "character varying",
    "char": "character",
    "nchar": "character",
    "bpchar": "character",
    "string": "text",
    "varbit": "bit varying",
    "bytea": "blob",
    "varbinary": "blob",
    "binary": "blob",
    "datetime": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamp with time zone",
    "time without time zone": "time",
    "timetz": "time with time zone",
}
_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_TEXTS: Final = frozenset({"character varying", "character", "text"})
_TIMES: Final = frozenset({"date", "time", "time with time zone", "timestamp", "timestamp with time zone"})
_WIDE_INTEGERS: Final = frozenset(
    {"tinyint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint", "bignum"}
)
_DUCKDB_TIMES: Final = frozenset({"time_ns", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamptz_ns"})

_COLUMNS: Final = {
    "duckdb": _NUMBERS
    | _TEXTS
    | _TIMES
    | _WIDE_INTEGERS
    | _DUCKDB_TIMES
    | {"boolean", "blob", "bit", "uuid", "json", "enum", "struct", "tuple", "map", "union", "geometry"},
    "postgres": _NUMBERS
    | _TEXTS
    | _TIMES
    | {"boolean", "blob", "bit", "bit varying", "uuid", "jsonb", "name", '"char"', "money"}
    | {"inet", "cidr", "macaddr", "macaddr8", "oid", "pg_lsn", "xid8", "tsvector", "int4range", "int8range"},
    "redshift": _NUMBERS | _TEXTS | _TIMES | {"boolean"},
}
_SEQUENCES: Final = {
    "duckdb": _NUMBERS | _TEXTS | _TIMES | _WIDE_INTEGERS | _DUCKDB_TIMES,
    "postgres": _NUMBERS | _TEXTS | _TIMES,
    "redshift": _NUMBERS | _TEXTS | _TIMES,
}
_WRITTEN_OTHERWISE: Final = {
    "double": "double precision",
    "string": "varchar(65535)",
    "int1": "smallint",
    "varbit": "varchar(65535)",
}
"""Names of types on Redshift for names that other warehouses take."""
_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"}) | _WIDE_INTEGERS - {"bignum"}
_KEY_KINDS: Final = {
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp_ns": "timestamp_ns",
    "timestamp with time zone": "timestamptz",
    **dict.fromkeys(_INTEGERS, "integer"),
}

_REASONS: Final = {
    "interval": (
        "Different intervals are equal ('1 day' and '24 hours'), so a change could be missed",
        "Cast it to text, or yield its length in seconds: extract(epoch from …).",
    ),
    "json": ("It has no equality", "Cast it to jsonb or text in the SELECT."),
    "xml": ("It has no equality", "Cast it to text in the SELECT."),
    "variant": ("Values of different types are equal", "Cast it to varchar or to the type that it holds."),
    "super": ("Its values cannot be grouped or compared in every statement", "Yield json_serialize(…)."),
    "varbyte": ("Its values were not proved to load right", "Yield to_hex(…)."),
    "null": ("It has no type: every value is NULL", "Cast it in the SELECT to the type that it will have."),
}
_KINDS: Final = {
    "composite": ("It is a composite type", "Yield its fields: (place).name as place_name."),
    "extension": ("It is a type of an extension, whose equality is its own", "Cast it to text in the SELECT."),
    "range": ("It is a range", "Yield its bounds: lower(…), upper(…)."),
    "missing": ("The warehouse has no type of this name", "Write a type as CREATE TABLE takes it, e.g. varchar(10)."),
}


def key_kind(type_: str) -> str | None:
    """Return what kind of incremental key a type makes, as the macro `kind_of_key` does; None when it makes none.

    >>> key_kind("timestamp(3) without time zone"), key_kind("hugeint"), key_kind("point")
    ('timestamp', 'integer', None)
    """
    return _KEY_KINDS.get(_name(type_))


def user_type(type_: str, dialect: str) -> str | None:
    """Return the element type of a type that only the warehouse knows: an enum, a composite, an extension's.

    >>> user_type("lake.mood[]", "postgres"), user_type("integer[]", "postgres"), user_type("json", "postgres")
    ('lake.mood', None, None)
    """
    name = _name(_element(type_))
    known = _COLUMNS["postgres"] | _REASONS.keys()
    return _element(type_) if dialect == "postgres" and name not in known else None


def type_problem(column: str, type_: str, place: Place, dialect: str, kind: str | None = None) -> Problem | None:
    """Return why a column of a type cannot stand at a place, or None when it loads right.

    Args:
        column: Its name, for the message.
        type_: Its type, as the warehouse or a column list writes it.
        place: Where it stands.
        dialect: The warehouse's SQL.
        kind: What the warehouse says of a `user_type`; None when it cannot be asked.
    """
    refused = _column_problem(type_, dialect, kind)
    if refused is None and place is Place.INCREMENTAL and key_kind(type_) is None:
        remedy = "Name a timestamp, date or integer column, or read the source through a view that casts it."
        refused = "It cannot cut windows", remedy
    if refused is None and place is Place.SEQUENCE and _name(type_) not in _SEQUENCES[dialect]:
        refused = "It cannot order events", "Order them by a number, a text, a date or a timestamp."
    if refused is None:
        return None
    reason, remedy = refused
    return Problem("column_type", f"The {place} {column} is {type_}. {reason}.", remedy, column)


def size_problem(type_: str, dialect: str) -> tuple[str, str] | None:
    """Return what is wrong with the sizes of a type and the remedy, or None.

    >>> size_problem("numeric", "redshift")
    ('Without precision and scale it is numeric(18,0) on Redshift, which rounds', 'Write them: numeric(38,2).')
    """
    name, sizes = _name(type_), type_parts(type_.lower())[1]
    if dialect == "redshift" and name == "numeric" and not sizes:
        return "Without precision and scale it is numeric(18,0) on Redshift, which rounds", "Write them: numeric(38,2)."
    if dialect in ("postgres", "redshift") and name == "character" and not sizes and type_.lower() != "bpchar":
        return "Without a length it holds one character", "Write the length: char(5), or varchar(5)."
    if dialect == "postgres" and name == "bit" and not sizes:
        return "Without a length it holds one bit", "Write the length: bit(8), or bit varying."
    if dialect != "postgres" and name == "numeric" and sizes and sizes[0] > MOST_DIGITS:
        return f"A decimal has at most {MOST_DIGITS} digits here", f"Cast it to decimal({MOST_DIGITS},…) or to text."
    return _redshift_problem(type_.lower(), name, sizes) if dialect == "redshift" else None


def _redshift_problem(type_: str, name: str, sizes: list[int]) -> tuple[str, str] | None:
    """Return what Redshift refuses of the way in which a known type is written.

    Source: https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html and the pages below it.
    """
    written = type_parts(type_)[0]
    if written in _WRITTEN_OTHERWISE:
        return "Redshift has no type of this name", f"Write {_WRITTEN_OTHERWISE[written]}."
    most = MOST_BYTES.get(name)
    if most is not None and sizes and (len(sizes) > 1 or not 1 <= sizes[0] <= most):
        return f"Redshift holds from 1 to {most} bytes of it", f"Write {written}({most}) or less."
    digits, scale, *more = *sizes, *(0 for _ in range(len(("precision", "scale")) - len(sizes)))
    if name == "numeric" and (more or digits < 1 or scale > min(digits, MOST_DIGITS - 1)):
        reason = f"A decimal has up to {MOST_DIGITS} digits and up to {MOST_DIGITS - 1} of them after the point"
        return reason, "Write precision and scale: numeric(38,2)."
    if sizes and most is None and name != "numeric":
        return "On Redshift it takes no size", f"Write it without: {written}."
    return None


def unsized_decimals(select: ParsedSelect) -> tuple[Problem, ...]:
    """Find decimals without precision and scale that a SELECT for Redshift casts to: they round to whole numbers."""
    found = []
    from sqlglot import exp

    for kind in select.tree.find_all(exp.DataType):
        if kind.this is exp.DataType.Type.DECIMAL and not kind.expressions:
            reason, remedy = size_problem("numeric", "redshift") or ("", "")
            line = next((part.meta["line"] for part in (kind.parent or kind).walk() if "line" in part.meta), 1)
            message = f"The SELECT casts to a decimal without a size (near line {line}). {reason}."
            found.append(Problem("unsized_decimal", message, remedy))
    return tuple(dict.fromkeys(found))


def _column_problem(type_: str, dialect: str, kind: str | None) -> tuple[str, str] | None:
    element = type_ if dialect == "redshift" else _element(type_)
    name = _deciding_name(element)
    is_enum = user_type(type_, dialect) is not None and kind in (None, "enum")
    if name in _COLUMNS[dialect] or is_enum:
        return size_problem(element, dialect)
    largest = re.fullmatch(r"(n?varchar|n?char|character( varying)?) *\(max\)", element, re.IGNORECASE)
    if dialect == "redshift" and largest is not None:
        bytes_ = MOST_BYTES[_ALIASES.get(largest[1].lower(), largest[1].lower())]
        return "Sluice compares sizes and knows no max", f"Write {largest[1]}({bytes_})."
    if dialect == "redshift" and name not in ("interval", "null", "super", "varbyte"):
        return (
            "Redshift has no such type, or Sluice does not load it",
            "Cast it in the SELECT, e.g. to varchar(50).",
        )
    other = "Sluice does not load this type", "Cast it in the SELECT, for example to text."
    return _KINDS.get(kind or "") or _REASONS.get(name, other)


def _deciding_name(type_: str) -> str:
    """Return the name of a type; of a nested one, the name of a part that is refused, if it has one."""
    if '"NULL"' in type_:
        return "null"
    name = _name(type_)
    if name not in ("struct", "tuple", "map", "union"):
        return name
    from sqlglot import exp

    kinds = exp.DataType.build(type_, dialect="duckdb", udt=True).find_all(exp.DataType)
    parts = {str(getattr(kind.this, "value", kind.this)).lower() for kind in kinds}
    return next((part for part in ("interval", "variant") if part in parts), name)


def _element(type_: str) -> str:
    """Return the type of the elements of a list or an array, at any depth."""
    return re.sub(r"(\[\d*\])+$", "", type_)


def _name(type_: str) -> str:
    """Return the one name of a type without its sizes: `decimal(9,2)` is `numeric`, `enum('a')` is `enum`."""
    found = re.match(r"(struct|tuple|map|union|enum)\b *\(", type_, re.IGNORECASE)
    if found is not None:
        return found[1].lower()
    name = type_parts(type_ if type_.startswith('"') else type_.lower())[0]
    return "interval" if name.startswith("interval") else _ALIASES.get(name, name)
