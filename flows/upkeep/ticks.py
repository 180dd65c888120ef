"""When a schedule is due, as Prefect's own scheduler computes it: also where a clock is set forward or back.

Prefect's schedule is asked for the days around such a change only, because importing Prefect takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from prefect.server.schemas.schedules import CronSchedule

_BEFORE: Final = timedelta(hours=3)
"""Prefect's dates are wrong if it starts to count within an hour that comes twice; so it starts before that hour."""
_DAY: Final = timedelta(days=1)
_NEAR: Final = timedelta(days=20)
"""Within so many days no zone sets its clock twice."""
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
    """Yield the ticks after an instant: by cron alone while no clock is set nearby, else by Prefect's schedule."""
    last = after
    for tick in _ticks_of_still_clock(cron, timezone, after):
        yield tick
        last = tick
    # The generator behind Prefect's `get_dates`, which is a coroutine and returns at most one page.
    for date in _schedule(cron, timezone)._get_dates_generator(n=_MOST_TICKS, start=last - _BEFORE):
        tick = datetime.fromtimestamp(date.timestamp(), UTC)  # a plain datetime: Prefect's own has other arithmetic
        if tick > last:
            yield tick


def _ticks_of_still_clock(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the ticks up to the day before a clock is set: the same that Prefect's schedule has."""
    from croniter import croniter

    zone = ZoneInfo(timezone)
    offset = (after - _DAY).astimezone(zone).utcoffset()
    assert offset is not None, "every zone has an offset"
    found = croniter(cron, (after + offset).replace(tzinfo=None))
    while True:
        tick = (found.get_next(datetime) - offset).replace(tzinfo=UTC)
        is_near = tick - after <= _NEAR and (tick + _DAY).astimezone(zone).utcoffset() == offset
        if not (is_near and after.astimezone(zone).utcoffset() == offset):
            return
        yield tick


@lru_cache(maxsize=1_000)  # Prefect reads all time zones of the system for each schedule
def _schedule(cron: str, timezone: str) -> CronSchedule:
    from prefect.server.schemas.schedules import CronSchedule

    return CronSchedule(cron=cron, timezone=timezone)
