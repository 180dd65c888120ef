"""`sluice deploy`: bring Prefect's deployments in step with the rows. Only what differs is written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from flows.context import Context
from flows.deployments.desired import Deployment, pipeline_deployments
from flows.deployments.difference import Action, DeployPlan, Step, compare
from metadata_sync.errors import ConfigurationError, MetadataError
from metadata_sync.rows import ControlRows

log = logging.getLogger(__name__)

OnStep = Callable[[int, int, Step], None]
"""Called before each change with its number, how many there are, and the change."""


def desired_deployments(context: Context, rows: ControlRows) -> tuple[Deployment, ...]:
    """Return everything that Prefect shall hold for the environment."""
    return tuple(pipeline_deployments(rows, context.settings.environment))


def deploy(
    context: Context,
    api_url: str,
    *,
    is_dry: bool = False,
    on_step: OnStep = lambda _number, _total, _step: None,
) -> DeployPlan:
    """Bring deployments in step with the rows, one after the other; killed in the middle, the next call goes on.

    Args:
        context: Project, settings, control database.
        api_url: The Prefect server.
        is_dry: Only work out what would be done.
        on_step: Hears of each change.

    Returns:
        What was (or would be) done.

    Raises:
        ConfigurationError: When a deployment of a wanted name is not Sluice's.
        MetadataError: When a row holds a schedule that Prefect does not take; nothing was written.
        RunError: When the server refuses or does not answer.
    """
    from flows.deployments.prefect_side import open_deployments, schedule_faults

    settings = context.settings
    desired = desired_deployments(context, context.store.read_rows())
    with open_deployments(api_url, settings.work_pool) as prefect:
        existing = prefect.existing(_flow_names(desired))
        plan = compare(desired, existing, environment=settings.environment, work_pool=settings.work_pool)
        faults = schedule_faults([step.desired for step in plan.steps if step.desired is not None])
        if faults:
            raise MetadataError(faults)
        if is_dry or not plan.steps:
            return plan
        prefect.ensure_work_pool()
        for number, step in enumerate(plan.steps, start=1):
            on_step(number, len(plan.steps), step)
            if step.action is Action.REMOVE:
                assert step.existing is not None
                prefect.remove(step.existing)
            else:
                assert step.desired is not None
                prefect.write(step.desired, is_paused=step.desired.is_paused or step.stays_paused)
            log.info("deployment action=%s name=%s", step.action, step.name)
    return plan


def require_server(api_url: str | None) -> str:
    """Return the address, when there is one.

    Raises:
        ConfigurationError: When no Prefect server answers.
    """
    if api_url is None:
        raise ConfigurationError(
            "No Prefect server answers, so there is nowhere to deploy to; nothing was changed.",
            "`sluice up` starts a local one; PREFECT_API_URL names another.",
        )
    return api_url


def _flow_names(desired: Sequence[Deployment]) -> list[str]:
    from flows.deployments.desired import RUN_FLOW

    return sorted({RUN_FLOW, *(item.flow_name for item in desired)})
