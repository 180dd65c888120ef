"""The way into the gate: reads the facts, probes the sources, applies the rules."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flows.context import reading
from flows.gate.facts import Reason
from metadata_sync.analysis.blame import Blame
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import SourceKind, Trigger

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.decide import GateDecisions
    from flows.gate.facts import Decision, UpstreamState
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.lake.view import LakeView
    from flows.warehouse.load_log import WarehouseState
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides on targets; `open_gate` opens one.

    Attributes:
        context: Project, settings, control database.
        rows: The environment's rows.
        targets: The targets to decide on, upstream before downstream.
        blame: Faults that sync found in rows and SELECTs.
        warehouse: Read-only connection.
        state: What the load log and the tables say of these targets and of those that they read.
        lake: The files of lake sources.
        is_in_step: Whether sync has just written the generated models.
    """

    context: Context
    rows: ControlRows
    targets: Sequence[TransformationRow]
    blame: Blame
    warehouse: Warehouse
    state: WarehouseState
    lake: LakeView
    is_in_step: bool = True

    def decide(
        self,
        loads: LatestLoads,
        now: datetime,
        *,
        forced_by: str | None = None,
        leases: Mapping[str, str] | None = None,
        settled: Mapping[str, UpstreamState] | None = None,
    ) -> GateDecisions:
        """Decide on each target, after the targets that it reads.

        Args:
            loads: The last loads of each target.
            now: The current instant.
            forced_by: Who asked for a forced run; None when the run is not forced.
            leases: Targets that other runs are loading, each with a text that names the run.
            settled: State of the targets whose outcome in this run is final.
        """
        from flows.gate.decide import Surroundings, decide_targets
        from flows.gate.definitions import definition_changes
        from flows.gate.probe import Prober
        from metadata_sync.database.journals.entries import LoadStatus

        around = Surroundings(
            self.rows,
            self.state,
            forced_by=forced_by,
            failed_before=frozenset(entry.target for entry in loads.newest if entry.status is LoadStatus.ERROR),
            ages={entry.target: (now - entry.finished_at).total_seconds() / 60 for entry in loads.successful},
            waited=self._waiting_minutes(now),
            settled=settled or {},
            leases=leases or {},
            blame=self.blame,
            filled=self._filled(),
            changes=definition_changes(
                self.context, self.rows, self.targets, self.state.heads, is_in_step=self.is_in_step
            ),
        )
        timeout = self.context.settings.statement_timeout_seconds
        prober = Prober(
            *(self.context.project, self.warehouse, now, self.state.files), lake=self.lake, timeout_seconds=timeout
        )
        return decide_targets(self.targets, around, prober, self._examine)

    def orphans(self) -> tuple[Decision, ...]:
        """Return a HOLD for every loaded table that no longer has a row."""
        from flows.gate.decide import hold_orphans
        from flows.warehouse.load_log import existing_tables
        from metadata_sync.rows.names import TableName

        unfilled = self.state.logged - {str(row.name) for row in self.rows.transformations}
        if not unfilled:
            return ()
        names = [TableName.parse(name) for name in unfilled]
        return hold_orphans(existing_tables(self.warehouse, self.context.profile, names))

    def _filled(self) -> Set[str] | None:
        """Return all targets that have a row; None: they stand in the rows, or no target is new."""
        if not self.rows.is_part or all(str(row.name) in self.state.logged for row in self.targets):
            return None
        return self.context.store.target_names()

    def _waiting_minutes(self, now: datetime) -> Mapping[str, float]:
        """Return how many minutes targets with `trigger: all` have waited for their last source."""
        patient = [
            str(row.name)
            for row in self.rows.transformations
            if row.trigger is Trigger.ALL and row.max_wait_minutes is not None
        ]
        if not patient:
            return {}
        since = self.context.store.waiting_since(patient, Reason.TRIGGER_WAITS.value)
        return {target: max(0.0, (now - instant).total_seconds() / 60) for target, instant in since.items()}

    def _examine(self, source: SourceRow) -> str | None:
        """Return why a source cannot be read: its files are compared before DuckDB casts a different one silently."""
        if source.kind is not SourceKind.LAKE:
            return None
        try:
            if self.context.profile.is_embedded:
                self.lake.columns(source)
            else:
                self.context.columns.source_columns(source)
                self.lake.check_place(source)
        except ValueError as error:
            return str(error)
        return None


@contextmanager
def open_gate(
    context: Context,
    rows: ControlRows,
    targets: Sequence[TransformationRow],
    blame: Blame | None = None,
    *,
    is_in_step: bool = True,
) -> Iterator[Gate]:
    """Open the warehouse and read the state of some targets.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        targets: The targets to decide on, upstream before downstream.
        blame: Faults that sync found in rows and SELECTs; None: no faults.
        is_in_step: Whether sync has just written the generated models.

    Raises:
        RunError: When the warehouse cannot be read.
    """
    from flows.warehouse.lake.variable import lake_view
    from flows.warehouse.load_log import read_state

    profile = context.profile
    upstreams = {item.name for row in targets for item in resolve_dependencies(row, rows) if item.is_managed}
    every = [row.name for row in rows.transformations]
    asked = {row.name for row in targets} if rows.is_part else None
    with context.columns.connected(), reading(context, profile, rows if rows.is_part else None) as warehouse:
        state = read_state(warehouse, profile, every, upstreams | {row.name for row in targets}, asked)
        lake = lake_view(context, rows, warehouse)
        yield Gate(context, rows, targets, blame or Blame(), warehouse, state, lake, is_in_step)


def log_decision(run_id: str, decision: Decision) -> None:
    """Log one decision of the gate."""
    logger.info(
        "gate.decided run_id=%s target=%s action=%s reason=%s",
        run_id, decision.target, decision.action, decision.reason,
    )  # fmt: skip
