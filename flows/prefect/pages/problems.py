"""The page of an environment that says what is wrong now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flows.prefect.pages.markdown import table
from flows.upkeep.problems import Problem


def problems_page(found: Sequence[Problem], now: datetime) -> str:
    """Return the page as Markdown, the most urgent problem first.

    Args:
        found: What is wrong.
        now: UTC.
    """
    lines = [f"Checked at {now:%Y-%m-%d %H:%M:%S} UTC.", ""]
    if not found:
        return "\n".join([*lines, "No row is off by the framework, no incident is open, no pipeline is late."])
    headers = ("What", "Since (UTC)", "Why", "Waiting for it", "Next", "Next run (UTC)")
    rows = [
        (
            f"{item.subject} {item.state}",
            f"{item.since:%Y-%m-%d %H:%M}" if item.since else None,
            item.why,
            item.held_up,
            item.next_step,
            f"{item.next_try:%Y-%m-%d %H:%M}" if item.next_try else None,
        )
        for item in found
    ]
    return "\n".join([*lines, *table(headers, rows)])
