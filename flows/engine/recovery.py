"""Recovery from killed runs: frees their leases, opens an incident, records their loads.

A lease that is no longer renewed shows a dead run. The loads that this run committed are only in the warehouse's load
log. The same holds for loads by a manual dbt command, a backfill or a rebuild. All of them are recorded like the loads
of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flows.incidents.incident import Finding, held_up, rejected
from flows.incidents.settle import settle_incidents
from flows.run.leases import UPKEEP_LEASE, has_died
from flows.run.outcome import adopted_entries
from metadata_sync.database.journals.entries import LoadEntry, LoadStatus
from metadata_sync.incident import Incident, IncidentKind
from metadata_sync.loads import ClusterCost

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.gather import Gate
    from flows.warehouse.load_log import LoggedLoad
    from metadata_sync.database import Lease
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows

_SILENT = "The run ended without a word: it was killed, or its machine was lost."


def mark_crashes(context: Context, rows: ControlRows) -> tuple[str, ...]:
    """Record the runs that died, free their leases, and open an incident for each run.

    Args:
        context: Control database.
        rows: The environment's rows.

    Returns:
        The run ids.
    """
    by_run: dict[str, list[Lease]] = {}
    for lease in context.store.leases():
        if (lease.is_expired or has_died(lease)) and not lease.target.startswith(UPKEEP_LEASE):
            by_run.setdefault(lease.holder.run_id, []).append(lease)
    if by_run:
        rows = context.store.whole(rows)
    for run_id, leases in by_run.items():
        _mark(context, rows, run_id, leases)
    return tuple(by_run)


def _mark(context: Context, rows: ControlRows, run_id: str, leases: Sequence[Lease]) -> None:
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    known_targets = [lease for lease in leases if lease.target in pipelines]
    targets = tuple(lease.target for lease in known_targets)
    finding = Finding(
        kind=IncidentKind.CRASH,
        subject=f"run {run_id}",
        failure_class=None,
        message=_crash_message(leases, targets, pipelines),
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
            # Not now: if the load was committed, the entry adopted from the warehouse must be the newer one.
            finished_at=lease.taken_at,
            seconds=0.0,
            error_message=_SILENT,
        )
        for lease in known_targets
        if lease.target not in recorded
    ]
    settle_incidents(context, rows, [finding], loads=loads, run_id=run_id)
    for token in {lease.holder.token for lease in leases}:
        context.store.give_back_leases(token, {lease.target for lease in leases if lease.holder.token == token})


def _crash_message(leases: Sequence[Lease], targets: Sequence[str], pipelines: Mapping[str, str]) -> str:
    holder = leases[0].holder
    names = sorted({pipelines[target] for target in targets})
    what = f" It was loading {', '.join(targets)} (pipeline {', '.join(names)})." if targets else ""
    return f"{_SILENT}{what} It was asked by {holder.held_by}; its process {holder.pid} ran on {holder.machine}."


def adopt_unknown(gate: Gate, loads: LatestLoads) -> LatestLoads:
    """Record loads that are only in the warehouse (of a killed run or a manual dbt command) in the control database.

    Args:
        gate: An open gate, through which the load log is read.
        loads: The loads in the control database.

    Returns:
        The loads in the control database afterwards.
    """
    from flows.warehouse.load_log import read_loads
    from flows.warehouse.rejects import with_rejects

    context, rows = gate.context, gate.rows
    targets = {str(row.name) for row in rows.transformations}
    newest = {entry.load_id for entry in (*loads.newest, *loads.successful)}
    older = {name: last for name, last in gate.state.last_loads.items() if name in targets and last not in newest}
    if not older:
        return loads
    unknown = frozenset(older.values()) - context.store.recorded_loads(older)  # a backfill may have come later
    if not unknown:
        return loads
    found = read_loads(gate.warehouse, context.profile, load_ids=unknown)
    adopt(context, rows, with_rejects(gate.warehouse, context.profile, rows, found, loads.rejecting))
    return context.store.latest_loads()


def adopt(
    context: Context,
    rows: ControlRows,
    loads: Sequence[LoggedLoad],
    costs: Mapping[str, ClusterCost] = {},
) -> None:
    """Record loads, and open or close the incidents of their rejected rows, in one transaction.

    Args:
        context: Control database, settings.
        rows: The environment's rows.
        loads: The loads from the load log, with the contents of the rejects tables.
        costs: Cost of Spark, by target.
    """
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    known_targets = {load.target: load for load in loads if load.target in pipelines}
    found = [
        rejected(target, pipelines[target], load.rows, load.rejects)
        for target, load in known_targets.items()
        if load.rejects is not None and load.rejects.added
    ]
    met = {finding.subject for finding in found}

    def is_over(incident: Incident) -> bool:
        return incident.kind is IncidentKind.REJECTS and incident.subject in known_targets.keys() - met

    entries = adopted_entries(loads, pipelines, context.now(), costs)
    settle_incidents(context, rows, found, is_over=is_over, loads=entries)
