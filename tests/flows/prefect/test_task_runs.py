"""The bridge's contract with Prefect: what is reported about dbt's nodes is what the server shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.prefect.reporting.events import HELD, NOT_DUE
from flows.prefect.reporting.observer import PrefectObserver
from flows.run.model import RunPlan, RunRequest
from tests.support.emr_project import EmrProject
from tests.support.emr_simulator import ClusterPlot, EmrSimulator
from tests.support.live_server import Server, Way
from tests.support.shop_project import bridged, build, write_shop

SOON = timedelta(seconds=60)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    yield write_shop(tmp_path / "shop")
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


@pytest.fixture
def flow_run_id(server: Server) -> str:
    flow = server.ask("/flows/", {"name": "shop"})
    run = server.ask("/flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING"}})
    return str(run["id"])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_every_node_of_two_invocations_is_a_task_run_as_dbt_saw_it(
    server: Server, flow_run_id: str, shop: Path
) -> None:
    began = datetime.now(UTC)
    with bridged(server.api_url, flow_run_id) as runs:
        first = build(shop, runs)
        with duckdb.connect(str(shop / "shop.duckdb")) as connection:
            connection.execute("create table late as select 1 as id")
        second = build(shop, runs, "flaky")
        runs.finish("not_there", NOT_DUE, datetime.now(UTC), "unknown nodes are left alone")
    ended = datetime.now(UTC)

    assert first["flaky"] == "error"
    assert second["flaky"] == "success"
    shown = server.task_runs(flow_run_id, 6, starts=6)
    assert {name: run["state_name"] for name, run in shown.items()} == {
        "dwh.stg": "Completed",
        "dwh.fct": "Completed",
        "dwh.bad": "Failed",
        "dwh.after_bad": "Skipped",
        "dwh.flaky": "Completed",
        "countries": "Completed",
    }
    assert {name: run["run_count"] for name, run in shown.items()} == {
        "dwh.stg": 1,
        "dwh.fct": 1,
        "dwh.bad": 1,
        "dwh.after_bad": 0,
        "dwh.flaky": 2,
        "countries": 1,
    }
    _check_times(shown, began, ended)
    _check_edges(shown)
    _check_messages(server, shown)


def _check_times(shown: dict[str, dict[str, Any]], began: datetime, ended: datetime) -> None:
    for name in ("dwh.stg", "dwh.fct", "dwh.bad", "countries"):
        run = shown[name]
        start, end = instant(run["start_time"]), instant(run["end_time"])
        assert began <= start <= end <= ended
        assert run["total_run_time"] == pytest.approx((end - start).total_seconds(), abs=0.001)
    assert instant(shown["dwh.stg"]["end_time"]) <= instant(shown["dwh.fct"]["start_time"])
    flaky = shown["dwh.flaky"]
    between = (instant(flaky["end_time"]) - instant(flaky["start_time"])).total_seconds()
    assert 0 < flaky["total_run_time"] < between
    assert shown["dwh.after_bad"]["start_time"] is None


def _check_edges(shown: dict[str, dict[str, Any]]) -> None:
    def upstream(name: str) -> list[str]:
        return [item["id"] for item in shown[name]["task_inputs"].get("wait_for", [])]

    assert upstream("dwh.fct") == upstream("dwh.bad") == [shown["dwh.stg"]["id"]]
    assert upstream("dwh.after_bad") == [shown["dwh.bad"]["id"]]
    assert upstream("dwh.stg") == []
    assert shown["dwh.fct"]["tags"] == ["pipeline:shop"]


def _check_messages(server: Server, shown: dict[str, dict[str, Any]]) -> None:
    states = {name: server.states(run["id"]) for name, run in shown.items()}
    assert [state["name"] for state in states["dwh.stg"]] == ["Running", "Completed"]
    assert [state["name"] for state in states["dwh.flaky"]] == ["Running", "Failed", "Retrying", "Completed"]
    assert [state["type"] for state in states["dwh.after_bad"]] == ["CANCELLED"]
    assert "nope" in states["dwh.bad"][-1]["message"]
    assert states["dwh.after_bad"][-1]["message"] == "Not run: dwh.bad failed."

    lines = server.logs(task_run_id=shown["dwh.bad"]["id"])
    assert any(line["level"] == 40 and "nope" in line["message"] for line in lines)
    assert not any("\x1b" in line["message"] for line in lines)
    assert not any("fct" in line["message"] for line in lines)


def test_targets_that_do_not_run_are_skipped_or_held_with_the_gates_reason(server: Server, flow_run_id: str) -> None:
    decided = datetime(2013, 1, 2, 3, 4, tzinfo=UTC)
    with bridged(server.api_url, flow_run_id) as runs:
        runs.finish("stg", NOT_DUE, decided, "nothing new in lake.orders since 2013-01-01")
        runs.finish("fct", HELD, decided, "its table was dropped")

    shown = server.task_runs(flow_run_id, 2)
    assert {name: (run["state_type"], run["state_name"], run["state"]["message"]) for name, run in shown.items()} == {
        "dwh.stg": ("COMPLETED", "Skipped", "nothing new in lake.orders since 2013-01-01"),
        "dwh.fct": ("CANCELLED", "Held", "its table was dropped"),
    }
    assert all(instant(run["end_time"]) == decided for run in shown.values())


def test_clusters_and_steps_are_task_runs_with_states_links_and_reasons(
    server: Server, flow_run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmrSimulator() as emr, bridged(server.api_url, flow_run_id) as runs:
        for name, value in emr.environment.items():
            monkeypatch.setenv(name, value)
        emr.clusters_to_come = [ClusterPlot(ends="spot", after_steps=1), ClusterPlot(steps={"dwh.days": "failed"})]
        project = EmrProject(tmp_path, pipeline={"emr_instance_types": ("m5.xlarge", "m5.2xlarge")})
        plan = RunPlan("run-1", datetime.now(UTC), RunRequest(), project.rows, project.rows.transformations, ())
        project.on_change = PrefectObserver(plan, runs, lambda: datetime.now(UTC)).spark_changed
        project.run()
        runs.start("dwh__orders", datetime.now(UTC))
        project.context.store.close()

    shown = server.task_runs(flow_run_id, 4)
    states = {name: [state["name"] for state in server.states(run["id"])] for name, run in shown.items()}
    lost, again, ended = states.pop("dwh.days on Spark")[-3:]  # EMR may say that a step began only with its end
    assert (lost, again in ("Running", "Retrying"), ended) == ("AwaitingRetry", True, "Failed")
    assert states == {
        "Spark for sales": ["Running", "AwaitingRetry", "Retrying", "Completed"],
        "dwh.orders on Spark": ["Running", "Completed"],
        "dwh.orders": ["Running", "Failed"],  # dbt began with it and nothing ended it
    }
    upstream = {name: [item["id"] for item in run["task_inputs"].get("wait_for", [])] for name, run in shown.items()}
    assert upstream["dwh.orders on Spark"] == upstream["dwh.days on Spark"] == [shown["Spark for sales"]["id"]]
    assert upstream["dwh.orders"] == [shown["dwh.orders on Spark"]["id"]]
    waits, _, _ = server.states(shown["Spark for sales"]["id"])[1:]
    assert "Spot instances were reclaimed" in waits["message"]
    assert "Unknown Error." in shown["dwh.days on Spark"]["state"]["message"]
    for name, page in (("Spark for sales", "#/clusterDetails/j-"), ("dwh.days on Spark", "s3://lake/logs/j-")):
        assert any(page in line["message"] for line in server.logs(task_run_id=shown[name]["id"]))


def test_nothing_is_lost_when_the_server_is_frozen_for_seconds(server: Server, flow_run_id: str, shop: Path) -> None:
    way = Way(server.local.port)
    with bridged(way.api_url, flow_run_id) as runs, way.frozen():
        began = time.monotonic()
        build(shop, runs, "stg", "fct")
        took = time.monotonic() - began
        late = threading.Timer(5.0, lambda: None)
        late.start()
        late.join()

    assert took < 30
    shown = server.task_runs(flow_run_id, 2)
    assert {name: run["state_name"] for name, run in shown.items()} == {"dwh.stg": "Completed", "dwh.fct": "Completed"}
    messages = [line["message"] for line in server.logs(task_run_id=shown["dwh.fct"]["id"])]
    assert any("START" in message for message in messages)
    assert any("OK created" in message for message in messages)


def test_messages_are_shown_without_secrets(server: Server, flow_run_id: str) -> None:
    with bridged(server.api_url, flow_run_id) as runs:
        runs.say("stg", datetime.now(UTC), "connecting to postgresql://etl:hunter2@db/x")
        runs.fail("stg", datetime.now(UTC), "password=hunter2 was wrong")

    shown = server.task_runs(flow_run_id, 1)
    assert shown["dwh.stg"]["state"]["message"] == "password=*** was wrong"
    assert "hunter2" not in str(server.logs(flow_run_id=flow_run_id))
