"""Tests of targets on the Redshift stand-in: rows are frozen there, tests run on DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.support.history_project import PostgresDatabase
from tests.support.unit_test_project import TARGETS, UnitTestProject

pytestmark = [pytest.mark.postgres, pytest.mark.redshift_standin]


@pytest.fixture
def project(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[UnitTestProject]:
    with running(postgres_url) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SLUICE_ENVIRONMENT", "redshift")
        database = PostgresDatabase(standin.url, "redshift_")
        project = UnitTestProject(tmp_path, database, Settings(environment="redshift"))
        project.land()
        yield project


def _select(project: UnitTestProject, text: str) -> None:
    (project.root / "dbt_project" / "transformations" / "customer_now.sql").write_text(text)


def test_rows_of_redshift_are_tested_on_duckdb(project: UnitTestProject, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = "nvl(e.city, 'none') as city, e.event_id / 3 as third"
    _select(project, f"select e.customer_id, {columns}, e.changed_at from shop.events as e")
    targets = [target for target in TARGETS if target != "dwh.last_seen"]  # reads a target without rows yet
    for target in targets:
        code, output = project.sluice("create", target)
        assert code == 0, (target, output)
    assert project.document("dwh.dim_customer")["columns"]["shop.events"]["city"] == "text(20)"
    monkeypatch.setenv("SLUICE_REDSHIFT_PORT", "1")
    code, found = project.results()
    assert (code, found["counts"]["passed"]) == (0, 2 * len(targets)), found


PORTABLE = (
    "nvl2(e.email, 'a', 'b')",
    "decode(e.city, 'Rome', 1, 'Pisa', 2, 0)",
    "datediff(day, e.changed_at, e.landed_at)",
    "dateadd(month, 1, e.changed_at)",
    "e.event_id / 2",
    "len(e.city)",
    "e.city || ' ' || e.email",
    "to_char(e.changed_at, 'YYYY-MM-DD')",
    "split_part(e.email, '@', 2)",
    "date_trunc('month', e.changed_at)",
    "last_day(e.changed_at)",
    "e.email ilike 'ada%'",
    "regexp_substr(e.email, '[0-9]+')",
    "charindex('@', e.email)",
    "md5(e.email)",
    "json_parse('[1]')",
)


def test_functions_that_both_know_are_tested(project: UnitTestProject) -> None:
    columns = ", ".join(f"{column} as v{number}" for number, column in enumerate(PORTABLE))
    _select(project, f"select e.customer_id, {columns}, e.changed_at from shop.events as e")
    code, output = project.sluice("create", "dwh.customer_now")
    assert code == 0, output


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("e.event_id::decimal(9, 2) / 7", "does not give what redshift gives"),
        ("fnv_hash(e.email)", "cannot be tested"),
        ("initcap(e.city)", "cannot be tested"),
        ("convert_timezone('UTC', 'Asia/Tokyo', e.changed_at)", "cannot be tested"),
    ],
)
def test_what_duckdb_does_otherwise_is_refused_by_name(project: UnitTestProject, column: str, reason: str) -> None:
    _select(project, f"select e.customer_id, {column} as value, e.changed_at from shop.events as e")
    code, output = project.sluice("create", "dwh.customer_now")
    assert (code, reason in output) == (2, True), output
    assert not project.file("dwh.customer_now").exists()
