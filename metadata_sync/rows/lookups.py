"""The settings of lookups: tables that a SELECT reads whole, beside its driving sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.vocabulary import Increment, OnChange

OR_IGNORE: Final = "or set on_change: ignore, which leaves loaded rows as they are."
"""The end of a remedy: what is always possible."""


def split_pair(text: str) -> tuple[str, str]:
    """Split an entry of `restate_by` into the driving source's column and the lookup's.

    >>> split_pair("order_id = id"), split_pair("sku")
    (('order_id', 'id'), ('sku', 'sku'))
    """
    left, _, right = (part.strip() for part in text.partition("="))
    return left, right or left


def stale_notes(row: TransformationRow) -> Iterator[tuple[str, str]]:
    """Say of each lookup that derives nothing again what that means for loaded rows.

    Args:
        row: The transformation. A row of `increment: full` derives all rows again when a driving source changes.

    Yields:
        The lookup, and one sentence.
    """
    until = " before a driving source changes" if row.increment is Increment.FULL else ""
    for item in row.dependencies:
        if item.driving or item.restates:
            continue
        meaning = (
            f"loaded rows keep what {item.table} held when they were loaded: they are not derived again{until} when it "
            "changes, or when its rows arrive after those that read them"
        )
        if item.on_change is OnChange.IGNORE:
            yield item.table, f"{meaning} (on_change: ignore)"
        else:
            yield item.table, f"{meaning}. Declare on_change: restate on it, or on_change: ignore if this is meant"
