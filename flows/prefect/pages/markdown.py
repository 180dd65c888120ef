"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flows.prefect.pages.summary import escape

DASH: Final = "–"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], numeric: frozenset[str] = frozenset()) -> list[str]:
    """Return the lines of a table; None shows as a dash, all values are escaped.

    Args:
        headers: Headers of the columns.
        rows: Cells.
        numeric: Headers of right-aligned columns.
    """
    rule = ["---:" if header in numeric else "---" for header in headers]
    lines = [_line(headers), _line(rule)]
    return [*lines, *(_line(["<br>".join(_cell(part) for part in _parts(cell)) for cell in row]) for row in rows)]


def _parts(cell: object) -> Sequence[object]:
    """Return the lines of a cell: one per item of a tuple."""
    return cell if isinstance(cell, tuple) and cell else (None if cell == () else cell,)


def _cell(value: object) -> str:
    if value is None:
        return DASH
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
