"""A run through Prefect: what its page shows, and that its loads never depend on the server."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from flows.context import Context
from flows.doctor.server import examine_server
from flows.engine import engine
from flows.prefect.local_run import run_through_prefect
from flows.run.model import OutcomeStatus, Retry, RunRequest, RunSummary, SilentObserver, TargetOutcome, Wave
from flows.server.local import running_api_url
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.vocabulary import Engine
from metadata_sync.settings import Settings
from tests.support.live_server import Server, Way, free_port
from tests.support.order_project import PLANTED, land, open_orders, write_project

REQUEST = RunRequest(requested_by="tester")


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Context]:
    context = open_orders(write_project(tmp_path / "orders"))
    yield context
    context.store.close()


@pytest.fixture
def good_orders(tmp_path: Path) -> Iterator[Context]:
    context = open_orders(write_project(tmp_path / "orders", amount="12"))
    yield context
    context.store.close()


@dataclass
class Watcher(SilentObserver):
    """Cuts the way to the server as soon as dbt is about to begin, and remembers what it saw and when."""

    way: Way | None = None
    waves: list[Wave] = field(default_factory=list)
    loaded_at: float = 0.0

    def wave_started(self, wave: Wave) -> None:
        self.waves.append(wave)
        if self.way is not None:
            self.way.cut()

    def loaded(self, outcomes: list[TargetOutcome]) -> None:
        self.loaded_at = time.monotonic()


def test_run_page_tells_what_was_loaded_skipped_and_failed(orders: Context, server: Server) -> None:
    watcher = Watcher()
    plan = engine.prepare(orders, REQUEST)

    reported = run_through_prefect(orders, REQUEST, server.api_url, plan, watcher)

    assert reported.warnings == ()
    assert reported.summary.run_id == plan.run_id
    assert [wave.targets for wave in watcher.waves] == [("dwh.fact_order", "dwh.fact_payment")]
    assert reported.url is not None
    with urlopen(Request(reported.url, headers={"Accept": "text/html"})) as page:
        assert page.status == 200
    flow_run_id = reported.url.rpartition("/")[2]
    flow_run = server.ask(f"/flow_runs/{flow_run_id}")
    assert flow_run["name"].startswith("all pipelines · 20")
    assert sorted(flow_run["tags"]) == ["pipeline:orders_daily", "pipeline:payments"]
    assert flow_run["state"]["type"] == "FAILED"
    assert flow_run["state"]["message"] == "1 failed (dwh.fact_payment), 1 loaded, 2 skipped"
    _check_task_runs(server, flow_run_id)
    _check_log(server, flow_run_id)
    _check_artifacts(server, flow_run_id)
    _check_files(orders.project.root)
    assert "prefect.server.api.server" not in sys.modules  # what an ephemeral server would be made of


def test_first_load_goes_on_in_the_flow_and_has_a_page(good_orders: Context, server: Server) -> None:
    some = "select i as order_id, '1' as amount, timestamp '2013-01-01' + i * interval 1 hour as landed_at"
    land(good_orders.project.root, "orders", f"{some} from range(9) as t (i)")
    settings = good_orders.settings.model_copy(update={"first_load_rows": 3})
    context = Context(good_orders.project, settings, "tester")

    reported = run_through_prefect(context, RunRequest(("orders_daily",)), server.api_url)

    context.store.close()
    assert {item.first.target: item.first.is_done for item in reported.continued or ()} == {
        "dwh.fact_order": True,
        "dwh.fact_payment": True,
    }
    assert reported.url is not None
    only = {"artifacts": {"flow_run_id": {"any_": [reported.url.rpartition("/")[2]]}}}
    artifacts = {item["key"]: item["data"] for item in server.ask("/artifacts/filter", only)}
    key = "first-loads-orders-daily"
    assert key in artifacts
    page = server.ask("/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}})[0]["data"]
    assert page.startswith("## orders\\_daily: first loads are done")
    assert "| dwh.fact\\_payment | oldest first | 3 of 3 | 9 | all of its history | 0 |" in page
    assert "9 rows are loaded in 3 chunks, oldest first" in artifacts["gate-decisions-orders-daily"]


class Mender(Watcher):
    """Mends the order that a target stumbles over, as soon as its retry is announced."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def retrying(self, retries: list[Retry]) -> None:
        land(self._root, "orders", "select 1 as order_id, '12' as amount, timestamp '2013-01-01 08:00:00' as landed_at")


def test_retry_stands_on_the_run_page_with_its_reason(tmp_path: Path, server: Server) -> None:
    root = write_project(tmp_path / "orders")
    stumbling = "case when o.amount like 'twelve%' then error('deadlock detected') else '1' end"
    select = f"select o.order_id, cast({stumbling} as integer) as amount, o.landed_at from lake.orders as o\n"
    (root / "dbt_project" / "transformations" / "fact_payment.sql").write_text(select)
    opened = open_orders(root)
    context = Context(opened.project, Settings(retry_pause_seconds=0.1), "tester")

    reported = run_through_prefect(context, REQUEST, server.api_url, None, Mender(root))

    for used in (opened, context):
        used.store.close()
    assert not reported.summary.has_failed
    assert reported.url is not None
    shown = server.task_runs(reported.url.rpartition("/")[2], 5)["dwh.fact_payment"]
    states = [(state["name"], state["message"] or "") for state in server.states(shown["id"])]
    assert [name for name, _ in states] == ["Running", "Failed", "AwaitingRetry", "Retrying", "Completed"]
    assert states[2][1].startswith("serialization: try 2 of at most 5 in 0.")
    assert "deadlock detected" in states[2][1]
    assert shown["run_count"] == 2


def _check_task_runs(server: Server, flow_run_id: str) -> None:
    shown = server.task_runs(flow_run_id, 5)
    assert {name: (run["state_type"], run["state_name"]) for name, run in shown.items()} == {
        "gate": ("COMPLETED", "Completed"),
        "dwh.fact_order": ("COMPLETED", "Completed"),
        "dwh.fact_payment": ("FAILED", "Failed"),
        "dwh.dim_return": ("COMPLETED", "Skipped"),
        "mart.paid_order": ("CANCELLED", "Skipped"),
    }
    assert shown["gate"]["state"]["message"] == "2 run, 1 skip, 1 wait"
    decided = [line["message"] for line in server.logs(task_run_id=shown["gate"]["id"])]
    assert "dwh.dim_return: skip, lake.returns is empty" in decided
    assert shown["dwh.dim_return"]["state"]["message"] == "lake.returns is empty"
    assert "twelve" in shown["dwh.fact_payment"]["state"]["message"]
    edges = shown["mart.paid_order"]["task_inputs"]["wait_for"]
    assert [edge["id"] for edge in edges] == [shown["dwh.fact_payment"]["id"]]
    assert shown["dwh.fact_order"]["tags"] == ["pipeline:orders_daily", "load_type:append"]
    told = [line["message"] for line in server.logs(task_run_id=shown["dwh.fact_order"]["id"])]
    assert any(line.startswith("loaded · 1 read, 1 inserted · lake.orders: up to 2013-01-01 08:00") for line in told)


def _check_log(server: Server, flow_run_id: str) -> None:
    told = sorted(server.logs(flow_run_id=flow_run_id), key=lambda line: str(line["timestamp"]))
    lines = [line["message"] for line in told]
    assert lines[-1] == "1 failed (dwh.fact_payment), 1 loaded, 2 skipped"
    assert "dwh.dim_return: skip, lake.returns is empty" in lines
    assert "Wave 1: dbt builds dwh.fact_order, dwh.fact_payment" in lines
    assert any(line.startswith("mart.paid_order: skip, ") for line in lines)


def _check_files(root: Path) -> None:
    """The warehouse's error quotes a value that holds a secret: dbt's log and whatever else lies about must not."""
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix not in {".duckdb", ".wal", ".parquet"}]
    assert PLANTED not in json.dumps([file.read_bytes().decode(errors="replace") for file in files])
    assert "'twelve, password=***" in (root / "dbt_project" / "logs" / "dbt.log").read_text()


def _check_artifacts(server: Server, flow_run_id: str) -> None:
    only = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
    artifacts = {artifact["key"]: artifact for artifact in server.ask("/artifacts/filter", only)}
    details = {f"{kind}-orders-daily" for kind in ("gate-decisions", "freshness", "run-trend")}
    # The lineage is written when it changed, and runs of other tests have the same.
    shown = set(artifacts) - {"lineage-orders-daily"}
    assert shown == {"run-summary-orders-daily", "run-summary-payments", *details}
    assert "| dwh.dim\\_return | skip | lake.returns is empty |" in artifacts["gate-decisions-orders-daily"]["data"]
    assert "| dwh.fact\\_order | target | fresh |" in artifacts["freshness-orders-daily"]["data"]
    (lineage,) = server.ask("/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["lineage-orders-daily"]}}})
    assert "→ mart.paid_order (payments)" in lineage["data"]
    times, *_ = json.loads(artifacts["run-trend-orders-daily"]["data"])
    assert times["rows"] == 1
    assert min(times[phase] for phase in ("compile", "execute", "commit")) > 0
    page = artifacts["run-summary-orders-daily"]["data"]
    assert artifacts["run-summary-orders-daily"]["type"] == "markdown"
    assert "1 failed (dwh.fact\\_payment), 1 loaded, 1 skipped" in page
    assert "| dwh.dim\\_return | skipped | lake.returns is empty | – | – | – |" in page


def test_flow_decides_itself_when_a_deployment_starts_it(
    good_orders: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_through_prefect(good_orders, REQUEST, server.api_url)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.prefect.run_flow import run
    from flows.prefect.upkeep_flows import heal

    monkeypatch.setenv("SLUICE_PROJECT_ROOT", str(good_orders.project.root))
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        state = run(pipelines=["orders_daily"], engine=Engine.WAREHOUSE, return_state=True)
        stale = run(pipelines=["payments"], scheduled_by="1 1 1 1 * UTC", return_state=True)
        healed = heal(return_state=True)

    assert first.summary.count(OutcomeStatus.LOADED) == 3
    assert state.is_completed()
    assert state.message == "3 skipped"
    assert (stale.is_completed(), stale.name) == (True, "Skipped")
    assert str(stale.message).startswith("Not run: it was scheduled by 1 1 1 1 * UTC, and the row's schedule is now")
    assert healed.message == "The framework has deactivated no row."
    flow_run = server.ask(f"/flow_runs/{state.state_details.flow_run_id}")
    assert flow_run["name"].startswith("orders_daily · 20")
    assert (flow_run["parameters"]["requested_by"], flow_run["parameters"]["engine"]) == ("schedule", "warehouse")


def test_run_says_once_that_the_server_makes_no_task_runs_and_writes_them_otherwise(
    orders: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (orders.project.root / "lake" / "orders").iterdir():
        file.unlink()  # nothing is due
    for name in ("GRACE_SECONDS", "_KNOWN_GRACE_SECONDS"):
        monkeypatch.setattr(f"flows.prefect.reporting.fallback.{name}", 1.0)
    monkeypatch.setattr("flows.prefect.reporting.fallback._NOTE", "sluice-task-runs-of-a-test")  # the server is shared
    with monkeypatch.context() as patch:
        patch.setattr(
            "flows.prefect.reporting.events.ORCHESTRATION", "somebody else's"
        )  # what another version may ask for
        reported = run_through_prefect(orders, REQUEST, server.api_url)
        findings = {item.check: item for item in examine_server(orders, server.api_url)}
        again = run_through_prefect(orders, REQUEST, server.api_url)

    (warning,) = reported.warnings
    assert warning.endswith("they were written at the end, without times.")
    assert (findings["task runs"].level, "creates none" in findings["task runs"].message) == ("warn", True)
    flow_run_id = str(reported.url).rpartition("/")[2]
    shown = server.task_runs(flow_run_id, 5)
    assert {run["state_name"] for run in shown.values()} == {"Completed", "Held", "Skipped"}
    assert shown["dwh.dim_return"]["state"]["message"] == "lake.returns is empty"
    edges = shown["mart.paid_order"]["task_inputs"]["wait_for"]
    assert [edge["id"] for edge in edges] == [shown["dwh.fact_payment"]["id"]]
    assert [line["message"] for line in server.logs(flow_run_id=flow_run_id)].count(warning) == 1
    assert again.warnings == reported.warnings

    monkeypatch.setattr("flows.prefect.reporting.fallback._KNOWN_GRACE_SECONDS", 15.0)
    for _ in range(3):  # where the server's SQLite is busy, the next run takes the note away
        healed = run_through_prefect(orders, REQUEST, server.api_url)
        level = {item.check: item.level for item in examine_server(orders, server.api_url)}["task runs"]
        if level == "ok":
            break
    assert (healed.warnings, level) == ((), "ok")


def test_error_of_the_engine_reaches_the_caller_as_without_prefect(good_orders: Context, server: Server) -> None:
    with pytest.raises(ConfigurationError, match="no_such_pipeline"):
        run_through_prefect(good_orders, RunRequest(("no_such_pipeline",)), server.api_url)

    body = {"sort": "START_TIME_DESC", "limit": 1, "flow_runs": {"name": {"like_": "no_such_pipeline"}}}
    (flow_run,) = server.ask("/flow_runs/filter", body)
    assert flow_run["state_type"] == "FAILED"
    assert "no_such_pipeline" in flow_run["state"]["message"]
    errors = [line["message"] for line in server.logs(flow_run_id=flow_run["id"]) if line["level"] == logging.ERROR]
    assert "no_such_pipeline" in errors[0]


def test_run_goes_on_without_prefect_when_the_server_is_gone_before_it_begins(good_orders: Context) -> None:
    reported = run_through_prefect(good_orders, REQUEST, f"http://127.0.0.1:{free_port()}/api")

    assert reported.url is None
    assert "did not accept the run" in reported.warnings[0]
    assert reported.summary.count(OutcomeStatus.LOADED) == 3


def test_loads_complete_and_are_recorded_when_the_server_is_gone_for_good(good_orders: Context, server: Server) -> None:
    way = Way(server.local.port)
    configured = {"PREFECT_API_URL": way.api_url}
    assert running_api_url(good_orders, configured) == way.api_url

    watcher = Watcher(way=way)
    reported = run_through_prefect(good_orders, REQUEST, way.api_url, observer=watcher)
    seconds_after_dbt = time.monotonic() - watcher.loaded_at

    assert reported.summary.count(OutcomeStatus.LOADED) == 3
    recorded = good_orders.store.latest_loads().newest
    assert {load.target for load in recorded if load.status is LoadStatus.SUCCESS} == {
        "dwh.fact_order",
        "dwh.fact_payment",
        "mart.paid_order",
    }
    assert any("stopped responding" in warning for warning in reported.warnings), reported.warnings
    assert seconds_after_dbt < 20
    assert running_api_url(good_orders, configured) is None
    flow_run = server.ask(f"/flow_runs/{str(reported.url).rpartition('/')[2]}")
    assert flow_run["state_type"] == "RUNNING", "the server never heard of the end"


@dataclass
class Locker(Watcher):
    """Holds Prefect's database while dbt loads."""

    database: Path = Path()
    holder: sqlite3.Connection | None = None

    def wave_started(self, wave: Wave) -> None:
        self.holder = sqlite3.connect(self.database, isolation_level=None, timeout=60)
        self.holder.execute("begin exclusive")

    def finished(self, summary: RunSummary) -> None:
        self.let_go()

    def let_go(self) -> None:
        if self.holder is not None:
            self.holder.close()


def test_second_run_loads_only_what_is_new_while_prefects_own_database_is_locked(
    good_orders: Context, server: Server
) -> None:
    run_through_prefect(good_orders, REQUEST, server.api_url)
    land(
        good_orders.project.root,
        "orders",
        "select 2 as order_id, '7' as amount, timestamp '2013-01-02' as landed_at",
        "second",
    )

    locker = Locker(database=server.local.folder / "prefect.db")
    try:
        reported = run_through_prefect(good_orders, RunRequest(("orders_daily",)), server.api_url, observer=locker)
    finally:
        locker.let_go()

    assert locker.holder is not None
    assert reported.warnings == ()
    assert reported.summary.count(OutcomeStatus.LOADED) == 2
    newest = {load.target: load for load in good_orders.store.latest_loads().newest}
    assert newest["dwh.fact_order"].rows.inserted == 1
    flow_run_id = str(reported.url).rpartition("/")[2]
    shown = server.task_runs(flow_run_id, 4)
    assert sorted(run["state_name"] for run in shown.values()) == ["Completed", "Completed", "Completed", "Skipped"]
    flow_run = server.ask(f"/flow_runs/{flow_run_id}")
    assert flow_run["state"]["message"] == "2 loaded, 1 skipped"
