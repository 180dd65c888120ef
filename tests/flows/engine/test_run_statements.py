"""A whole run sends few statements over few logins, and an idle gate sends next to none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from flows.context import Context
from flows.engine.engine import execute, hold_warehouse, prepare
from flows.run.model import RunRequest
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Standin
from tests.support.engine_project import copy_project, transformation
from tests.support.statement_trace import traced

pytestmark = [pytest.mark.postgres, pytest.mark.redshift_standin]

MOST_STATEMENTS = 45
MOST_LOGINS = 6
MOST_OF_IDLE_GATE = 5
SELECTS = {"dim_region": "select o.region, o.label, o.landed_at from shop.orders as o"}
ROWS = {
    "sources": [{"schema": "shop", "table": "orders", "kind": "warehouse", "incremental_key": "landed_at"}],
    "pipelines": [{"pipeline_id": "orders", "pipeline_name": "Orders", "template": "presentation"}],
    "transformations": [
        transformation(
            *("dwh", "dim_region", "orders", "shop.orders"),
            load_type="scd2",
            business_key=["region"],
            sequence_by=["landed_at"],
        )
    ],
}


@pytest.fixture
def standin(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    with running(postgres_url) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        yield standin


def _sql(standin: Standin, *statements: str) -> None:
    with psycopg.connect(standin.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _open(root: Path, standin: Standin) -> Context:
    _sql(
        standin,
        "create schema shop",
        "create table shop.orders (region varchar(5), label varchar(9), landed_at timestamp)",
        "insert into shop.orders values ('n', 'north', '2013-01-01'), ('s', 'south', '2013-01-01')",
    )
    root.mkdir()
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(ROWS))
    context = Context(Project(root), Settings(environment="redshift", retry_pause_seconds=0), who="tester")
    change_context = ChangeContext(context.project, context.store, context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    return context


def _run(context: Context) -> list[str]:
    """Run as `sluice run` does, in a process of its own."""
    fresh = Context(context.project, context.settings, who="tester")
    try:
        with hold_warehouse(fresh, "run"):
            summary = execute(fresh, prepare(fresh, RunRequest((), requested_by="tester")), sleep=lambda _: None)
    finally:
        fresh.store.close()
    return [outcome.status for outcome in summary.outcomes]


def _versions(standin: Standin) -> list[tuple[Any, ...]]:
    with psycopg.connect(standin.url) as connection:
        query = "select region, label, is_current from redshift_dwh.dim_region order by region, landed_at"
        return connection.execute(query).fetchall()


def test_run_and_idle_gate_send_few_statements(tmp_path: Path, standin: Standin) -> None:
    context = _open(tmp_path.resolve() / "project", standin)
    assert _run(context) == ["loaded"]
    _sql(standin, "insert into shop.orders values ('n', 'NORTH', '2013-01-02')")
    with traced(standin.journal) as sent:
        assert _run(context) == ["loaded"]
    assert len(sent.entries) <= MOST_STATEMENTS, sent
    assert sent.login_count <= MOST_LOGINS, sent
    assert not [entry.sql for entry in sent.entries if entry.error], sent
    assert _versions(standin) == [("n", "north", False), ("n", "NORTH", True), ("s", "south", True)]

    with traced(standin.journal) as sent:
        assert _run(context) == ["skipped"]
    assert len(sent.entries) <= MOST_OF_IDLE_GATE, sent
    assert sent.login_count == 1, sent


def test_session_that_was_lost_during_the_load_is_opened_again(tmp_path: Path, standin: Standin) -> None:
    context = _open(tmp_path.resolve() / "project", standin)
    with traced(standin.journal) as sent:
        standin.journal.faults.append(Fault(r"^select target, load_id", action=Action.DROP))
        assert _run(context) == ["loaded"]
    assert standin.journal.faults[0].hits == 1
    assert len(sent.matching(r"^select target, load_id")) == 2, sent
    assert _versions(standin) == [("n", "north", True), ("s", "south", True)]


def test_no_transaction_of_the_gate_stands_while_dbt_loads(tmp_path: Path, standin: Standin) -> None:
    context = _open(tmp_path.resolve() / "project", standin)
    with traced(standin.journal) as sent:
        assert _run(context) == ["loaded"]
    gate = sent.entries[0].session
    assert [entry.transaction for entry in sent.entries if entry.session == gate if entry.transaction] == []
    rows, log = (
        {entry.transaction for entry in sent.matching(rf'insert into "[^"]+"\."{schema}"\."{table}"')}
        for schema, table in (("redshift_dwh", "dim_region"), ("redshift_sluice", "load_log"))
    )
    assert rows == log != {None}, "rows and log row are written in one transaction"
