"""Incidents: one per root cause, from its first failure until it is gone. Pure: what is found meets what is known.

    findings = find(outcomes, rows, …)           # what this run met, its consequences folded in
    verdict = judge(finding, known, policy, now) # the incident as it now is, and whether people are told

A target that was left alone because something upstream failed is no finding: it stands in `held_up` of the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Decision, Reason
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.incident import AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.loads import Rejects, RowCounts
from metadata_sync.redact import safe_text
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import ChildPolicy

if TYPE_CHECKING:
    from flows.errors.classify import FailureClass, Rule

WAREHOUSE: Final = "warehouse"
"""Subject of what no target is to blame for: the warehouse cannot be reached, dbt does not start."""

_CONSEQUENCES: Final = frozenset({Reason.UPSTREAM_FAILED, Reason.UPSTREAM_HELD, Reason.UPSTREAM_OFF})
_SAYS_NOTHING: Final = frozenset(
    {*_CONSEQUENCES, Reason.INACTIVE, Reason.PIPELINE_INACTIVE, Reason.UPSTREAM_NOT_LOADED}
)
_WARNS_ONLY: Final = frozenset({IncidentKind.REJECTS})
"""Kinds that do not grow more urgent by lasting: whatever is not rejected is loaded."""
_UNREADABLE: Final = " cannot be read: "
"""Stands between a source and what is wrong with it, in the gate's words."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """When people are told.

    Attributes:
        cooldown: Nobody is told of a soft failure again within it.
        escalation_ticks: So many runs in a row, and a soft failure is no longer a warning.
    """

    cooldown: timedelta
    escalation_ticks: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One root cause as one run, or one look, met it.

    Attributes:
        kind: What is wrong.
        subject: With what.
        failure_class: Class of the error; None when there is none.
        message: What was said.
        targets: What it hit itself.
        held_up: What waits for it.
        pipeline_ids: Pipelines of what it hit.
        is_hard: It will not heal by itself.
        attempts: How often it was tried this time.
    """

    kind: IncidentKind
    subject: str
    failure_class: FailureClass | None
    message: str
    targets: tuple[str, ...]
    held_up: tuple[str, ...]
    pipeline_ids: tuple[str, ...]
    is_hard: bool
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """An incident as it now is, and what people are told of it; None: nothing."""

    incident: Incident
    event: AlertEvent | None


def find(
    outcomes: Iterable[TargetOutcome], rows: ControlRows, rules: Iterable[Rule], earlier: Mapping[str, int]
) -> tuple[Finding, ...]:
    """Return the root causes of a run, those that share one folded into one.

    Args:
        outcomes: How targets fared.
        rows: The environment's rows.
        rules: Say what kind of failure it is.
        earlier: Target → how often it failed in the same way before this run.
    """
    found: dict[tuple[IncidentKind, str], Finding] = {}
    for outcome in outcomes:
        for finding in _findings(outcome, rules, earlier):
            key = finding.kind, finding.subject
            found[key] = _folded(found[key], finding) if key in found else finding
    return tuple(
        item if item.kind is IncidentKind.REJECTS else replace(item, held_up=held_up(item.targets, rows))
        for item in found.values()
    )


def rejected(target: str, pipeline_id: str, rows: RowCounts, rejects: Rejects) -> Finding:
    """Return what there is to say of a load that rejected rows which no load had rejected before.

    Args:
        target: What was loaded.
        pipeline_id: Its pipeline.
        rows: How many rows the load moved; when it rejected all that it read, that is an error, not a warning.
        rejects: What lies in the target's rejects.
    """
    is_all = rows.rejected >= rows.read
    share = f"All {rows.read:,}" if is_all else f"{rows.rejected:,} of {rows.read:,}"
    return Finding(
        kind=IncidentKind.REJECTS,
        subject=target,
        failure_class=None,
        message=(
            f"{share} rows that the load read were rejected, {rejects.added:,} of them for the first time: "
            f"{rejects.reason}. {rejects}"
        ),
        targets=(target,),
        held_up=(),
        pipeline_ids=(pipeline_id,),
        is_hard=is_all,
    )


def is_hard(outcome: TargetOutcome, earlier_tries: int) -> bool:
    """Whether a target failed by itself and will fail again: its row is switched off."""
    return (
        outcome.status is OutcomeStatus.FAILED
        and not outcome.is_shared
        and outcome.verdict is not None
        and not outcome.verdict.is_soft(outcome.attempts + earlier_tries)
    )


def fares_well(outcome: TargetOutcome) -> bool:
    """Whether a target shows that nothing is wrong with it: it loaded, or the gate looked at it and left it alone."""
    if outcome.status in (OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED):
        return True
    return outcome.status is OutcomeStatus.SKIPPED and outcome.decision.reason not in _SAYS_NOTHING


def held_up(targets: Iterable[str], rows: ControlRows) -> tuple[str, ...]:
    """Return the active targets that wait for these: their readers, and those readers' readers.

    A reader that runs with what there is (child_policy stale) does not wait.
    """
    readers = _readers_that_wait(rows)
    waiting: set[str] = set()
    todo = list(targets)
    while todo:
        for reader in readers.get(todo.pop(), ()):
            if reader not in waiting:
                waiting.add(reader)
                todo.append(reader)
    return tuple(sorted(waiting - set(targets)))


def _readers_that_wait(rows: ControlRows) -> Mapping[str, Sequence[str]]:
    readers: dict[str, list[str]] = {}
    for row in rows.transformations:
        pipeline = rows.pipeline(row.pipeline_id)
        if row.is_active and (pipeline is None or pipeline.child_policy is not ChildPolicy.STALE):
            for item in row.dependencies:
                readers.setdefault(item.table, []).append(str(row.name))
    return readers


def update_incident(
    finding: Finding,
    standing: Incident | None,
    policy: AlertPolicy,
    *,
    last_told_at: datetime | None,
    run_id: str | None,
    now: datetime,
    new_id: Callable[[datetime], str],
    url: str | None = None,
) -> IncidentChange:
    """Say what an incident has become, and whether people are told.

    Args:
        finding: What was met.
        standing: The open incident of the same kind and subject; None when there is none.
        policy: When people are told.
        last_told_at: When people were last told of this kind and subject; None: never.
        run_id: The run that met it; None when no run did.
        now: UTC.
        new_id: Makes an id of an instant.
        url: Page of the run.
    """
    is_same_run = standing is not None and run_id is not None and standing.run_id == run_id
    ticks = (standing.ticks if standing else 0) + (0 if is_same_run else 1)
    is_too_long = ticks >= policy.escalation_ticks and finding.kind not in _WARNS_ONLY
    severity = Severity.ERROR if finding.is_hard or is_too_long else Severity.WARNING
    if standing is not None and standing.severity is Severity.ERROR:
        severity = Severity.ERROR
    event = _event(standing, severity, is_cool=last_told_at is None or now - last_told_at >= policy.cooldown)
    incident = Incident(
        incident_id=standing.incident_id if standing else new_id(now),
        kind=finding.kind,
        subject=finding.subject,
        severity=severity,
        failure_class=finding.failure_class.value if finding.failure_class else None,
        message=safe_text(finding.message),
        targets=finding.targets,
        held_up=finding.held_up,
        pipeline_ids=finding.pipeline_ids,
        run_id=run_id,
        attempts=(standing.attempts if standing else 0) + finding.attempts,
        ticks=ticks,
        opened_at=standing.opened_at if standing else now,
        last_seen_at=now,
        told_at=now if event is not None else standing.told_at if standing else None,
        url=url,
    )
    return IncidentChange(incident, event)


def resolve(incident: Incident, now: datetime) -> IncidentChange:
    """Close an incident; those who were told that it began are told that it ended."""
    event = AlertEvent.RESOLVED if incident.told_at is not None else None
    return IncidentChange(replace(incident, resolved_at=now, last_seen_at=now), event)


def is_over(incident: Incident, findings: Iterable[Finding], outcomes: Iterable[TargetOutcome]) -> bool:
    """Whether a run shows that an open incident of targets is over: it was not met, and one that it hit fares well."""
    if any((item.kind, item.subject) == (incident.kind, incident.subject) for item in findings):
        return False
    if incident.kind is IncidentKind.SHARED:  # without targets it kept runs from beginning, and one has begun
        return not incident.targets or any(
            outcome.status in (OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED) for outcome in outcomes
        )
    hit = [outcome for outcome in outcomes if outcome.target in incident.targets]
    if incident.kind is IncidentKind.REJECTS:
        return any(outcome.load_id is not None for outcome in hit)
    return any(fares_well(outcome) for outcome in hit)


def _event(standing: Incident | None, severity: Severity, *, is_cool: bool) -> AlertEvent | None:
    if standing is not None and standing.told_at is not None:
        is_worse = severity is Severity.ERROR and standing.severity is Severity.WARNING
        return AlertEvent.ESCALATED if is_worse else None
    return AlertEvent.OPENED if severity is Severity.ERROR or is_cool else None


def _findings(outcome: TargetOutcome, rules: Iterable[Rule], earlier: Mapping[str, int]) -> Iterator[Finding]:
    if outcome.rows is not None and outcome.rejects is not None and outcome.rejects.added:
        yield rejected(outcome.target, outcome.pipeline_id, outcome.rows, outcome.rejects)
    if outcome.status is OutcomeStatus.FAILED:
        yield _failure(outcome, earlier.get(outcome.target, 0))
    elif outcome.status is OutcomeStatus.HELD and outcome.decision.reason not in _CONSEQUENCES:
        yield from _holds(outcome.decision, rules)


def _failure(outcome: TargetOutcome, earlier_tries: int) -> Finding:
    from flows.errors.classify import FailureClass

    failure_class = outcome.verdict.failure_class if outcome.verdict else FailureClass.UNKNOWN
    is_elsewhere = outcome.is_shared or failure_class is FailureClass.CONNECTION
    return Finding(
        kind=IncidentKind.SHARED if is_elsewhere else IncidentKind.LOAD,
        subject=WAREHOUSE if is_elsewhere else outcome.target,
        failure_class=failure_class,
        message=outcome.error or "",
        targets=(outcome.target,),
        held_up=(),
        pipeline_ids=(outcome.pipeline_id,),
        is_hard=outcome.verdict is not None and not outcome.verdict.is_soft(outcome.attempts + earlier_tries),
        attempts=outcome.attempts,
    )


def _holds(decision: Decision, rules: Iterable[Rule]) -> Iterator[Finding]:
    from flows.errors.classify import FailureClass, classify, read_facts

    for subject, message in _causes(decision):
        verdict = classify(read_facts(message), rules)
        is_asked = decision.reason in (Reason.PROBE_FAILED, Reason.SOURCE_UNREADABLE)
        yield Finding(
            kind=IncidentKind.HOLD,
            subject=subject,
            failure_class=verdict.failure_class if is_asked else FailureClass.SETTINGS,
            message=message,
            targets=(decision.target,),
            held_up=(),
            pipeline_ids=(decision.pipeline_id,),
            is_hard=not (is_asked and verdict.is_soft()),
        )


def _causes(decision: Decision) -> Iterator[tuple[str, str]]:
    """Name what a target is held for: the sources that cannot be asked or read, else the target itself."""
    if decision.reason is Reason.PROBE_FAILED:
        yield from ((item.source, item.message) for item in decision.evidence if item.reason is Reason.PROBE_FAILED)
    elif decision.reason is Reason.SOURCE_UNREADABLE and _UNREADABLE in decision.message:
        yield decision.message.partition(_UNREADABLE)[0], decision.message
    elif decision.reason is Reason.PIPELINE_AT_FAULT:
        yield decision.pipeline_id, decision.message
    else:
        yield decision.target, decision.message


def _folded(first: Finding, second: Finding) -> Finding:
    return replace(
        first,
        targets=tuple(dict.fromkeys((*first.targets, *second.targets))),
        pipeline_ids=tuple(dict.fromkeys((*first.pipeline_ids, *second.pipeline_ids))),
        is_hard=first.is_hard or second.is_hard,
        attempts=max(first.attempts, second.attempts),
    )
