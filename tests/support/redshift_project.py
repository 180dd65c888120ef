"""A small dbt project whose warehouse is the Redshift stand-in, through the real dbt-redshift adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redshift_connector

from metadata_sync.sql.redshift import Finding, check_script
from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject


class RedshiftProject(DbtProject):
    """A DbtProject on a stand-in. Tests read and write through redshift_connector as well."""

    def __init__(self, root: Path, standin: Standin, threads: int = 2, **profile: object) -> None:
        self.standin = standin
        super().__init__(root, threads, profile=standin.profile(**profile))

    def _cursor(self) -> redshift_connector.Connection:
        output = self.standin.profile()
        return redshift_connector.connect(
            host=output["host"],
            port=output["port"],
            user=output["user"],
            password=output["password"],
            database=output["dbname"],
            ssl=False,
        )

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with self._cursor() as connection, connection.cursor() as cursor:
            cursor.execute(sql, list(parameters) or None)
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with self._cursor() as connection, connection.cursor() as cursor:
            connection.autocommit = True
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
    return "'" + str(value).replace("'", "''") + "'"
