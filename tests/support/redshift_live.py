"""A real Redshift for the tests marked `redshift_live`: a database of its own, dropped afterwards.

    REDSHIFT_HOST=… REDSHIFT_USER=… REDSHIFT_PASSWORD=… make test ARGS="-m redshift_live"

The user needs CREATEDB. Also read: REDSHIFT_PORT (5439), REDSHIFT_DATABASE (dev: where the session begins that makes
the other database) and REDSHIFT_SSLMODE (verify-full).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.redshift_project import connect

NEEDED = ("REDSHIFT_HOST", "REDSHIFT_USER", "REDSHIFT_PASSWORD")


@dataclass(frozen=True)
class Workgroup:
    """Where a live Redshift is; stands where a stand-in does.

    Attributes:
        database: The tests' own.
    """

    database: str

    def profile(self, **changes: object) -> dict[str, object]:
        """dbt's output for this database, with the settings that our profile states."""
        return {
            "type": "redshift",
            "host": os.environ["REDSHIFT_HOST"],
            "port": int(os.environ.get("REDSHIFT_PORT", "5439")),
            "user": os.environ["REDSHIFT_USER"],
            "password": os.environ["REDSHIFT_PASSWORD"],
            "dbname": self.database,
            "schema": "public",
            "sslmode": os.environ.get("REDSHIFT_SSLMODE", "verify-full"),
            "retries": 0,
            "retry_all": False,
            "autocommit": True,
            **changes,
        }


@contextlib.contextmanager
def workgroup() -> Iterator[Workgroup]:
    """A database in the workgroup that the environment names."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.fail(
            f"The live tests need {', '.join(missing)} in the environment: a workgroup, and a user with CREATEDB."
        )
    name = f"sluice_test_{secrets.token_hex(6)}"
    start = Workgroup(os.environ.get("REDSHIFT_DATABASE", "dev"))
    with connect(start.profile()) as connection:
        connection.cursor().execute(f"create database {name}")
    try:
        yield Workgroup(name)
    finally:
        with connect(start.profile()) as connection:
            connection.cursor().execute(f"drop database {name} force")
