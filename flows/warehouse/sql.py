"""Helpers for SQL text: quoting, casts, `union all`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CHUNK_SIZE: Final = 200
"""SELECTs per statement: query planners are slow with many more."""


def union_all(selects: Sequence[str]) -> str:
    """Join SELECTs into one `union all`."""
    return " union all ".join(selects)


def as_text(expression: str) -> str:
    """Cast to text: bounds and fingerprints are short."""
    return f"cast({expression} as varchar)"


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


NO_NUMBER: Final = "cast(null as bigint)"
