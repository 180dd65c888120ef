"""What a form does to the rows: the same functions, rules and audit as the command line. No Prefect here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import yaml

from flows.prefect.forms.models import EditForm, OnboardForm, SwitchForm
from metadata_sync.control.apply import Assignment, Desk, add_row, set_values, switch
from metadata_sync.database import Via
from metadata_sync.rows.merge import RowChange, RowId
from metadata_sync.rows.model import PipelineRow, TransformationRow


def switch_row(desk: Desk, form: SwitchForm) -> RowChange:
    """Do what `sluice activate` and `sluice deactivate` do.

    Raises:
        MetadataError: When there is no such row, or the rows would be at fault; nothing was changed.
    """
    return switch(_by(desk, form.requested_by), form.row, form.reason, is_active=form.switch == "activate")


def edit_pipeline(desk: Desk, form: EditForm) -> RowChange:
    """Do what `sluice control set pipeline …` does.

    Raises:
        MetadataError: With every fault of the values; nothing was changed.
    """
    row_id = RowId(PipelineRow.control_table, form.pipeline)
    return set_values(_by(desk, form.requested_by), row_id, list(_assignments(form)), form.reason, Via.FORM)


def onboard(desk: Desk, form: OnboardForm) -> RowChange:
    """Add a transformation row, as `sluice control apply` would add it from a file.

    Raises:
        MetadataError: With every fault of the row and its SELECT; nothing was changed.
    """
    dependencies = [
        *({"table": table, "driving": True} for table in form.driving),
        *({"table": table, "driving": False} for table in form.lookups),
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
    return add_row(_by(desk, form.requested_by), TransformationRow, values, form.reason, Via.FORM)


def _by(desk: Desk, who: str) -> Desk:
    return replace(desk, who=who)


def _assignments(form: EditForm) -> Iterator[Assignment]:
    said = form.model_dump(exclude={"requested_by", "pipeline", "reason", "clear"}, exclude_defaults=True)
    for column, value in said.items():
        yield Assignment(column, yaml.safe_dump(list(value) if isinstance(value, tuple) else value))
    for column in form.clear:
        yield Assignment(column, "[]" if column == "emr_instance_types" else "null")
