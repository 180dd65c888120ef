"""The page on first loads in chunks: how far each target of a pipeline is, and how long the rest may take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flows.gate.first_load import FirstLoad
from flows.prefect.pages.markdown import table
from flows.prefect.pages.summary import escape

_HEADERS: Final = ("Target", "Order", "Chunks", "Rows", "Holds", "Minutes left")
_NUMERIC: Final = frozenset({"Chunks", "Rows", "Minutes left"})


def first_loads_page(pipeline_id: str, first_loads: Iterable[FirstLoad]) -> str:
    """Return the page.

    Args:
        pipeline_id: The pipeline.
        first_loads: The first loads of its targets, the finished ones of this run included.
    """
    shown = list(first_loads)
    left = sum(len(first.chunks) - first.done for first in shown)
    head = f"{left:,} chunks of first loads are left" if left else "first loads are done"
    lines = [f"## {escape(pipeline_id)}: {head}", ""]
    lines += table(_HEADERS, (_row(first) for first in shown), _NUMERIC)
    if left:
        lines += [
            "",
            "Cancel the flow run to stop after the chunk that is loading; the next run goes on with what is left.",
        ]
    return "\n".join(lines) + "\n"


def _row(first: FirstLoad) -> tuple[object, ...]:
    holds = "all of its history" if first.is_done else first.history
    minutes = 0 if first.is_done else first.minutes_left
    return (
        first.target,
        f"{first.order} first",
        f"{first.done:,} of {len(first.chunks):,}",
        f"{first.row_count:,}",
        holds,
        minutes,
    )
