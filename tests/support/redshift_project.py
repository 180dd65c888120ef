"""A small dbt project whose warehouse is Redshift or its stand-in, through the real dbt-redshift adapter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import redshift_connector
from redshift_connector.core import Connection

from metadata_sync.sql.redshift import Finding, check_script
from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject


class Redshift(Protocol):
    """A stand-in, or a live workgroup."""

    def profile(self, **changes: object) -> dict[str, object]:
        """dbt's output."""
        ...


@contextlib.contextmanager
def connect(profile: Mapping[str, Any]) -> Iterator[Connection]:
    """Open a session that commits each statement, where dbt's output leads."""
    connection = redshift_connector.connect(
        host=profile["host"],
        port=profile["port"],
        user=profile["user"],
        password=profile["password"],
        database=profile["dbname"],
        ssl=profile["sslmode"] != "disable",
        sslmode="verify-full" if profile["sslmode"] == "verify-full" else "verify-ca",
    )
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


class RedshiftProject(DbtProject):
    """A DbtProject on Redshift. Tests read and write through redshift_connector as well."""

    def __init__(self, root: Path, place: Redshift, threads: int = 2, **profile: object) -> None:
        self.place = place
        super().__init__(root, threads, profile=place.profile(**profile))

    @property
    def standin(self) -> Standin:
        """Where the project is, for tests that listen in."""
        assert isinstance(self.place, Standin)
        return self.place

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with connect(self.place.profile()) as connection, connection.cursor() as cursor:
            cursor.execute(sql, list(parameters) or None)
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with connect(self.place.profile()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Write rows to a table, all at once; there is at least one."""
        values = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in rows)
        self.execute(f"insert into {table} values {values}")

    def broken_rules(self) -> dict[str, tuple[Finding, ...]]:
        """What the rules of `sluice lint` say of the statements that models have sent, by statement."""
        sent = {entry.sql for entry in self.standin.journal.entries if entry.node is not None}
        return {sql: findings for sql in sorted(sent) if (findings := check_script(sql))}


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower()
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
