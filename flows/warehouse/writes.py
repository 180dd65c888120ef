"""Statements that write to a warehouse that is a server, outside dbt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.warehouse.connection import STATEMENT_TIMEOUT_SECONDS, connect_postgres, first_line
from metadata_sync.errors import HardRunError, SoftRunError

if TYPE_CHECKING:
    import psycopg
    from sqlglot import exp

    from flows.warehouse.profile import Profile


def try_writes(profile: Profile, statements: Sequence[exp.Expression]) -> None:
    """Run statements in a transaction that is rolled back; the embedded warehouse has no permissions and is skipped.

    Raises:
        SoftRunError: When the warehouse does not answer.
        HardRunError: When it refuses a statement.
    """
    if profile.is_embedded:
        return
    with _writing(profile) as connection, connection.transaction(force_rollback=True):
        for statement in statements:
            connection.execute(statement.sql(profile.dialect).encode())


def run_writes(profile: Profile, statements: Sequence[str]) -> None:
    """Run statements in the dialect of a server, all of them or none.

    Raises:
        SoftRunError: When the warehouse does not answer.
        HardRunError: When it refuses a statement.
    """
    with _writing(profile) as connection, connection.transaction():
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def _writing(profile: Profile) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    with connect_postgres(profile, STATEMENT_TIMEOUT_SECONDS) as connection:
        connection.read_only = False  # its transactions begin with `read write`
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SoftRunError(f"The warehouse did not answer: {first_line(error)}") from error
        except psycopg.Error as error:
            raise HardRunError(f"The warehouse refused a write: {first_line(error)}") from error
