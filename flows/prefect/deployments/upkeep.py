"""The deployments of `monitor` and `heal`, with their own schedules and their own work queue. Pure.

Prefect does not limit them to one run at a time: a limit that is lost with a killed server would silence the watchers.
`heal` takes a lease in the control database instead; two runs of `monitor` at the same time find the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flows.prefect.deployments.pipelines import MANAGED_TAG, Deployment, Schedule, deployment_name, environment_tag
from flows.server.companions import UPKEEP_QUEUE
from metadata_sync.rows.model import ControlRows

UPKEEP_TAG: Final = "upkeep"


@dataclass(frozen=True, slots=True)
class _Upkeep:
    """A flow with a fixed schedule.

    Attributes:
        name: Name of the flow and of its deployment.
        entrypoint: Entry point of the flow.
        schedule: Frequent, so that alerts are timely; a run without work costs a process start.
        description: Markdown.
    """

    name: str
    entrypoint: str
    schedule: Schedule
    description: str


_UPKEEP: Final = (
    _Upkeep(
        "monitor",
        "flows.prefect.upkeep_flows.monitor",
        Schedule("*/5 * * * *", "UTC"),
        "Finds crashed and hanging runs, late pipelines and stale tables, and sends pending alerts. `sluice status` "
        "shows what it finds.",
    ),
    _Upkeep(
        "heal",
        "flows.prefect.upkeep_flows.heal",
        Schedule("3-59/10 * * * *", "UTC"),
        "Reactivates the rows that the framework deactivated, when their cause is gone: `sluice heal`.",
    ),
)
UPKEEP_FLOWS: Final = tuple(item.name for item in _UPKEEP)


def upkeep_deployments(rows: ControlRows, environment: str) -> Iterator[Deployment]:
    """Yield the upkeep of an environment that has at least one transformation.

    Args:
        rows: The environment's rows.
        environment: Its name.
    """
    if not rows.transformations:
        return
    schemas = {"monitor": _NO_PARAMETERS, "heal": _heal_schema(rows)}
    for item in _UPKEEP:
        yield Deployment(
            name=deployment_name(item.name, environment),
            flow_name=item.name,
            entrypoint=item.entrypoint,
            description=item.description,
            tags=(MANAGED_TAG, environment_tag(environment), UPKEEP_TAG),
            schema=schemas[item.name],
            schedule=item.schedule,
            environment=environment,
            work_queue=UPKEEP_QUEUE,
        )


_NO_PARAMETERS: Final[Mapping[str, Any]] = {"title": "Parameters", "type": "object", "properties": {}}


def _heal_schema(rows: ControlRows) -> Mapping[str, Any]:
    targets = sorted(str(row.name) for row in rows.transformations)
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "targets": {
                "title": "Targets",
                "description": "Empty: all that the framework deactivated.",
                "type": "array",
                "items": {"type": "string", "enum": targets},
                "default": [],
                "position": 0,
            },
            "force": {
                "title": "Check now",
                "description": "Even when nothing changed and the last check was recent.",
                "type": "boolean",
                "default": False,
                "position": 1,
            },
        },
    }
