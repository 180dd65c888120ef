"""Healing: check the rows that the framework deactivated, and reactivate those whose cause is gone.

    for item in heal(context):        # one result per deactivated row
        print(item.target, item.state, item.reason)

A check is a dry run of the next load. dbt compiles the model and runs it with `--empty`: it reads no source row, checks
columns and types, creates or alters tables and rolls back. Then statements that change no row test the right to write,
and are rolled back. A row that failed a data test is checked by that test. Rows that a person deactivated are never
changed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from flows.engine.engine import hold_warehouse, sync_rows
from flows.errors.classify import FailureClass
from flows.gate.gather import open_gate
from flows.incidents.fingerprint import Fingerprint, take_fingerprint
from flows.incidents.settle import deliver_or_log, settle_incidents
from flows.run.leases import lease_texts, upkeep_lease
from flows.upkeep.dry_run import dry_run
from flows.upkeep.heal_policy import FLAPS_WITHIN, HealCheck, due_check, failure_count
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.errors import ConfigurationError, SoftRunError
from metadata_sync.incident import Alert, Incident, IncidentKind
from metadata_sync.redact import safe_text
from metadata_sync.rows.vocabulary import DeactivatedBy

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import Decision
    from metadata_sync.analysis.blame import Blame
    from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)


class HealState(StrEnum):
    """The result of a check of a deactivated row."""

    HEALED = "healed"
    BROKEN = "still broken"
    WAITING = "not looked at"


@dataclass(frozen=True, slots=True)
class Healing:
    """The result for one row.

    Attributes:
        target: Its target.
        state: The result.
        reason: Why.
        seconds_off: How long it was inactive, or has been until now.
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
    """Check the rows that the framework deactivated, and reactivate those whose cause is gone.

    Args:
        context: The project.
        targets: Only these; all of them by default.
        is_forced: Check now, whether a check is due or not.

    Raises:
        ConfigurationError: When the framework did not deactivate one of the targets.
        SoftRunError: When another `heal` still works after `SLUICE_LOCK_WAIT_SECONDS`.
        RunError: When the warehouse cannot be reached.
    """
    if not _candidates(context.store.usable_rows(), targets):
        deliver_or_log(context)
        return ()
    wait_seconds = context.settings.lock_wait_seconds
    with upkeep_lease(context.store, "heal", f"{context.who}: heal", wait_seconds) as other:
        if other is not None:
            raise SoftRunError(f"Another heal is at work: {other}.", "Wait until it has ended, then try again.")
        with hold_warehouse(context, "heal"):
            found = _check_all(context, targets, is_forced=is_forced)
    deliver_or_log(context)
    return found


def _check_all(context: Context, targets: Collection[str], *, is_forced: bool) -> tuple[Healing, ...]:
    """Check the rows that are still off: another `heal` may have worked while this one waited."""
    off = _candidates(context.store.usable_rows())
    wanted = tuple(row for row in off if not targets or str(row.name) in targets)
    if not wanted:
        return ()
    now = context.now()
    recent = context.store.incidents(now - FLAPS_WITHIN)
    return _Round(context, wanted, now, is_forced=is_forced, recent=recent).run()


def _candidates(rows: ControlRows, targets: Collection[str] = ()) -> tuple[TransformationRow, ...]:
    off = {
        str(row.name): row
        for row in rows.transformations
        if not row.is_active and row.deactivated_by is DeactivatedBy.FRAMEWORK
    }
    others = sorted(set(targets) - off.keys())
    if others:
        raise ConfigurationError(
            f"Not switched off by the framework: {', '.join(others)}.",
            "`sluice status` shows which rows are off; `sluice activate` switches on a row that a person switched off.",
        )
    return tuple(row for target, row in off.items() if not targets or target in targets)


@dataclass(frozen=True, slots=True)
class _Round:
    """One check of all deactivated rows."""

    context: Context
    off: tuple[TransformationRow, ...]
    now: datetime
    is_forced: bool
    recent: tuple[Incident, ...]

    def run(self) -> tuple[Healing, ...]:
        rows, blame = sync_rows(self.context)
        checks = self._due_checks(rows, blame)
        due = [row for row in self.off if checks[str(row.name)].is_due]
        errors = {str(row.name): safe_text(text) for row in due if (text := _faults(row, rows, blame))}
        valid = [row for row in due if str(row.name) not in errors]
        errors |= dry_run(self.context, rows, valid, {str(row.name) for row in valid if self._failed_test(row)})
        return tuple(self._settle(row, checks[str(row.name)], errors.get(str(row.name)), rows) for row in self.off)

    def _due_checks(self, rows: ControlRows, blame: Blame) -> dict[str, HealCheck]:
        if self.is_forced:
            return {str(row.name): HealCheck(is_due=True, reason="asked for") for row in self.off}
        decisions = self._decisions(rows, blame)
        every = timedelta(minutes=self.context.settings.heal_minutes)
        checks = {}
        for row in self.off:
            target = str(row.name)
            changes = take_fingerprint(self.context, row, rows, decisions[target]).changes_since(
                Fingerprint.parse(row.fingerprint)
            )
            failures = failure_count(target, self.recent, self.now)
            checks[target] = due_check(self._incident(row), changes, failures=failures, every=every, now=self.now)
        return checks

    def _decisions(self, rows: ControlRows, blame: Blame) -> dict[str, Decision]:
        """Return the gate's decisions as if the rows were active: the fingerprint includes their sources."""
        names = {row.name for row in self.off}
        transformations = tuple(
            row.model_copy(update={"is_active": True}) if row.name in names else row for row in rows.transformations
        )
        as_if_active = rows.model_copy(update={"transformations": transformations})
        targets = [row for row in transformations if row.name in names]
        store = self.context.store
        with open_gate(self.context, as_if_active, targets, blame) as gate:
            answer = gate.decide(store.latest_loads(), self.now, leases=lease_texts(store))
        return {decision.target: decision for decision in answer.decisions}

    def _settle(self, row: TransformationRow, check: HealCheck, error: str | None, rows: ControlRows) -> Healing:
        if not check.is_due:
            return self._healing(row, HealState.WAITING, check.reason)
        incident = self._incident(row)
        if error is not None:
            if incident is not None:
                self.context.store.settle(Settlement(judge=partial(_seen_again, incident.incident_id, self.now)))
            return self._healing(row, HealState.BROKEN, error)
        amendment = Amendment(row.name, _switched_on, f"healed ({check.reason})")
        settle_incidents(
            self.context,
            rows,
            (),
            is_over=lambda item: incident is not None and item.incident_id == incident.incident_id,
            amendments=[amendment],
        )
        return self._healing(row, HealState.HEALED, check.reason)

    def _failed_test(self, row: TransformationRow) -> bool:
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


def _seen_again(
    incident_id: str, now: datetime, known: Sequence[Incident]
) -> tuple[Sequence[Incident], Sequence[Alert]]:
    """Return the incident as seen now, if it is still open: a run may have closed it during the check."""
    found = [item for item in known if item.is_open and item.incident_id == incident_id]
    return [replace(item, last_seen_at=now) for item in found], ()


def _faults(row: TransformationRow, rows: ControlRows, blame: Blame) -> str:
    """Return the faults that sync found in a row, its pipeline and its sources; empty when there are none."""
    related = (row, rows.pipeline(row.pipeline_id), *blame.sources_of(row, rows))
    return "; ".join(str(fault) for item in related for fault in blame.faults_of(item))


def _switched_on(row: TransformationRow) -> TransformationRow:
    """Return the row switched on, unless a person has changed the switch in the meantime."""
    if row.is_active or row.deactivated_by is not DeactivatedBy.FRAMEWORK:
        return row
    return row.model_copy(update={"is_active": True, "deactivated_by": None, "comments": None, "fingerprint": None})
