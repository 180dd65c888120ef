"""The engine on the Redshift stand-in: views behind the gate, and faults that a run lives through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, LiteralString, cast

import duckdb
import psycopg
import pytest
import yaml

from flows.context import Context
from flows.doctor.clocks import examine_clocks
from flows.engine.engine import execute, prepare
from flows.gate.facts import Reason
from flows.run.model import RunRequest, TargetOutcome
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Standin
from tests.support.engine_project import copy_project, server_rows

SELECTS = {
    "fact_order": "select o.order_id, o.region, o.amount, o.landed_at from shop.orders as o",
    "dim_region": "select o.region, o.landed_at from shop.orders as o",
    "region_total": "select o.region, sum(o.amount) as amount from shop.orders as o group by o.region",
    "order_count": "select o.region, count(*) as order_count from shop.orders as o group by o.region",
}
ROWS = server_rows("shop.orders")
ORDERS = (
    "create schema shop",
    "create table shop.orders (order_id bigint, region varchar(5), amount numeric(8, 2), landed_at timestamp)",
    "insert into shop.orders values (1, 'n', 10, '2013-01-01'), (2, 's', 20, '2013-01-01')",
)
COUNTS = "select region, order_count from {prefix}mart.order_count order by region"


@dataclass
class Shop:
    """A project whose source stands in the warehouse.

    Attributes:
        context: The project.
        run_sql: Runs a statement in the warehouse and returns its rows.
        prefix: Of schemas that dbt writes.
    """

    context: Context
    run_sql: Callable[[str], list[tuple[Any, ...]]]
    prefix: str = ""

    def run(self, *pipelines: str) -> dict[str, TargetOutcome]:
        plan = prepare(self.context, RunRequest(pipelines, requested_by="tester"))
        summary = execute(self.context, plan, sleep=lambda _: None)
        return {outcome.target: outcome for outcome in summary.outcomes}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.run_sql(sql.format(prefix=self.prefix))


def _open(root: Path, environment: str, run_sql: Callable[[str], list[tuple[Any, ...]]], prefix: str = "") -> Shop:
    root.mkdir()
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(ROWS))
    settings = Settings(environment=environment, lock_wait_seconds=30, retry_pause_seconds=0)
    shop = Shop(Context(Project(root), settings, who="tester"), run_sql, prefix)
    for statement in ORDERS:
        run_sql(statement)
    change_context = ChangeContext(shop.context.project, shop.context.store, shop.context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    return shop


@pytest.fixture
def standin(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A stand-in to which the repository's own profile leads."""
    with running(postgres_url) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        yield standin


def _on_duckdb(tmp_path: Path) -> Shop:
    root = tmp_path.resolve() / "project"

    def run_sql(sql: str) -> list[tuple[Any, ...]]:
        (root / ".sluice").mkdir(exist_ok=True)
        with duckdb.connect(str(root / ".sluice" / "dev.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    return _open(root, "dev", run_sql)


def _on_standin(tmp_path: Path, standin: Standin) -> Shop:
    def run_sql(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(standin.url, autocommit=True) as connection:
            cursor = connection.execute(cast("LiteralString", sql))
            return cursor.fetchall() if cursor.description else []

    return _open(tmp_path.resolve() / "project", "redshift", run_sql, "redshift_")


@pytest.fixture(params=["duckdb", pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin])])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    is_embedded = request.param == "duckdb"
    shop = _on_duckdb(tmp_path) if is_embedded else _on_standin(tmp_path, request.getfixturevalue("standin"))
    yield shop
    shop.context.store.close()


def test_materialized_view_is_made_left_alone_and_refreshed_for_new_rows(shop: Shop) -> None:
    assert shop.run("views")["mart.order_count"].status == "loaded"
    assert shop.query(COUNTS) == [("n", 1), ("s", 1)]

    idle = shop.run("views")["mart.order_count"]
    assert (idle.status, idle.decision.reason) == ("skipped", Reason.NOTHING_NEW)

    shop.query("insert into shop.orders values (3, 'n', 30, '2013-01-02')")
    assert shop.query(COUNTS) == [("n", 1), ("s", 1)]
    assert shop.run("views")["mart.order_count"].status == "loaded"
    assert shop.query(COUNTS) == [("n", 2), ("s", 1)]


@pytest.mark.postgres
@pytest.mark.redshift_standin
def test_run_lives_through_conflicts_and_lost_connections(tmp_path: Path, standin: Standin) -> None:
    shop = _on_standin(tmp_path, standin)
    log = "insert into [^ ]*load_log"
    within_log = Fault(r"^(/\*.*\*/)?\s*commit", within=log)
    faults = {
        "dwh.fact_order": Fault(log, "could not complete because of conflict with concurrent transaction"),
        "dwh.dim_region": replace(within_log, action=Action.DROP_AFTER),
        "mart.region_total": Fault("update [^ ]*__head", "1023", detail="Serializable isolation violation on table"),
    }
    standin.journal.faults += [replace(fault, node=name.replace(".", "__")) for name, fault in faults.items()]

    clocks = list(examine_clocks(shop.context))
    outcomes = shop.run("orders")
    shop.context.store.close()

    assert [(item.check, item.level) for item in clocks] == [("clock warehouse", "ok")]
    assert [fault.hits for fault in standin.journal.faults] == [1, 1, 1]
    fared = {name: (str(outcome.status), outcome.attempts) for name, outcome in outcomes.items()}
    assert fared == dict.fromkeys(faults, ("loaded", 2))
    assert shop.query("select target, count(*) from {prefix}sluice.load_log group by target order by target") == [
        (name, 1) for name in sorted(faults)
    ]
    assert shop.query("select count(*) from {prefix}dwh.fact_order") == [(2,)]
    assert shop.query("select region from {prefix}dwh.dim_region order by region") == [("n",), ("s",)]
    totals = shop.query("select region, amount from {prefix}mart.region_total order by region")
    assert totals == shop.query("select region, sum(amount) from shop.orders group by region order by region")
