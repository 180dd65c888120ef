"""Automations as code: what Prefect's server does by itself. Pure: rows and deployments in, automations out.

* An upstream's load starts the pipelines that read it.
* A run that fell silent (its machine or process is gone) is marked as crashed, so that nobody waits for it.
* What no run can tell is told by the server, where the environment's channel is a notification block: runs that no
  worker takes, and upkeep or forms that crashed. (Crashed runs of pipelines are `monitor`'s: one incident, once told.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from flows.prefect.deployments.forms import FORM_TAG
from flows.prefect.deployments.pipelines import MANAGED_TAG, deployment_name, environment_tag
from flows.prefect.deployments.upkeep import UPKEEP_TAG
from flows.prefect.reporting.load_events import DEPENDANT_ROLE, LOADED_EVENT, active_readers
from metadata_sync.rows.model import ControlRows

HEARTBEAT_SECONDS: Final = 30
"""How often a run says that it is alive: Prefect's least."""
SILENT_SECONDS: Final = 150
"""After so long without a heartbeat or a new state a run counts as crashed."""
LATE_SECONDS: Final = 600
"""For so long a run may be late while no other starts, before somebody is told that no worker takes them."""
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


@dataclass(frozen=True, slots=True)
class HeldAutomation:
    """An automation that Prefect holds and Sluice made.

    Attributes:
        id: Prefect's id.
        content_hash: Hash under which it was written.
        starts: The deployment that it starts; None: it does something else.
    """

    id: UUID
    content_hash: str | None
    starts: UUID | None = None


def automations(
    rows: ControlRows, environment: str, deployment_ids: Mapping[str, UUID], alert_block_id: UUID | None
) -> Iterator[Automation]:
    """Yield the automations of an environment.

    Args:
        rows: Its rows.
        environment: Its name.
        deployment_ids: Prefect's id of each deployment, by name; a pipeline without one gets none yet.
        alert_block_id: The notification block of the environment's alert channel; None: the server tells nobody.
    """
    if not rows.pipelines:
        return
    yield _silent_runs(environment)
    if alert_block_id is not None:
        yield _late_runs(environment, alert_block_id)
        yield _crashed_runs(environment, alert_block_id)
    for pipeline_id in sorted(dependants(rows)):
        deployment_id = deployment_ids.get(deployment_name(pipeline_id, environment))
        if deployment_id is not None:
            yield _upstream_loaded(pipeline_id, environment, deployment_id)


def dependants(rows: ControlRows) -> frozenset[str]:
    """Return the active pipelines that read a target of another pipeline as a driving source."""
    readers = active_readers(rows)
    return frozenset().union(*(readers.get(row.name, set()) - {row.pipeline_id} for row in rows.transformations))


def known_ids(rows: ControlRows, environment: str, existing: Mapping[str, HeldAutomation]) -> dict[str, UUID] | None:
    """Return the deployments that automations start, by name, as the automations know them; None: one is missing.

    Args:
        rows: The environment's rows.
        environment: Its name.
        existing: The automations that Prefect holds, by name.
    """
    held = {item: existing.get(_upstream_name(item, environment)) for item in dependants(rows)}
    ids = {deployment_name(key, environment): found.starts for key, found in held.items() if found and found.starts}
    return ids if len(ids) == len(held) else None


def _upstream_name(pipeline_id: str, environment: str) -> str:
    return f"sluice {environment}: upstream loads start {pipeline_id}"


def _silent_runs(environment: str) -> Automation:
    return Automation(
        name=f"sluice {environment}: silent runs have crashed",
        description=f"A run without a sign of life for {SILENT_SECONDS} s lost its process or its machine.",
        trigger=_unless_followed(environment, _HEARTBEAT, "prefect.flow-run.*", SILENT_SECONDS)
        | {"for_each": ["prefect.resource.id"]},
        action={
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "name": "Crashed",
            "message": f"No sign of life for {SILENT_SECONDS} s: its process or its machine is gone. What it had "
            "committed stands; the next run goes on from there.",
        },
    )


def _unless_followed(environment: str, event: str, expected: str, seconds: int) -> dict[str, Any]:
    """Return the trigger that fires when an event of our runs is not followed by another in time."""
    return {
        "type": "event",
        "posture": "Proactive",
        "after": [event],
        "expect": [expected],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": [_tagged(MANAGED_TAG), _tagged(environment_tag(environment))],
        "threshold": 1,
        "within": seconds,
    }


def _late_runs(environment: str, block_id: UUID) -> Automation:
    return Automation(
        name=f"sluice {environment}: late runs are told",
        description=f"A run is late, and none started within {LATE_SECONDS} s: no worker is there, or it is full.",
        trigger=_unless_followed(environment, "prefect.flow-run.Late", "prefect.flow-run.Running", LATE_SECONDS),
        action=_telling(
            block_id,
            f"[{environment}] Runs are late: no worker takes them",
            f"A scheduled run is late, and no run has started for {LATE_SECONDS // 60} minutes. Is a worker of the "
            "pool up, and has it room? `sluice doctor` looks. Nothing is lost: late runs go on from their watermarks.",
        ),
    )


def _crashed_runs(environment: str, block_id: UUID) -> Automation:
    return Automation(
        name=f"sluice {environment}: crashes beside pipelines are told",
        description="Crashes of pipeline runs are told by `monitor`; those of monitor, heal and forms by the server.",
        trigger={
            "type": "event",
            "posture": "Reactive",
            "expect": ["prefect.flow-run.Crashed"],
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": [
                _tagged(MANAGED_TAG),
                _tagged(environment_tag(environment)),
                _tagged(UPKEEP_TAG, FORM_TAG),
            ],
            "threshold": 1,
            "within": 0,
        },
        action=_telling(
            block_id,
            f"[{environment}] {{{{ flow_run.name }}}} crashed",
            "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
        ),
    )


def _telling(block_id: UUID, subject: str, body: str) -> dict[str, Any]:
    return {"type": "send-notification", "block_document_id": str(block_id), "subject": subject, "body": body}


def _upstream_loaded(pipeline_id: str, environment: str, deployment_id: UUID) -> Automation:
    return Automation(
        name=_upstream_name(pipeline_id, environment),
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


def _tagged(*any_of: str) -> dict[str, Any]:
    return {"prefect.resource.id": [f"prefect.tag.{tag}" for tag in any_of], "prefect.resource.role": "tag"}
