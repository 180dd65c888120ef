"""The engine of each target that is due: Spark's own code is imported only where a row or the request considers it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.gate.facts import Action
from flows.run.selection import warehouse_choice

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import Decision
    from flows.run.model import RunRequest
    from flows.warehouse.load_log import WarehouseState
    from metadata_sync.rows.model import ControlRows


def with_engines(
    context: Context, request: RunRequest, rows: ControlRows, state: WarehouseState, decisions: tuple[Decision, ...]
) -> tuple[Decision, ...]:
    """Add to every target that is due the engine it runs on; one that cannot run there is held.

    Args:
        context: The project.
        request: The run's request.
        rows: The environment's rows.
        state: The warehouse's state.
        decisions: The gate's decisions.

    Raises:
        ConfigurationError: When the request's cluster is malformed.
    """
    pipelines = {item.target: rows.pipeline(item.pipeline_id) for item in decisions if item.action is Action.RUN}
    choices = {
        target: None if pipeline is None else warehouse_choice(pipeline, request.engine, request.cluster)
        for target, pipeline in pipelines.items()
    }
    if all(choices.values()):
        return tuple(replace(item, choice=choices.get(item.target)) for item in decisions)
    from flows.spark import engine_choice

    return engine_choice.with_engines(context, request, rows, state, decisions)
