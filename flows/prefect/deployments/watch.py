"""The reconciler of `sluice deploy --watch`: reads the rows at an interval, and deploys when they changed.

An unchanged round costs one read of the control database. Prefect is compared when the rows changed, and every ten
minutes, because people can change deployments there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from flows.context import Context
from flows.prefect.deployments.deploy import deploy, desired_deployments, require_server
from flows.prefect.deployments.diff import DeployPlan
from flows.server.local import prepare_client, running_api_url
from metadata_sync.errors import SluiceError

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 10.0
"""Interval of reading the rows."""
COMPARE_SECONDS: Final = 600.0
"""Interval of comparing with Prefect while no row changes."""


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
    """Reconcile at an interval until this process ends."""
    reconciler = Reconciler(context, say)
    while True:
        reconciler.reconcile()
        time.sleep(POLL_SECONDS)


def _summary(plan: DeployPlan) -> str:
    steps = [(step.action, step.name) for step in plan.steps] + [(step.action, step.name) for step in plan.automations]
    return "Deployed: " + ", ".join(f"{action} {name}" for action, name in steps)
