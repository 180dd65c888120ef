"""When a schedule is due, as Prefect's own scheduler computes it: also where a clock is set forward or back.

Prefect is imported inside the functions: only upkeep and deployed runs ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prefect.server.schemas.schedules import CronSchedule

_BEFORE: Final = timedelta(hours=3)
"""Prefect's dates are wrong if it starts to count within an hour that comes twice; so it starts before that hour."""
_MOST_TICKS: Final = 1_000
"""Prefect looks no further either (`MAX_ITERATIONS`)."""


def due_after(cron: str, timezone: str, instant: datetime) -> datetime:
    """Return when a schedule is due next after an instant, UTC.

    Args:
        cron: Cron expression with five fields.
        timezone: IANA name.
        instant: UTC.
    """
    return next(_ticks(cron, timezone, instant))


def ticks_between(cron: str, timezone: str, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Return when a schedule was due after one instant, and until another, UTC, the oldest first; 800 at most."""
    found = []
    for tick in _ticks(cron, timezone, after):
        if tick > until:
            break
        found.append(tick)
    return tuple(found)


def last_due(cron: str, timezone: str, now: datetime) -> datetime | None:
    """Return when a schedule was last due, UTC; None: not within the last five years."""
    for days in (1 / 24, 1, 8, 40, 400, 5 * 366):
        found = ticks_between(cron, timezone, now - timedelta(days=days), now)
        if found:
            return found[-1]
    return None


def _ticks(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    # The generator behind Prefect's `get_dates`, which is a coroutine and returns at most one page.
    for tick in _schedule(cron, timezone)._get_dates_generator(n=_MOST_TICKS, start=after - _BEFORE):
        instant = datetime.fromtimestamp(tick.timestamp(), UTC)  # a plain datetime: Prefect's own has other arithmetic
        if instant > after:
            yield instant


@lru_cache(maxsize=1_000)  # Prefect reads all time zones of the system for each schedule
def _schedule(cron: str, timezone: str) -> CronSchedule:
    from prefect.server.schemas.schedules import CronSchedule

    return CronSchedule(cron=cron, timezone=timezone)
