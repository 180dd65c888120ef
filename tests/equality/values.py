"""A table of awkward values: two columns of each type, whose values meet in many pairs."""

# ruff: noqa: E501 - a shape is read in one line

from __future__ import annotations

import random
from typing import Final

TYPES: Final = {
    "i8": "tinyint", "i16": "smallint", "i32": "integer", "i64": "bigint", "f32": "float", "f64": "double",
    "d5": "decimal(5,2)", "d18": "decimal(18,6)", "d30": "decimal(30,10)", "d38": "decimal(38,4)",
    "s": "varchar", "n": "varchar", "b": "boolean", "day": "date", "at": "timestamp", "z": "timestamptz",
}  # fmt: skip
"""The types, by the names of their columns: `a_i8`, `b_i8`, …"""

_DAYS: Final = (
    "0001-01-01", "9999-12-31", "1582-10-04", "1582-10-15", "1969-12-31", "1970-01-01", "2000-02-29", "2012-12-31",
    "2013-01-06", "2013-03-31", "2021-01-03", "1900-01-01",
)  # fmt: skip
_CLOCKS: Final = (
    "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1582-10-10 12:00:00", "1969-12-31 23:59:59.999999",
    "1970-01-01 00:00:00.000001", "2013-03-31 00:59:59.5", "2013-03-31 01:00:00", "2013-03-31 02:30:00",
    "2013-10-27 00:30:00", "2013-10-27 01:30:00.1", "2013-10-27 02:30:00", "2012-02-29 12:34:56.789",
    "2013-11-03 05:30:00", "2013-11-03 06:30:00", "1890-06-01 10:00:00", "2016-12-31 23:00:00",
)  # fmt: skip

VALUES: Final[dict[str, tuple[object, ...]]] = {
    "i8": (0, 1, -1, 2, 3, 7, -7, 127, -128, 100),
    "i16": (0, 1, -1, 2, 3, -5, 32767, -32768, 256),
    "i32": (0, 1, -1, 2, 3, -3, 10, 2147483647, -2147483648, 1000),
    "i64": (0, 1, -1, 2, -2, 5, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 123456789012),
    "f32": ("0", "-0.0", "1", "1.5", "-2.5", "0.1", "NaN", "inf", "-inf", "3.4e38", "1e-40", "16777217"),
    "f64": (
        "0", "-0.0", "1", "-1", "0.5", "1.5", "2.5", "-2.5", "-0.5", "0.49999999999999994", "2.675", "1.005", "0.1",
        "1e15", "4503599627370497.5", "9007199254740993", "1e300", "5e-324", "NaN", "inf", "-inf", "123456.789", "0.285",
        "-3.7", "1234567890123.455",
    ),
    "d5": ("0", "0.01", "-0.01", "999.99", "-999.99", "2.50", "1.50", "0.50", "-0.50", "-2.50", "12.34"),
    "d18": ("0", "0.000001", "-0.000001", "999999999999.999999", "-2.500000", "0.500000", "1.005000", "3.141593"),
    "d30": ("0", "0.0000000001", "-0.5", "99999999999999999999.9999999999", "12345678901234567890.1234567891", "2.5"),
    "d38": ("0", "0.0001", "-0.5", "9999999999999999999999999999999999.9999", "1234567890123456789012.3456", "1", "2"),
    "s": (
        "", " ", "a", "abc", "ABC", "aBc dEf", "straße ß", "ΑΣ ΣΑΣ.", "İstanbul ı", "żółw", "a\\b", "a%b", "a_b", "100%",
        "\\", "\t tab \n", "\u00a0nb\u3000", "ﬁn ǰ ᾳ ΐ", "😀 a😀b", "e\u0301", "it's", '"q"', "007", "a,b,,c", "ab" * 40,
        "𐖗", "NULL", "a\rb\x0b", "$1", "aXbXc",
    ),
    "n": (
        "0", "1", "-1", "007", " 5 ", "1.5", "2.5", "-2.5", "1e3", "12", "100", "-0.5", "99", "3.14159", "+4", "1_000",
    ),
    "b": (True, False),
    "day": _DAYS,
    "at": _CLOCKS,
    "z": tuple(f"{clock}+00" for clock in _CLOCKS),
}  # fmt: skip


def rows_sql(count: int, seed: int = 0) -> str:
    """Return SQL of DuckDB that yields the table: `id`, and for each type a column `a_…` and one `b_…`.

    Args:
        count: Its rows.
        seed: Of the choice of values.
    """
    chance = random.Random(seed)
    columns = [f"{side}_{name}" for side in "ab" for name in TYPES]
    lines = []
    for place in range(1, count + 1):
        cells = [_literal(chance.choice((None, *VALUES[column[2:]] * 2))) for column in columns]
        lines.append(f"({place}, {', '.join(cells)})")
    casts = ", ".join(f"cast({column} as {TYPES[column[2:]]}) as {column}" for column in columns)
    return f"select cast(id as integer) as id, {casts} from (values {', '.join(lines)}) as v (id, {', '.join(columns)})"


def _literal(value: object) -> str:
    if value is None:
        return "cast(null as varchar)"
    text = str(value).replace("'", "''")
    return f"cast('{text}' as varchar)"


def column_types() -> dict[str, str]:
    """Return the columns of the table with their types."""
    return {"id": "integer", **{f"{side}_{name}": kind for side in "ab" for name, kind in TYPES.items()}}
