"""Connections to the control database, SQLite in WAL mode or PostgreSQL through psycopg 3, and its clock."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from metadata_sync.errors import ConfigurationError, StoreError

BUSY_SECONDS: Final = 30
"""How long a statement waits for another writer."""

_WRITES: Final = "sluice_writes"
_ADVISORY_LOCK: Final = 0x51_C1_CE  # any number that every Sluice process agrees on


def parse_url(url: str) -> URL:
    """Parse a SQLAlchemy URL; `postgresql://` and `postgres://` mean psycopg 3.

    Raises:
        ConfigurationError: When it is not a URL of SQLite or PostgreSQL.
    """
    hint = "Set SLUICE_CONTROL_URL to sqlite:///path/to/control.db or postgresql://user@host/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("SLUICE_CONTROL_URL is not a database URL.", hint) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        return parsed
    raise ConfigurationError(f"{parsed.drivername!r} is not supported: only SQLite and PostgreSQL are.", hint)


def may_exist(url: URL) -> bool:
    """Whether a database is there, as far as can be told without connecting: the file of SQLite, any server."""
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def open_engine(url: URL) -> Engine:
    """Create an engine without connecting; the folder of an SQLite file is created.

    Raises:
        StoreError: When the driver is not installed or the folder cannot be created.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    try:
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            "The control database is PostgreSQL, but its driver is not installed.", "Install sluice-data[postgres]."
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction with a consistent snapshot."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _explaining(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a writing transaction; it rolls back on any error, and writers wait for each other."""
    with (
        _explaining(engine),
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        yield connection


def lock_writers(connection: Connection) -> None:
    """Wait until no other process changes rows or the schema; with SQLite the transaction has done so."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))


def describe(url: URL) -> str:
    """Return the database's name for a message, without its password, which can also be in the query."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.set(query={}).render_as_string()


def _sqlite_engine(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create_private(Path(url.database))
        except OSError as error:
            raise StoreError(
                f"The folder of the control database cannot be created: {error.strerror} ({folder}).",
                "Make it writable, or set SLUICE_CONTROL_URL to another place.",
            ) from error
    # No pool: opening a file is fast, and no connection stays open.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_private(file: Path) -> None:
    """Create a file that no other user may read; SQLite takes an empty one for a new database."""
    with suppress(OSError):  # it is there, or cannot be made: opening it says why
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction handling begins too late and commits before DDL; `_begin_sqlite` sends BEGIN instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: two writers wait for each other, instead of failing at the lock upgrade.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explaining(engine: Engine) -> Iterator[None]:
    """Convert a driver's error to a StoreError with a remedy."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(engine.url, error) from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"The control database {describe(engine.url)} failed: {error}", "Run `sluice doctor`."
        ) from error


_SQLITE_CAUSES: Final = (
    ("not a database", "is not an SQLite database.", "Move that file away, or restore it from a backup."),
    ("malformed", "is damaged.", "Restore it from a backup, or move it away and run `sluice control apply`."),
    ("readonly", "cannot be written.", "Make the file and its folder writable for this user."),
    ("unable to open", "cannot be opened.", "Make sure that its folder exists and is writable for this user."),
    ("locked", "is locked by another process.", "Wait for the other command to finish, then try again."),
    ("full", "cannot grow: the disk is full.", "Free some space, then try again."),
)


def _explain(url: URL, error: DBAPIError) -> StoreError:
    cause = str(error.orig).strip()
    name = describe(url)
    if url.get_backend_name() == "sqlite":
        for needle, message, hint in _SQLITE_CAUSES:
            if needle in cause:
                return StoreError(f"The control database {name} {message}", hint)
    elif error.connection_invalidated or "connection" in cause:
        return StoreError(
            f"The control database {name} cannot be reached: {cause}",
            "Start it, or correct SLUICE_CONTROL_URL; `sluice doctor` shows the configuration.",
        )
    message = f"The control database {name} refused the statement: {cause}"
    return StoreError(message, "Nothing was changed. Run `sluice doctor`.")


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
