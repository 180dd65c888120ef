"""What the gate is given: the warehouse's state, what runs before left, leases of others, a look at the sources."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.gate.facts import Reason
from flows.run.leases import foreign_leases
from metadata_sync.analysis.blame import Blame
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import SourceKind, Trigger

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.decide import Surroundings, Verdicts
    from flows.gate.facts import Decision
    from flows.run.model import RunRequest
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.load_log import WarehouseState
    from flows.warehouse.profile import Profile
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow

logger = logging.getLogger(__name__)


def read_around(
    warehouse: Warehouse, profile: Profile, rows: ControlRows, targets: Sequence[TransformationRow]
) -> WarehouseState:
    """Read what decisions on targets need to know of the warehouse: the heads of these and of the targets they read.

    Args:
        warehouse: Read-only connection.
        profile: Says how schemas are called in the warehouse.
        rows: The environment's rows.
        targets: The targets to decide on.
    """
    from flows.warehouse.load_log import read_state

    upstreams = {item.name for row in targets for item in resolve_dependencies(row, rows) if item.is_managed}
    every = [row.name for row in rows.transformations]
    return read_state(warehouse, profile, every, upstreams | {row.name for row in targets})


def surroundings(
    context: Context,
    rows: ControlRows,
    state: WarehouseState,
    request: RunRequest,
    *,
    loads: LatestLoads,
    now: datetime,
    run_id: str | None = None,
    blame: Blame | None = None,
) -> Surroundings:
    """Return everything around targets that decisions depend on, but for the sources themselves.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        state: What the warehouse remembers.
        request: What is asked.
        loads: The last loads of each target.
        now: The current instant.
        run_id: The run that asks, once it has begun; its own leases keep nobody out.
        blame: What sync found wrong with rows and SELECTs; None: nothing.
    """
    from flows.gate.decide import Surroundings
    from metadata_sync.database.journals.entries import LoadStatus

    return Surroundings(
        rows,
        state,
        forced_by=request.requested_by if request.is_forced else None,
        failed_before=frozenset(entry.target for entry in loads.newest if entry.status is LoadStatus.ERROR),
        ages={entry.target: (now - entry.finished_at).total_seconds() / 60 for entry in loads.successful},
        waited=_waited(context, rows, now),
        leases={target: str(lease) for target, lease in foreign_leases(context.store, run_id).items()},
        blame=blame or Blame(),
    )


def _waited(context: Context, rows: ControlRows, now: datetime) -> Mapping[str, float]:
    """Return for how many minutes targets have been put off because not all of their sources were new."""
    patient = [
        str(row.name) for row in rows.transformations if row.trigger is Trigger.ALL and row.max_wait_minutes is not None
    ]
    if not patient:
        return {}
    since = context.store.waiting_since(patient, Reason.TRIGGER_WAITS.value)
    return {target: max(0.0, (now - instant).total_seconds() / 60) for target, instant in since.items()}


def decide(
    context: Context,
    targets: Sequence[TransformationRow],
    around: Surroundings,
    warehouse: Warehouse,
    now: datetime,
) -> Verdicts:
    """Let the gate decide on targets, each after the ones that it reads."""
    from flows.gate.decide import decide_targets
    from flows.gate.probe import Prober

    def examine(source: SourceRow) -> str | None:
        """Look at the schemas of a lake folder's files before they are read: DuckDB would silently cast the odd one."""
        if source.kind is not SourceKind.LAKE:
            return None
        try:
            context.columns.source_columns(source)
        except ValueError as error:
            return str(error)
        return None

    prober = Prober(context.project, warehouse, now, timeout_seconds=context.settings.statement_timeout_seconds)
    return decide_targets(targets, around, prober, examine)


def find_orphans(
    rows: ControlRows, state: WarehouseState, warehouse: Warehouse, profile: Profile
) -> tuple[Decision, ...]:
    """Return a HOLD for every loaded table that no row fills any more."""
    from flows.gate.decide import hold_orphans
    from flows.warehouse.load_log import existing_tables
    from metadata_sync.rows.names import TableName

    unfilled = state.logged - {str(row.name) for row in rows.transformations}
    if not unfilled:
        return ()
    return hold_orphans(existing_tables(warehouse, profile, [TableName.parse(name) for name in unfilled]))


def log_decision(run_id: str, decision: Decision) -> None:
    """Log one decision of the gate."""
    logger.info(
        "gate.decided run_id=%s target=%s action=%s reason=%s",
        run_id, decision.target, decision.action, decision.reason,
    )  # fmt: skip
