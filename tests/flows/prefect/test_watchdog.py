"""Server, worker and run are killed in every state of a run: no deployment stays without its slot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from flows.context import Context
from flows.doctor.finding import Level
from flows.doctor.server import _scheduling
from flows.prefect.deployments.client import open_deployments
from flows.prefect.retention import remove_runs
from flows.prefect.watchdog.facts import IN_PLACE_OF_LOST
from flows.prefect.watchdog.repair import Watchdog
from flows.prefect.watchdog.report import examine, findings_of
from flows.prefect.watchdog.stuck import Patience
from flows.process import is_process_alive
from flows.server.api import PrefectApi, open_api
from flows.server.local import start
from flows.upkeep.monitor import monitor
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRows, PipelineRow
from metadata_sync.rows.vocabulary import Template
from metadata_sync.settings import Settings
from tests.support.instants import at
from tests.support.live_server import Server, Way
from tests.support.worker_machine import Machine, exclusive_deployment

STATES = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
SHORT = Patience(pending=5, cancelling=5, silent=5, slot=5)


def make_deployments(server: Server, prefix: str) -> dict[str, str]:
    """Create an exclusive deployment of a pipeline for each state; return their ids."""
    with open_deployments(server.api_url, "killed") as prefect:
        prefect.ensure_work_pool()
        return {
            state: str(prefect.write(exclusive_deployment(f"{prefix}_{state.lower()}"), is_paused=False))
            for state in STATES
        }


def bring_to(server: Server, deployment_id: str, state: str) -> str:
    """Create a run and bring it to a state in the way of a worker."""
    run = server.start_run(deployment_id)
    for step in STATES[1 : STATES.index(state) + 1]:
        assert server.ask(f"/flow_runs/{run}/set_state", {"state": {"type": step}})["status"] == "ACCEPT"
    return run


def take_slot(server: Server, deployment_id: str) -> str:
    """Try to start one more run, as the next tick does; return the state that it gets."""
    run = server.start_run(deployment_id)
    return str(server.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})["state"]["type"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def look_twice(server: Server, watchdog: Watchdog, clock: Clock, seconds: float = 5.0) -> tuple[str, ...]:
    with open_api(server.api_url) as api:
        assert watchdog.look(api) == ()
        clock.now += seconds
        return watchdog.look(api)


def test_no_slot_is_held_for_good_when_all_is_killed_in_any_state(own: Server) -> None:
    deployments = make_deployments(own, "killed")
    runs = {state: bring_to(own, deployments[state], state) for state in STATES}

    os.kill(own.pid, signal.SIGKILL)
    own.until(lambda: own.local.running() is None and _is_free(own.local.port), 10)
    start(own.local)
    refused = {state: take_slot(own, deployments[state]) for state in STATES}
    clock = Clock()
    watchdog = Watchdog("killed", "killed", SHORT, clock=clock)
    said = look_twice(own, watchdog, clock)

    assert refused == {"SCHEDULED": "PENDING", **dict.fromkeys(STATES[1:], "CANCELLED")}
    ended = {state: own.ask(f"/flow_runs/{runs[state]}")["state_type"] for state in STATES[1:]}
    assert ended == {"PENDING": "CRASHED", "RUNNING": "CRASHED", "CANCELLING": "CANCELLED"}
    started = {state: own.runs_of(deployments[state], state={"type": {"any_": ["SCHEDULED"]}}) for state in STATES[1:]}
    assert all(len(found) == 1 for found in started.values()), said
    assert IN_PLACE_OF_LOST in started["PENDING"][0]["parameters"]["requested_by"]
    assert {state: take_slot(own, deployments[state]) for state in STATES[1:]} == dict.fromkeys(STATES[1:], "PENDING")
    assert len([sentence for sentence in said if "too long" in sentence]) == 4  # the refused tick of SCHEDULED as well
    _end_all(own)


def test_run_whose_process_is_gone_ends_within_seconds(own: Server) -> None:
    deployments = make_deployments(own, "gone")
    running = bring_to(own, deployments["RUNNING"], "RUNNING")
    pending = bring_to(own, deployments["PENDING"], "PENDING")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    for run, pid in ((running, os.getpid()), (pending, process.pid)):
        own.patch(f"/flow_runs/{run}", {"infrastructure_pid": str(pid)})
    clock = Clock()
    patient = Patience(pending=90, cancelling=90, silent=90, slot=90)

    elsewhere = look_twice(own, Watchdog("killed", "killed", patient, clock=clock), clock, 20)
    said = look_twice(own, Watchdog("killed", "killed", patient, is_process_alive, clock), clock, 20)

    assert elsewhere == ()
    assert [sentence.partition(":")[0] for sentence in said] == ["gone_pending@killed"] * 2
    assert "Its process is gone" in said[0]
    assert own.ask(f"/flow_runs/{running}")["state_type"] == "RUNNING"
    _end_all(own)


def test_limit_of_an_earlier_release_is_taken_away_and_other_pools_are_left_alone(own: Server) -> None:
    (deployment_id, *_) = make_deployments(own, "limited").values()
    bring_to(own, deployment_id, "RUNNING")
    clock = Clock()
    assert look_twice(own, Watchdog("killed", "another", SHORT, clock=clock), clock) == ()

    with open_deployments(own.api_url, "killed") as prefect:
        free = replace(exclusive_deployment("limited_scheduled"), is_exclusive=False, work_queue="upkeep")
        assert str(prefect.write(free, is_paused=False)) == deployment_id

    found = own.ask(f"/deployments/{deployment_id}")
    assert (found["global_concurrency_limit"], found["work_queue_name"]) == (None, "upkeep")
    _end_all(own)


def test_old_runs_are_removed_in_batches_and_young_ones_stay(own: Server) -> None:
    (deployment_id, *_) = make_deployments(own, "old").values()
    for _ in range(3):
        own.set_state(own.start_run(deployment_id), "CANCELLED")
    live = own.start_run(deployment_id)
    now = datetime.now(UTC)

    with open_api(own.api_url) as api:
        young = remove_runs(api, "killed", now - timedelta(days=1))
        removed = remove_runs(api, "killed", now + timedelta(minutes=1))
        api.delete(f"/flow_runs/{uuid4()}")

    assert (young, removed >= 3) == (0, True)
    assert [run["id"] for run in own.runs_of(deployment_id)] == [live]
    _end_all(own)


def test_slot_that_no_run_holds_is_freed(own: Server) -> None:
    (deployment_id, *_) = make_deployments(own, "leaked").values()
    (limit,) = [
        item
        for item in own.ask("/v2/concurrency_limits/filter", {"limit": 200})
        if item["name"] == f"deployment:{deployment_id}"
    ]
    own.ask("/v2/concurrency_limits/increment", {"names": [limit["name"]], "slots": 1})
    assert take_slot(own, deployment_id) == "CANCELLED"
    clock = Clock()

    said = look_twice(own, Watchdog("killed", "killed", SHORT, clock=clock), clock)

    assert [sentence.partition(":")[0] for sentence in said] == ["leaked_scheduled@killed"] * 2
    assert "freed its slot" in said[0]
    assert take_slot(own, deployment_id) == "PENDING"
    _end_all(own)


def test_of_the_ticks_that_no_worker_took_the_oldest_is_left(own: Server) -> None:
    deployments = make_deployments(own, "missed")
    now = datetime.now(UTC)
    ticks = {age: _late_run(own, deployments["SCHEDULED"], now - timedelta(minutes=age)) for age in (3, 1, 2)}
    alone = _late_run(own, deployments["PENDING"], now)
    by_hand = _late_run(own, deployments["SCHEDULED"], now, tags=[])
    clock = Clock()

    with open_api(own.api_url) as api:
        elsewhere = Watchdog("killed", "another", SHORT, clock=clock).look(api)
        said = Watchdog("killed", "killed", SHORT, clock=clock).look(api)
        again = Watchdog("killed", "killed", SHORT, clock=clock).look(api)

    states = {run: own.ask(f"/flow_runs/{run}")["state"] for run in (*ticks.values(), alone, by_hand)}
    assert {run: state["type"] for run, state in states.items() if state["name"] == "Late"}.keys() == {
        ticks[3],
        alone,
        by_hand,
    }
    assert {states[ticks[age]]["name"] for age in (1, 2)} == {"Missed"}
    assert f"Run {ticks[3]}, of an earlier tick, stands in for it" in states[ticks[1]]["message"]
    assert (elsewhere, again) == ((), ())
    assert [sentence.partition(": ")[2] for sentence in said] == [
        "cancelled 2 later ticks that no worker took; this run does their work."
    ]
    _end_all(own)


def _late_run(server: Server, deployment_id: str, due: datetime, tags: Sequence[str] = ("auto-scheduled",)) -> str:
    state = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": due.isoformat()}}
    body = {"state": state, "tags": list(tags)}
    return str(server.ask(f"/deployments/{deployment_id}/create_flow_run", body)["id"])


def test_living_runs_are_left_alone(own: Server) -> None:
    """What shows life: a heartbeat, a new state. What proves nothing: an outage of the server between two looks."""
    deployments = make_deployments(own, "alive")
    running = bring_to(own, deployments["RUNNING"], "RUNNING")
    pending = bring_to(own, deployments["PENDING"], "PENDING")
    clock, way = Clock(), Way(own.local.port)
    watchdog = Watchdog("killed", "killed", SHORT, clock=clock)

    with open_api(own.api_url) as api:
        watchdog.look(api)
        clock.now = 4
        beat(api, running)
        own.ask(f"/flow_runs/{pending}/set_state", {"state": {"type": "RUNNING"}})
        own.until(lambda: bool(heartbeats(api, running)), 20)
        watchdog.look(api)
        clock.now = 8.5
        assert watchdog.look(api) == ()
    way.cut()
    with open_api(way.api_url, budget_seconds=0) as api, pytest.raises(httpx.HTTPError):
        watchdog.look(api)
    clock.now = 1_000
    with open_api(own.api_url) as api:
        assert watchdog.look(api) == ()
    _end_all(own)


def test_worker_and_runs_that_are_killed_one_without_the_other(machine: Machine) -> None:
    """In each state of a run: its end is known, its slot is free, and a run that lives is left alone."""
    server = machine.server
    pending = machine.begin("kill_pending", is_pending=True)
    running, cancelling = machine.begin("kill_running"), machine.begin("kill_cancelling")
    lost_pending = machine.begin("kill_lost_pending", is_pending=True)
    lost_running = machine.begin("kill_lost_running")
    for run, state in ((pending, "PENDING"), (lost_pending, "PENDING"), (running, "RUNNING")):
        server.until(lambda run=run, state=state: machine.is_at(run, state), 60)  # type: ignore[misc]
    machine.until("RUNNING", cancelling, lost_running)

    # Only the run: the worker sees it.
    machine.kill_run(lost_pending)
    machine.kill_run(lost_running)
    machine.until("CRASHED", lost_pending, lost_running)

    # Only the worker: its runs go on, and what is scheduled waits for the next worker.
    machine.kill_worker()
    scheduled = machine.begin("kill_scheduled")
    server.set_state(cancelling, "CANCELLING")
    clock = Clock()
    patient = Patience(pending=90, cancelling=5, silent=90, slot=5)
    said = look_twice(server, Watchdog("killed", "killed", patient, is_process_alive, clock), clock)
    assert [sentence.partition(":")[0] for sentence in said] == ["kill_cancelling@killed"], "the others are alive"
    assert machine.state(cancelling) == "CANCELLED"
    for run in (pending, running):
        machine.release(run)
    machine.until("COMPLETED", pending, running)

    # The worker and a run: nobody saw its end but the reconciler.
    machine.start_worker()
    machine.until("RUNNING", scheduled)
    machine.kill_worker()
    machine.kill_run(scheduled)
    machine.kill_run(cancelling)
    clock = Clock()
    said = look_twice(server, Watchdog("killed", "killed", patient, is_process_alive, clock), clock, 20)
    assert "Its process is gone" in said[0]
    assert machine.state(scheduled) == "CRASHED"
    names = ("pending", "running", "cancelling", "lost_pending", "lost_running", "scheduled")
    free = {name: take_slot(server, server.deployment(f"kill_{name}@killed")["id"]) for name in names}
    assert free == dict.fromkeys(names, "PENDING")
    _end_all(server)


def test_doctor_and_monitor_tell_what_stops_a_schedule(own: Server, tmp_path: Path) -> None:
    """Each on the real server, with the clock of doctor and monitor set forward."""
    deployments = make_deployments(own, "stops")
    named = {f"stops_{state.lower()}": state for state in STATES}
    rows = ControlRows(
        pipelines=tuple(
            PipelineRow(pipeline_id=name, pipeline_name=name, template=Template.PRESENTATION) for name in named
        )
    )
    settings = Settings(environment="killed", work_pool="killed")
    context = Context(Project(tmp_path), settings, "tester")
    context.store.write([RowChange(None, row) for row in rows.pipelines], "tester", "apply", None)
    heartbeat = {"name": "w1", "heartbeat_interval_seconds": 1}
    assert own.status("/work_pools/killed/workers/heartbeat", heartbeat) == 204
    slot = f"deployment:{deployments['SCHEDULED']}"
    _end_all(own)
    quiet = _troubles(own, context, minutes=9)

    own.ask("/v2/concurrency_limits/increment", {"names": [slot], "slots": 1})
    refused = [take_slot(own, deployments["SCHEDULED"]) for _ in range(3)]
    held = _troubles(own, context, minutes=3)
    own.ask("/v2/concurrency_limits/decrement", {"names": [slot], "slots": 1})
    after = _troubles(own, context, minutes=3)
    for state in ("PENDING", "RUNNING", "CANCELLING"):
        bring_to(own, deployments[state], state)
    stuck = _troubles(own, context, minutes=6)
    _end_all(own)
    own.start_run(deployments["RUNNING"])
    workers = "/work_pools/killed/workers/filter"
    own.until(lambda: {item["status"] for item in own.ask(workers, {})} == {"OFFLINE"}, 60)
    silent = _troubles(own, context, minutes=4)
    _end_all(own)
    context.store.close()

    assert refused == ["CANCELLED"] * 3
    assert quiet == {}
    assert held.keys() == {"schedule of stops_scheduled"}
    assert "Its slot is held since" in held["schedule of stops_scheduled"]
    assert "The last 3 runs were refused" in after["schedule of stops_scheduled"]
    for state, words in (("pending", "been pending for 6"), ("running", "no heartbeat"), ("cancelling", "been cancel")):
        assert words in stuck[f"schedule of stops_{state}"]
    assert "No worker is online (last seen: " in silent["work pool killed"]
    assert "1 run is late" in silent["work pool killed"]


def _troubles(server: Server, context: Context, *, minutes: float) -> dict[str, str]:
    """Return what doctor says of the schedules in some minutes; `monitor` has then opened the same incidents."""
    later = at(context, datetime.now(UTC) + timedelta(minutes=minutes))
    with open_api(server.api_url) as api:
        found = examine(api, "killed", "killed", later.now())
    monitor(later, findings_of(found, later.store.usable_rows()))
    incidents = {item.subject: item.message for item in later.store.incidents()}
    told = [item for item in _scheduling(later, server.api_url) if item.level is Level.FAIL]
    assert {item.message.partition(": ")[0] for item in told} == incidents.keys()
    assert all(item.remedy for item in told)
    assert all(any(item.message.partition(": ")[2] in text for text in incidents.values()) for item in told)
    return incidents


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def beat(api: PrefectApi, run_id: str) -> None:
    event: Any = {
        "event": "prefect.flow-run.heartbeat",
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
    }
    api.post("/events", [event])  # type: ignore[arg-type]


def heartbeats(api: PrefectApi, run_id: str) -> list[Any]:
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}
    return list(api.post("/events/filter", {"filter": wanted, "limit": 50})["events"])


def _end_all(server: Server) -> None:
    body = {"flow_runs": {"tags": {"all_": ["environment:killed"]}}, "limit": 200}
    for run in server.ask("/flow_runs/filter", body):
        if run["state_type"] in {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING"}:
            server.set_state(run["id"], "CANCELLED")
