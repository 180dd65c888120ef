"""One time for all machines: that of the control database, which they share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cached_property

from sqlalchemy import Engine

from metadata_sync.database.engine import reading
from metadata_sync.database.leases import database_now


class SharedClock:
    """Tells the control database's time. It is asked once; from then on this machine only counts seconds.

    SQLite's clients are on one machine, whose clock they share.

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
        """Return what the shared clock said when this machine's own said that."""
        if self._engine.dialect.name == "sqlite":
            return instant
        return instant + (self() - datetime.now(UTC))

    @cached_property
    def _counted_from(self) -> datetime:
        with reading(self._engine) as connection:
            began = time.monotonic()
            told = database_now(connection)
            return told - timedelta(seconds=(began + time.monotonic()) / 2)  # it told half-way there and back
