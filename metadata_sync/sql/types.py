"""Types as warehouses describe them. macros/schema/is_widening.sql decides the same, and a test compares both."""

from __future__ import annotations

import re
from typing import Final

_INTEGERS: Final = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "hugeint": 39}
_TEXTS: Final = ("varchar", "character varying", "text")
_DECIMALS: Final = ("decimal", "numeric")
_SIZED: Final = re.compile(r"([^()]+?) *\( *(\d+(?: *, *\d+)*) *\)(.*)")


def is_widening(narrow: str, wide: str) -> bool:
    """Whether a type holds every value of another type without a change.

    >>> is_widening("integer", "bigint"), is_widening("bigint", "integer"), is_widening("decimal(9,2)", "decimal(9,3)")
    (True, False, False)
    >>> is_widening("varchar(10)", "text"), is_widening("date", "timestamp"), is_widening("real", "double")
    (True, True, False)
    """
    (narrow_name, narrow_sizes), (wide_name, wide_sizes) = type_parts(narrow.lower()), type_parts(wide.lower())
    if narrow_name in _INTEGERS and wide_name in _INTEGERS:
        return _INTEGERS[narrow_name] < _INTEGERS[wide_name]
    if narrow_name in _INTEGERS and wide_name in _DECIMALS:
        return not wide_sizes or wide_sizes[0] - wide_sizes[1] >= _INTEGERS[narrow_name]
    if narrow_name in _DECIMALS and wide_name in _DECIMALS and narrow_sizes:
        return not wide_sizes or (
            wide_sizes[1] >= narrow_sizes[1] and wide_sizes[0] - wide_sizes[1] >= narrow_sizes[0] - narrow_sizes[1]
        )
    if narrow_name in _TEXTS and wide_name in _TEXTS and narrow_sizes:
        return not wide_sizes or wide_sizes[0] > narrow_sizes[0]
    return narrow_name == "date" and wide_name in ("timestamp", "timestamp without time zone")


def can_widen(narrow: str, wide: str, dialect: str) -> bool:
    """Whether the warehouse can widen a column in place; Redshift can only alter the length of a varchar."""
    return is_widening(narrow, wide) and (dialect != "redshift" or ("char" in narrow and "char" in wide))


def type_parts(text: str) -> tuple[str, list[int]]:
    """Split a type into name and sizes: 'decimal(10,2)' gives ('decimal', [10, 2])."""
    found = _SIZED.fullmatch(text)
    if found is None:
        return text, []
    return f"{found[1]}{found[3]}".strip(), [int(size) for size in found[2].split(",")]
