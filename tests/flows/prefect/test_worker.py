"""What `sluice up` runs: schedules fire, rows are followed, refused runs are made up for, `sluice down` ends it all."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.context import Context
from flows.server.background import Background
from flows.server.companions import stop_companions
from flows.server.local import LocalServer, is_healthy, local_server, running_api_url, start, stop
from metadata_sync.errors import ConfigurationError
from metadata_sync.settings import load_settings
from tests.support.live_server import Server, give_database, sluice
from tests.support.order_project import open_orders, write_project


def test_what_the_laptop_runs_by_itself(laptop: Context, server: Server) -> None:
    """One story, for a schedule fires by the minute: meanwhile the other runs take place."""
    deployment = server.deployment("payments@dev")
    changed = sluice(laptop, "control", "set", "pipeline", "payments", "schedule=* * * * *", "timezone=Asia/Jakarta")
    assert changed.returncode == 0, changed.stderr

    _check_refused_run_is_made_up_for(server)
    _check_monitor_runs(server)

    auto = {"tags": {"all_": ["auto-scheduled"]}, "start_time": {"is_null_": False}}
    # On a busy machine a run takes longer than a minute: the next one is refused.
    (run, *_) = server.ended(1, deployment["id"], 150, state={"type": {"not_any_": ["CANCELLED"]}}, **auto)
    sluice(laptop, "control", "set", "pipeline", "payments", "schedule=0 6 * * *")
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"] == {"pipelines": ["payments"], "scheduled_by": "* * * * * Asia/Jakarta"}
    assert "pipeline:payments" in run["tags"]
    assert run["name"].startswith("payments · 20")


def _check_refused_run_is_made_up_for(server: Server) -> None:
    deployment = server.deployment("orders_daily@dev")
    first = server.start_run(deployment["id"], force=True, requested_by="ann")
    server.until(lambda: server.ask(f"/flow_runs/{first}")["state_type"] == "RUNNING", 60)

    second = server.start_run(deployment["id"], force=True, requested_by="bob")

    runs = {run["id"]: run for run in server.ended(3, deployment["id"])}
    (third,) = [run for key, run in runs.items() if key not in {first, second}]
    assert runs[first]["state_type"] == "COMPLETED"
    assert (runs[second]["state_type"], third["state_type"]) == ("CANCELLED", "COMPLETED")
    assert third["parameters"]["requested_by"] == "bob (refused while another run was active)"
    assert third["parameters"]["force"] is True
    assert third["start_time"] >= runs[first]["end_time"]
    assert f"Run {third['id']} stands in for it" in runs[second]["state"]["message"]


def _check_monitor_runs(server: Server) -> None:
    deployment = server.deployment("monitor@dev")["id"]
    (ended,) = server.ended(1, deployment, id={"any_": [server.start_run(deployment)]})
    assert ended["state_type"] == "COMPLETED"
    assert ended["state"]["message"].endswith("open incidents")


@pytest.fixture
def fresh(tmp_path: Path, migrated: Path) -> Iterator[Context]:
    """A project that never saw `sluice up`; what a failing test leaves running is ended."""
    context = open_orders(write_project(tmp_path / "orders"))
    give_database(local_server(context), migrated)
    yield context
    stop_companions(context)
    stop(local_server(context))
    context.store.close()


def test_up_starts_everything_once_and_down_ends_it_also_when_a_part_was_killed(
    fresh: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_PREFECT_AUTH", "team:secret")
    monkeypatch.setenv("SLUICE_WORK_POOL", "guarded")  # new to the copied database: everything is deployed
    local = local_server(fresh)
    worker, reconciler = Background(local.folder, "worker"), Background(local.folder, "reconciler")

    first = sluice(fresh, "up", "--json")
    killed, watching = worker.running(), reconciler.running()
    assert first.returncode == 0, first.stderr
    assert killed is not None
    assert watching is not None
    # A busy machine may answer one of these questions late.
    server.until(lambda: running_api_url(fresh, environ={}) == local.api_url, 30)
    # It asks for the password, and a token against forgery; ours know both.
    server.until(lambda: "orders_daily@dev" in reconciler.log_file.read_text(), 90)
    os.kill(killed.pid, signal.SIGKILL)
    again = sluice(fresh, "up")
    second = worker.running()
    down, nothing = sluice(fresh, "down"), sluice(fresh, "down", "--json")

    report = json.loads(first.stdout)
    assert (report["running"], report["already_running"]) == (True, False)
    assert report["ui"] == f"http://127.0.0.1:{local.port}/v2"
    assert report["open"] == again.stdout.strip() == f"http://127.0.0.1:{local.port}/open#team%3Asecret"
    assert "already running" in again.stderr
    assert str(report["pid"]) in again.stderr
    assert second is not None
    assert second.pid != killed.pid
    assert (down.returncode, nothing.returncode) == (0, 0), down.stderr
    assert "has ended" in down.stderr
    assert json.loads(nothing.stdout) == {"json_format": "down/1", "running": False, "was_running": False}
    assert not second.is_alive()
    assert not watching.is_alive()
    assert local.running() is None
    assert not is_healthy(local.api_url)


@pytest.mark.parametrize(
    ("host", "auth", "message"),
    [
        ("10.1.2.3", None, "no authentication is set"),
        ("0.0.0.0", "team:secret", "every network"),
        ("::", "team:secret", "every network"),
        ("example.com", "team:secret", "not an IP address"),
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
