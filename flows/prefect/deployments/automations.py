"""Automations as code. Pure: rows and deployments in, automations of Prefect's server out.

* A load of an upstream target starts the pipelines that read it.
* A run without heartbeat (its machine or process is gone) is marked as crashed. So is a run that stays pending, and one
  that stays cancelling is marked as cancelled: the reconciler does so within minutes, these act where it does not run.
* If the environment's alert channel is a notification block, the server sends an alert when no worker takes runs, and
  when upkeep or a form crashes. `monitor` opens an incident for crashed runs of pipelines, so the server does not.
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
"""Interval of a run's heartbeats: Prefect's minimum."""
SILENT_SECONDS: Final = 1_800
"""A run without heartbeat or new state for this long counts as crashed: it outlives shorter outages of the server."""
PENDING_SECONDS: Final = 1_800
"""A run that stays pending for this long counts as crashed: longer than any machine takes to start."""
CANCELLING_SECONDS: Final = 900
"""A run that stays cancelling for this long counts as cancelled."""
LATE_SECONDS: Final = 600
"""An alert is sent when a run is late for this long and no other run starts."""
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"


@dataclass(frozen=True, slots=True)
class Automation:
    """A desired automation, as Prefect's API describes it.

    Attributes:
        name: Unique: `sluice dev: …`.
        description: For people.
        trigger: When it fires.
        action: What it does.
    """

    name: str
    description: str
    trigger: Mapping[str, Any]
    action: Mapping[str, Any]

    @property
    def content_hash(self) -> str:
        """Hash of the whole automation; stored as one of its tags."""
        content = [self.name, self.description, self.trigger, self.action]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class HeldAutomation:
    """An automation on the server that Sluice created.

    Attributes:
        id: Prefect's id.
        content_hash: Hash when it was written.
        starts: The deployment that it starts; None: it has another action.
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
        deployment_ids: Prefect's id of each deployment, by name; a pipeline without a deployment gets no automation.
        alert_block_id: The notification block of the environment's alert channel; None: the server sends no alerts.
    """
    if not rows.pipelines:
        return
    yield _silent_runs(environment)
    yield _pending_runs(environment)
    yield _cancelling_runs(environment)
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
    """Return the ids of the deployments that existing automations start, by name; None: an automation is missing.

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
        name=f"sluice {environment}: mark runs without heartbeat as crashed",
        description=f"A run without a heartbeat for {SILENT_SECONDS // 60} minutes lost its process or its machine.",
        trigger=_unless_followed(environment, _HEARTBEAT, "prefect.flow-run.*", SILENT_SECONDS)
        | {"for_each": ["prefect.resource.id"]},
        action={
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "name": "Crashed",
            "message": f"No heartbeat for {SILENT_SECONDS // 60} minutes: its process or its machine is gone. "
            "Committed loads are kept; the next run continues from there.",
        },
    )


def _pending_runs(environment: str) -> Automation:
    return Automation(
        name=f"sluice {environment}: mark runs that stay pending as crashed",
        description=f"A worker took the run, and its process did not start within {PENDING_SECONDS // 60} minutes.",
        trigger=_unless_followed(environment, "prefect.flow-run.Pending", "prefect.flow-run.*", PENDING_SECONDS)
        | {"after": ["prefect.flow-run.Pending", "prefect.flow-run.Submitting"], "for_each": ["prefect.resource.id"]},
        action={
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "name": "Crashed",
            "message": f"Its process did not start within {PENDING_SECONDS // 60} minutes.",
        },
    )


def _cancelling_runs(environment: str) -> Automation:
    return Automation(
        name=f"sluice {environment}: mark runs that stay cancelling as cancelled",
        description=f"No worker was left that could end the run within {CANCELLING_SECONDS // 60} minutes.",
        trigger=_unless_followed(environment, "prefect.flow-run.Cancelling", "prefect.flow-run.*", CANCELLING_SECONDS)
        | {"for_each": ["prefect.resource.id"]},
        action={
            "type": "change-flow-run-state",
            "state": "CANCELLED",
            "name": "Cancelled",
            "message": "No worker was left that could end it.",
        },
    )


def _unless_followed(environment: str, event: str, expected: str, seconds: int) -> dict[str, Any]:
    """Return a trigger that fires when an event of a managed run is not followed by an expected event in time."""
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
        name=f"sluice {environment}: alert on late runs",
        description=f"A run is late, and none started within {LATE_SECONDS} s: no worker is up, or all are busy.",
        trigger=_unless_followed(environment, "prefect.flow-run.Late", "prefect.flow-run.Running", LATE_SECONDS),
        action=_notification(
            block_id,
            f"[{environment}] Runs are late: no worker starts them",
            f"A scheduled run is late, and no run has started for {LATE_SECONDS // 60} minutes. Run `sluice doctor` to "
            "check the workers of the pool. No data is lost: late runs continue from their watermarks.",
        ),
    )


def _crashed_runs(environment: str, block_id: UUID) -> Automation:
    return Automation(
        name=f"sluice {environment}: alert on crashes of upkeep and forms",
        description="The server alerts on crashes of monitor, heal and forms; `monitor` on those of pipeline runs.",
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
        action=_notification(
            block_id,
            f"[{environment}] {{{{ flow_run.name }}}} crashed",
            "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
        ),
    )


def _notification(block_id: UUID, subject: str, body: str) -> dict[str, Any]:
    return {"type": "send-notification", "block_document_id": str(block_id), "subject": subject, "body": body}


def _upstream_loaded(pipeline_id: str, environment: str, deployment_id: UUID) -> Automation:
    return Automation(
        name=_upstream_name(pipeline_id, environment),
        description="The run that it starts calls the gate, and ends at once when nothing is new.",
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
