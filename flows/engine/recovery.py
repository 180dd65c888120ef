"""Runs that ended without a word: killed, or their machine was lost. Found by the leases that nobody renews any more.

Their targets are freed, the run log says what became of them, and people are told; the next run makes it good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.incidents.incident import Finding, held_up
from flows.incidents.settle import conclude
from flows.run.leases import has_died
from metadata_sync.database.journals.entries import LoadEntry, LoadStatus
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Alert, Incident, IncidentKind

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import Lease
    from metadata_sync.rows.model import ControlRows

_SILENT = "The run ended without a word: it was killed, or its machine was lost."


def mark_crashes(context: Context, rows: ControlRows, now: datetime) -> tuple[str, ...]:
    """Record the runs that died, free their targets, and open an incident for each.

    Args:
        context: Control database.
        rows: The environment's rows.
        now: UTC.

    Returns:
        The run ids.
    """
    by_run: dict[str, list[Lease]] = {}
    for lease in context.store.leases():
        if lease.is_expired or has_died(lease):
            by_run.setdefault(lease.holder.run_id, []).append(lease)
    for run_id, leases in by_run.items():
        _mark(context, rows, run_id, leases, now)
    return tuple(by_run)


def _mark(context: Context, rows: ControlRows, run_id: str, leases: Sequence[Lease], now: datetime) -> None:
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    known_targets = [lease for lease in leases if lease.target in pipelines]
    targets = tuple(lease.target for lease in known_targets)
    finding = Finding(
        kind=IncidentKind.CRASH,
        subject=f"run {run_id}",
        failure_class=None,
        message=f"{_SILENT} It was asked by {leases[0].holder.held_by}, on {leases[0].holder.machine}.",
        targets=targets,
        held_up=held_up(targets, rows),
        pipeline_ids=tuple(dict.fromkeys(pipelines[target] for target in targets)),
        is_hard=True,
    )
    recorded = {entry.target for entry in context.store.latest_loads().newest if entry.run_id == run_id}
    loads = [
        LoadEntry(
            run_id=run_id,
            pipeline_id=pipelines[lease.target],
            target=lease.target,
            load_id=None,
            status=LoadStatus.ERROR,
            started_at=lease.taken_at,
            # Not now: when the load was committed after all, the entry that is adopted from the warehouse is the newer.
            finished_at=lease.taken_at,
            seconds=0.0,
            error_message=_SILENT,
        )
        for lease in known_targets
        if lease.target not in recorded
    ]

    def decide(known: Sequence[Incident]) -> tuple[Sequence[Incident], Sequence[Alert]]:
        return conclude(context, rows, known, [finding], (), run_id=run_id, now=now)

    context.store.settle(Settlement(loads, judge=decide))
    for token in {lease.holder.token for lease in leases}:
        context.store.give_back_leases(token, {lease.target for lease in leases if lease.holder.token == token})
