"""When a row that the framework deactivated is checked again. Pure.

At once when its SELECT, the row or columns changed, otherwise at a fixed interval. For a row that was switched off
again within a day the interval doubles each time, and so does the wait after a change of its sources' data alone: data
change with every run. A row with an invalid value, and one whose cluster a person ended, is checked after a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flows.errors.classify import ADVICE, FailureClass
from metadata_sync.incident import Incident, IncidentKind

FLAPS_WITHIN: Final = timedelta(days=1)
LONGEST_PAUSE: Final = timedelta(days=1)
_MOST_DOUBLINGS: Final = 12
_DATA: Final = frozenset({"data"})
WAITS_FOR_CHANGE: Final = frozenset({FailureClass.VALUE, FailureClass.REJECT_LIMIT, FailureClass.STOPPED})


@dataclass(frozen=True, slots=True)
class HealCheck:
    """Whether a row is checked now, and why."""

    is_due: bool
    reason: str


def failure_count(target: str, incidents: Iterable[Incident], now: datetime) -> int:
    """Return how often a target was switched off within the last day, this time included, not by soft failures."""
    return sum(
        incident.kind is IncidentKind.LOAD
        and incident.subject == target
        and now - incident.opened_at < FLAPS_WITHIN
        and _is_hard(incident)
        for incident in incidents
    )


def _is_hard(incident: Incident) -> bool:
    failure_class = FailureClass(incident.failure_class or FailureClass.UNKNOWN)
    return not ADVICE[failure_class].is_soft or failure_class is FailureClass.UNKNOWN


def due_check(
    incident: Incident | None, changes: tuple[str, ...], *, failures: int, every: timedelta, now: datetime
) -> HealCheck:
    """Return whether a deactivated row is checked now, and why.

    Args:
        incident: Its open incident; None when it was lost.
        changes: The names of what it depends on and has changed since the failure.
        failures: How often it was switched off within the last day.
        every: The interval of checks while nothing changes.
        now: UTC.
    """
    if incident is None:
        return HealCheck(is_due=True, reason="it has no open incident")
    pause = min(every * 2 ** min(max(0, failures - 1), _MOST_DOUBLINGS), LONGEST_PAUSE)
    is_flapping = failures > 1 and not set(changes) - _DATA
    if is_flapping and now - incident.opened_at < pause:
        until = incident.opened_at + pause
        return HealCheck(is_due=False, reason=f"failed {failures} times within a day: next check at {until:%H:%M} UTC")
    if changes:
        return HealCheck(is_due=True, reason=f"changed since: {', '.join(changes)}")
    if incident.failure_class in WAITS_FOR_CHANGE:
        return HealCheck(is_due=False, reason="waits until its SELECT, its row, its sources or their data change")
    if now - incident.last_seen_at < pause:
        again = incident.last_seen_at + pause
        return HealCheck(is_due=False, reason=f"nothing has changed: next check at {again:%H:%M} UTC")
    return HealCheck(is_due=True, reason=f"checked every {every.total_seconds() / 60:.0f} min")
