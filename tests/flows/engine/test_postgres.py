"""The engine on a server: schemas of the environment, sources in the warehouse, no file lock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from flows.backfill.backfill import BackfillRequest, plan_backfill, run_backfill
from flows.context import Context
from flows.dbt.runner import DbtRunner
from flows.doctor.clocks import examine_clocks
from flows.doctor.finding import Level
from flows.engine.engine import execute, prepare
from flows.gate.facts import Reason
from flows.run.model import RunRequest, RunSummary
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.engine_project import copy_project
from tests.support.engine_selects import ROWS, SELECTS

pytestmark = pytest.mark.postgres


@pytest.fixture
def context(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Context:
    parts = conninfo_to_dict(postgres_url)
    for name, value in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")):
        monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[value]))
    monkeypatch.setenv("SLUICE_POSTGRES_DATABASE", str(parts["dbname"]))
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(ROWS))
    return Context(Project(root), Settings(environment="postgres"), who="tester")


@pytest.fixture
def server(postgres_url: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(postgres_url, autocommit=True)
    connection.execute(b"""
        create schema shop;
        create table shop.orders (order_id bigint, region varchar(5), amount numeric(8, 2), landed_at timestamp);
        insert into shop.orders select i, case i % 2 when 0 then 'n' else 's' end, i,
            timestamp '2013-01-01' + i * interval '1 minute' from generate_series(1, 20) as t (i);
        create table shop.regions (region varchar(5), label varchar(20), version integer);
        insert into shop.regions values ('n', 'North', 1), ('s', 'South', 1);
    """)
    return connection


def run(context: Context) -> RunSummary:
    return execute(context, prepare(context, RunRequest(requested_by="tester")))


def test_loads_count_in_utc_whatever_zone_the_database_has(
    context: Context, server: psycopg.Connection[tuple[object, ...]]
) -> None:
    """20:00 UTC is the next day in Tokyo, where the database and the role say they are."""
    models = context.project.dbt_dir / "models"
    models.mkdir(exist_ok=True)
    (models / "zones.sql").write_text(
        "{{ config(materialized='table') }}\n"
        "select cast(timestamptz '2013-01-01 20:00:00+00' as date) as day,"
        " cast(timestamptz '2013-07-01 20:00:00+00' as varchar) as written, current_setting('timezone') as zone"
    )
    with server:
        name = server.info.dbname
        server.execute(f"alter database \"{name}\" set timezone = 'Asia/Tokyo'".encode())
        server.execute(f"alter role \"{server.info.user}\" set timezone = 'Asia/Tokyo'".encode())
        try:
            results = DbtRunner(context.project, context.settings, context.profile).run(["zones"], variables={})
            assert [result.status for result in results if result.name == "zones"] == ["success"]
            found = server.execute(b"select schemaname from pg_tables where tablename = 'zones'").fetchall()
            ((schema,),) = found
            rows = server.execute(f'select day::text, written, zone from "{schema}".zones'.encode()).fetchall()
        finally:
            server.execute(f'alter role "{server.info.user}" reset timezone'.encode())
        context.store.close()

    assert rows == [("2013-01-01", "2013-07-01 20:00:00+00", "UTC")]


def test_engine_runs_on_postgresql(context: Context, server: psycopg.Connection[tuple[object, ...]]) -> None:
    with server:
        change_context = ChangeContext(context.project, context.store, context.columns, "tester")
        apply_plan(change_context, plan_files(change_context))

        first = run(context)
        assert [(outcome.target, outcome.status, outcome.error) for outcome in first.outcomes] == [
            (name, "loaded", None) for name in ("dwh.dim_region", "dwh.fact_order", "mart.region_total")
        ]
        idle = prepare(context, RunRequest())
        assert {decision.reason for decision in idle.decisions} == {Reason.NOTHING_NEW}

        server.execute(b"insert into shop.orders values (21, 'n', 5, timestamp '2013-01-01 00:10:00')")
        server.execute(b"update shop.regions set version = 2, label = 'Far south' where region = 's'")
        second = run(context)
        context.store.close()

        assert {outcome.target: outcome.decision.reason for outcome in second.outcomes} == {
            "dwh.dim_region": Reason.SOURCE_CHANGED,
            "dwh.fact_order": Reason.LATE_ROWS,
            "mart.region_total": Reason.UPSTREAM_LOADED,
        }
        assert not second.has_failed
        assert server.execute(b"select region, amount from postgres_mart.region_total order by region").fetchall() == (
            server.execute(b"select region, sum(amount) from shop.orders group by region order by region").fetchall()
        )
        label = server.execute(b"select label from postgres_dwh.dim_region where region = 's'").fetchone()
        assert label == ("Far south",)
        assert not (context.project.state_dir / "warehouse-postgres.lock").exists()


def test_backfill_runs_on_postgresql(context: Context, server: psycopg.Connection[tuple[object, ...]]) -> None:
    with server:
        change_context = ChangeContext(context.project, context.store, context.columns, "tester")
        apply_plan(change_context, plan_files(change_context))
        run(context)
        server.execute(b"delete from postgres_dwh.fact_order where order_id between 3 and 15")
        watermarks = b"select target, source, window_end, load_id from postgres_sluice.watermark_control order by 1, 2"
        before = server.execute(watermarks).fetchall()

        request = BackfillRequest("orders", "2013-01-01", "2013-01-01 00:10", "4min")
        plan = plan_backfill(context, request)
        summary = run_backfill(context, plan)
        context.store.close()

        assert [(item.target, len(item.chunks)) for item in plan.targets] == [("dwh.fact_order", 3)]
        assert {item.target for item in plan.left_out} == {"dwh.dim_region", "mart.region_total"}
        assert [(item.done, item.rows.inserted, item.error) for item in summary.targets] == [(3, 8, None)]
        assert server.execute(b"select count(*) from postgres_dwh.fact_order").fetchone() == (15,)
        assert server.execute(watermarks).fetchall() == before


def test_clocks_that_differ_are_found_with_the_number(context: Context, postgres_url: str) -> None:
    url = postgres_url.replace("postgresql", "postgresql+psycopg", 1)
    shared = replace(context, settings=context.settings.model_copy(update={"control_url": url}))

    together = [(item.check, item.level) for item in examine_clocks(shared)]
    apart = list(examine_clocks(shared, now=lambda: datetime.now(UTC) + timedelta(seconds=90)))
    shared.store.close()

    assert together == [("clock control database", Level.OK), ("clock warehouse", Level.OK)]
    assert [(item.level, item.message) for item in apart] == [(Level.WARN, "-90 s from this machine's")] * 2
