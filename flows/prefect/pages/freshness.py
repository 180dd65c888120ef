"""The page on freshness: how old a pipeline's tables are, compared with their rows' limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from flows.prefect.pages.markdown import table
from flows.prefect.pages.summary import escape
from flows.reports.freshness import Freshness
from metadata_sync.text import duration_text

_HEADERS: Final = ("Table", "Kind", "State", "Age", "Allowed", "Newest (UTC)")


def freshness_page(pipeline_id: str, tables: Sequence[Freshness], now: datetime) -> str:
    """Return the page.

    Args:
        pipeline_id: The pipeline.
        tables: Its targets and the sources that it reads.
        now: The current instant, UTC.
    """
    late = [item.table for item in tables if item.is_late]
    headline = f"{len(late)} late ({', '.join(late)})" if late else "nothing is late"
    lines = [f"## {escape(pipeline_id)}: {escape(headline)}", "", f"As of {now:%Y-%m-%d %H:%M:%S} UTC.", ""]
    return "\n".join([*lines, *table(_HEADERS, (freshness_cells(item) for item in tables))]) + "\n"


def freshness_cells(item: Freshness) -> tuple[str | None, ...]:
    """Return the cells of one table: name, kind, state, age, allowed age, newest instant."""
    return (
        item.table,
        item.kind,
        item.state,
        None if item.age_seconds is None else duration_text(item.age_seconds),
        None if item.allowed_seconds is None else duration_text(item.allowed_seconds),
        None if item.newest_at is None else f"{item.newest_at:%Y-%m-%d %H:%M:%S}",
    )
