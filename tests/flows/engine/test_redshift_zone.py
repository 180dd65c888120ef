"""Sessions on Redshift count in UTC whatever zone the user has: of loads, tests, `sluice dbt` and the gate.

20:00 UTC is the next day in Tokyo, where the user says it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from flows.context import Context
from flows.dbt.passthrough import run_dbt
from flows.dbt.runner import DbtRunner
from flows.warehouse.connection import open_warehouse
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.redshift_standin.server import Standin
from tests.support.engine_project import copy_project

pytestmark = [pytest.mark.postgres, pytest.mark.redshift_standin]

ZONE = "current_setting('timezone')"
DAY = "cast(timestamptz '2013-01-01 20:00:00+00' as date)"
WRITTEN = "cast(timestamptz '2013-07-01 20:00:00+00' as varchar(40))"
MODEL = f"{{{{ config(materialized='table') }}}}\nselect {DAY} as day, {WRITTEN} as written"
TEST = f"-- {{{{ ref('zones') }}}}\nselect {ZONE} as zone where {ZONE} <> 'UTC' or {DAY} <> date '2013-01-01'"


@pytest.fixture
def user_in_tokyo(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A stand-in whose user has a zone of its own; as on Redshift, that beats the database's."""
    with running(postgres_url) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            user = sql.Identifier(admin.info.user)
            admin.execute(
                sql.SQL("alter role {} in database {} set timezone to 'Asia/Tokyo'").format(
                    user, sql.Identifier(admin.info.dbname)
                )
            )
        yield standin


@pytest.fixture
def context(tmp_path: Path, user_in_tokyo: Standin) -> Iterator[Context]:
    root = tmp_path.resolve() / "project"
    root.mkdir()
    copy_project(root, {})
    dbt_dir = root / "dbt_project"
    (dbt_dir / "models").mkdir(exist_ok=True)
    (dbt_dir / "models" / "zones.sql").write_text(MODEL)
    (dbt_dir / "tests").mkdir(exist_ok=True)
    (dbt_dir / "tests" / "is_in_utc.sql").write_text(TEST)
    context = Context(Project(root), Settings(environment="redshift"), who="tester")
    yield context
    context.store.close()


def _stored(standin: Standin) -> list[tuple[str, str]]:
    with psycopg.connect(standin.url) as admin:
        ((schema,),) = admin.execute("select schemaname from pg_tables where tablename = 'zones'").fetchall()
        table = sql.Identifier(schema, "zones")
        return admin.execute(sql.SQL("select day::text, written from {}").format(table)).fetchall()


def test_stand_in_has_the_zone_of_the_user(user_in_tokyo: Standin) -> None:
    """Otherwise the tests below would prove nothing."""
    profile = user_in_tokyo.profile()
    with psycopg.connect(
        host="127.0.0.1",
        port=int(str(profile["port"])),
        user=str(profile["user"]),
        dbname=str(profile["dbname"]),
        password=str(profile["password"]),
        sslmode="disable",
        client_encoding="utf8",
    ) as connection:
        assert connection.execute(f"select {ZONE}".encode()).fetchall() == [("Asia/Tokyo",)]


def test_loads_and_tests_count_in_utc(context: Context, user_in_tokyo: Standin) -> None:
    runner = DbtRunner(context.project, context.settings, context.profile)
    results = runner.build(["zones"], unbuilt=(), variables={}, callbacks=())
    statuses = {result.name: str(result.status) for result in results}
    assert (statuses["zones"], statuses["is_in_utc"]) == ("success", "pass")
    assert _stored(user_in_tokyo) == [("2013-01-01", "2013-07-01 20:00:00+00")]


def test_dbt_by_hand_counts_in_utc(context: Context, user_in_tokyo: Standin) -> None:
    assert run_dbt(context, ["build", "--quiet", "--select", "zones"], {}) == 0
    assert _stored(user_in_tokyo) == [("2013-01-01", "2013-07-01 20:00:00+00")]


def test_gate_counts_in_utc(context: Context) -> None:
    warehouse = open_warehouse(context.profile, wait_seconds=5)
    rows = warehouse.query(f"select {ZONE}, cast({DAY} as varchar(10))")
    warehouse.close()
    assert rows == [("UTC", "2013-01-01")]
