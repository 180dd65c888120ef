"""The consequences of outcomes: switches rows off or comments them, opens and closes incidents, queues alerts.

Each call is one transaction of the control database, so every row that is switched off has an incident that says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.incidents.incident import (
    Finding,
    IncidentChange,
    find,
    is_another_cause,
    is_hard,
    is_healthy,
    is_over,
    is_removed,
    resolve,
    update_incident,
)
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.run.outcome import load_entries
from metadata_sync.database.engine import new_id
from metadata_sync.database.journals.entries import LoadEntry
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.errors import StoreError
from metadata_sync.incident import Alert, AlertEvent, Incident, IncidentKind
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import DeactivatedBy

if TYPE_CHECKING:
    from flows.context import Context
    from flows.errors.classify import Rule

logger = logging.getLogger(__name__)

_RAN = frozenset({OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED, OutcomeStatus.FAILED})


class RunSettler:
    """Applies the consequences of one run.

    Args:
        context: Control database, settings.
        run_id: The run.
        rows: The environment's rows as the run read them.
        rules: Classify errors.
        fingerprint: Returns the fingerprint of a failed row.
        url: The run's page; None when it has none.
    """

    def __init__(
        self,
        context: Context,
        run_id: str,
        rows: ControlRows,
        rules: Iterable[Rule],
        *,
        fingerprint: Callable[[TargetOutcome], str | None],
        url: str | None = None,
    ) -> None:
        self._context = context
        self._run_id = run_id
        self._rows = rows
        self._rules = rules
        self._fingerprint = fingerprint
        self._url = url
        self._open = context.store.incidents()
        self._met: list[Finding] = []

    @property
    def earlier_tries(self) -> Mapping[str, int]:
        """How often targets failed before this run with an error that matches no rule."""
        loads = [incident for incident in self._open if incident.kind is IncidentKind.LOAD]
        if not loads:
            return {}
        from flows.errors.classify import FailureClass

        return {item.subject: item.attempts for item in loads if item.failure_class == FailureClass.UNKNOWN}

    def settle(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Record the outcomes of targets and their consequences."""
        troubled = [outcome for outcome in outcomes if not outcome.is_clean]
        if troubled or self._open:
            self._rows = self._context.store.whole(self._rows)
        findings = find(troubled, self._rows, self._rules, self.earlier_tries) if troubled else ()
        self._met += findings
        ran = [item for item in outcomes if item.status in _RAN]
        loads = load_entries(self._run_id, ran, self._context.now(), self._context.store.correct)
        if not (loads or findings or self._open):
            return
        amendments = tuple(self._amendments(outcomes))

        settle_incidents(
            self._context,
            self._rows,
            findings,
            is_over=lambda item: is_over(item, self._met, outcomes),
            loads=loads,
            amendments=amendments,
            run_id=self._run_id,
            url=self._url,
        )

    def _amendments(self, outcomes: Sequence[TargetOutcome]) -> Iterator[Amendment]:
        by_name = {str(row.name): row for row in self._rows.transformations}
        for outcome in outcomes:
            row = by_name.get(outcome.target)
            if row is None:
                continue
            if outcome.status is OutcomeStatus.FAILED and outcome.verdict is not None:
                yield self._failure_amendment(outcome, row.name)
            elif (row.comments or row.fingerprint) and is_healthy(outcome):
                yield Amendment(row.name, _clear_comment, f"recovered in run {self._run_id}")

    def _failure_amendment(self, outcome: TargetOutcome, name: TableName) -> Amendment:
        from flows.incidents.alert_text import comment_of

        assert outcome.verdict is not None
        failure_class = outcome.verdict.failure_class.value
        earlier = self.earlier_tries.get(outcome.target, 0)
        comment = comment_of(
            failure_class,
            outcome.error or "",
            run_id=self._run_id,
            attempts=outcome.attempts + earlier,
            now=self._context.now(),
        )
        if not is_hard(outcome, earlier):
            return Amendment(name, _set_comment(comment), f"{failure_class}, may end by itself")
        fingerprint = self._fingerprint(outcome)
        return Amendment(name, _switch_off(comment, fingerprint), f"switched off: {failure_class}")


def settle_incidents(
    context: Context,
    rows: ControlRows,
    findings: Sequence[Finding],
    *,
    is_over: Callable[[Incident], bool] = lambda _: False,
    loads: Sequence[LoadEntry] = (),
    amendments: Sequence[Amendment] = (),
    run_id: str | None = None,
    url: str | None = None,
) -> None:
    """Open, update and close incidents, in one transaction with the loads and row changes that belong to them.

    Incidents are read inside the transaction, so that two runs cannot open the same one twice.

    Args:
        context: Control database, settings.
        rows: The environment's rows, with the channels of pipelines.
        findings: The root causes.
        is_over: Returns whether an open incident has ended; called for each.
        loads: Summaries of loads to record.
        amendments: Changes of rows by Sluice.
        run_id: The run that made the findings; None for a check outside a run.
        url: The run's page.
    """
    now, rows = context.now(), context.store.whole(rows)  # a row that is not in a part was not removed

    def decide(known: Sequence[Incident]) -> tuple[Sequence[Incident], Sequence[Alert]]:
        over = [item for item in known if item.is_open and (is_over(item) or is_removed(item, rows))]
        changes = [*_open_or_update(context, known, findings, run_id=run_id, url=url, now=now)]
        changes += [resolve(incident, now) for incident in over]
        return [change.incident for change in changes], list(_alerts(context, rows, changes, now))

    context.store.settle(Settlement(loads, amendments, decide))


def deliver_or_log(context: Context) -> None:
    """Send the waiting alerts. An error is logged only, so that it cannot fail the work before it."""
    try:
        if not context.store.count_waiting_alerts():
            return
        from flows.incidents.outbox import deliver

        delivery = deliver(context)
    except StoreError as error:
        logger.warning("alerts.not_sent error=%s", error.message)
        return
    for alert in delivery.failed:
        logger.warning("alerts.not_sent channel=%s title=%s error=%s", alert.channel, alert.title, alert.last_error)


def _open_or_update(
    context: Context,
    known: Sequence[Incident],
    findings: Sequence[Finding],
    *,
    run_id: str | None,
    url: str | None,
    now: datetime,
) -> Iterator[IncidentChange]:
    """Open an incident for each finding, or update the open one."""
    if not findings:
        return
    from flows.incidents.channels import alert_policy

    policy = alert_policy(context.settings)
    standing = {(incident.kind, incident.subject): incident for incident in known if incident.is_open}
    # By class: an outage of the warehouse is not the same again as a lock in it an hour ago.
    alerted_at = {
        (item.kind, item.subject, item.failure_class): item.alerted_at for item in known if item.alerted_at is not None
    }
    for finding in findings:
        key = finding.kind, finding.subject
        before = standing.get(key)
        if before is not None and is_another_cause(finding, before):
            yield resolve(before, now, finding.failure_class)
            before = None
        yield update_incident(
            finding,
            before,
            policy,
            last_alerted_at=alerted_at.get((*key, finding.failure_class and finding.failure_class.value)),
            run_id=run_id,
            now=now,
            new_id=new_id,
            url=url,
        )


def _alerts(context: Context, rows: ControlRows, changes: Sequence[IncidentChange], now: datetime) -> Iterator[Alert]:
    for place, change in enumerate(changes):
        incident = change.incident
        logger.info(
            "incident kind=%s subject=%s class=%s severity=%s open=%s event=%s",
            incident.kind, incident.subject, incident.failure_class, incident.severity, incident.is_open, change.event,
        )  # fmt: skip
        if change.event is not None or incident.alerted_at is not None:
            from flows.incidents.channels import alerts_for, told_channels

            is_new = incident.opened_at == now
            told = () if is_new else told_channels(context, incident.incident_id, AlertEvent.OPENED)
            yield from alerts_for(change, rows, context.settings, now, told=told, place=place)


def _set_comment(comment: str) -> Callable[[TransformationRow], TransformationRow]:
    def amend(row: TransformationRow) -> TransformationRow:
        return row.model_copy(update={"comments": comment}) if row.is_active else row

    return amend


def _switch_off(comment: str, fingerprint: str | None) -> Callable[[TransformationRow], TransformationRow]:
    def amend(row: TransformationRow) -> TransformationRow:
        if not row.is_active:
            return row
        values = {"deactivated_by": DeactivatedBy.FRAMEWORK, "comments": comment, "fingerprint": fingerprint}
        return row.model_copy(update={"is_active": False, **values})

    return amend


def _clear_comment(row: TransformationRow) -> TransformationRow:
    return row.model_copy(update={"comments": None, "fingerprint": None}) if row.is_active else row
