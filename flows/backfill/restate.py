"""Restatement: a target's rows derived again by today's SELECT, and what it no longer yields removed.

    plan = plan_backfill(context, BackfillRequest("dwh.fact_order", None, restates=True))
    summary = run_backfill(context, plan)

A restatement is a backfill of everything that was read. A newer derivation takes the place of an older one, whatever
their values. When all chunks are loaded, the events that still carry an older derivation are those that today's SELECT
does not yield: they are pruned, and history is computed anew from the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from flows.context import Context, reading
from flows.engine.definitions import find_target, read_head, recount
from flows.engine.engine import hold_targets
from flows.engine.recovery import adopt
from flows.ledger import run_task
from flows.warehouse.bounds import parse_bound
from flows.warehouse.derivations import count_derivations
from flows.warehouse.load_log import Definition, derivation_of, next_number, read_loads, row_definition
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.loads import RowCounts
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.sync.definitions import select_hashes

if TYPE_CHECKING:
    from flows.backfill.model import BackfillPlan
    from flows.dbt.runner import DbtRunner
    from metadata_sync.rows.model import ControlRows, TransformationRow


def today_definition(context: Context, rows: ControlRows, row: TransformationRow) -> str:
    """Hash what the rows of a target are derived by today, as its next load does.

    Raises:
        ConfigurationError: When the SELECT cannot be read.
    """
    found = select_hashes([row], rows, context.project, context.profile.dialect, is_in_step=False)
    if row.name not in found:
        raise ConfigurationError(f"The SELECT of {row.name} cannot be read.", "`sluice validate` says why.")
    return row_definition(found[row.name], row.delete_when)


def definition_to_restate(context: Context, rows: ControlRows, target: str) -> str:
    """Return what a restatement of a target derives rows by: `<number>:<hash>`.

    Raises:
        ConfigurationError: When the subject is no target, or was never loaded.
    """
    row = find_target(rows, target)
    number, stored = derivation_of(read_head(context, row).definition or "")
    today = today_definition(context, rows, row)
    return f"{number if stored == today else next_number(number)}:{today}"


def finish_restatement(context: Context, plan: BackfillPlan, dbt: DbtRunner) -> tuple[RowCounts | None, int]:
    """Prune the events that a whole restatement did not derive again.

    Args:
        context: Project, settings, control database.
        plan: The restatement, all of its chunks loaded.
        dbt: Runs the model's task.

    Returns:
        The rows that pruning moved, None when there was nothing to prune; and how many events keep an older derivation.

    Raises:
        HardRunError: When the SELECT changed while the restatement ran, or pruning failed.
        SoftRunError: When another run is loading the target.
    """
    target = plan.request.subject
    row = next(row for row in plan.run.rows.transformations if str(row.name) == target)
    definition = read_head(context, row).definition or ""
    number, stored = derivation_of(definition)
    if f"{number}:{stored}" != plan.definition:
        raise HardRunError(
            f"The SELECT of {target} changed while it was restated. Its chunks are loaded, nothing was pruned.",
            f"Restate it by the new SELECT: sluice restate {target}.",
            subject=target,
        )
    with reading(context, context.profile) as warehouse:
        found = count_derivations(
            warehouse, context.profile, row.name, definition, number=number, reach=_reach(plan, row, definition)
        )
    is_pruned = (
        found.older_count
        and plan.request.restates_all
        and not found.unreachable_count
        and bool(Definition.parse(definition).key)
    )
    moved = _prune(context, plan, row, dbt) if is_pruned else None
    older_count = 0 if is_pruned else found.older_count
    event_count = found.event_count - (found.older_count - older_count)
    recount(context, plan.run.rows, row, definition, event_count=event_count, older_count=older_count)
    return moved, older_count


def _reach(plan: BackfillPlan, row: TransformationRow, definition: str) -> str | None:
    """Return the least event time that the source still holds, where events are ordered by what windows are cut by."""
    keys = {item.incremental_key for item in resolve_dependencies(row, plan.run.rows) if item.is_driving}
    chunks = [chunk for item in plan.targets for chunk in item.chunks]
    is_same = keys == {Definition.parse(definition).order[0]}
    starts = [parse_bound(chunk.start) for chunk in chunks if chunk.start is not None]
    return str(min(starts, key=lambda bound: bound.position)) if is_same and starts else None


def _prune(context: Context, plan: BackfillPlan, row: TransformationRow, dbt: DbtRunner) -> RowCounts:
    target, run_id = str(row.name), f"{plan.backfill_id[:40]}-prune-{uuid4().hex[:4]}"
    with hold_targets(context, f"restate {target}", [target], run_id, held_by=plan.request.requested_by):
        run_task(dbt, row, "prune", run_id)
        with reading(context, context.profile) as warehouse:
            loads = read_loads(warehouse, context.profile, run_id=run_id)
    adopt(context, plan.run.rows, loads)
    return loads[-1].rows
