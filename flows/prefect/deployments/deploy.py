"""`sluice deploy`: update Prefect's deployments to match the rows. Only differences are written.

A deploy leaves a digest of what it wrote on the server. CI, forms and the reconciler deploy often, mostly without
changes: with the digest such a deploy costs three small requests, instead of seconds to import Prefect and to read
hundreds of deployments.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from flows.context import Context
from flows.incidents.outbox import webhook_of
from flows.prefect.deployments.automations import automations, known_ids
from flows.prefect.deployments.diff import (
    AutomationStep,
    DeployPlan,
    DeployStep,
    as_written,
    compare,
    compare_automations,
)
from flows.prefect.deployments.forms import FORM_FLOWS, form_deployments
from flows.prefect.deployments.pipelines import RUN_FLOW, Deployment, pipeline_deployments
from flows.prefect.deployments.reads import PrefectReads, open_reads
from flows.prefect.deployments.upkeep import UPKEEP_FLOWS, upkeep_deployments
from metadata_sync.errors import ConfigurationError, MetadataError
from metadata_sync.rows.model import ControlRows

if TYPE_CHECKING:
    from flows.prefect.deployments.client import PrefectDeployments
    from metadata_sync.settings import Settings

log = logging.getLogger(__name__)

OnStep = Callable[[int, int, DeployStep], None]
"""Called before each change with its number, the number of changes, and the change."""


def desired_deployments(context: Context, rows: ControlRows) -> tuple[Deployment, ...]:
    """Return all deployments of the environment as they should be."""
    environment = context.settings.environment
    folder = context.project.dbt_dir
    selects = [str(path.relative_to(folder)) for path in (folder / "transformations").rglob("*.sql")]
    return (
        *pipeline_deployments(rows, environment),
        *upkeep_deployments(rows, environment),
        *form_deployments(rows, environment, selects, is_protected=context.store.approvals.is_protected()),
    )


def deploy(
    context: Context,
    api_url: str,
    *,
    is_dry: bool = False,
    on_step: OnStep = lambda _number, _total, _step: None,
) -> DeployPlan:
    """Update deployments to match the rows, one after the other; after an interruption the next call resumes.

    Args:
        context: Project, settings, control database.
        api_url: The Prefect server.
        is_dry: Compute the changes without writing them.
        on_step: Called before each change.

    Returns:
        The changes that were (or would be) made.

    Raises:
        ConfigurationError: When a deployment with a desired name was not created by Sluice.
        MetadataError: When a row has a schedule that Prefect refuses; nothing was written.
        RunError: When the server refuses or does not answer.
    """
    settings = context.settings
    rows = context.store.read_rows()
    desired = desired_deployments(context, rows)
    unchanged = _unchanged_plan(context, api_url, rows, desired)
    if unchanged is not None:
        return unchanged
    from flows.prefect.deployments.client import open_deployments

    with open_deployments(api_url, settings.work_pool) as prefect:
        held = prefect.existing_automations(settings.environment)
        block_id, notes = _alert_block(context, prefect)
        known = _as_remembered(settings, prefect, desired, known_ids(rows, settings.environment, held))
        plan, ids = known or _compare(settings, prefect, desired)
        with nullcontext() if is_dry or known else _remembering(settings, prefect, desired):
            if not is_dry:
                ids |= _apply_steps(prefect, plan.steps, on_step)
            steps = compare_automations(automations(rows, settings.environment, ids, block_id), held)
            if not is_dry:
                _apply_automation_steps(prefect, steps, settings.environment)
    return replace(plan, automations=steps, notes=notes)


def _unchanged_plan(
    context: Context, api_url: str, rows: ControlRows, desired: Sequence[Deployment]
) -> DeployPlan | None:
    """Return the plan when nothing has to change, without importing Prefect; None: a full comparison is needed."""
    import httpx

    if _names_block(context):
        return None
    environment, pool = context.settings.environment, context.settings.work_pool
    try:
        with open_reads(api_url, pool) as prefect:
            held = prefect.existing_automations(environment)
            known = _as_remembered(context.settings, prefect, desired, known_ids(rows, environment, held))
    except httpx.HTTPError:  # the full comparison uses Prefect's client, which also reports errors
        return None
    if known is None or compare_automations(automations(rows, environment, known[1], None), held):
        return None
    return known[0]


def _as_remembered(
    settings: Settings, prefect: PrefectReads, desired: Sequence[Deployment], ids: dict[str, UUID] | None
) -> tuple[DeployPlan, dict[str, UUID]] | None:
    """Return plan and ids when the server has what the last deploy wrote; None: each deployment must be compared.

    Only the number of deployments and the paused ones are read: reading hundreds takes the server seconds.
    """
    if ids is None or prefect.remembered(settings.environment) != _digest(desired):
        return None
    if prefect.count(settings.environment) != len(desired):
        return None
    plan = as_written(desired, prefect.paused(_flow_names(desired), settings.environment))
    return None if plan is None else (plan, ids)


def _compare(
    settings: Settings, prefect: PrefectDeployments, desired: Sequence[Deployment]
) -> tuple[DeployPlan, dict[str, UUID]]:
    """Read every deployment; return the plan, and the ids of those of the flow `run`, by name."""
    existing = prefect.existing(_flow_names(desired))
    plan = compare(desired, existing, environment=settings.environment, work_pool=settings.work_pool)
    _refuse_faults(plan)
    return plan, {item.name: item.id for item in existing if item.flow_name == RUN_FLOW}


@contextmanager
def _remembering(settings: Settings, prefect: PrefectDeployments, desired: Sequence[Deployment]) -> Iterator[None]:
    """Leave the digest for the next deploy, unless this one fails or another one writes at the same time."""
    mark = f"being written: {uuid4()}"
    prefect.remember(settings.environment, mark)
    yield
    is_alone = prefect.remembered(settings.environment) == mark
    prefect.remember(settings.environment, _digest(desired) if is_alone else "two deploys at the same time")


def _digest(desired: Sequence[Deployment]) -> str:
    return hashlib.sha256("".join(sorted(item.content_hash for item in desired)).encode()).hexdigest()


def _alert_block(context: Context, prefect: PrefectDeployments) -> tuple[UUID | None, tuple[str, ...]]:
    """Return the notification block of the environment's alert channel, and notes for people."""
    channel = context.settings.alert_channel
    if channel is None or not _names_block(context):
        return None, ()
    try:
        return prefect.notification_block(channel), ()
    except ConfigurationError as error:
        return None, (f"The server cannot send alerts on late and crashed runs. {error.message} {error.hint}",)


def _names_block(context: Context) -> bool:
    channel = context.settings.alert_channel
    return channel is not None and webhook_of(context, channel) is None


def _refuse_faults(plan: DeployPlan) -> None:
    from flows.prefect.deployments.client import schedule_faults

    faults = schedule_faults([step.desired for step in plan.steps if step.desired is not None])
    if faults:
        raise MetadataError(faults)


def _apply_steps(prefect: PrefectDeployments, steps: Sequence[DeployStep], on_step: OnStep) -> dict[str, UUID]:
    """Write the changes; return the ids of the deployments of the flow `run` that were written, by name."""
    written: dict[str, UUID] = {}
    if steps:
        prefect.ensure_work_pool()
    for number, step in enumerate(steps, start=1):
        on_step(number, len(steps), step)
        if step.desired is None:
            assert step.existing is not None, "what is removed is there"
            prefect.remove(step.existing)
        else:
            made = prefect.write(step.desired, is_paused=step.desired.is_paused or step.stays_paused)
            written |= {step.name: made} if step.desired.flow_name == RUN_FLOW else {}
        log.info("deployment action=%s name=%s", step.action, step.name)
    return written


def _apply_automation_steps(prefect: PrefectDeployments, steps: Sequence[AutomationStep], environment: str) -> None:
    for step in steps:
        if step.desired is not None:
            prefect.write_automation(step.desired, environment, step.existing_id)
        elif step.existing_id is not None:
            prefect.remove_automation(step.existing_id)
        log.info("automation action=%s name=%s", step.action, step.name)


def require_server(api_url: str | None) -> str:
    """Return the address, when there is one.

    Raises:
        ConfigurationError: When no Prefect server answers.
    """
    if api_url is None:
        raise ConfigurationError(
            "No Prefect server answers; nothing was changed.",
            "`sluice up` starts a local server; PREFECT_API_URL names another one.",
        )
    return api_url


def _flow_names(desired: Sequence[Deployment]) -> list[str]:
    return sorted({RUN_FLOW, *FORM_FLOWS, *UPKEEP_FLOWS, *(item.flow_name for item in desired)})
