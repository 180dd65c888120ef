"""A short part of `make chaos` in a fixed order: everything is killed while the warehouse and the channel are out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flows.gate.facts import Reason
from flows.server.companions import stop_companions
from flows.server.local import is_healthy, local_server, stop
from tests.chaos.shop import Shop
from tests.chaos.story import alert_faults, descendants, programs
from tests.support.forked_sluice import run_sluice
from tests.support.guarded_server import Guarded
from tests.support.live_server import Server, free_port, give_database
from tests.support.receiver import Receiver

AUTH = "team:secret"
SECONDS = 400
"""After everything was killed, the next runs must have loaded within so long."""


@pytest.fixture
def shop(tmp_path: Path, server: Server, receiver: Receiver, migrated: Path) -> Iterator[Shop]:
    """Two pipelines, on a server with a password and in a work pool that is new to its copied database."""
    del server
    extra = {"SLUICE_PREFECT_AUTH": AUTH, "SLUICE_WORK_POOL": "chaos"}
    shop = Shop(tmp_path / "project", free_port(), receiver.url, pipelines=2, extra=extra)
    shop.write("0 6 * * *")
    give_database(local_server(shop.context), migrated)
    yield shop
    stop_companions(shop.context)
    stop(local_server(shop.context))


@pytest.mark.timeout(1200)
def test_everything_is_killed_while_warehouse_and_channel_are_out(shop: Shop, receiver: Receiver) -> None:
    """In the end all is loaded once and told once. `up` starts what is missing, `down` ends it."""
    must(shop, "control", "apply", "--yes")
    first = json.loads(must(shop, "up", "--json"))
    local = local_server(shop.context)
    server = Guarded(local, auth=AUTH)
    server.until(lambda: is_healthy(local.api_url), 90)  # a busy machine may answer one of these questions late
    deployments = [server.deployment(f"p{number}@dev")["id"] for number in range(2)]
    started = dict(programs(shop))

    with shop.held_warehouse():
        # The channel refuses the alert about it.
        receiver.refusals = 1
        failed = run_sluice(["run", "p1", "--json"], {**shop.environ, "SLUICE_LOCK_WAIT_SECONDS": "0"})

        # One run is at work, one is scheduled, and then nothing is alive any more.
        running = server.start_run(deployments[0])
        server.until(lambda: flow_run(server, running)["state_type"] == "RUNNING", 240)
        pid = pid_of(flow_run(server, running))
        kill(started["worker"])
        scheduled = server.start_run(deployments[1])
        for doomed in {child for program in started.values() for child in (program, *descendants(program))}:
            kill(doomed)
        kill(pid)
        must(shop, "up")
        refused = server.start_run(deployments[0])

    # What was lost, scheduled or refused is loaded once the warehouse is free.
    server.until(lambda: reasons(shop) == [Reason.NOTHING_NEW] * 2, SECONDS)
    must(shop, "run")  # sends what the channel refused
    assert failed.returncode != 0
    assert [*alert_faults([(body["incident_id"], body["event"]) for body in receiver.bodies])] == []
    assert {body["title"].partition(": ")[2] for body in receiver.bodies if body["event"] == "opened"} >= {"lock"}
    assert [len(shop.rows(number)) for number in range(2)] == [200, 48]
    ends = {run: flow_run(server, run)["state"] for run in (running, scheduled, refused)}
    assert [state["type"] for state in ends.values()] == ["CRASHED", "COMPLETED", "CANCELLED"]
    assert "Its process is gone" in ends[running]["message"]
    assert "stands in for it" in ends[refused]["message"]
    assert json.loads(must(shop, "status", "--json"))["problems"] == []

    # Nothing is started twice, and `down` ends it all.
    alive, third = dict(programs(shop)), must(shop, "up", "--json")
    assert dict(programs(shop)) == alive
    assert (first["already_running"], json.loads(third)["already_running"]) == (False, True)
    assert set(alive.values()).isdisjoint(started.values())
    must(shop, "down")
    assert [*programs(shop)] == []
    assert not is_healthy(local.api_url)
    assert json.loads(must(shop, "down", "--json")) == {"json_format": "down/1", "running": False, "was_running": False}


def must(shop: Shop, *arguments: str) -> str:
    done = run_sluice(arguments, shop.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flow_run(server: Server, run: str) -> dict[str, Any]:
    return dict(server.ask(f"/flow_runs/{run}"))


def pid_of(run: dict[str, Any]) -> int:
    return int(run["infrastructure_pid"].rpartition(":")[2])


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reasons(shop: Shop) -> list[str]:
    """Return why each target would be loaded now, or would not."""
    plan = run_sluice(["plan", "--json"], shop.environ)
    return [target["reason"] for target in json.loads(plan.stdout)["run"]["targets"]] if plan.returncode == 0 else []
