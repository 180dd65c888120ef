"""The desired deployments of pipelines: one per row, each with a content hash. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from flows.prefect.pages.summary import escape
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow

MANAGED_TAG: Final = "sluice"
"""Tag of everything that `sluice deploy` creates; it never changes or removes anything without this tag."""
INACTIVE_TAG: Final = "inactive"
"""Tag of a deployment that is paused because its row is inactive, not because a person paused it."""
_WRITTEN_AS: Final = 2
"""Raised when deployments are written in another way, so that those of an earlier release are written again."""
RUN_FLOW: Final = "run"
RUN_ENTRYPOINT: Final = "flows.prefect.run_flow.run"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of a deployment.

    Attributes:
        cron: Cron expression of the row.
        timezone: IANA name.
    """

    cron: str
    timezone: str

    def __str__(self) -> str:
        return f"{self.cron} {self.timezone}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A desired deployment.

    Attributes:
        name: Unique per flow: `<pipeline_id>@<environment>` or `<form>@<environment>`.
        flow_name: The flow that it starts.
        entrypoint: Where a worker imports the flow from.
        description: Markdown.
        tags: Tags of the deployment and of its runs.
        parameters: Default parameters of runs.
        schema: JSON schema of the parameters: the form in the UI, enforced by the server.
        schedule: None: started by events and people only.
        schedule_parameters: Additional parameters of scheduled runs.
        is_paused: True when its row is inactive.
        is_exclusive: At most one run at a time. A second run is refused, and run again after the first has ended.
        environment: The value of `SLUICE_ENVIRONMENT` in every run.
        work_queue: Queue of the work pool; None: the pool's default queue.
    """

    name: str
    flow_name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None
    schedule_parameters: Mapping[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    is_exclusive: bool = False
    environment: str = ""
    work_queue: str | None = None

    @property
    def content_hash(self) -> str:
        """Hash of the whole deployment; stored in Prefect as the deployment's version."""
        text = json.dumps([_WRITTEN_AS, asdict(self)], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def deployment_name(subject: str, environment: str) -> str:
    """Return the name of a deployment; it contains the environment, because environments may share a server.

    >>> deployment_name("flights_hourly", "dev")
    'flights_hourly@dev'
    """
    return f"{subject}@{environment}"


def environment_tag(environment: str) -> str:
    """Return the tag of an environment's deployments."""
    return f"environment:{environment}"


def pipeline_deployments(rows: ControlRows, environment: str) -> Iterator[Deployment]:
    """Yield the deployment of every pipeline row; that of an inactive row is paused.

    Args:
        rows: The environment's rows.
        environment: Its name.
    """
    by_pipeline: dict[str, list[TransformationRow]] = {row.pipeline_id: [] for row in rows.pipelines}
    for transformation in rows.transformations:
        by_pipeline.setdefault(transformation.pipeline_id, []).append(transformation)
    for row in rows.pipelines:
        yield _of_pipeline(row, by_pipeline[row.pipeline_id], environment)


def _of_pipeline(row: PipelineRow, targets: list[TransformationRow], environment: str) -> Deployment:
    schedule = Schedule(row.schedule, row.timezone) if row.schedule else None
    return Deployment(
        name=deployment_name(row.pipeline_id, environment),
        flow_name=RUN_FLOW,
        entrypoint=RUN_ENTRYPOINT,
        description=_description(row, targets),
        tags=_tags(row, environment),
        parameters={"pipelines": [row.pipeline_id]},
        schema=_run_schema(row.pipeline_id),
        schedule=schedule,
        schedule_parameters={"scheduled_by": str(schedule)} if schedule else {},
        is_paused=not row.is_active,
        is_exclusive=True,
        environment=environment,
    )


def _tags(row: PipelineRow, environment: str) -> tuple[str, ...]:
    tags = [MANAGED_TAG, environment_tag(environment), f"pipeline:{row.pipeline_id}", f"job_group:{row.job_group}"]
    tags += [f"template:{row.template}"]
    tags += [f"owner:{row.owner}"] if row.owner else []
    tags += [] if row.is_active else [INACTIVE_TAG]
    return tuple(tags)


def _description(row: PipelineRow, targets: list[TransformationRow]) -> str:
    facts = {
        "Schedule": f"`{row.schedule}` {row.timezone}" if row.schedule else "none: events and people start it",
        "Template": str(row.template),
        "Engine": str(row.engine),
        "SLA": f"{row.sla_minutes} minutes" if row.sla_minutes else None,
        "Owner": escape(row.owner) if row.owner else None,
        "Alerts go to": escape(row.alert_channel) if row.alert_channel else None,
    }
    lines = [f"**{escape(row.pipeline_name)}**", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if value]
    lines += ["", "Targets:", ""] if targets else ["", "It has no targets yet."]
    lines += [
        f"- {escape(str(target.name))}{_remark(target)}" for target in sorted(targets, key=lambda item: item.name)
    ]
    lines += ["", f"Generated from pipeline_control\\[{escape(row.pipeline_id)}\\]: edit the row, not this deployment."]
    return "\n".join(lines)


def _remark(target: TransformationRow) -> str:
    parts = [f"{target.load_type}", *([] if target.is_active else ["switched off"])]
    about = f": {escape(target.description)}" if target.description else ""
    return f" ({', '.join(parts)}){about}"


def _run_schema(pipeline_id: str) -> dict[str, Any]:
    """Return the schema of the parameters for a run that a person starts."""
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "pipelines": {
                "title": "Pipeline",
                "description": "The pipeline of this deployment.",
                "type": "array",
                "items": {"enum": [pipeline_id], "type": "string"},
                "minItems": 1,
                "default": [pipeline_id],
                "position": 0,
            },
            "force": {
                "title": "Run everything",
                "description": "Give every target to dbt, even when nothing is new. Loads still read only what is new.",
                "type": "boolean",
                "default": False,
                "position": 1,
            },
            "requested_by": {
                "title": "Your name",
                "description": "Shown in the run's summary.",
                "type": "string",
                "default": "schedule",
                "position": 2,
            },
        },
    }
