"""Create the control database, or migrate it to the version of the code, when it is opened."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError

from metadata_sync.database.engine import BUSY_SECONDS, describe, lock_writers, reading, writing
from metadata_sync.errors import StoreError

HEAD_REVISION: Final = "0021"
"""The newest migration in this package."""

VERSION_TABLE: Final = "sluice_version"
"""Not Alembic's own name: Prefect's server may keep its tables in the same PostgreSQL database."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"

logger = logging.getLogger(__name__)


def bring_up_to_date(engine: Engine) -> None:
    """Create or migrate the control database unless it is current; other processes that open it wait.

    Raises:
        StoreError: When it is newer than this code, cannot be reached or cannot be written.
    """
    with reading(engine) as connection:
        if _revision(connection) == HEAD_REVISION:
            return
    if engine.dialect.name == "sqlite":
        _switch_to_wal(engine)
    with writing(engine) as connection:
        lock_writers(connection)
        _migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return None if revision is None else str(revision)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    found = _revision(connection)
    known = {script.revision: script.doc for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"The control database {describe(connection.engine.url)} is at version {found}, "
            f"which is newer than this Sluice knows ({HEAD_REVISION}).",
            "Upgrade Sluice to the version that wrote it, or set SLUICE_CONTROL_URL to another database.",
        )
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"The control database cannot be migrated: {error}", "Restore it from a backup.") from error
    if found is not None:
        news = [f"{revision}: {known[revision]}" for revision in sorted(known) if revision > found]
        logger.warning("The control database is migrated from revision %s. %s", found, " ".join(news))


def _switch_to_wal(engine: Engine) -> None:
    """Switch to WAL, so that readers and one writer can work in parallel; the file stores the mode.

    The switch needs exclusive access, and SQLite does not wait for it, so it is repeated here.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None, "a fresh connection has a driver"
                driver.execute("PRAGMA journal_mode = WAL")
                return
        except (OperationalError, sqlite3.OperationalError) as error:  # from SQLAlchemy or from the driver
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
