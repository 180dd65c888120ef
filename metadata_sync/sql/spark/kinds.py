"""The types that both engines hold alike, and the type that values of several types meet in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

MOST_DIGITS: Final = 38
"""Of a decimal, on both engines."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type.

    Attributes:
        name: Its name, in lower case.
        precision: Digits of a decimal; 0 for other types.
        scale: Digits of a decimal after the point.
    """

    name: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"{self.name}({self.precision}, {self.scale})" if self.name == "decimal" else self.name

    @property
    def spark(self) -> str:
        """Its name on Spark."""
        if self.name == "decimal":
            return f"DECIMAL({self.precision}, {self.scale})"
        return _SPARK_NAMES[self.name]

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers of a fixed size."""
        return self.name in DIGITS

    @property
    def is_fraction(self) -> bool:
        """Whether it holds binary fractions."""
        return self.name in ("float", "double")

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.is_integer or self.is_fraction or self.name == "decimal"

    @property
    def is_instant(self) -> bool:
        """Whether it holds days or instants."""
        return self.name in ("date", "timestamp", "timestamptz")


BOOLEAN: Final = Kind("boolean")
TINYINT: Final = Kind("tinyint")
SMALLINT: Final = Kind("smallint")
INTEGER: Final = Kind("integer")
BIGINT: Final = Kind("bigint")
HUGEINT: Final = Kind("hugeint")
FLOAT: Final = Kind("float")
DOUBLE: Final = Kind("double")
VARCHAR: Final = Kind("varchar")
DATE: Final = Kind("date")
TIMESTAMP: Final = Kind("timestamp")
TIMESTAMPTZ: Final = Kind("timestamptz")
NULL: Final = Kind("null")
UNKNOWN: Final = Kind("unknown")
"""Of an expression that was refused: what is built upon it is not looked at."""

DIGITS: Final = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "hugeint": 38}
"""Digits of each whole number as a decimal."""
_INTEGERS: Final = (TINYINT, SMALLINT, INTEGER, BIGINT, HUGEINT)
_LARGEST: Final = {"tinyint": 2**7, "smallint": 2**15, "integer": 2**31, "bigint": 2**63, "hugeint": 10**38}
_INT64_DIGITS: Final = 18

_SPARK_NAMES: Final = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INT",
    "bigint": "BIGINT",
    "hugeint": "DECIMAL(38, 0)",
    "float": "FLOAT",
    "double": "DOUBLE",
    "varchar": "STRING",
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ",
    "timestamptz": "TIMESTAMP_LTZ",
    "null": "VOID",
}
_TYPES: Final = {
    exp.DataType.Type.BOOLEAN: BOOLEAN,
    exp.DataType.Type.TINYINT: TINYINT,
    exp.DataType.Type.SMALLINT: SMALLINT,
    exp.DataType.Type.INT: INTEGER,
    exp.DataType.Type.BIGINT: BIGINT,
    exp.DataType.Type.INT128: HUGEINT,
    exp.DataType.Type.FLOAT: FLOAT,
    exp.DataType.Type.DOUBLE: DOUBLE,
    exp.DataType.Type.DATE: DATE,
    exp.DataType.Type.TIMESTAMP: TIMESTAMP,
    exp.DataType.Type.TIMESTAMPNTZ: TIMESTAMP,
    exp.DataType.Type.DATETIME: TIMESTAMP,
    exp.DataType.Type.TIMESTAMPTZ: TIMESTAMPTZ,
    exp.DataType.Type.TIMESTAMPLTZ: TIMESTAMPTZ,
}


def decimal(precision: int, scale: int) -> Kind:
    """Return a decimal type."""
    return Kind("decimal", precision, scale)


def parse_kind(text: str, dialect: str) -> Kind | None:
    """Return the type of a column of the warehouse; None when Spark has none like it.

    >>> str(parse_kind("numeric(9,2)", "duckdb")), parse_kind("time", "duckdb")
    ('decimal(9, 2)', None)
    """
    try:
        found = exp.DataType.build(text, dialect=dialect)
    except SqlglotError:
        return None
    return kind_of(found, dialect)


def kind_of(type_: exp.DataType, dialect: str) -> Kind | None:
    """Return the type that a parsed type stands for; None when Spark has none like it."""
    if type_.is_type("array") or type_.args.get("nested"):
        return None
    if type_.is_type(*exp.DataType.TEXT_TYPES):
        return VARCHAR
    if type_.is_type("decimal", "bigdecimal"):
        sizes = [int(item.name) for item in type_.expressions]
        if not sizes:
            return decimal(18, 3) if dialect == "duckdb" else decimal(18, 0)
        precision, scale = (*sizes, 0)[:2]
        return decimal(precision, scale) if 0 < precision <= MOST_DIGITS and scale <= precision else None
    return _TYPES.get(exp.DataType.Type(type_.this))


def spark_type(warehouse_type: str, dialect: str) -> str | None:
    """Return the Spark type that holds a column of the warehouse; None when there is none.

    >>> spark_type("varchar(10)", "duckdb"), spark_type("timestamp", "redshift"), spark_type("interval", "duckdb")
    ('STRING', 'TIMESTAMP_NTZ', None)
    >>> spark_type("hugeint", "duckdb")
    'DECIMAL(38, 0)'
    """
    kind = parse_kind(warehouse_type, dialect)
    return None if kind is None else kind.spark


def integer_kind(number: int) -> Kind:
    """Return the type of a whole number as it is written."""
    return next(kind for kind in _INTEGERS[2:] if fits(number, kind))


def fits(number: int, kind: Kind) -> bool:
    """Whether a whole number is in a type's range."""
    return -_LARGEST[kind.name] <= number < _LARGEST[kind.name]


def as_decimal(kind: Kind) -> Kind:
    """Return the decimal that holds every value of a whole number's type."""
    return decimal(DIGITS[kind.name], 0) if kind.is_integer else kind


def common_decimal(kinds: Sequence[Kind]) -> Kind:
    """Return the decimal that exact numbers meet in; beyond 38 digits values must fit, on both engines."""
    exact = [as_decimal(kind) for kind in kinds]
    scale = max(kind.scale for kind in exact)
    whole = max(kind.precision - kind.scale for kind in exact)
    return decimal(min(MOST_DIGITS, whole + scale), scale)


def holds_all(kinds: Sequence[Kind]) -> bool:
    """Whether one decimal of 38 digits holds every value of exact numbers."""
    exact = [as_decimal(kind) for kind in kinds]
    return max(kind.precision - kind.scale for kind in exact) + max(kind.scale for kind in exact) <= MOST_DIGITS


def common_number(kinds: Sequence[Kind]) -> Kind:
    """Return the type that numbers meet in."""
    names = {kind.name for kind in kinds}
    if "double" in names:
        return DOUBLE
    if "float" in names:
        return FLOAT
    if "decimal" in names:
        return common_decimal(kinds)
    return max(kinds, key=_INTEGERS.index)


def sum_kind(left: Kind, right: Kind) -> Kind:
    """Return the decimal of a sum or difference: one digit more."""
    common = common_decimal([left, right])
    whole = max(kind.precision - kind.scale for kind in (as_decimal(left), as_decimal(right)))
    return decimal(min(MOST_DIGITS, whole + common.scale + 1), common.scale)


def product_kind(left: Kind, right: Kind) -> Kind | None:
    """Return the decimal of a product; None when its fraction has more digits than a decimal."""
    exact = [as_decimal(left), as_decimal(right)]
    scale = sum(kind.scale for kind in exact)
    if scale > MOST_DIGITS:
        return None
    is_small = max(kind.precision for kind in exact) <= _INT64_DIGITS and scale < _INT64_DIGITS
    wanted = sum(kind.precision for kind in exact)
    return decimal(min(wanted, _INT64_DIGITS if is_small else MOST_DIGITS), scale)
