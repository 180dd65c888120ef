"""A small dbt project whose warehouse is a database of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.support.dbt_project import DbtProject


class PostgresProject(DbtProject):
    """A DbtProject on the database of a URL."""

    def __init__(self, root: Path, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        super().__init__(
            root,
            profile={
                "type": "postgres",
                "host": parts.hostname,
                "port": parts.port,
                "user": parts.username,
                "password": parts.password,
                "dbname": parts.path[1:],
                "schema": "public",
            },
        )

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Write rows to a table, all at once; there is at least one."""
        marks = ", ".join(["%s"] * len(rows[0]))
        with psycopg.connect(self._url) as connection:
            connection.cursor().executemany(f"insert into {table} values ({marks})", rows)
