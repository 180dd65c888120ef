"""Names on the Redshift stand-in: up to 127 bytes of them count, where PostgreSQL has 63 (r_names.html)."""

from __future__ import annotations

from typing import Any

import pytest
import redshift_connector

from tests.redshift_standin.server import Standin
from tests.support.redshift_project import connect

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

LONG = "t" * 120
OTHER = "t" * 119 + "u"
COLUMN = "ü" * 60  # 120 bytes
CUT = "c" * 127


def _asked(standin: Standin, *statements: str) -> tuple[list[Any], list[str]]:
    """Rows and column names of the last statement."""
    with connect(standin.profile()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [list(row) for row in cursor.fetchall()], [str(column[0]) for column in cursor.description]


def test_two_names_that_differ_late_are_two(redshift_standin: Standin) -> None:
    rows, names = _asked(
        redshift_standin,
        f"create table {LONG} ({COLUMN} integer)",
        f'create table "{OTHER}" (n varchar(200))',
        f"insert into {LONG} values (1)",
        f"insert into {OTHER} values ('{LONG.upper()}')",
        f"select a.{COLUMN}, b.n as {OTHER} from {LONG} as a cross join {OTHER} as b",
    )
    assert (rows, names) == ([[1, LONG.upper()]], [COLUMN, OTHER])


def test_catalog_shows_whole_names_and_finds_them(redshift_standin: Standin) -> None:
    made = f"create table {LONG} ({COLUMN} integer)"
    question = f"select table_name, column_name from svv_columns where table_name = '{LONG}'"
    assert _asked(redshift_standin, made, question)[0] == [[LONG, COLUMN]]


def test_longer_names_are_refused(redshift_standin: Standin) -> None:
    """Redshift would cut them at 127 bytes (r_CREATE_TABLE_NEW.html), and two tables could become one."""
    with pytest.raises(redshift_connector.ProgrammingError, match="127 bytes"):
        _asked(redshift_standin, f"create table cut ({CUT}c integer)")


def test_views_and_refusals_name_the_whole(redshift_standin: Standin) -> None:
    views = (f"create table {LONG} (n integer)", f"create materialized view {OTHER} as select n from {LONG}")
    assert _asked(redshift_standin, *views, f"select * from {OTHER}")[1] == ["n"]
    with pytest.raises(redshift_connector.ProgrammingError, match=f'relation "{CUT}" does not exist'):
        _asked(redshift_standin, f"select * from {CUT}")
