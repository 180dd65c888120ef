"""Two schedulers and a person run the same pipelines at once, on machines an hour apart by the clock, while rows land.

No row is lost, none is loaded twice. A few runs each in CI;
`RUN_COUNT=30 pytest tests/flows/engine/test_schedulers_at_once.py` for a while longer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.run.model import RunRequest
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import load_settings
from tests.support.engine_project import REPOSITORY, copy_project
from tests.support.engine_selects import ROWS, SELECTS

RUNS = int(os.environ.get("RUN_COUNT", "3"))
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180 + 60 * RUNS)]

MACHINES = {"a scheduler ahead": 30, "a scheduler behind": -30, "a person": 0}
"""Whose clock is so many minutes off: what two of them call now differs by an hour."""

MACHINE = """
import datetime, sys

off, runs, who = datetime.timedelta(minutes=float(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
true = datetime.datetime


class AnyDatetime(type):
    def __instancecheck__(cls, item):
        return isinstance(item, true)


class WrongDatetime(true, metaclass=AnyDatetime):
    __slots__ = ()

    @classmethod
    def now(cls, tz=None):
        return true.now(tz) + off


datetime.datetime = WrongDatetime

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.run.model import OutcomeStatus, RunRequest
from flows.engine.rerun import rerun_refused
from metadata_sync.project import find_project
from metadata_sync.settings import load_settings

project = find_project()
context = Context(project, load_settings(project), who)
for _ in range(runs):
    plan = prepare(context, RunRequest(requested_by=who))
    for summary in (execute(context, plan), *rerun_refused(context, plan)):
        for outcome in summary.outcomes:
            print(outcome.target, outcome.status, outcome.decision.reason, outcome.error or "", flush=True)
"""


@pytest.fixture
def environment(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What every machine is told of the warehouse and of the control database, which stands on the same server."""
    parts = conninfo_to_dict(postgres_url)
    told = {f"SLUICE_POSTGRES_{name.upper()}": str(parts[name]) for name in ("host", "port", "user", "password")}
    told["SLUICE_POSTGRES_DATABASE"] = str(parts["dbname"])
    told["SLUICE_CONTROL_URL"] = postgres_url.replace("postgresql://", "postgresql+psycopg://", 1)
    told["SLUICE_ENVIRONMENT"] = "postgres"
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return told


def land(server: psycopg.Connection[tuple[object, ...]], first: int, count: int) -> None:
    server.execute(
        b"""insert into shop.orders select i, case i %% 2 when 0 then 'n' else 's' end, i,
            timestamp '2013-01-01' + i * interval '1 minute' from generate_series(%s::bigint, %s) as t (i)""",
        (first, first + count - 1),
    )


def start(root: Path, who: str, minutes: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a machine: a checkout of its own, and a clock of its own."""
    checkout = root.with_name(who.replace(" ", "_"))
    shutil.copytree(root, checkout)
    return subprocess.Popen(
        [sys.executable, "-c", MACHINE, str(minutes), str(RUNS), who],
        cwd=checkout,
        env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def land_until_all_have_ended(
    server: psycopg.Connection[tuple[object, ...]], machines: Sequence[subprocess.Popen[str]]
) -> None:
    first = 1001
    while any(machine.poll() is None for machine in machines):
        land(server, first, 5)
        first += 5
        time.sleep(0.5)


def test_no_row_is_lost_and_none_is_loaded_twice(
    tmp_path: Path, postgres_url: str, environment: dict[str, str]
) -> None:
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(ROWS))
    project = Project(root)
    context = Context(project, load_settings(project), who="tester")
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(b"create schema shop")
        server.execute(
            b"create table shop.orders (order_id bigint, region text, amount numeric(8, 2), landed_at timestamp)"
        )
        server.execute(b"create table shop.regions as select 'n'::text as region, 'North'::text as label, 1 as version")
        land(server, 1, 20)
        change_context = ChangeContext(context.project, context.store, context.columns, "tester")
        apply_plan(change_context, plan_files(change_context))

        machines = [start(root, who, minutes, environment) for who, minutes in MACHINES.items()]
        land_until_all_have_ended(server, machines)
        ended = [machine.communicate() for machine in machines]
        execute(context, prepare(context, RunRequest(requested_by="tester")))
        left = [decision for decision in prepare(context, RunRequest()).decisions if decision.action != "skip"]
        context.store.close()

        def asked(query: str) -> list[tuple[object, ...]]:
            return server.execute(query.encode()).fetchall()

        assert [machine.returncode for machine in machines] == [0, 0, 0], ended
        assert left == []
        orders = asked("select count(*), count(*), sum(amount) from shop.orders")
        assert asked("select count(*), count(distinct order_id), sum(amount) from postgres_dwh.fact_order") == orders
        assert asked("select region, amount from postgres_mart.region_total order by region") == asked(
            "select region, sum(amount) from shop.orders group by region order by region"
        )
        inserted = asked("select sum(rows_inserted) from postgres_sluice.load_log where target = 'dwh.fact_order'")
        assert inserted == [(orders[0][0],)], "each row was loaded by one load alone"
        runs = {run for (run,) in asked("select distinct run_id from postgres_sluice.load_log")}
        assert len(runs) > 1, ended
