"""The flows of the forms. A form with faults ends as Failed, reports every fault, and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed

from flows.context import Context, load_context
from flows.prefect.deployments.deploy import deploy
from flows.prefect.forms.changes import decide_proposal, edit_pipeline, onboard, switch_row
from flows.prefect.forms.models import DecideForm, EditForm, OnboardForm, SwitchForm
from flows.prefect.forms.pages import change_key, change_line, change_page, fault_page
from flows.prefect.proposals import require_starter, starter, write_page
from metadata_sync.control.apply import ChangeContext
from metadata_sync.database.approval.identity import acting_for
from metadata_sync.errors import ApprovalNeededError, MetadataError, SluiceError
from metadata_sync.rows.merge import RowChange

log = logging.getLogger(__name__)


@flow(name="Switch a row", flow_run_name="{form.switch} {form.row}", persist_result=False)
def switch(form: SwitchForm) -> State[Any]:
    """Activate or deactivate a pipeline or a target."""
    return _change(lambda context: switch_row(context, form))


@flow(name="Edit a pipeline", flow_run_name="edit {form.pipeline}", persist_result=False)
def edit(form: EditForm) -> State[Any]:
    """Change a pipeline's schedule, SLA, cluster or alerts."""
    return _change(lambda context: edit_pipeline(context, form))


@flow(
    name="Onboard a transformation",
    flow_run_name="onboard {form.target_schema}.{form.target_table}",
    persist_result=False,
)
def onboard_transformation(form: OnboardForm) -> State[Any]:
    """Make a SELECT of the project a managed table."""
    return _change(lambda context: onboard(context, form))


@flow(name="Decide a proposal", flow_run_name="{form.decision} proposal {form.proposal}", persist_result=False)
def decide(form: DecideForm) -> State[Any]:
    """Approve or reject a change that waits, as the user who started the run."""
    context = load_context()
    try:
        person = require_starter()
        with acting_for(person):
            message = decide_proposal(context.change_context, form, person)
    except SluiceError as error:
        faults = error.faults if isinstance(error, MetadataError) else ()
        return Failed(message="; ".join([str(error), *map(str, faults)]))
    write_page(context, context.store.approvals.find(form.proposal))
    return Completed(message=f"{message}{_deploy(context)}")


def _change(make_change: Callable[[ChangeContext], RowChange]) -> State[Any]:
    context = load_context()
    try:
        with acting_for(starter()):
            change = make_change(context.change_context)
    except MetadataError as error:
        create_markdown_artifact(fault_page(error), description="Nothing was changed.")
        first = f": {error.faults[0]}" if error.faults else ""
        return Failed(message=f"{error.message.removesuffix('.')}{first}")
    except ApprovalNeededError as error:
        write_page(context, context.store.approvals.find(int(error.subject or "")))
        return Completed(message=str(error))
    except SluiceError as error:
        return Failed(message=str(error))
    if not change.columns:
        return Completed(message=f"{change.id} already holds these values.")
    create_markdown_artifact(
        change_page(change), key=change_key(change), description=f"Changes of {change.id} by forms."
    )
    return Completed(message=f"{change_line(change)}{_deploy(context)}")


def _deploy(context: Context) -> str:
    """Update the deployments at once. If that fails, the reconciler does it within seconds."""
    try:
        deploy(context, str(PREFECT_API_URL.value()))
    except SluiceError as error:
        log.warning("deploy_after_form done=false error=%s", error)
        return " (deployments will be updated later)"
    return ""
