"""Time in the control database: the shared clock, ids that sort by time, conversion to UTC."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property

from sqlalchemy import Connection, Engine, func, select

from metadata_sync.database.engine import reading


class SharedClock:
    """The control database's clock. It is read once; after that this machine counts the seconds.

    With SQLite all clients are on one machine and use its clock.

    Args:
        engine: A connection to the control database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self) -> datetime:
        """Return the current instant, UTC.

        Raises:
            StoreError: At the first call, when the database cannot be reached.
        """
        if self._engine.dialect.name == "sqlite":
            return datetime.now(UTC)
        return self._counted_from + timedelta(seconds=time.monotonic())

    def correct(self, instant: datetime) -> datetime:
        """Convert an instant of this machine's clock to the shared clock."""
        if self._engine.dialect.name == "sqlite":
            return instant
        return instant + (self() - datetime.now(UTC))

    @cached_property
    def _counted_from(self) -> datetime:
        with reading(self._engine) as connection:
            began = time.monotonic()
            now = database_now(connection)
            # The database read its clock about half-way through the round trip.
            return now - timedelta(seconds=(began + time.monotonic()) / 2)


def database_now(connection: Connection) -> datetime:
    """Return the current instant of the database's clock, which all its clients share."""
    if connection.dialect.name == "sqlite":  # a file: its clients are on one machine
        text: str = connection.execute(select(func.strftime("%Y-%m-%d %H:%M:%f", "now"))).scalar_one()
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def new_id(now: datetime) -> str:
    """Return a unique id that sorts by time.

    >>> new_id(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))[:22]
    '20260102T030405000006-'
    """
    return f"{to_utc(now):%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}"


def to_utc(instant: datetime) -> datetime:
    """Return an instant in UTC without zone, as it is stored; an instant without zone is taken as UTC."""
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)
