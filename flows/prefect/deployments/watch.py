"""The reconciler: looks at the rows again and again, and deploys when they changed. What `sluice deploy --watch` runs.

A look costs one read of the control database; Prefect is asked only when the rows changed, or after a while all the
same, for people change deployments, too.
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

LOOK_SECONDS: Final = 10.0
"""How often the rows are looked at."""
ANYWAY_SECONDS: Final = 600.0
"""After so long Prefect is asked even though no row changed."""


@dataclass(slots=True)
class Reconciler:
    """Keeps deployments in step with the rows.

    Args:
        context: Project, settings, control database.
        tell: Hears a sentence about each change and each trouble, once.
        clock: Monotonic seconds.
    """

    context: Context
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _seen: tuple[str, ...] | None = field(default=None, init=False)
    _asked_at: float = field(default=0.0, init=False)
    _trouble: str | None = field(default=None, init=False)

    def look(self) -> None:
        """Look once; trouble is told, and tried again at the next look."""
        try:
            self._look()
        except SluiceError as error:
            self._seen = None
            if str(error) != self._trouble:
                self.tell(str(error))
            self._trouble = str(error)
        else:
            self._trouble = None

    def _look(self) -> None:
        desired = desired_deployments(self.context, self.context.store.read_rows())
        wanted = tuple(item.content_hash for item in desired)
        if wanted == self._seen and self.clock() - self._asked_at < ANYWAY_SECONDS:
            return
        api_url = require_server(running_api_url(self.context))
        prepare_client(self.context, api_url)
        plan = deploy(self.context, api_url)
        self._seen, self._asked_at = wanted, self.clock()
        if not plan.is_empty:
            self.tell(_told(plan))
        for note in plan.notes:
            self.tell(note)


def watch(context: Context, tell: Callable[[str], None]) -> NoReturn:
    """Look again and again until this process is ended."""
    reconciler = Reconciler(context, tell)
    while True:
        reconciler.look()
        time.sleep(LOOK_SECONDS)


def _told(plan: DeployPlan) -> str:
    steps = [(step.action, step.name) for step in plan.steps] + [(step.action, step.name) for step in plan.automations]
    return "Deployed: " + ", ".join(f"{action} {name}" for action, name in steps)
