"""Which column says when a row became visible, and which orders the changes of a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from flows.onboard.model import ColumnFacts, Facts, Offer
from flows.onboard.names import is_arrival, is_birth, is_change, is_time
from metadata_sync.rows.names import quote_identifier, quote_identifiers

_BY_DATA: Final = 0.15
_TRUSTED_LANDINGS: Final = 3


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column that may cut windows or order changes.

    Attributes:
        name: Its name.
        confidence: That windows cut by it miss nothing.
        evidence: Why.
    """

    name: str
    confidence: float
    evidence: str


def incremental_keys(offer: Offer, facts: Facts, *, has_updates: bool) -> tuple[TimeColumn, ...]:
    """Return the columns that windows may be cut by, likeliest first.

    Such a column is never NULL and never goes back from one landing to the next. A column that says when a row was
    created misses later changes of the row.

    Args:
        offer: What was offered.
        facts: What it holds.
        has_updates: Whether keys return, so that a row's changes must be seen.
    """
    times = [
        column
        for column in facts.columns
        if is_time(column) and not column.nulls and column.distinct and column.name not in offer.renamed
    ]
    held = _monotone(offer, [column.name for column in times])
    found = []
    for column in times:
        rated = _rated(column, has_updates=has_updates, is_read_by_file=_is_read_by_file(offer))
        if rated is None or held.get(column.name) is False:
            continue
        confidence, why = rated
        if held.get(column.name):
            more = _BY_DATA if len(offer.landings) >= _TRUSTED_LANDINGS else _BY_DATA / 2
            confidence = min(0.97, confidence + more)
            why += f", never goes back over {len(offer.landings)} landings"
        found.append(TimeColumn(column.name, round(confidence, 2), f"{why}, never NULL"))
    return tuple(sorted(found, key=lambda item: -item.confidence))


def change_order(facts: Facts, incremental: str | None, going_back: Collection[str] = ()) -> TimeColumn | None:
    """Return the column that orders the changes of a key; None when no column says when a row changed.

    Args:
        facts: What the offer holds.
        incremental: The incremental key, which orders changes when nothing else does.
        going_back: Times that contradict the order in which rows of a key came (`times_that_go_back`).
    """
    times = [column for column in facts.columns if is_time(column) and not column.nulls]
    for column in times:
        if is_change(column):
            return TimeColumn(column.name, 0.9, "is called like the time of a change")
    events = [
        column for column in times if not (is_arrival(column) or is_birth(column)) and column.name not in going_back
    ]
    if events and events[0].name != incremental:
        why = "is the only time that is not about loading" if len(events) == 1 else "is a time of the event"
        return TimeColumn(events[0].name, 0.6 if len(events) == 1 else 0.5, why)
    if incremental is not None:
        return TimeColumn(incremental, 0.7, "orders what arrives")
    return None


def times_that_go_back(offer: Offer, facts: Facts, key: Sequence[str]) -> frozenset[str]:
    """Return the times that are earlier in a later landing, for some value of the key.

    Args:
        offer: What was offered.
        facts: What it holds.
        key: The columns that identify a row within its landing.
    """
    times = [column.name for column in facts.columns if is_time(column) and not column.nulls]
    if len(offer.landings) < 2 or not times or not key:  # noqa: PLR2004
        return frozenset()
    columns = quote_identifiers([*key, *(name for name in times if name not in key)])
    parts = [f"SELECT {number} AS landing, {columns} FROM {part} AS p" for number, part in enumerate(offer.landings)]
    by_key = f"(PARTITION BY {quote_identifiers(key)} ORDER BY landing)"
    steps = ", ".join(
        f"CASE WHEN {quote_identifier(name)} < lag({quote_identifier(name)}) OVER {by_key} THEN 1 END AS back_{number}"
        for number, name in enumerate(times)
    )
    counts = ", ".join(f"count(back_{number})" for number in range(len(times)))
    found = next(iter(offer.ask(f"SELECT {counts} FROM (SELECT {steps} FROM ({' UNION ALL '.join(parts)}) AS l) AS s")))
    return frozenset(name for name, count in zip(times, found, strict=True) if count)


def _is_read_by_file(offer: Offer) -> bool:
    return offer.source is not None and offer.source.location is not None


def _rated(column: ColumnFacts, *, has_updates: bool, is_read_by_file: bool) -> tuple[float, str] | None:
    if is_arrival(column):
        return 0.82, "is called like the time of loading"
    if is_change(column):
        return 0.78, "is called like the time of a change"
    if is_read_by_file:
        return 0.7, "is a time; files that come late are read by their names"
    if is_birth(column):
        return (
            (0.3, "says when a row came to be, which misses changes") if has_updates else (0.7, "says when a row came")
        )
    return None if has_updates else (0.45, "is a time of the event itself, which late rows do not follow")


def _monotone(offer: Offer, names: Sequence[str]) -> dict[str, bool]:
    """Tell of each column whether every landing begins where the landing before ended; empty with one landing."""
    if len(offer.landings) < 2 or not names:  # noqa: PLR2004
        return {}
    ends = ", ".join(f"min({quote_identifier(name)}), max({quote_identifier(name)})" for name in names)
    parts = [f"SELECT {number} AS landing, {ends} FROM {part} AS p" for number, part in enumerate(offer.landings)]
    rows = sorted(offer.ask(" UNION ALL ".join(parts)), key=lambda row: int(row[0]))
    found = {}
    for number, name in enumerate(names):
        spans = [(row[1 + 2 * number], row[2 + 2 * number]) for row in rows]
        found[name] = all(before[1] <= after[0] for before, after in pairwise(spans))
    return found
