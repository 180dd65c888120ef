"""What loads took of a Redshift warehouse: the shares equal an oracle that counts seconds one by one.

On the stand-in, whose history the tests fill: it proves the arithmetic and the SQL, not what AWS records.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest

from flows.context import Context
from flows.reports.cost import By, add_up
from flows.upkeep.costs import prices_of, read_costs
from flows.warehouse.connection import open_warehouse
from flows.warehouse.query_history import history_sql, read_history
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from metadata_sync.sql.redshift import check_script
from tests.redshift_standin.fixture import running
from tests.support.engine_project import copy_project
from tests.support.forked_sluice import run_sluice

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
BEGIN = NOW - timedelta(hours=4)
SECONDS = 3 * 3600
LABELS = [f"sluice run=r{number} target=dwh.t{number % 3} pipeline=p{number % 2}" for number in range(9)]


class History:
    """The tables behind the system views."""

    def __init__(self, url: str) -> None:
        self.url = url

    def statement(
        self, number: int, label: str, began_at: int, ended_at: int, *, queue: int = 0, user: str = ""
    ) -> None:
        """Note a statement that executed between two seconds after BEGIN."""
        times = [BEGIN + timedelta(seconds=second) for second in (began_at - queue, ended_at)]
        values = (number, label, *times, queue * 10**6, (ended_at - began_at) * 10**6, user)
        self._write(
            "insert into rs_catalog.query_history "
            "(query_id, query_label, start_time, end_time, queue_time, execution_time, user_id) "
            "values (%s, %s, %s, %s, %s, %s, (select usesysid from pg_user where usename = "
            "coalesce(nullif(%s, ''), current_user)))",
            values,
        )

    def charge(self, minute: int, rpu_seconds: int) -> None:
        """Note the charge of a minute after BEGIN."""
        times = [BEGIN + timedelta(minutes=at) for at in (minute, minute + 1)]
        self._write(
            "insert into rs_catalog.serverless_usage values (%s, %s, %s, %s)", (*times, rpu_seconds, rpu_seconds)
        )

    def clear(self) -> None:
        self._write("truncate rs_catalog.query_history, rs_catalog.serverless_usage", ())

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        with psycopg.connect(self.url, autocommit=True, options="-c timezone=UTC") as connection:
            connection.execute(sql, values)  # type: ignore[call-overload]


@pytest.fixture
def history(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    with running(postgres_url) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        yield History(postgres_url)


@pytest.fixture
def context(tmp_path: Path, history: History) -> Iterator[Context]:
    del history
    copy_project(tmp_path, {})
    context = Context(Project(tmp_path), Settings(environment="redshift", redshift_usd_per_hour=3.6), who="tester")
    yield context
    context.store.close()


def shares(statements: list[tuple[str, int, int]]) -> tuple[Counter[str], Counter[int]]:
    """Share each second among the statements that execute in it; return seconds by label, and busy seconds by hour."""
    by_label: Counter[str] = Counter()
    by_hour: Counter[int] = Counter()
    for second in range(SECONDS):
        here = [label for label, began_at, ended_at in statements if began_at <= second < ended_at]
        for label in here:
            by_label[label] += 1 / len(here)  # type: ignore[assignment]
        by_hour[(BEGIN + timedelta(seconds=second)).hour] += bool(here)
    return by_label, by_hour


def draw_statements(draw: Random, count: int) -> list[tuple[str, int, int]]:
    found = []
    for _ in range(count):
        began_at = draw.randrange(0, SECONDS - 700, 5)  # many begin and end in the same second
        found.append((draw.choice([*LABELS, "", "a dashboard"]), began_at, began_at + draw.randrange(5, 600, 5)))
    return found


@pytest.mark.parametrize("is_serverless", [False, True])
def test_shares_equal_an_oracle_and_never_exceed_the_time_of_the_warehouse(
    context: Context, history: History, is_serverless: bool
) -> None:
    draw = Random(5)
    warehouse = open_warehouse(context.profile, wait_seconds=0)
    for count in (1, 2, 8, 40):
        history.clear()
        statements = draw_statements(draw, count)
        for number, (label, began_at, ended_at) in enumerate(statements):
            history.statement(number, label, began_at, ended_at, queue=draw.randrange(60))
        charges = {minute: draw.randrange(500) for minute in draw.sample(range(SECONDS // 60), 30)}
        for minute, rpu_seconds in charges.items():
            history.charge(minute, rpu_seconds)
        expected, busy = shares(statements)

        found = read_history(warehouse, BEGIN - timedelta(hours=1), NOW, is_serverless=is_serverless)

        loads = [label for label in expected if label.startswith("sluice ")]
        assert {
            f"sluice run={cost.run_id} target={cost.target} pipeline={cost.pipeline_id}" for cost in found.loads
        } == {*loads}
        taken = {cost.run_id: cost for cost in found.loads}
        for label in loads:
            cost = taken[label.split()[1].removeprefix("run=")]
            mine = [ended_at - began_at for other, began_at, ended_at in statements if other == label]
            assert cost.share_seconds == pytest.approx(expected[label])
            assert (cost.statement_count, cost.execution_seconds) == (len(mine), pytest.approx(sum(mine)))
        everything = sum(cost.share_seconds for cost in found.loads) + found.other_seconds
        assert everything == pytest.approx(sum(busy.values()))
        charged = [cost.rpu_seconds for cost in found.loads if cost.rpu_seconds is not None]
        assert bool(charged) == (is_serverless and bool(loads))
        assert sum(charged) <= sum(charges.values()) + 1e-6
        if is_serverless and found.loads and not found.other_seconds:
            hours = {(BEGIN + timedelta(minutes=minute)).hour for minute in charges}
            paid = sum(v for m, v in charges.items() if busy[(BEGIN + timedelta(minutes=m)).hour])
            assert sum(charged) == pytest.approx(paid), hours
    warehouse.close()


def test_query_keeps_to_what_redshift_supports() -> None:
    for is_serverless in (False, True):
        assert not check_script(history_sql(BEGIN, is_serverless=is_serverless))


def test_what_was_read_stays_when_the_history_forgets_it(context: Context, history: History) -> None:
    history.statement(1, LABELS[0], 0, 100)
    history.statement(2, LABELS[0], 100, 200)
    history.statement(3, LABELS[1], 150, 200)
    read_costs(context, NOW)
    history.clear()
    history.statement(2, LABELS[0], 100, 200)
    read_costs(context, NOW)

    kept = {cost.run_id: (cost.statement_count, cost.share_seconds) for cost in context.store.load_costs(BEGIN)}
    lines = add_up(context.store.load_costs(BEGIN), By.PIPELINE, prices_of(context))

    assert kept == {"r0": (2, 175.0), "r1": (1, 25.0)}
    assert [(line.name, line.loads, round(line.usd or 0, 6)) for line in lines] == [("p0", 1, 0.175), ("p1", 1, 0.025)]


def test_time_of_others_is_invisible_to_a_user_that_is_no_superuser_and_the_report_says_so(
    context: Context, history: History
) -> None:
    context.store.close()
    with psycopg.connect(history.url, autocommit=True) as connection:
        connection.execute("create role somebody login")
    history.statement(1, LABELS[0], 0, 100)
    history.statement(2, "", 0, 100, user="somebody")
    environ = {**os.environ, "SLUICE_PROJECT_ROOT": str(context.project.root), "SLUICE_ENVIRONMENT": "redshift"}

    shown = run_sluice(["cost", "--since", "1d"], environ)
    document = json.loads(run_sluice(["cost", "--by", "load", "--json"], environ).stdout)

    assert shown.returncode == 0, shown.stderr
    assert "1 load took" in shown.stdout
    assert document["total"]["loads"] == 1
    assert document["costs"][0]["name"] == "dwh.t0 r0"
    if document["sees_all_statements"]:
        assert (document["total"]["share_seconds"], document["other_share_seconds"]) == (50.0, 50.0)
    else:
        assert (document["total"]["share_seconds"], document["other_share_seconds"]) == (100.0, 0.0)
        assert "no superuser" in shown.stdout
    assert "SLUICE_REDSHIFT_USD_PER_HOUR" in shown.stdout


def test_other_warehouses_keep_no_such_history(tmp_path: Path) -> None:
    copy_project(tmp_path, {})
    context = Context(Project(tmp_path), Settings(), who="tester")
    with pytest.raises(ConfigurationError, match="Only Redshift keeps a history") as refused:
        read_costs(context, NOW)
    context.store.close()
    assert "sluice savings" in str(refused.value)
