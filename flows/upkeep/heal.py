"""Healing: rows that the framework switched off are looked at, and switched on again when their cause is gone.

    for item in heal(context):        # what became of each of them
        print(item.target, item.state, item.reason)

A look is what the next load would do, but for its rows: dbt compiles the model and runs it with `--empty` (no source
row is read, columns and types are checked, tables that are to be created or altered are, and rolled back); then
statements that touch no row ask for the right to write, and are rolled back. A row whose data test failed is asked by
that test. Rows that a person switched off are never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from flows.engine.engine import hold_warehouse, sync_rows
from flows.errors.classify import FailureClass
from flows.gate.gather import open_gate
from flows.incidents.fingerprint import Fingerprint, take_fingerprint
from flows.incidents.settle import deliver_or_log, settle_incidents
from flows.run.leases import lease_texts
from flows.upkeep.dry_run import probe
from flows.upkeep.heal_policy import FLAPS_WITHIN, Look, fall_count, look_at
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.errors import ConfigurationError
from metadata_sync.incident import Incident, IncidentKind
from metadata_sync.redact import safe_text
from metadata_sync.rows.vocabulary import DeactivatedBy

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import Decision
    from metadata_sync.analysis.blame import Blame
    from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)


class HealState(StrEnum):
    """What became of a row that was off."""

    HEALED = "healed"
    BROKEN = "still broken"
    WAITING = "not looked at"


@dataclass(frozen=True, slots=True)
class Healing:
    """What became of one row.

    Attributes:
        target: Its target.
        state: What became of it.
        reason: Why.
        seconds_off: How long it was off, or has been.
    """

    target: str
    state: HealState
    reason: str
    seconds_off: float | None


def heal(
    context: Context,
    targets: Collection[str] = (),
    *,
    is_forced: bool = False,
) -> tuple[Healing, ...]:
    """Look at rows that the framework switched off, and switch those on again whose cause is gone.

    Args:
        context: The project.
        targets: Only these; all of them by default.
        is_forced: Look now, whatever the clock and the fingerprints say.

    Raises:
        ConfigurationError: When a target is not one that the framework switched off.
        RunError: When the warehouse cannot be reached.
    """
    rows = context.store.usable_rows()
    off = _candidates(rows, targets)
    if not off:
        deliver_or_log(context)
        return ()
    with hold_warehouse(context, "heal"):
        now = context.now()
        recent = context.store.incidents(now - FLAPS_WITHIN)
        found = _Round(context, off, now, is_forced=is_forced, recent=recent).run()
    deliver_or_log(context)
    return found


def _candidates(rows: ControlRows, targets: Collection[str]) -> tuple[TransformationRow, ...]:
    off = {
        str(row.name): row
        for row in rows.transformations
        if not row.is_active and row.deactivated_by is DeactivatedBy.FRAMEWORK
    }
    others = sorted(set(targets) - off.keys())
    if others:
        raise ConfigurationError(
            f"Not switched off by the framework: {', '.join(others)}.",
            "`sluice activate` switches on what a person switched off.",
        )
    return tuple(row for target, row in off.items() if not targets or target in targets)


@dataclass(frozen=True, slots=True)
class _Round:
    """One look at all rows that are off."""

    context: Context
    off: tuple[TransformationRow, ...]
    now: datetime
    is_forced: bool
    recent: tuple[Incident, ...]

    def run(self) -> tuple[Healing, ...]:
        rows, blame = sync_rows(self.context)
        looks = self._looks(rows, blame)
        due = [row for row in self.off if looks[str(row.name)].is_due]
        trouble = {str(row.name): safe_text(text) for row in due if (text := _at_fault(row, rows, blame))}
        sound = [row for row in due if str(row.name) not in trouble]
        trouble |= probe(self.context, rows, sound, {str(row.name) for row in sound if self._waits_for_test(row)})
        return tuple(self._settle(row, looks[str(row.name)], trouble.get(str(row.name)), rows) for row in self.off)

    def _looks(self, rows: ControlRows, blame: Blame) -> dict[str, Look]:
        if self.is_forced:
            return {str(row.name): Look(is_due=True, reason="asked for") for row in self.off}
        decisions = self._decisions(rows, blame)
        every = timedelta(minutes=self.context.settings.heal_minutes)
        looks = {}
        for row in self.off:
            target = str(row.name)
            changes = take_fingerprint(self.context, row, rows, decisions[target]).changes_since(
                Fingerprint.parse(row.fingerprint)
            )
            falls = fall_count(target, self.recent, self.now)
            looks[target] = look_at(self._incident(row), changes, falls=falls, every=every, now=self.now)
        return looks

    def _decisions(self, rows: ControlRows, blame: Blame) -> dict[str, Decision]:
        """Ask the gate as if the rows were on: what it sees of their sources belongs to the fingerprint."""
        names = {row.name for row in self.off}
        as_if_on = tuple(
            row.model_copy(update={"is_active": True}) if row.name in names else row for row in rows.transformations
        )
        asked = rows.model_copy(update={"transformations": as_if_on})
        targets = [row for row in as_if_on if row.name in names]
        store = self.context.store
        with open_gate(self.context, asked, targets, blame) as gate:
            answer = gate.decide(store.latest_loads(), self.now, leases=lease_texts(store))
        return {decision.target: decision for decision in answer.decisions}

    def _settle(self, row: TransformationRow, look: Look, trouble: str | None, rows: ControlRows) -> Healing:
        if not look.is_due:
            return self._healing(row, HealState.WAITING, look.reason)
        incident = self._incident(row)
        if trouble is not None:
            if incident is not None:
                seen = replace(incident, last_seen_at=self.now)
                self.context.store.settle(Settlement(judge=lambda _: ([seen], [])))
            return self._healing(row, HealState.BROKEN, trouble)
        amendment = Amendment(row.name, _switched_on, f"healed ({look.reason})")
        settle_incidents(
            self.context,
            rows,
            (),
            is_over=lambda item: incident is not None and item.incident_id == incident.incident_id,
            amendments=[amendment],
        )
        return self._healing(row, HealState.HEALED, look.reason)

    def _waits_for_test(self, row: TransformationRow) -> bool:
        incident = self._incident(row)
        return incident is not None and incident.failure_class == FailureClass.DATA_TEST

    def _incident(self, row: TransformationRow) -> Incident | None:
        found = (item for item in self.recent if item.is_open and item.kind is IncidentKind.LOAD)
        return next((item for item in found if item.subject == str(row.name)), None)

    def _healing(self, row: TransformationRow, state: HealState, reason: str) -> Healing:
        incident = self._incident(row)
        seconds = None if incident is None else (self.now - incident.opened_at).total_seconds()
        logger.info("heal target=%s state=%s reason=%s", row.name, state, reason)
        return Healing(str(row.name), state, reason, seconds)


def _at_fault(row: TransformationRow, rows: ControlRows, blame: Blame) -> str:
    """Say what sync found wrong with a row, its pipeline or its sources; empty: nothing."""
    concerned = (row, rows.pipeline(row.pipeline_id), *blame.sources_of(row, rows))
    return "; ".join(str(fault) for item in concerned for fault in blame.faults_of(item))


def _switched_on(row: TransformationRow) -> TransformationRow:
    """Switch a row on, unless a person has meanwhile turned the switch."""
    if row.is_active or row.deactivated_by is not DeactivatedBy.FRAMEWORK:
        return row
    return row.model_copy(update={"is_active": True, "deactivated_by": None, "comments": None, "fingerprint": None})
