"""What `sluice up` runs: schedules fire, rows are followed, refused runs are made up for, `sluice down` ends it all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import Server, give_database
from order_project import open_orders, write_project
from test_server import sluice

from flows.background import Background
from flows.companions import stop_companions
from flows.context import Context
from flows.server import LocalServer, local_server, start, stop
from metadata_sync.errors import ConfigurationError
from metadata_sync.settings import load_settings


def test_schedule_fires_and_a_row_is_followed_without_a_command(laptop: Context, server: Server) -> None:
    deployment = server.deployment("payments@dev")

    changed = sluice(laptop, "control", "set", "pipeline", "payments", "schedule=* * * * *", "timezone=Asia/Jakarta")
    assert changed.returncode == 0, changed.stderr
    auto = {"tags": {"all_": ["auto-scheduled"]}, "start_time": {"is_null_": False}}
    (run, *_) = server.ended(1, deployment["id"], 150, **auto)
    sluice(laptop, "control", "set", "pipeline", "payments", "schedule=0 6 * * *")

    assert run["state_type"] == "COMPLETED"
    assert run["parameters"] == {"pipelines": ["payments"], "scheduled_by": "* * * * * Asia/Jakarta"}
    assert "pipeline:payments" in run["tags"]
    assert run["name"].startswith("payments · 20")


def test_refused_run_is_made_up_for_when_the_first_has_ended(laptop: Context, server: Server) -> None:
    deployment = server.deployment("orders_daily@dev")
    first = server.start_run(deployment["id"], force=True, requested_by="ann")
    server.until(lambda: server.ask(f"/flow_runs/{first}")["state_type"] == "RUNNING", 60)

    second = server.start_run(deployment["id"], force=True, requested_by="bob")

    runs = {run["id"]: run for run in server.ended(3, deployment["id"])}
    (third,) = [run for key, run in runs.items() if key not in {first, second}]
    assert runs[first]["state_type"] == "COMPLETED"
    assert (runs[second]["state_type"], third["state_type"]) == ("CANCELLED", "COMPLETED")
    assert third["parameters"]["requested_by"] == "bob (refused while another run was under way)"
    assert third["parameters"]["force"] is True
    assert third["start_time"] >= runs[first]["end_time"]


def test_upkeep_runs_through_the_worker(laptop: Context, server: Server) -> None:
    deployments = {name: server.deployment(f"{name}@dev")["id"] for name in ("monitor", "heal")}

    started = {name: server.start_run(deployment_id) for name, deployment_id in deployments.items()}

    ended = {
        name: server.ended(1, deployment_id, id={"any_": [started[name]]})[0]
        for name, deployment_id in deployments.items()
    }
    assert {run["state_type"] for run in ended.values()} == {"COMPLETED"}
    assert ended["monitor"]["state"]["message"].endswith("open incidents")
    assert ended["heal"]["state"]["message"] == "No row is off."


def test_run_of_an_old_schedule_is_skipped_with_the_reason(laptop: Context, server: Server) -> None:
    deployment = server.deployment("run now@dev")  # never refused, whatever else runs

    run_id = server.start_run(
        deployment["id"], pipelines=["payments"], requested_by="tester", scheduled_by="1 1 1 1 * UTC"
    )

    (run,) = server.ended(1, deployment["id"], id={"any_": [run_id]})
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Skipped")
    assert run["state"]["message"].startswith("Not run: it was scheduled by 1 1 1 1 * UTC, and the row now says")


@pytest.fixture
def fresh(tmp_path: Path, migrated: Path) -> Iterator[Context]:
    """A project that never saw `sluice up`; what a failing test leaves running is ended."""
    context = open_orders(write_project(tmp_path / "orders"))
    give_database(local_server(context), migrated)
    yield context
    stop_companions(context)
    stop(local_server(context))
    context.store.close()


def test_down_ends_worker_and_reconciler_also_when_one_of_them_was_killed(
    fresh: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_PREFECT_AUTH", "team:secret")
    monkeypatch.setenv("SLUICE_WORK_POOL", "guarded")  # new to the copied database: everything is deployed
    context, local = fresh, local_server(fresh)
    up = sluice(context, "up")
    worker, reconciler = Background(local.folder, "worker"), Background(local.folder, "reconciler")
    first = worker.running()
    assert up.returncode == 0, up.stderr
    assert first is not None
    # It asks for the password, and a token against forgery; ours know both.
    server.until(lambda: "orders_daily@dev" in reconciler.log_file.read_text(), 90)
    os.kill(first.pid, signal.SIGKILL)
    again = sluice(context, "up")
    second = worker.running()
    watching = reconciler.running()

    down = sluice(context, "down")

    assert "already running" in again.stderr
    assert second is not None
    assert watching is not None
    assert second.pid != first.pid
    assert down.returncode == 0, down.stderr
    assert not second.is_alive()
    assert not watching.is_alive()
    assert local.running() is None


@pytest.mark.parametrize(
    ("host", "auth", "message"),
    [
        ("10.1.2.3", None, "would ask nobody"),
        ("0.0.0.0", "team:secret", "every network"),
        ("::", "team:secret", "every network"),
        ("example.com", "team:secret", "no IP address"),
    ],
)
def test_server_does_not_open_to_others_without_authentication(
    tmp_path: Path, host: str, auth: str | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        start(LocalServer(tmp_path, 4271, host, auth))

    assert "secret" not in str(caught.value)


def test_malformed_password_is_not_printed(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PREFECT_AUTH", "hunter2")

    with pytest.raises(ConfigurationError, match="SLUICE_PREFECT_AUTH: ") as caught:
        load_settings(context.project)

    assert "hunter2" not in str(caught.value)
