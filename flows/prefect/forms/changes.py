"""The change of rows that a form makes, with the functions, rules and audit of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import yaml

from flows.prefect.forms.models import DecideForm, EditForm, OnboardForm, SwitchForm
from metadata_sync.control.apply import Assignment, ChangeContext, add_row, set_values, switch
from metadata_sync.control.approving import approve
from metadata_sync.database import Via
from metadata_sync.errors import ConfigurationError, StoreError
from metadata_sync.rows.merge import RowChange, RowId
from metadata_sync.rows.model import PipelineRow, TransformationRow


def switch_row(context: ChangeContext, form: SwitchForm) -> RowChange:
    """Switch a row on or off, like `sluice activate` and `sluice deactivate`.

    Raises:
        MetadataError: When there is no such row, or the change would cause faults; nothing was changed.
    """
    return switch(_by(context, form.requested_by), form.row, form.reason, is_active=form.switch == "activate")


def edit_pipeline(context: ChangeContext, form: EditForm) -> RowChange:
    """Change columns of a pipeline, like `sluice control set pipeline …`.

    Raises:
        MetadataError: With every fault of the values; nothing was changed.
    """
    row_id = RowId(PipelineRow.control_table, form.pipeline)
    return set_values(_by(context, form.requested_by), row_id, list(_assignments(form)), form.reason, Via.FORM)


def onboard(context: ChangeContext, form: OnboardForm) -> RowChange:
    """Add a transformation row, like `sluice control apply` from a file.

    Raises:
        MetadataError: With every fault of the row and its SELECT; nothing was changed.
    """
    dependencies = [
        *({"table": table, "driving": True} for table in form.driving),
        *({"table": table, "driving": False, "on_change": form.on_change.value} for table in form.lookups),
    ]
    values = {
        "target_schema": form.target_schema,
        "target_table": form.target_table,
        "pipeline_id": form.pipeline,
        "sql_path": form.sql_path,
        "description": form.description,
        "load_type": form.load_type.value,
        "increment": form.increment.value,
        "business_key": list(form.business_key),
        "incremental_key": form.incremental_key or None,
        "sequence_by": list(form.sequence_by),
        "scd_columns": list(form.scd_columns),
        "dependencies": dependencies,
    }
    return add_row(_by(context, form.requested_by), TransformationRow, values, form.reason, Via.FORM)


def decide_proposal(context: ChangeContext, form: DecideForm, person: str) -> str:
    """Approve or reject a proposal, like `sluice proposals approve` and `reject`, and return what was done.

    Args:
        context: The context of the change.
        form: The decision.
        person: Whom the server has authenticated; the control database must know the caller by this name.

    Raises:
        ConfigurationError: When the proposal is another one than was looked at, or a reason is missing.
        StoreError: When the person may not, or sessions of this worker may not act in the person's name.
        MetadataError: When the changes would cause faults; nothing was changed.
    """
    approvals = context.store.approvals
    found, caller = approvals.find(form.proposal), approvals.caller()
    if caller.name != person:
        raise StoreError(
            f"Sessions of {caller.account} do not act in the name of persons, such as {person}; nothing was changed.",
            f"Decide in a session of your own, or let them: `sluice protection grant ci {caller.account}`.",
        )
    if not found.digest.startswith(form.digest):
        raise ConfigurationError(
            f"Proposal {form.proposal} has another digest; nothing was changed.", "Look at its page again."
        )
    if form.decision == "approve":
        return f"Proposal {form.proposal} is approved by {person}, change {approve(context, found)}."
    if not form.reason:
        raise ConfigurationError("A rejection needs a reason; nothing was changed.", "Write one into the form.")
    approvals.reject(form.proposal, form.reason)
    return f"Proposal {form.proposal} is rejected by {person}."


def _by(context: ChangeContext, who: str) -> ChangeContext:
    return replace(context, who=who)


def _assignments(form: EditForm) -> Iterator[Assignment]:
    values = form.model_dump(exclude={"requested_by", "pipeline", "reason", "clear"}, exclude_defaults=True)
    for column, value in values.items():
        yield Assignment(column, yaml.safe_dump(list(value) if isinstance(value, tuple) else value))
    for column in form.clear:
        yield Assignment(column, "[]" if column == "emr_instance_types" else "null")
