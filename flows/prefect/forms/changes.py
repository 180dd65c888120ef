"""The change of rows that a form makes, with the functions, rules and audit of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import yaml

from flows.prefect.forms.models import EditForm, OnboardForm, SwitchForm
from metadata_sync.control.apply import Assignment, ChangeContext, add_row, set_values, switch
from metadata_sync.database import Via
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


def _by(context: ChangeContext, who: str) -> ChangeContext:
    return replace(context, who=who)


def _assignments(form: EditForm) -> Iterator[Assignment]:
    values = form.model_dump(exclude={"requested_by", "pipeline", "reason", "clear"}, exclude_defaults=True)
    for column, value in values.items():
        yield Assignment(column, yaml.safe_dump(list(value) if isinstance(value, tuple) else value))
    for column in form.clear:
        yield Assignment(column, "[]" if column == "emr_instance_types" else "null")
