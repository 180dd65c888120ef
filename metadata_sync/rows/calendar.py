"""A calendar: the days of the week on which new data is expected, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY: Final = frozenset(range(len(NAMES)))
_WEEK: Final = timedelta(days=7)


def parse_calendar(text: str) -> frozenset[int]:
    """Parse days of the week.

    Args:
        text: Names and ranges, e.g. `mon-fri` or `mon,wed,fri`.

    Returns:
        Days, Monday is 0.

    Raises:
        ValueError: When a part is neither a day nor a range.

    >>> sorted(parse_calendar("fri-mon, wed"))
    [0, 2, 4, 5, 6]
    """
    days: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        if first not in NAMES or (last or first) not in NAMES:
            raise ValueError(f"{part.strip()!r} is neither a day of the week nor a range of days")
        start, end = NAMES.index(first), NAMES.index(last or first)
        days |= {day % len(NAMES) for day in range(start, end + 1 + (len(NAMES) if end < start else 0))}
    return frozenset(days)


def time_on(days: frozenset[int], start: datetime, end: datetime) -> timedelta:
    """Return the part of the time between two instants that is on the given days.

    Args:
        days: Days of the week, Monday is 0.
        start: The earlier instant, with a zone.
        end: The later one.

    >>> friday, monday = datetime(2026, 1, 2, 18, tzinfo=UTC), datetime(2026, 1, 5, 9, tzinfo=UTC)
    >>> time_on(parse_calendar("mon-fri"), friday, monday)
    datetime.timedelta(seconds=54000)
    """
    weeks, rest = divmod(max(end - start, timedelta()), _WEEK)
    total = weeks * len(days) * timedelta(days=1)
    begin = start.astimezone(UTC)
    last = begin + rest
    while begin < last:
        midnight = datetime.combine(begin.date() + timedelta(days=1), time(), UTC)
        if begin.weekday() in days:
            total += min(midnight, last) - begin
        begin = midnight
    return total
