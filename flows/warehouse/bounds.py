"""Window bounds: the load log stores them as text, this module parses and compares them by value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Final

_INTEGER: Final = re.compile(r"[+-]?\d+(?:\.0+)?")
_MINUTES_A_DAY: Final = 24 * 60
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class BoundKind(StrEnum):
    """The kind of incremental key of a bound."""

    INTEGER = "integer"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp_tz"


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a window.

    Attributes:
        kind: The kind of key: it determines the text form and the effect of a lookback.
        position: The integer, or the instant in UTC (midnight for a date).
    """

    kind: BoundKind
    position: int | datetime

    def is_later_than(self, other: Bound) -> bool:
        """Tell whether this bound is later than the other.

        Raises:
            ValueError: When an integer is compared with an instant, because the key's type has changed.
        """
        if isinstance(self.position, int) and isinstance(other.position, int):
            return self.position > other.position
        if isinstance(self.position, datetime) and isinstance(other.position, datetime):
            return self.position > other.position
        raise ValueError(f"{self} and {other} cannot be compared: the type of the incremental key has changed")

    def earlier_by(self, minutes: int) -> Bound:
        """Return the bound minus a lookback: dates by whole days, rounded up; integers do not change."""
        if isinstance(self.position, int):
            return self
        if self.kind is BoundKind.DATE:
            return Bound(self.kind, self.position - timedelta(days=ceil(minutes / _MINUTES_A_DAY)))
        return Bound(self.kind, self.position - timedelta(minutes=minutes))

    def next(self) -> Bound:
        """Return the least bound that is later: the next integer, day or microsecond."""
        if isinstance(self.position, int):
            return Bound(self.kind, self.position + 1)
        step = timedelta(days=1) if self.kind is BoundKind.DATE else timedelta(microseconds=1)
        return Bound(self.kind, self.position + step)

    def __str__(self) -> str:
        if isinstance(self.position, int):
            return str(self.position)
        if self.kind is BoundKind.DATE:
            return self.position.date().isoformat()
        suffix = "+00" if self.kind is BoundKind.TIMESTAMP_TZ else ""
        return self.position.replace(tzinfo=None).isoformat(" ", "microseconds") + suffix


def parse_bound(text: str) -> Bound:
    """Parse a bound from the load log or from a warehouse's text form.

    Args:
        text: An integer, a date, or a timestamp with or without zone; without a zone it is UTC.

    Raises:
        ValueError: When the text is none of these.

    >>> parse_bound("10").is_later_than(parse_bound("9"))
    True
    >>> str(parse_bound("2013-01-01 07:00:00+07"))
    '2013-01-01 00:00:00.000000+00'
    """
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return Bound(BoundKind.INTEGER, int(text.partition(".")[0]))
    instant = datetime.fromisoformat(text)
    if _DATE.fullmatch(text):
        return Bound(BoundKind.DATE, instant.replace(tzinfo=UTC))
    if instant.tzinfo is None:
        return Bound(BoundKind.TIMESTAMP, instant.replace(tzinfo=UTC))
    return Bound(BoundKind.TIMESTAMP_TZ, instant.astimezone(UTC))


def latest_accepted(kind: BoundKind, now: datetime, max_skew_minutes: int) -> Bound | None:
    """Return the highest key that a window accepts now; None for integers, which are not times.

    Args:
        kind: Kind of the key.
        now: The current instant, with a zone.
        max_skew_minutes: How far in the future a row's key may be.
    """
    if kind is BoundKind.INTEGER:
        return None
    instant = now.astimezone(UTC)
    if kind is BoundKind.DATE:
        instant = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return Bound(kind, instant).earlier_by(-max_skew_minutes)
