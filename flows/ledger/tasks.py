"""One task of one model, run by dbt, and its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flows.context import Context
from flows.engine.engine import hold_warehouse, sync_rows
from flows.run.outcome import load_variables
from flows.warehouse.lake.variable import files_variable
from metadata_sync.errors import ConfigurationError, HardRunError, SoftRunError
from metadata_sync.rows.resolve import is_view, unknown_target

if TYPE_CHECKING:
    from flows.dbt.runner import DbtRunner
    from metadata_sync.rows.model import TransformationRow


def ask(
    context: Context, target: str, task: str, variables: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Run a task of a target that writes nothing, and return what it found.

    Args:
        context: Project, settings, control database.
        target: `schema.table`.
        task: verify, survey or ties.
        variables: More environment variables of dbt.

    Raises:
        ConfigurationError: When no row declares the target, or its row has a fault.
        HardRunError: When the task failed.
        SoftRunError: When another load of the target committed meanwhile.
    """
    row = row_of(context, target)
    run_id = f"{task}-{uuid4().hex[:8]}"
    with hold_warehouse(context, f"{task} {target}"):
        files = files_variable(context, context.store.usable_rows(), [row], run_id)
        message = run_task(runner(context), row, task, run_id, {**variables, **files})
    found = json.loads(message)
    assert isinstance(found, dict), "the macros write one JSON object"
    return found


def run_task(
    dbt: DbtRunner, row: TransformationRow, task: str, run_id: str, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Run a task of a model and return its message.

    Args:
        dbt: Runs dbt on the project.
        row: The target's row.
        task: survey, verify, ties, rebuild or prune; the macro `asked_task` reads it.
        run_id: The run id of what the task writes.
        variables: More environment variables of dbt.

    Raises:
        SoftRunError: When another load of the target committed first.
        HardRunError: When the task failed.
    """
    model = row.name.model_name
    tasks = {"SLUICE_TASKS": json.dumps({str(row.name): task})}
    results = dbt.run([model], variables={**load_variables(run_id, {}), **tasks, **variables})
    node = next((item for item in results if item.name == model), None)
    if node is None or node.has_failed or node.is_skipped:
        message = node.message if node else "dbt did not run the model"
        error = SoftRunError if "committed first" in message else HardRunError
        raise error(f"{task} of {row.name} failed: {message}", subject=str(row.name))
    return node.message


def runner(context: Context) -> DbtRunner:
    """Return what runs dbt on the project."""
    from flows.dbt.runner import DbtRunner

    return DbtRunner(context.project, context.settings, context.profile)


def row_of(context: Context, target: str) -> TransformationRow:
    """Return the row of a target, after a sync of its model.

    Raises:
        ConfigurationError: When no row declares the target, its row has a fault, or it is a materialized view.
    """
    rows, blame = sync_rows(context)
    for row in rows.transformations:
        if str(row.name) == target:
            for fault in blame.faults_of(row):
                raise ConfigurationError(f"The row of {target} has a fault: {fault}")
            if is_view(row, rows):
                raise ConfigurationError(
                    f"{target} is a materialized view: it holds what its SELECT yields now and keeps no events, so "
                    "there is nothing to compare it with, and nothing to write it again from.",
                    f"Refresh it: sluice run {row.pipeline_id} --force",
                )
            return row
    raise unknown_target(target, rows)
