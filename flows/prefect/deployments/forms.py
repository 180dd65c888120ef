"""The deployments of the forms. Their choices come from the rows, so they are written again when rows change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flows.prefect.deployments.pipelines import (
    MANAGED_TAG,
    RUN_ENTRYPOINT,
    RUN_FLOW,
    Deployment,
    deployment_name,
    environment_tag,
)
from flows.prefect.forms.models import (
    CLUSTER_HELP,
    BackfillForm,
    DecideForm,
    EditForm,
    Form,
    OnboardForm,
    SwitchForm,
    parameter_schema,
    present_values,
    values_table,
)
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import Engine

FORM_TAG: Final = "form"


@dataclass(frozen=True, slots=True)
class _FormDeployment:
    """The deployment of a form.

    Attributes:
        name: Name of the deployment.
        flow_name: Name of the flow.
        entrypoint: Entry point of the flow.
        form: The form's fields.
    """

    name: str
    flow_name: str
    entrypoint: str
    form: type[Form]


_FORMS: Final = (
    _FormDeployment("backfill", "Backfill", "flows.prefect.backfill_flow.backfill", BackfillForm),
    _FormDeployment("switch", "Switch a row", "flows.prefect.form_flows.switch", SwitchForm),
    _FormDeployment("edit", "Edit a pipeline", "flows.prefect.form_flows.edit", EditForm),
    _FormDeployment(
        "onboard", "Onboard a transformation", "flows.prefect.form_flows.onboard_transformation", OnboardForm
    ),
)
_DECIDE: Final = _FormDeployment("decide", "Decide a proposal", "flows.prefect.form_flows.decide", DecideForm)
FORM_FLOWS: Final = tuple(item.flow_name for item in (*_FORMS, _DECIDE))


def form_deployments(
    rows: ControlRows, environment: str, selects: Sequence[str], *, is_protected: bool = False
) -> Iterator[Deployment]:
    """Yield the forms of an environment that has at least one pipeline.

    Args:
        rows: The environment's rows, from which the choices come.
        environment: Its name.
        selects: SELECT files of the project, as values of `sql_path`.
        is_protected: Whether changes wait for another identity, which may decide by form.
    """
    if not rows.pipelines:
        return
    tags = (MANAGED_TAG, environment_tag(environment), FORM_TAG)
    yield Deployment(
        name=deployment_name("run now", environment),
        flow_name=RUN_FLOW,
        entrypoint=RUN_ENTRYPOINT,
        description="Run pipelines now, outside their schedules.",
        tags=tags,
        parameters={"pipelines": []},
        schema=_run_now_schema(rows),
        environment=environment,
    )
    lists = _lists(rows, selects)
    pipelines = sorted(rows.pipelines, key=lambda row: row.pipeline_id)
    for item in (*_FORMS, *([_DECIDE] if is_protected else [])):
        is_edit = item.form is EditForm
        if all(lists[name] for name in item.form.choices.values()):
            yield Deployment(
                name=deployment_name(item.name, environment),
                flow_name=item.flow_name,
                entrypoint=item.entrypoint,
                description=(item.form.__doc__ or "").strip() + (values_table(pipelines) if is_edit else ""),
                tags=tags,
                schema=parameter_schema(item.form, lists, present_values(pipelines) if is_edit else {}),
                environment=environment,
            )


def _lists(rows: ControlRows, selects: Sequence[str]) -> Mapping[str, Sequence[str]]:
    pipelines = sorted(row.pipeline_id for row in rows.pipelines)
    targets = sorted(str(row.name) for row in rows.transformations)
    return {
        "pipelines": pipelines,
        "rows": [*pipelines, *targets],
        "tables": sorted({*targets, *(str(row.name) for row in rows.sources)}),
        "selects": sorted(selects),
    }


def _run_now_schema(rows: ControlRows) -> dict[str, Any]:
    groups = sorted({row.job_group for row in rows.pipelines})
    pipelines = sorted(row.pipeline_id for row in rows.pipelines)
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "pipelines": {
                "title": "Pipelines",
                "description": "Empty: every active pipeline.",
                "type": "array",
                "items": {"type": "string", "enum": pipelines},
                "default": [],
                "position": 0,
            },
            "job_group": {
                "title": "Job group",
                "description": "Only pipelines of this group.",
                "anyOf": [{"type": "string", "enum": groups}, {"type": "null"}],
                "default": None,
                "position": 1,
            },
            "force": {
                "title": "Run everything",
                "description": "Give every target to dbt, even when nothing is new. Loads still read only what is new.",
                "type": "boolean",
                "default": False,
                "position": 2,
            },
            "engine": {
                "title": "Engine",
                "description": "Where SELECTs run this time; empty: as in the rows.",
                "anyOf": [{"type": "string", "enum": list(Engine)}, {"type": "null"}],
                "default": None,
                "position": 3,
            },
            "cluster": {
                "title": "Cluster",
                "description": CLUSTER_HELP,
                "type": "string",
                "default": "",
                "position": 4,
            },
            "requested_by": {
                "title": "Your name",
                "description": "Shown in the run's summary.",
                "type": "string",
                "minLength": 1,
                "position": 5,
            },
        },
        "required": ["requested_by"],
    }
