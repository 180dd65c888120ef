"""Automations as code: what Prefect's server does by itself. Pure: rows and deployments in, automations out.

* An upstream's load starts the pipelines that read it.
* A run that fell silent (its machine or process is gone) is marked as crashed, so that nobody waits for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from flows.deployments.desired import MANAGED_TAG, deployment_name, environment_tag
from flows.load_events import DEPENDANT_ROLE, LOADED_EVENT, active_readers
from metadata_sync.rows import ControlRows

HEARTBEAT_SECONDS: Final = 30
"""How often a run says that it is alive: Prefect's least."""
SILENT_SECONDS: Final = 150
"""After so long without a heartbeat or a new state a run counts as crashed."""
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"


@dataclass(frozen=True, slots=True)
class Automation:
    """An automation as it shall be, in the words of Prefect's API.

    Attributes:
        name: Unique: `sluice dev: …`.
        description: For people.
        trigger: When.
        action: What.
    """

    name: str
    description: str
    trigger: Mapping[str, Any]
    action: Mapping[str, Any]

    @property
    def content_hash(self) -> str:
        """Changes whenever anything of the automation does; kept as one of its tags."""
        content = [self.name, self.description, self.trigger, self.action]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def automations(rows: ControlRows, environment: str, deployment_ids: Mapping[str, UUID]) -> Iterator[Automation]:
    """Yield the automations of an environment.

    Args:
        rows: Its rows.
        environment: Its name.
        deployment_ids: Prefect's id of each deployment, by name; a pipeline without one gets none yet.
    """
    if not rows.pipelines:
        return
    yield _silent_runs(environment)
    for pipeline_id in sorted(dependants(rows)):
        deployment_id = deployment_ids.get(deployment_name(pipeline_id, environment))
        if deployment_id is not None:
            yield _upstream_loaded(pipeline_id, environment, deployment_id)


def dependants(rows: ControlRows) -> frozenset[str]:
    """Return the active pipelines that read a target of another pipeline as a driving source."""
    readers = active_readers(rows)
    return frozenset().union(*(readers.get(row.name, set()) - {row.pipeline_id} for row in rows.transformations))


def _silent_runs(environment: str) -> Automation:
    return Automation(
        name=f"sluice {environment}: silent runs have crashed",
        description=f"A run without a sign of life for {SILENT_SECONDS} s lost its process or its machine.",
        trigger={
            "type": "event",
            "posture": "Proactive",
            "after": [_HEARTBEAT],
            "expect": ["prefect.flow-run.*"],
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": [_tagged(MANAGED_TAG), _tagged(environment_tag(environment))],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": SILENT_SECONDS,
        },
        action={
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "name": "Crashed",
            "message": f"No sign of life for {SILENT_SECONDS} s: its process or its machine is gone. What it had "
            "committed stands; the next run goes on from there.",
        },
    )


def _upstream_loaded(pipeline_id: str, environment: str, deployment_id: UUID) -> Automation:
    return Automation(
        name=f"sluice {environment}: upstream loads start {pipeline_id}",
        description="The started run asks the gate like any other, and ends at once when nothing is new.",
        trigger={
            "type": "event",
            "posture": "Reactive",
            "expect": [LOADED_EVENT],
            "match_related": {
                "prefect.resource.id": f"sluice.pipeline.{environment}.{pipeline_id}",
                "prefect.resource.role": DEPENDANT_ROLE,
            },
            "threshold": 1,
            "within": 0,
        },
        action={
            "type": "run-deployment",
            "source": "selected",
            "deployment_id": str(deployment_id),
            "parameters": {
                "requested_by": {
                    "__prefect_kind": "jinja",
                    "template": "load of {{ event.payload.target }}",
                },
            },
        },
    )


def _tagged(tag: str) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
