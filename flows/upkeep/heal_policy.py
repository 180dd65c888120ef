"""When a row that the framework switched off is looked at again. Pure.

At once when something that it depends on has changed; else every so often. A row that fell again within a day waits
twice as long each time. A value that does not fit stays unfit until something changes, so no clock brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flows.errors.classify import FailureClass
from metadata_sync.incident import Incident, IncidentKind

FLAPS_WITHIN: Final = timedelta(days=1)
LONGEST_PAUSE: Final = timedelta(days=1)
_MOST_DOUBLINGS: Final = 12
WAITS_FOR_CHANGE: Final = frozenset({FailureClass.VALUE, FailureClass.REJECT_LIMIT})


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a row is looked at now, and why or why not."""

    is_due: bool
    reason: str


def fall_count(target: str, incidents: Iterable[Incident], now: datetime) -> int:
    """Return how often a target has failed within the last day, this time included."""
    return sum(
        incident.kind is IncidentKind.LOAD and incident.subject == target and now - incident.opened_at < FLAPS_WITHIN
        for incident in incidents
    )


def look_at(
    incident: Incident | None, changes: tuple[str, ...], *, falls: int, every: timedelta, now: datetime
) -> Look:
    """Decide whether a row that is off is looked at now.

    Args:
        incident: Its open incident; None when it was lost.
        changes: What it depends on and has changed since it failed.
        falls: How often it failed within the last day.
        every: How often it is looked at while nothing changes.
        now: UTC.
    """
    if incident is None:
        return Look(is_due=True, reason="nothing is known of its failure")
    pause = min(every * 2 ** min(max(0, falls - 1), _MOST_DOUBLINGS), LONGEST_PAUSE)
    if falls > 1 and now - incident.opened_at < pause:
        until = incident.opened_at + pause
        return Look(is_due=False, reason=f"fell {falls} times within a day: left alone until {until:%H:%M} UTC")
    if changes:
        return Look(is_due=True, reason=f"changed since: {', '.join(changes)}")
    if incident.failure_class in WAITS_FOR_CHANGE:
        return Look(is_due=False, reason="waits until its SELECT, its row, its sources or their data change")
    if now - incident.last_seen_at < pause:
        again = incident.last_seen_at + pause
        return Look(is_due=False, reason=f"nothing has changed; looked at again at {again:%H:%M} UTC")
    return Look(is_due=True, reason=f"looked at every {every.total_seconds() / 60:.0f} min")
