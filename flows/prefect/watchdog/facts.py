"""What a Prefect server says about the deployments of one environment. Plain HTTP: Prefect is not imported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flows.prefect.deployments.pipelines import MANAGED_TAG, environment_tag
from flows.server.api import PrefectApi

REFUSAL: Final = "concurrency limit"
"""Text in the state message of a run that Prefect refused (`SecureFlowConcurrencySlots`)."""
STANDS_IN: Final = "stands in for it"
"""Text that is added to the message of a refused run once another run was started in its place."""
IN_PLACE_OF_LOST: Final = "in place of a run that was lost"
"""In `requested_by` of a run that replaces a lost one; such a run is not replaced again."""
PROCESS_POOL: Final = "process"
LIVE_STATES: Final = ("PENDING", "RUNNING", "CANCELLING")
"""States in which a run holds the slot of its deployment."""
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"
_SLOT_PREFIX: Final = "deployment:"
"""Prefect names the limit of a deployment `deployment:<id>` (`_create_or_update_deployment_concurrency_limit`)."""
_PAGE: Final = 200
_RUNS_PER_EVENTS_PAGE: Final = 10
"""A page of events holds 50: at least five heartbeats of each of so many runs."""
_RECENT: Final = timedelta(days=1)
_LAST_RUNS: Final = 20


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that holds the slot of its deployment.

    Attributes:
        id: Prefect's id.
        name: Its name.
        deployment_id: Its deployment.
        state: PENDING, RUNNING or CANCELLING.
        state_id: Changes with the state.
        since: When it came into this state, UTC by the clock of whoever set it.
        parameters: Its parameters.
        heartbeat_at: Its newest heartbeat, UTC by the run's clock; None: there is none, or it does not run yet.
        pid: Its process on the machine of its worker; None: it has not started, or the worker starts no processes.
    """

    id: str
    name: str
    deployment_id: str
    state: str
    state_id: str
    since: datetime
    parameters: Mapping[str, Any]
    heartbeat_at: datetime | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """Slots of a deployment that are taken.

    Attributes:
        deployment_id: The deployment.
        limit_name: Name of Prefect's limit.
        active: Number of slots taken.
        changed_at: When that number last changed, by the server's clock.
    """

    deployment_id: str
    limit_name: str
    active: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Pool:
    """The work pool.

    Attributes:
        name: Its name.
        type: Its type; None when the server has no such pool.
        is_paused: Whether nothing starts.
        online: Workers that ask for runs.
        last_seen_at: When any worker last asked, by the server's clock; None: none ever did.
    """

    name: str
    type: str | None
    is_paused: bool
    online: tuple[str, ...]
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What holds the slots of an environment's deployments.

    Attributes:
        names: Deployment id → name, for every deployment that is concerned.
        pipelines: Ids of those that run a pipeline.
        runs: Runs that hold a slot.
        slots: Slots that are taken.
    """

    names: Mapping[str, str]
    pipelines: frozenset[str]
    runs: tuple[LiveRun, ...]
    slots: tuple[HeldSlot, ...]


@dataclass(frozen=True, slots=True)
class WaitingRuns:
    """Runs of one deployment that are due and were not started, or were refused.

    Attributes:
        name: The deployment.
        deployment_id: Its id.
        late_count: Runs that are due and that no worker took.
        late_since: When the oldest of them was due; None when there is none.
        refused_count: Number of runs that were refused since one was not.
        refused_at: When the newest of them was refused; None when there is none.
    """

    name: str
    deployment_id: str
    late_count: int = 0
    late_since: datetime | None = None
    refused_count: int = 0
    refused_at: datetime | None = None


def read_holdings(api: PrefectApi, environment: str, work_pool: str) -> Holdings:
    """Return the live runs of an environment and the slots that its deployments hold.

    Args:
        api: An open API.
        environment: The environment.
        work_pool: The pool of its deployments; another pool belongs to another team.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    slots = [slot for slot in _read_slots(api) if slot.active > 0]
    runs = tuple(_read_live_runs(api, environment))
    wanted = {slot.deployment_id for slot in slots} | {run.deployment_id for run in runs}
    found = _read_deployments(api, environment, work_pool, wanted)
    names = {item["id"]: item["name"] for item in found}
    return Holdings(
        names,
        frozenset(item["id"] for item in found if any(tag.startswith("pipeline:") for tag in item["tags"])),
        tuple(_with_heartbeats(api, [run for run in runs if run.deployment_id in names])),
        tuple(slot for slot in slots if slot.deployment_id in names),
    )


def read_pool(api: PrefectApi, name: str) -> Pool:
    """Return a work pool and its workers.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    only = {"work_pools": {"name": {"any_": [name]}}, "limit": 1}
    found = api.post("/work_pools/filter", only)
    if not found:
        return Pool(name, None, is_paused=False, online=(), last_seen_at=None)
    workers = api.post(f"/work_pools/{name}/workers/filter", {"limit": _PAGE})
    seen = [_instant(item["last_heartbeat_time"]) for item in workers if item["last_heartbeat_time"]]
    return Pool(
        name,
        type=found[0]["type"],
        is_paused=bool(found[0]["is_paused"]),
        online=tuple(sorted(item["name"] for item in workers if item["status"] == "ONLINE")),
        last_seen_at=max(seen, default=None),
    )


def read_waiting(
    api: PrefectApi, environment: str, work_pool: str, now: datetime, late_after: timedelta
) -> tuple[WaitingRuns, ...]:
    """Return the deployments that have late runs, or whose newest runs were refused.

    Args:
        api: An open API.
        environment: The environment.
        work_pool: The pool of its deployments.
        now: UTC.
        late_after: A run counts as late when it was due so long ago.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    late: dict[str, list[datetime]] = {}
    for run in _read_late(api, environment, now - late_after):
        due = run["next_scheduled_start_time"] or run["expected_start_time"]
        late.setdefault(run["deployment_id"], []).append(_instant(due))
    refused = {run["deployment_id"] for run in _read_refused(api, environment, now - _RECENT)}
    found = _read_deployments(api, environment, work_pool, late.keys() | refused)
    waiting = []
    for name, deployment_id in sorted((item["name"], item["id"]) for item in found):
        dues = late.get(deployment_id, [])
        count, at = _last_refusals(api, deployment_id) if deployment_id in refused else (0, None)
        if dues or count:
            waiting.append(WaitingRuns(name, deployment_id, len(dues), min(dues, default=None), count, at))
    return tuple(waiting)


def is_unreplaced(run: Mapping[str, Any]) -> bool:
    """Whether a run, a document of Prefect's API, was refused and no other run was started in its place."""
    return _is_refused(run) and STANDS_IN not in run["state"]["message"]


def replaced_state(run_id: str) -> dict[str, Any]:
    """Return the state of a refused run in whose place another run was started.

    Args:
        run_id: The other run; its name changes when it begins.
    """
    message = f"Deployment concurrency limit reached: another run was active. Run {run_id} {STANDS_IN}."
    return {"type": "CANCELLED", "name": "Cancelled", "message": message}


def is_replacement(parameters: Mapping[str, Any]) -> bool:
    """Whether a run with these parameters replaces a lost one."""
    return IN_PLACE_OF_LOST in str(parameters.get("requested_by"))


def replacing(replaced: Collection[Mapping[str, Any]], why: str) -> dict[str, Any]:
    """Return the parameters of the run that is started in place of others.

    Args:
        replaced: Their parameters.
        why: Why it is started, for `requested_by`.
    """
    people = sorted({str(item.get("requested_by") or "schedule") for item in replaced})
    parameters: dict[str, Any] = {"requested_by": f"{', '.join(people)} ({why})"}
    return parameters | ({"force": True} if any(item.get("force") for item in replaced) else {})


def _managed(environment: str) -> dict[str, Any]:
    return {"all_": [MANAGED_TAG, environment_tag(environment)]}


def _read_slots(api: PrefectApi) -> Iterator[HeldSlot]:
    offset = 0
    while True:
        page = api.post("/v2/concurrency_limits/filter", {"limit": _PAGE, "offset": offset})
        for item in page:
            if item["name"].startswith(_SLOT_PREFIX):
                yield HeldSlot(
                    item["name"].removeprefix(_SLOT_PREFIX),
                    item["name"],
                    int(item["active_slots"]),
                    _instant(item["updated"]),
                )
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _read_live_runs(api: PrefectApi, environment: str) -> Iterator[LiveRun]:
    only = {"tags": _managed(environment), "state": {"type": {"any_": list(LIVE_STATES)}}}
    offset = 0
    while True:
        body = {"flow_runs": only, "sort": "EXPECTED_START_TIME_ASC", "limit": _PAGE, "offset": offset}
        page = api.post("/flow_runs/filter", body)
        yield from (_live_run(item) for item in page if item["deployment_id"])
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _live_run(item: Mapping[str, Any]) -> LiveRun:
    return LiveRun(
        id=item["id"],
        name=item["name"],
        deployment_id=item["deployment_id"],
        state=item["state"]["type"],
        state_id=item["state"]["id"],
        since=_instant(item["state"]["timestamp"]),
        parameters=item["parameters"],
        pid=_pid(item.get("infrastructure_pid")),
    )


def _pid(text: str | None) -> int | None:
    """Return a process id from what a worker has written: the number, or host and number."""
    number = (text or "").rpartition(":")[2]
    return int(number) if number.isdigit() else None


def _read_deployments(api: PrefectApi, environment: str, work_pool: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    wanted = sorted(ids)
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _PAGE):
        only = {"id": {"any_": wanted[start : start + _PAGE]}, "tags": _managed(environment)}
        found += api.post("/deployments/filter", {"deployments": only, "limit": _PAGE})
    return [item for item in found if item["work_pool_name"] == work_pool]


def _with_heartbeats(api: PrefectApi, runs: list[LiveRun]) -> Iterator[LiveRun]:
    running = [run for run in runs if run.state == "RUNNING"]
    beats: dict[str, datetime] = {}
    for start in range(0, len(running), _RUNS_PER_EVENTS_PAGE):
        asked = [f"prefect.flow-run.{run.id}" for run in running[start : start + _RUNS_PER_EVENTS_PAGE]]
        wanted = {"event": {"name": [_HEARTBEAT]}, "resource": {"id": asked}, "order": "DESC"}
        for event in api.post("/events/filter", {"filter": wanted, "limit": 50})["events"]:
            run_id = event["resource"]["prefect.resource.id"].removeprefix("prefect.flow-run.")
            beats[run_id] = max(_instant(event["occurred"]), beats.get(run_id, datetime.min.replace(tzinfo=UTC)))
    for run in runs:
        yield replace(run, heartbeat_at=beats.get(run.id))


def _read_late(api: PrefectApi, environment: str, due_before: datetime) -> list[dict[str, Any]]:
    only = {
        "tags": _managed(environment),
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "next_scheduled_start_time": {"before_": due_before.isoformat()},
    }
    body = {"flow_runs": only, "sort": "EXPECTED_START_TIME_ASC", "limit": _PAGE}
    return [run for run in api.post("/flow_runs/filter", body) if run["deployment_id"]]


def _read_refused(api: PrefectApi, environment: str, since: datetime) -> list[dict[str, Any]]:
    only = {
        "tags": _managed(environment),
        "state": {"type": {"any_": ["CANCELLED"]}},
        "end_time": {"after_": since.isoformat()},
    }
    found = api.post("/flow_runs/filter", {"flow_runs": only, "sort": "END_TIME_DESC", "limit": _PAGE})
    return [run for run in found if run["deployment_id"] and _is_refused(run)]


def _last_refusals(api: PrefectApi, deployment_id: str) -> tuple[int, datetime | None]:
    """Return how many of the newest ended runs were refused in a row, and when the newest of them was."""
    only = {
        "deployment_id": {"any_": [deployment_id]},
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}},
    }
    body = {"flow_runs": only, "sort": "END_TIME_DESC", "limit": _LAST_RUNS}
    count, at = 0, None
    for run in api.post("/flow_runs/filter", body):
        if not _is_refused(run):
            break
        count += 1
        at = at or _instant(run["end_time"])
    return count, at


def _is_refused(run: Mapping[str, Any]) -> bool:
    return run["state"]["type"] == "CANCELLED" and REFUSAL in (run["state"]["message"] or "")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
