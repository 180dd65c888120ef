"""Ends runs that will not end by themselves, frees slots that no run holds, and starts a run in their place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flows.prefect.watchdog.ending import end_run
from flows.prefect.watchdog.facts import (
    IN_PLACE_OF_LOST,
    HeldSlot,
    Holdings,
    LiveRun,
    is_replacement,
    is_unreplaced,
    read_holdings,
    read_pool,
    replaced_state,
    replacing,
)
from flows.prefect.watchdog.missed import cancel_missed
from flows.prefect.watchdog.stuck import Patience, Watch, patience_for
from flows.server.api import PrefectApi

log = logging.getLogger(__name__)

_GONE: Final = "Its process is gone: it was killed, or the machine was. Committed loads are kept."
_LIMIT: Final = 200
_TOLD: Final = 20
"""Refused runs whose page names the run that stands in for them; more of them are counted only."""
_WHY: Final = {
    "PENDING": "It was taken by a worker, and its process did not start: worker, server or machine were killed.",
    "RUNNING": "It sent no heartbeat: its process or its machine is gone. Committed loads are kept.",
    "CANCELLING": "It was to be cancelled, and no worker was left that could end it.",
}


@dataclass(slots=True)
class Watchdog:
    """Looks at the runs of one environment again and again.

    Args:
        environment: The environment.
        work_pool: The pool of its deployments.
        patience: How long a run may stay unchanged; None: it depends on the type of the pool.
        is_alive: Whether a process of a run is alive; None: runs may have processes on other machines.
        clock: Monotonic seconds.
    """

    environment: str
    work_pool: str
    patience: Patience | None = None
    is_alive: Callable[[int], bool] | None = None
    clock: Callable[[], float] = time.monotonic
    _watch: Watch = field(default_factory=Watch, init=False)

    def look(self, api: PrefectApi) -> tuple[str, ...]:
        """Repair what has been stuck for too long.

        Args:
            api: An open API.

        Returns:
            A sentence about each repair.

        Raises:
            httpx.HTTPError: When the server does not answer; the next look starts to count again.
        """
        import httpx

        try:
            said = [*self._repair(api), *cancel_missed(api, self.environment, self.work_pool)]
        except httpx.HTTPError:
            self._watch.forget()
            raise
        for sentence in said:
            log.info("watchdog %s", sentence)
        return tuple(said)

    def _repair(self, api: PrefectApi) -> Iterator[str]:
        holdings = read_holdings(api, self.environment, self.work_pool)
        if not (holdings.runs or holdings.slots):
            self._watch.forget()
            return
        patience = self.patience or patience_for(read_pool(api, self.work_pool).type)
        gone = frozenset(run.id for run in holdings.runs if self._is_gone(run))
        runs, slots = self._watch.stuck(holdings, patience, self.clock(), gone)
        yield from _end_runs(api, holdings, runs, gone)
        yield from _free_slots(api, holdings, slots)

    def _is_gone(self, run: LiveRun) -> bool:
        return self.is_alive is not None and run.pid is not None and not self.is_alive(run.pid)


def _end_runs(api: PrefectApi, holdings: Holdings, runs: tuple[LiveRun, ...], gone: frozenset[str]) -> Iterator[str]:
    for run in runs:
        deployment = holdings.names[run.deployment_id]
        is_cancelled = run.state == "CANCELLING"
        why = _GONE if run.id in gone else f"It was {run.state.lower()} for too long. {_WHY[run.state]}"
        state = "CANCELLED" if is_cancelled else "CRASHED"
        wanted = {"type": state, "name": state.capitalize(), "message": why}
        if not end_run(api, run.id, run.state_id, wanted):
            continue
        yield f"{deployment}: ended run {run.name}. {why}"
        lost = None if is_cancelled or is_replacement(run.parameters) else run
        if started := _start_in_place(api, holdings, run.deployment_id, lost, run.since):
            yield f"{deployment}: started run {started} in its place."


def _free_slots(api: PrefectApi, holdings: Holdings, slots: tuple[HeldSlot, ...]) -> Iterator[str]:
    for slot in slots:
        deployment = holdings.names[slot.deployment_id]
        api.post("/v2/concurrency_limits/decrement", {"names": [slot.limit_name], "slots": slot.active})
        yield f"{deployment}: freed its slot. No run held it, and every later run would have been refused."
        if started := _start_in_place(api, holdings, slot.deployment_id, None, slot.changed_at):
            yield f"{deployment}: started run {started} in place of those that were refused."


def _start_in_place(
    api: PrefectApi, holdings: Holdings, deployment_id: str, lost: LiveRun | None, since: datetime
) -> str | None:
    """Start one run for a lost run and for the runs that were refused because of it; None when there are none.

    Only runs of pipelines: they ask the gate first. Upkeep comes again within minutes, and a form belongs to a person.
    """
    if deployment_id not in holdings.pipelines:
        return None
    only = {
        "deployment_id": {"any_": [deployment_id]},
        "state": {"type": {"any_": ["CANCELLED"]}},
        "end_time": {"after_": since.isoformat()},
    }
    found = api.post("/flow_runs/filter", {"flow_runs": only, "sort": "END_TIME_DESC", "limit": _LIMIT})
    refused = [run for run in found if is_unreplaced(run)]
    replaced = [*(run["parameters"] for run in refused), *([lost.parameters] if lost else [])]
    if not replaced:
        return None
    body = {"parameters": replacing(replaced, IN_PLACE_OF_LOST), "state": {"type": "SCHEDULED"}}
    started = api.post(f"/deployments/{deployment_id}/create_flow_run", body)
    for run in refused[:_TOLD]:
        api.post(f"/flow_runs/{run['id']}/set_state", {"state": replaced_state(str(started["id"])), "force": True})
    return str(started["name"])
