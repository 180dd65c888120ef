"""The targets that read what a backfill or a restatement changes: shown in the plan, and loaded after it when asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from flows.run.selection import order_by_data
from metadata_sync.rows.resolve import is_active, reached_from, resolve_dependencies

if TYPE_CHECKING:
    from flows.backfill.model import BackfillPlan
    from flows.context import Context
    from flows.run.model import RunSummary
    from metadata_sync.rows.model import TransformationRow


def readers_of(plan: BackfillPlan) -> tuple[TransformationRow, ...]:
    """Return the active targets that read those of a plan, directly or through others, upstream before downstream."""
    rows, targets = plan.run.rows, {item.target for item in plan.targets}
    active = [row for row in rows.transformations if is_active(row, rows) and str(row.name) not in targets]
    readers: dict[str, list[str]] = {}
    for row in active:
        for item in resolve_dependencies(row, rows):
            readers.setdefault(str(item.name), []).append(str(row.name))
    reached = reached_from(targets, readers)
    stopped = plan.run.blame.stopped(active, rows)
    return order_by_data((row for row in active if str(row.name) in reached), stopped)


def load_readers(context: Context, readers: Collection[TransformationRow], say: Callable[[str], None]) -> RunSummary:
    """Run the pipelines of readers; the gate decides what they load.

    Args:
        context: Project, settings, control database.
        readers: What `readers_of` returned.
        say: Receives a sentence when the run waits for another.

    Raises:
        RunError: When the warehouse or dbt cannot be started.
    """
    from flows.engine.engine import execute, prepare
    from flows.run.model import RunRequest

    pipelines = tuple(dict.fromkeys(row.pipeline_id for row in readers))
    plan = prepare(context, RunRequest(pipelines, requested_by=context.who), on_wait=say)
    return execute(context, plan)
