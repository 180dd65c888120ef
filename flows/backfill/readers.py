"""The targets that read what a backfill or a restatement changes: shown in the plan, and loaded after it when asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from metadata_sync.rows.resolve import resolve_dependencies

if TYPE_CHECKING:
    from flows.context import Context
    from flows.run.model import RunSummary
    from metadata_sync.rows.model import ControlRows, TransformationRow


def readers_of(rows: ControlRows, targets: Collection[str]) -> tuple[TransformationRow, ...]:
    """Return the active targets that read these, directly or through others, upstream before downstream.

    Args:
        rows: The environment's rows.
        targets: What is loaded again, as `schema.table`.
    """
    switched_on = {pipeline.pipeline_id for pipeline in rows.pipelines if pipeline.is_active}
    waiting = {
        str(row.name): (row, {str(item.name) for item in resolve_dependencies(row, rows)})
        for row in rows.transformations
        if row.is_active and row.pipeline_id in switched_on and str(row.name) not in targets
    }
    reached, ordered = set(targets), []
    affected: set[str] = set()
    while more := {name for name, (_, reads) in waiting.items() if reads & reached} - affected:
        affected |= more
        reached |= more
    left = sorted(affected)
    while left:
        ready = [name for name in left if not waiting[name][1] & (set(left) - {name})] or left
        ordered += [waiting[name][0] for name in ready]
        left = [name for name in left if name not in ready]
    return tuple(ordered)


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
