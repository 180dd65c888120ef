"""The reconciler of `sluice deploy --watch`: reads the rows at an interval, and deploys when they changed.

An unchanged round costs one read of the control database, and three requests of the watchdog, which ends runs that will
not end by themselves. Prefect is compared when the rows changed, and every ten minutes, because people can change
deployments there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from flows.context import Context
from flows.incidents.incident import WORK_POOL
from flows.prefect.deployments.deploy import deploy, desired_deployments, require_server
from flows.prefect.deployments.diff import DeployPlan
from flows.prefect.watchdog.repair import Watchdog
from flows.prefect.watchdog.report import examine, findings_of
from flows.process import is_process_alive
from flows.server.api import PrefectApi, open_api
from flows.server.companions import shorten_logs
from flows.server.local import (
    known_api_url,
    local_server,
    prepare_client,
    running_api_url,
    serves_only_this_machine,
)
from flows.upkeep.monitor import monitor
from metadata_sync.errors import SluiceError

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 10.0
"""Interval of reading the rows."""
COMPARE_SECONDS: Final = 600.0
"""Interval of comparing with Prefect while no row changes."""
MONITOR_SECONDS: Final = 60.0
"""Interval of asking whether workers start runs."""
_LOOK_TIMEOUT_SECONDS: Final = 20.0
"""Timeout of one request of the watchdog."""


@dataclass(slots=True)
class Reconciler:
    """Updates deployments when rows change.

    Args:
        context: Project, settings, control database.
        say: Receives a sentence about each change, and about each error when it first occurs.
        clock: Monotonic seconds.
    """

    context: Context
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _deployed: tuple[str, ...] | None = field(default=None, init=False)
    _compared_at: float = field(default=0.0, init=False)
    _last_error: str | None = field(default=None, init=False)
    _watchdog: Watchdog = field(init=False)
    _monitor_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        settings = self.context.settings
        self._watchdog = Watchdog(settings.environment, settings.work_pool, clock=self.clock)

    def look(self) -> None:
        """End runs and free slots that stop a schedule; if the server does not answer, the next round tries again."""
        import httpx

        api_url = known_api_url(self.context)
        if api_url is None:
            return
        prepare_client(self.context, api_url)
        self._watchdog.is_alive = is_process_alive if serves_only_this_machine(self.context, api_url) else None
        try:
            with open_api(api_url, timeout_seconds=_LOOK_TIMEOUT_SECONDS) as api:
                for sentence in self._watchdog.look(api):
                    self.say(sentence)
                self._monitor_in_place_of_workers(api)
        except httpx.HTTPError as error:
            log.info("watchdog looked=false error=%r", error)
        except SluiceError as error:
            log.warning("watchdog monitored=false error=%s", error.message)

    def _monitor_in_place_of_workers(self, api: PrefectApi) -> None:
        """Monitor in this process while no worker starts runs: the flow `monitor` could not report that."""
        if self.clock() < self._monitor_at:
            return
        self._monitor_at = self.clock() + MONITOR_SECONDS
        shorten_logs(local_server(self.context))
        settings, now = self.context.settings, self.context.now()
        found = examine(api, settings.environment, settings.work_pool, now)
        if any(item.subject.startswith(WORK_POOL) for item in found):
            monitor(self.context, findings_of(found, self.context.store.usable_rows()))

    def reconcile(self) -> None:
        """Do one round; after an error the next round tries again."""
        try:
            self._reconcile()
        except SluiceError as error:
            self._deployed = None
            if str(error) != self._last_error:
                self.say(str(error))
            self._last_error = str(error)
        else:
            self._last_error = None

    def _reconcile(self) -> None:
        desired = desired_deployments(self.context, self.context.store.read_rows())
        hashes = tuple(item.content_hash for item in desired)
        if hashes == self._deployed and self.clock() - self._compared_at < COMPARE_SECONDS:
            return
        api_url = require_server(running_api_url(self.context))
        prepare_client(self.context, api_url)
        plan = deploy(self.context, api_url)
        self._deployed, self._compared_at = hashes, self.clock()
        if not plan.is_empty:
            self.say(_summary(plan))
        for note in plan.notes:
            self.say(note)


def watch(context: Context, say: Callable[[str], None]) -> NoReturn:
    """Reconcile and look after the runs at an interval until this process ends."""
    reconciler = Reconciler(context, say)
    while True:
        reconciler.reconcile()
        reconciler.look()
        time.sleep(POLL_SECONDS)


def _summary(plan: DeployPlan) -> str:
    steps = [(step.action, step.name) for step in plan.steps] + [(step.action, step.name) for step in plan.automations]
    return "Deployed: " + ", ".join(f"{action} {name}" for action, name in steps)
