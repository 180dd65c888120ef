"""Compare expected rows with those that are there, and show what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

_MOST_ROWS: Final = 20
_MOST_LETTERS: Final = 40


def compare_rows(expected: Sequence[Mapping[str, Any]], actual: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    r"""Compare two lists of rows, in any order, by the columns that an expected row names.

    Args:
        expected: Expected rows.
        actual: The rows that are there; they have all columns of the table.

    Returns:
        Lines that show the difference: `-` expected and missing, `+` there and not expected; a pair of rows that
        differ in few columns as `~`. Empty when the rows are equal.

    >>> lines = compare_rows([{"id": 1, "city": "Rome"}], [{"id": 1, "city": "Pisa"}, {"id": 2, "city": None}])
    >>> print("\n".join(lines))
    ~ id=1: city is Pisa, expected Rome
    + id=2 city=NULL
    >>> compare_rows([{"id": 1}], [{"id": 1, "city": "Rome"}])
    ()
    """
    columns = list(dict.fromkeys(name for row in expected for name in row)) or list(actual[0] if actual else ())
    missing, surplus = _apart([_cells(row, columns) for row in expected], [_cells(row, columns) for row in actual])
    lines = []
    for row in list(missing):
        near = _nearest(row, surplus)
        if near is not None:
            missing.remove(row)
            surplus.remove(near)
            lines.append(_changed(columns, row, near))
    lines += [f"- {_shown(columns, row)}" for row in missing]
    lines += [f"+ {_shown(columns, row)}" for row in surplus]
    if len(lines) > _MOST_ROWS:
        lines = [*lines[:_MOST_ROWS], f"… and {len(lines) - _MOST_ROWS} more rows"]
    return tuple(lines)


_Cells = tuple[Any, ...]


def _cells(row: Mapping[str, Any], columns: Sequence[str]) -> _Cells:
    return tuple(row.get(name) for name in columns)


def _apart(expected: Sequence[_Cells], actual: Sequence[_Cells]) -> tuple[list[_Cells], list[_Cells]]:
    left, right = Counter(expected), Counter(actual)
    return list((left - right).elements()), list((right - left).elements())


def _nearest(row: _Cells, others: Sequence[_Cells]) -> _Cells | None:
    """Return the row that differs in the fewest columns, when most of them are equal."""
    if not others:
        return None
    best = max(others, key=lambda other: _equal_count(row, other))
    return best if 2 * _equal_count(row, best) >= len(row) and _equal_count(row, best) else None


def _equal_count(left: _Cells, right: _Cells) -> int:
    return sum(one == other for one, other in zip(left, right, strict=True))


def _changed(columns: Sequence[str], expected: _Cells, actual: _Cells) -> str:
    cells = list(zip(columns, expected, actual, strict=True))
    same = [f"{name}={_text(value)}" for name, value, other in cells if value == other][:3]
    differ = [f"{name} is {_text(other)}, expected {_text(value)}" for name, value, other in cells if value != other]
    return f"~ {' '.join(same)}: {'; '.join(differ)}"


def _shown(columns: Sequence[str], row: _Cells) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in zip(columns, row, strict=True))


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
