"""`monitor` and `heal` as deployments: what looks after the pipelines by itself, on schedules of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flows.prefect.deployments.pipelines import MANAGED_TAG, Deployment, Schedule, deployment_name, environment_tag
from metadata_sync.rows.model import ControlRows

UPKEEP_TAG: Final = "upkeep"


@dataclass(frozen=True, slots=True)
class _Upkeep:
    """A flow that runs by the clock, whatever the rows say.

    Attributes:
        name: Of the flow and its deployment.
        entrypoint: Of the flow.
        schedule: Often enough that a person hears of trouble while it is small, and cheap: minutes without work in
            them cost a process start.
        description: What people read.
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
        "Finds runs that died and pipelines that are late, and sends the alerts that wait. What `monitor` finds stands "
        "in `sluice status`.",
    ),
    _Upkeep(
        "heal",
        "flows.prefect.upkeep_flows.heal",
        Schedule("3-59/10 * * * *", "UTC"),
        "Switches on again what the framework switched off, where the cause is gone: `sluice heal`.",
    ),
)
UPKEEP_FLOWS: Final = tuple(item.name for item in _UPKEEP)


def upkeep_deployments(rows: ControlRows, environment: str) -> Iterator[Deployment]:
    """Yield the upkeep of an environment; none before there is something to look after.

    Args:
        rows: The environment's rows.
        environment: Its name.
    """
    if not rows.transformations:
        return
    schemas = {"monitor": _NOTHING_TO_SAY, "heal": _heal_schema(rows)}
    for item in _UPKEEP:
        yield Deployment(
            name=deployment_name(item.name, environment),
            flow_name=item.name,
            entrypoint=item.entrypoint,
            description=item.description,
            tags=(MANAGED_TAG, environment_tag(environment), UPKEEP_TAG),
            schema=schemas[item.name],
            schedule=item.schedule,
            is_exclusive=True,
            environment=environment,
        )


_NOTHING_TO_SAY: Final[Mapping[str, Any]] = {"title": "Parameters", "type": "object", "properties": {}}


def _heal_schema(rows: ControlRows) -> Mapping[str, Any]:
    targets = sorted(str(row.name) for row in rows.transformations)
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "targets": {
                "title": "Targets",
                "description": "None: all that the framework switched off.",
                "type": "array",
                "items": {"type": "string", "enum": targets},
                "default": [],
                "position": 0,
            },
            "force": {
                "title": "Look now",
                "description": "Whatever has changed, and however lately it was looked at.",
                "type": "boolean",
                "default": False,
                "position": 1,
            },
        },
    }
