"""The lease of a run's slot: it outlives an outage of the server, and a run that loses it says so and is replaced."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import HTTPError
from uuid import UUID

import pytest
from prefect.server.concurrency.lease_storage.filesystem import ConcurrencyLeaseStorage

from flows.prefect.deployments.client import open_deployments
from flows.prefect.watchdog.facts import IN_PLACE_OF_LOST
from flows.server.local import start, stop
from tests.chaos.shop import Shop
from tests.support.forked_sluice import run_sluice
from tests.support.live_server import Server
from tests.support.worker_machine import Machine, exclusive_deployment

QUICK_RENEWAL = "tests.support.quick_renewal.run"


def lease_of(server: Server, run: str) -> str:
    return str(server.ask(f"/flow_runs/{run}")["state"]["state_details"]["deployment_concurrency_lease_id"])


def renew(server: Server, lease: str) -> int:
    """Renew a lease as the process of its run does; return the answer's status."""
    try:
        return server.status(f"/v2/concurrency_limits/leases/{lease}/renew", {"lease_duration": 300})
    except HTTPError as error:
        return error.code


def let_expire(server: Server, lease: str) -> None:
    """Put the end of a lease into the past while the server is down."""
    storage = ConcurrencyLeaseStorage(server.local.folder / "concurrency_leases")
    assert asyncio.run(storage.renew_lease(UUID(lease), timedelta(seconds=-60)))


def active_slots(server: Server, deployment: str) -> int:
    limits = server.ask("/v2/concurrency_limits/filter", {"limit": 200})
    (found,) = [item for item in limits if item["name"] == f"deployment:{deployment}"]
    return int(found["active_slots"])


def test_lease_outlives_an_outage_that_is_longer(own: Server) -> None:
    with open_deployments(own.api_url, "killed") as prefect:
        prefect.ensure_work_pool()
        deployment = str(prefect.write(exclusive_deployment("leased"), is_paused=False))
    run = own.start_run(deployment)
    own.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
    lease = lease_of(own, run)

    stop(own.local)
    let_expire(own, lease)
    start(own.local)

    time.sleep(15)  # the server looks for expired leases meanwhile
    assert active_slots(own, deployment) == 1
    assert renew(own, lease) == 204
    own.set_state(run, "COMPLETED")
    assert active_slots(own, deployment) == 0


@pytest.fixture
def shop(tmp_path: Path, machine: Machine) -> Shop:
    """A project with one pipeline, whose runs the worker starts."""
    extra = {"SLUICE_LOCK_WAIT_SECONDS": "300", "SLUICE_ENVIRONMENT": "killed", "SLUICE_DBT_TARGET": "dev"}
    shop = Shop(tmp_path / "project", machine.server.local.port, "http://127.0.0.1:9/", pipelines=1, extra=extra)
    shop.write("0 6 * * *")
    for command in (("control", "apply", "--yes"), ("run",)):
        done = run_sluice([*command], shop.environ)
        assert done.returncode == 0, done.stderr
    shop.land(0, Random(1))
    machine.worker.stop()
    machine.environ = {"SLUICE_PROJECT_ROOT": str(shop.root), **extra}
    machine.start_worker()
    return shop


def begin(machine: Machine, name: str) -> tuple[str, str]:
    """Start a run of the project; return its deployment and the run, once it is at work."""
    server = machine.server
    with open_deployments(server.api_url, "killed") as prefect:
        deployment = str(prefect.write(exclusive_deployment(name, entrypoint=QUICK_RENEWAL), is_paused=False))
    run = server.start_run(deployment)
    machine.until("RUNNING", run)
    return deployment, run


def replacements(server: Server, deployment: str) -> list[dict[str, Any]]:
    runs = server.runs_of(deployment)
    return [run for run in runs if IN_PLACE_OF_LOST in str(run["parameters"].get("requested_by"))]


def test_run_that_loses_its_slot_or_its_process_says_so_and_is_replaced_once(machine: Machine, shop: Shop) -> None:
    server = machine.server
    with shop.held_warehouse("killed"):
        deployment, run = begin(machine, "loses")
        assert server.status("/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease_of(server, run)}) == 204
        machine.until("CRASHED", run)
        server.until(lambda: len(replacements(server, deployment)) == 1, 60)
        (second,) = replacements(server, deployment)
        machine.until("RUNNING", second["id"])
        machine.kill_run(second["id"])
        machine.until("CRASHED", second["id"])

        other, killed = begin(machine, "killed")
        machine.kill_run(killed)
        machine.until("CRASHED", killed)
        server.until(lambda: len(replacements(server, other)) == 1, 60)
    (third,) = replacements(server, other)
    machine.until("COMPLETED", third["id"])

    message = server.ask(f"/flow_runs/{run}")["state"]["message"]
    assert message.startswith("Prefect took this run's slot away"), message
    assert len(server.runs_of(deployment)) == 2, "a replacement that crashed is not replaced"
