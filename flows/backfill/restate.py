"""Restatement: a target's rows derived again by today's SELECT, and what it no longer yields removed.

    plan = plan_backfill(context, BackfillRequest("dwh.fact_order", None, restates=True))
    summary = run_backfill(context, plan)

A restatement is a backfill of everything that was read. A newer derivation takes the place of an older one, whatever
their values. When all chunks are loaded, some events still carry an older derivation. Those whose rows the source holds
are not yielded by today's SELECT: they are pruned, and history is computed anew from the ledger. The others stay: a
source that is updated in place does not hold the earlier states of its rows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from flows.backfill.fill import check_fill
from flows.backfill.held import EventOrigins, can_prune, find_origins
from flows.context import Context, reading
from flows.engine.definitions import find_target, read_head, recount, settle
from flows.engine.engine import hold_targets
from flows.engine.recovery import adopt
from flows.ledger.tasks import run_task
from flows.warehouse.bounds import parse_bound
from flows.warehouse.definition import Definition, derivation_of, next_number, numbered, row_definition
from flows.warehouse.derivations import count_derivations
from flows.warehouse.load_log import read_loads
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.loads import RowCounts
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, LoadType
from metadata_sync.sync.definitions import select_hashes

if TYPE_CHECKING:
    from flows.backfill.model import BackfillPlan
    from flows.dbt.runner import DbtRunner
    from flows.warehouse.derivations import Derivations
    from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)


def today_definition(context: Context, rows: ControlRows, row: TransformationRow) -> str:
    """Hash what the rows of a target are derived by today, as its next load does.

    Raises:
        ConfigurationError: When the SELECT cannot be read.
    """
    found = select_hashes([row], rows, context.project, context.profile.dialect, is_in_step=False)
    if row.name not in found:
        raise ConfigurationError(f"The SELECT of {row.name} cannot be read.", "`sluice validate` says why.")
    return row_definition(found[row.name], row)


def definition_to_restate(context: Context, rows: ControlRows, target: str) -> str:
    """Return what a restatement of a target derives rows by: `<number>:<hash>`.

    Raises:
        ConfigurationError: When the subject is no target, or was never loaded.
    """
    row = find_target(rows, target)
    number, stored = derivation_of(read_head(context, row).definition or "")
    today = today_definition(context, rows, row)
    return f"{number if stored == today else next_number(number)}:{today}"


def look_ahead(context: Context, plan: BackfillPlan) -> tuple[str, ...]:
    """Return what a restatement cannot do, a sentence each. Reads the target, and the keys of its source.

    Args:
        context: Project, settings, control database.
        plan: The restatement, not begun.

    Raises:
        ConfigurationError: When columns cannot be filled.
    """
    row = _row(plan)
    head = read_head(context, row)
    built_as = Definition.parse(head.definition or "")
    number, _ = numbered(plan.definition or "")
    if plan.request.fill:
        check_fill(row, built_as, plan.request.fill)
    origins = _origins(context, plan, row, built_as)
    found, held = _count(context, plan, row, head.definition or "", number=number, origins=origins)
    if plan.request.fill:
        if not found.older_count:
            raise ConfigurationError(
                f"There is nothing to fill: today's SELECT derived all rows of {row.name}.",
                f"`sluice why {row.name}` shows it.",
            )
        return ()
    return _limits(plan, row, built_as, found, held)


def _limits(
    plan: BackfillPlan, row: TransformationRow, built_as: Definition, found: Derivations, held: str | None
) -> tuple[str, ...]:
    notes = []
    is_whole = plan.request.restates_all
    if row.increment is Increment.GROUPS:
        if row.load_type is LoadType.SCD2 and is_whole:
            notes.append(
                "Earlier states of its groups cannot be derived again: the history begins with today's states."
            )
    elif built_as.key:
        if held is None:
            notes.append(
                "Its key and event time cannot be compared with columns of one driving source, so nothing tells which "
                "row an event came from: events that today's SELECT does not yield stay."
            )
        elif not can_prune(row, is_whole=is_whole):
            notes.append(
                "Events of this window that today's SELECT does not yield stay: an earlier event of their key would "
                "take their place, and the window may not hold it."
            )
        kept_count = found.event_count - found.held_count
        if held is not None and kept_count and is_whole:
            notes.append(
                f"{kept_count:,} of {found.event_count:,} events keep their values: the source does not hold the rows "
                "that they came from any more."
            )
    return tuple(notes)


def finish_restatement(context: Context, plan: BackfillPlan, dbt: DbtRunner) -> tuple[RowCounts | None, int]:
    """Prune the events that a restatement did not derive again although the sources hold their rows.

    After a restatement of everything the older events that are left are accepted: nothing can derive them again.

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
    row = _row(plan)
    definition = read_head(context, row).definition or ""
    number, stored = derivation_of(definition)
    if f"{number}:{stored}" != plan.definition:
        raise HardRunError(
            f"The SELECT of {row.name} changed while it was restated. Its chunks are loaded, nothing was pruned.",
            f"Restate it by the new SELECT: sluice restate {row.name}.",
            subject=str(row.name),
        )
    built_as = Definition.parse(definition)
    origins = _origins(context, plan, row, built_as)
    found, derived = _count(context, plan, row, definition, number=number, origins=origins)
    moved = None
    if found.prunable_count and built_as.key and not plan.request.fill:
        queries = {"derived": derived, "whole": origins.held_sql(None)} if origins and derived else None
        moved = _prune(context, plan, row, dbt, queries)
        found, _ = _count(context, plan, row, definition, number=number, origins=origins)
    recount(context, plan.run.rows, row, definition, event_count=found.event_count, older_count=found.older_count)
    reason = _settling_reason(plan, found)
    if reason is not None:
        settle(context, plan.run.rows, row, definition, who=plan.request.requested_by, reason=reason)
    return moved, found.older_count


def _settling_reason(plan: BackfillPlan, found: Derivations) -> str | None:
    """Return why older rows are accepted after a restatement; None: they are not."""
    if plan.request.fill:
        return None if found.older_count else f"filled {', '.join(plan.request.fill)}; other columns stay as they were"
    if plan.request.restates_all and found.older_count:
        return f"restated; nothing can derive the other {found.older_count:,} events again"
    return None


def _row(plan: BackfillPlan) -> TransformationRow:
    return next(row for row in plan.run.rows.transformations if str(row.name) == plan.request.subject)


def _origins(context: Context, plan: BackfillPlan, row: TransformationRow, built_as: Definition) -> EventOrigins | None:
    is_by_row = row.increment is Increment.ROWS and bool(built_as.key)
    return find_origins(context, plan.run.rows, row, built_as) if is_by_row else None


def _count(
    context: Context,
    plan: BackfillPlan,
    row: TransformationRow,
    definition: str,
    *,
    number: int,
    origins: EventOrigins | None,
) -> tuple[Derivations, str | None]:
    """Count the older events of a target and those that may leave; return the query of what the source holds, too."""
    is_whole = plan.request.restates_all
    is_by_row = row.increment is Increment.ROWS and bool(Definition.parse(definition).key)
    windows = None if is_whole else [chunk for item in plan.targets for chunk in item.chunks]
    held = None if origins is None else origins.held_sql(windows)
    count = partial(count_derivations, number=number, reach=_reach(plan, row, definition))
    with reading(context, context.profile) as warehouse:
        try:
            counted = count(warehouse, context.profile, row.name, definition, held=held)
        except HardRunError as error:  # the key of a row that was rejected does not cast
            logger.warning("restate.source_not_compared target=%s error=%s", row.name, error)
            held = None
            counted = count(warehouse, context.profile, row.name, definition)
    can_leave = can_prune(row, is_whole=is_whole) and (held is not None or not is_by_row)
    return counted if can_leave else replace(counted, prunable_count=0), held


def _reach(plan: BackfillPlan, row: TransformationRow, definition: str) -> str | None:
    """Return the least event time that the source still holds, where events are ordered by what windows are cut by."""
    keys = {item.incremental_key for item in resolve_dependencies(row, plan.run.rows) if item.is_driving}
    chunks = [chunk for item in plan.targets for chunk in item.chunks]
    is_same = keys == {Definition.parse(definition).order[0]}
    starts = [parse_bound(chunk.start) for chunk in chunks if chunk.start is not None]
    return str(min(starts, key=lambda bound: bound.position)) if is_same and starts else None


def _prune(
    context: Context, plan: BackfillPlan, row: TransformationRow, dbt: DbtRunner, held: Mapping[str, str] | None
) -> RowCounts:
    """Run the macro `pruned_sql`; `held` holds its two queries."""
    target, run_id = str(row.name), f"{plan.backfill_id[:40]}-prune-{uuid4().hex[:4]}"
    variables = {"SLUICE_HELD": json.dumps({target: held})} if held is not None else {}
    with hold_targets(context, f"restate {target}", [target], run_id, held_by=plan.request.requested_by):
        run_task(dbt, row, "prune", run_id, variables)
        with reading(context, context.profile) as warehouse:
            loads = read_loads(warehouse, context.profile, run_id=run_id)
    adopt(context, plan.run.rows, loads)
    return loads[-1].rows
