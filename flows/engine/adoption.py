"""Loads that no run has settled: of a killed run, of dbt by hand, of a backfill or a rebuild. Kept like a run's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.incidents.incident import rejected
from flows.incidents.settle import conclude
from flows.run.record import adopted_entries
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Alert, Incident, IncidentKind
from metadata_sync.loads import ClusterCost

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.load_log import LoggedLoad, WarehouseState
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows


def adopt_unknown(
    context: Context,
    rows: ControlRows,
    state: WarehouseState,
    warehouse: Warehouse,
    *,
    loads: LatestLoads,
    now: datetime,
) -> LatestLoads:
    """Keep loads that only the warehouse knows (of a killed run, of dbt by hand) in the control database.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        state: What the warehouse remembers.
        warehouse: Read-only connection.
        loads: What the control database knows.
        now: The current instant.

    Returns:
        What it knows now.
    """
    from flows.warehouse.load_log import read_loads
    from flows.warehouse.rejects import with_rejects

    targets = {str(row.name) for row in rows.transformations}
    newest = {entry.load_id for entry in (*loads.newest, *loads.successful)}
    older = {name: last for name, last in state.last_loads.items() if name in targets and last not in newest}
    if not older:
        return loads
    unknown = frozenset(older.values()) - context.store.recorded_loads(older)  # a backfill may have come after it
    if not unknown:
        return loads
    found = read_loads(warehouse, context.profile, load_ids=unknown)
    adopt(context, rows, with_rejects(warehouse, context.profile, rows, found, loads.rejecting), now)
    return context.store.latest_loads()


def adopt(
    context: Context,
    rows: ControlRows,
    loads: Sequence[LoggedLoad],
    now: datetime,
    costs: Mapping[str, ClusterCost] = {},
) -> None:
    """Keep loads, and open or close the incidents of rows that they rejected, in one transaction.

    Args:
        context: Control database, settings.
        rows: The environment's rows.
        loads: As the load log has them, with what lies in the rejects.
        now: UTC.
        costs: What Spark took, by target.
    """
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    known_targets = {load.target: load for load in loads if load.target in pipelines}
    found = [
        rejected(target, pipelines[target], load.rows, load.rejects)
        for target, load in known_targets.items()
        if load.rejects is not None and load.rejects.added
    ]
    met = {finding.subject for finding in found}

    def decide(known: Sequence[Incident]) -> tuple[Sequence[Incident], Sequence[Alert]]:
        over = [
            item
            for item in known
            if item.is_open and item.kind is IncidentKind.REJECTS and item.subject in known_targets.keys() - met
        ]
        return conclude(context, rows, known, found, over, run_id=None, now=now)

    context.store.settle(Settlement(adopted_entries(loads, pipelines, now, costs), judge=decide))
