"""Functions that Spark lacks, for the Spark script: a value of a JSON text, as the warehouse writes it.

Spark's own functions take texts that are no JSON, the last of two keys, and write fractions in Java's way. So the
translation calls `sluice_json` and `sluice_json_valid`, which read and write JSON exactly as DuckDB does. This
file imports nothing of Sluice: `spark_job.py` sends it to the workers.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Final

_ODD: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""Halves of a pair, which the fast reader takes without its other half."""
_LITERALS: Final = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"true|false|null")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE])", re.ASCII)
_NO_NUMBER: Final = re.compile(r"-?(?:nan|infinity|inf)", re.IGNORECASE | re.ASCII)
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_CONTROL: Final = re.compile(r'["\\\x00-\x1f]')
_SIGNS: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MOST_PLACES: Final = 21
"""Digits before the point of a fraction that is written without an exponent."""
_LEAST_PLACES: Final = -6
"""Zeros behind the point of one, as a negative number."""


class Number(str):
    """A number as the text writes it."""

    __slots__ = ()


def value_at(text: str | None, path: str) -> str | None:
    """Return a value of a JSON text, marked: `v` and the value, `e` when the text is no JSON; None: there is no value.

    Args:
        text: The JSON.
        path: Keys and places as a JSON list, e.g. `["a", 0]`.
    """
    if text is None:
        return None
    try:
        found: Any = _parsed(text)
    except ValueError:
        return "e"
    for step in _steps(path):
        found = _inside(found, step)
        if found is None:
            return None
    if isinstance(found, str) and not isinstance(found, Number):
        return f"v{found}"
    return None if found is None else f"v{_written(found)}"


def is_valid(text: str | None) -> bool | None:
    """Whether a text is JSON."""
    if text is None:
        return None
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def register(spark: Any) -> None:
    """Make the functions known to a session of Spark."""
    spark.udf.register("sluice_json", value_at, "string")
    spark.udf.register("sluice_json_valid", is_valid, "boolean")


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(json.loads(path))


def _inside(found: Any, step: str | int) -> Any:
    """Return what stands in an object (a tuple of pairs) by its key, or in a list by its place."""
    if isinstance(step, str):
        return next((value for key, value in found if key == step), None) if isinstance(found, tuple) else None
    is_there = isinstance(found, list) and -len(found) <= step < len(found)
    return found[step] if is_there else None


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Read a JSON text: objects become tuples of pairs, numbers stay as they are written.

    Raises:
        ValueError: When it is none.
    """
    if _ODD.search(text) is None:
        try:
            return _FAST.decode(text)
        except ValueError:
            pass
    return _Reader(text).document()


_FAST: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_int=Number, parse_float=Number, parse_constant=Number)


class _Reader:
    """Reads what the fast reader does not: commas before an end, infinities in other words, pairs of halves."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def document(self) -> Any:
        """Read the whole text."""
        found = self._value()
        self._skip()
        if self._place != len(self._text):
            raise ValueError("something follows")
        return found

    def _skip(self) -> str:
        """Go to the next sign and return it."""
        self._place = _BLANKS.match(self._text, self._place).end()  # type: ignore[union-attr]
        return self._text[self._place : self._place + 1]

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._place)
        if found is None:
            return None
        self._place = found.end()
        return found[0]

    def _value(self) -> Any:
        sign = self._skip()
        if sign == "{":
            return tuple(self._items("}", self._pair))
        if sign == "[":
            return self._items("]", self._value)
        if sign == '"':
            return self._string()
        word = self._take(_WORD)
        if word is not None:
            return _LITERALS[word]
        number = self._take(_NUMBER) or self._take(_NO_NUMBER)
        if number is None:
            raise ValueError("no value")
        return Number(number)

    def _items(self, end: str, item: Any) -> list[Any]:
        """Read what stands between brackets; a comma may stand before the end."""
        self._place += 1
        found: list[Any] = []
        while self._skip() != end:
            found.append(item())
            sign = self._skip()
            if sign == ",":
                self._place += 1
            elif sign != end:
                raise ValueError("no comma")
        self._place += 1
        return found

    def _pair(self) -> tuple[str, Any]:
        if self._skip() != '"':
            raise ValueError("no key")
        key = self._string()
        if self._skip() != ":":
            raise ValueError("no colon")
        self._place += 1
        return key, self._value()

    def _string(self) -> str:
        written = self._take(_STRING)
        if written is None:
            raise ValueError("no text")
        text = str(json.loads(written))
        text.encode("utf-8")  # UnicodeEncodeError, a ValueError, for a half without its other half
        return text


def _written(value: Any) -> str:
    """Write a value without blanks, as the warehouse does."""
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, str):
        return '"' + _CONTROL.sub(lambda sign: _SIGNS.get(sign[0], f"\\u{ord(sign[0]):04X}"), value) + '"'
    if isinstance(value, tuple):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return "null" if value is None else "true" if value else "false"


def _number(written: str) -> str:
    """Write a number: whole ones as they are, fractions with the fewest digits that name them."""
    if written.lstrip("-").isdigit():
        return "0" if written == "-0" else written
    value = float(written) if written[-1:].isdigit() else float("inf")
    if value in (float("inf"), float("-inf")):
        return str(written)
    sign, digits, exponent = _digits(value)
    point = len(digits) + exponent
    if _LEAST_PLACES < point <= _MOST_PLACES:
        return sign + _plain(digits, point)
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1}"


def _digits(value: float) -> tuple[str, str, int]:
    """Return a number's sign, its digits, and the power of ten that they are multiplied by."""
    text = repr(value)
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(power or 0) - len(fraction)
    shorter = digits.rstrip("0")
    return sign, shorter or "0", exponent + len(digits) - len(shorter) if shorter else 0


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    padded = digits.ljust(point, "0")
    return f"{padded[:point]}.{padded[point:] or '0'}"
