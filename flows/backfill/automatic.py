"""Restatements that rows ask for: `on_definition_change: restate`, after the run that met the new SELECT."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.incidents.incident import is_healthy
from metadata_sync.errors import SluiceError
from metadata_sync.rows.vocabulary import OnDefinitionChange

if TYPE_CHECKING:
    from flows.context import Context
    from flows.run.model import RunSummary

logger = logging.getLogger(__name__)


def restate_changed(context: Context, summary: RunSummary, say: Callable[[str], None]) -> tuple[str, ...]:
    """Restate the targets of a run whose SELECT changed and whose rows ask for it, one after the other.

    What fails is left for the next run, which tries again and goes on with the chunks that are left.

    Args:
        context: Project, settings, control database.
        summary: What the run did.
        say: Receives a sentence per target.

    Returns:
        What failed, a sentence each.
    """
    failed = []
    for outcome in summary.outcomes:
        change = outcome.definition_change
        is_asked = change is not None and change.policy is OnDefinitionChange.RESTATE and not change.is_read_whole
        if change is not None and is_asked and is_healthy(outcome):
            complaint = _restate(context, change.target, say)
            if complaint:
                failed.append(f"{change.target} was not restated: {complaint}")
    for complaint in failed:
        logger.error("restate.failed %s", complaint)
        say(complaint)
    return tuple(failed)


def _restate(context: Context, target: str, say: Callable[[str], None]) -> str | None:
    from flows.backfill.backfill import plan_backfill, run_backfill
    from flows.backfill.model import BackfillRequest

    say(f"The SELECT of {target} changed, and its row says on_definition_change: restate.")
    try:
        request = BackfillRequest(target, None, restates=True, requested_by=context.who, is_of_row=True)
        plan = plan_backfill(context, request)
        if not plan.targets:
            return "; ".join(item.reason for item in plan.left_out) or "it has nothing to read"
        done = run_backfill(context, plan, say=say)
    except SluiceError as error:
        return str(error)
    errors = [f"{item.error}" for item in done.targets if item.error]
    if errors:
        return "; ".join(errors)
    pruned = f", {done.pruned}" if done.pruned is not None else ""
    say(f"{target} is restated{pruned}.")
    return None
