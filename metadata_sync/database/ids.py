"""Ids that sort by time, and instants as both databases keep them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_id(now: datetime) -> str:
    """Return an id that sorts by time and that nobody else makes.

    >>> new_id(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))[:22]
    '20260102T030405000006-'
    """
    return f"{to_utc(now):%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}"


def to_utc(instant: datetime) -> datetime:
    """Return an instant in UTC without its zone, as it is stored; one without a zone is UTC already."""
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)
