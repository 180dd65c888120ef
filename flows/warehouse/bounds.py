"""Window bounds as the load log keeps them: text that is compared as what it means, never as text."""

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
    """What kind of incremental key a bound belongs to."""

    INTEGER = "integer"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp_tz"


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a window.

    Attributes:
        kind: Decides how the bound is written and how far a duration moves it.
        position: The integer, or the instant in UTC (a date is its midnight).
    """

    kind: BoundKind
    position: int | datetime

    def is_later_than(self, other: Bound) -> bool:
        """Tell whether this bound lies beyond the other.

        Raises:
            ValueError: When an integer is compared with an instant: the key's type has changed.
        """
        if isinstance(self.position, int) and isinstance(other.position, int):
            return self.position > other.position
        if isinstance(self.position, datetime) and isinstance(other.position, datetime):
            return self.position > other.position
        raise ValueError(f"{self} and {other} cannot be compared: the incremental key is no longer of the same kind")

    def earlier_by(self, minutes: int) -> Bound:
        """Return the bound moved down by a lookback: a date by whole days, rounded up, an integer not at all."""
        if isinstance(self.position, int):
            return self
        if self.kind is BoundKind.DATE:
            return Bound(self.kind, self.position - timedelta(days=ceil(minutes / _MINUTES_A_DAY)))
        return Bound(self.kind, self.position - timedelta(minutes=minutes))

    def __str__(self) -> str:
        if isinstance(self.position, int):
            return str(self.position)
        if self.kind is BoundKind.DATE:
            return self.position.date().isoformat()
        suffix = "+00" if self.kind is BoundKind.TIMESTAMP_TZ else ""
        return self.position.replace(tzinfo=None).isoformat(" ", "microseconds") + suffix


def parse_bound(text: str) -> Bound:
    """Read a bound as a load log or a warehouse's text form writes it.

    Args:
        text: An integer, a date, or a timestamp with or without zone; without one it is UTC.

    Raises:
        ValueError: When text is none of these.

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
    """Return the highest key that a window may hold at that moment; None for integers, which have no clock.

    Args:
        kind: Kind of the key.
        now: The current instant, with a zone.
        max_skew_minutes: How far a row may lie in the future.
    """
    if kind is BoundKind.INTEGER:
        return None
    instant = now.astimezone(UTC)
    if kind is BoundKind.DATE:
        instant = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return Bound(kind, instant).earlier_by(-max_skew_minutes)
