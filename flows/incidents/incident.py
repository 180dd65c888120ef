"""Incidents: one per root cause, from its first failure until it is resolved. Pure.

    findings = find(outcomes, rows, …)           # root causes of this run, each with its consequences
    change = update_incident(finding, …)         # the incident's new state, and the event to report

A target that was skipped because an upstream failed has no finding of its own. The finding of the cause lists it in
`held_up`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Decision, Reason, SourceMode
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.incident import AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.loads import Rejects, RowCounts
from metadata_sync.redact import safe_text
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import reached_from
from metadata_sync.rows.vocabulary import ChildPolicy

if TYPE_CHECKING:
    from flows.errors.classify import FailureClass, Rule

WAREHOUSE: Final = "warehouse"
"""Subject of failures that no target caused: the warehouse cannot be reached, dbt does not start."""

WORK_POOL: Final = "work pool "
"""Prefix of the subject when no worker of a pool starts runs."""
SCHEDULE: Final = "schedule of "
"""Prefix of the subject when a pipeline's runs do not start."""

_CONSEQUENCES: Final = frozenset({Reason.UPSTREAM_FAILED, Reason.UPSTREAM_HELD, Reason.UPSTREAM_OFF})
_SAYS_NOTHING: Final = frozenset(
    {
        *_CONSEQUENCES,
        Reason.NOT_ON_SPARK,
        Reason.INACTIVE,
        Reason.PIPELINE_INACTIVE,
        Reason.UPSTREAM_NOT_LOADED,
        Reason.LEASE_HELD,
        Reason.UPSTREAM_RUNNING,
    }
)
_NO_FINDING: Final = _CONSEQUENCES | {Reason.NOT_ON_SPARK}
"""Reasons to hold a target that tell of nothing wrong with it: an upstream's trouble, or what one request asked for."""
_READ_ALL_SOURCES: Final = frozenset({Reason.PROBE_FAILED, Reason.SOURCE_UNREADABLE})
"""Reasons to hold a target that name every source which cannot be read: the others can."""
_RAN: Final = frozenset({OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED, OutcomeStatus.FAILED})
_HOLDS_NOTHING_UP: Final = frozenset({IncidentKind.REJECTS, IncidentKind.FILE})
_WARNS_ONLY: Final = frozenset({IncidentKind.REJECTS, IncidentKind.DEFINITION})
"""Kinds that stay a warning however long they last: the accepted rows are loaded."""
MONITORED: Final = frozenset({IncidentKind.SLA, IncidentKind.FRESHNESS})
"""Kinds that only `monitor` opens and ends: a run that loads a target says nothing about its schedule or its source."""
_UNREADABLE: Final = " cannot be read: "
"""Separates a source from its fault in the gate's messages."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """When alerts are sent.

    Attributes:
        cooldown: Shortest time between two alerts for the same soft failure.
        escalation_ticks: Number of failed runs in a row after which a soft failure becomes an error.
    """

    cooldown: timedelta
    escalation_ticks: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One root cause, as one run or one check found it.

    Attributes:
        kind: Kind of the incident.
        subject: What the incident is about.
        failure_class: Class of the error; None when there is none.
        message: The error message.
        targets: Targets that failed from this cause.
        held_up: Targets that wait for them.
        pipeline_ids: Pipelines of the failed targets.
        is_hard: Whether it lasts until something is changed.
        attempts: Number of tries in this run.
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
    """The new state of an incident, and the event to report; None: no alert.

    Attributes:
        incident: The incident.
        event: The event.
        followed_by: Class of another cause that takes the place of a resolved one; None: nothing does.
    """

    incident: Incident
    event: AlertEvent | None
    followed_by: str | None = None


def find(
    outcomes: Iterable[TargetOutcome], rows: ControlRows, rules: Iterable[Rule], earlier: Mapping[str, int]
) -> tuple[Finding, ...]:
    """Return the root causes of a run, one finding per cause.

    Args:
        outcomes: Outcomes of the targets.
        rows: The environment's rows.
        rules: Classify the failures.
        earlier: Target → how often it failed in the same way before this run.
    """
    found: dict[tuple[IncidentKind, str], Finding] = {}
    for outcome in outcomes:
        for finding in _findings(outcome, rules, earlier):
            key = finding.kind, finding.subject
            found[key] = _merge(found[key], finding) if key in found else finding
    return tuple(
        item if item.kind in _HOLDS_NOTHING_UP else replace(item, held_up=held_up(item.targets, rows))
        for item in found.values()
    )


def rejected(target: str, pipeline_id: str, rows: RowCounts, rejects: Rejects) -> Finding:
    """Return the finding for a load that rejected rows for the first time.

    Args:
        target: The loaded target.
        pipeline_id: Its pipeline.
        rows: Row counts of the load. If the load rejected every row, the finding is an error, else a warning.
        rejects: Contents of the target's rejects table.
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
    """Whether the target itself caused the failure and will fail again; then its row is switched off."""
    return (
        outcome.status is OutcomeStatus.FAILED
        and not outcome.is_shared
        and outcome.verdict is not None
        and not outcome.verdict.is_soft(outcome.attempts + earlier_tries)
    )


def is_healthy(outcome: TargetOutcome) -> bool:
    """Whether an outcome shows a healthy target: it loaded, or the gate checked it and skipped it."""
    if outcome.status in (OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED):
        return True
    return outcome.status is OutcomeStatus.SKIPPED and outcome.decision.reason not in _SAYS_NOTHING


def held_up(targets: Iterable[str], rows: ControlRows) -> tuple[str, ...]:
    """Return the active targets that wait for these: their readers, directly or through other readers.

    A reader that runs with old data (child_policy stale) does not wait.
    """
    return tuple(sorted(reached_from(tuple(targets), _readers_that_wait(rows))))


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
    last_alerted_at: datetime | None,
    run_id: str | None,
    now: datetime,
    new_id: Callable[[datetime], str],
    url: str | None = None,
) -> IncidentChange:
    """Return the new state of an incident, and the event to report.

    Args:
        finding: The finding.
        standing: The open incident of the same kind and subject; None when there is none.
        policy: When alerts are sent.
        last_alerted_at: When the last alert for this kind and subject was sent; None: never.
        run_id: The run that made the finding; None for a check outside a run.
        now: UTC.
        new_id: Makes an id from an instant.
        url: Page of the run.
    """
    is_same_run = standing is not None and run_id is not None and standing.run_id == run_id
    ticks = (standing.ticks if standing else 0) + (0 if is_same_run else 1)
    is_too_long = ticks >= policy.escalation_ticks and finding.kind not in _WARNS_ONLY
    severity = Severity.ERROR if finding.is_hard or is_too_long else _mildest(finding.kind)
    if standing is not None and standing.severity is Severity.ERROR:
        severity = Severity.ERROR
    event = _event(standing, severity, is_cool=last_alerted_at is None or now - last_alerted_at >= policy.cooldown)
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
        alerted_at=now if event is not None else standing.alerted_at if standing else None,
        url=url,
    )
    return IncidentChange(incident, event)


def is_another_cause(finding: Finding, standing: Incident) -> bool:
    """Whether a finding on the subject of an open incident has another root cause, so that it needs its own incident.

    The soft failures of one target or source count as one cause, because contention shows as one class or another.
    """
    from flows.errors.classify import ADVICE, FailureClass

    if finding.failure_class is None or standing.failure_class is None:
        return False
    before = FailureClass(standing.failure_class)
    if before is finding.failure_class:
        return False
    is_hard = finding.is_hard or not ADVICE[before].is_soft
    return is_hard or finding.kind is IncidentKind.SHARED


def _mildest(kind: IncidentKind) -> Severity:
    return Severity.INFO if kind is IncidentKind.DEFINITION else Severity.WARNING


def resolve(incident: Incident, now: datetime, followed_by: FailureClass | None = None) -> IncidentChange:
    """Close an incident. An alert reports the end if an alert reported the beginning.

    Args:
        incident: The incident.
        now: UTC.
        followed_by: Class of the cause that takes its place; None: its subject has recovered.
    """
    event = AlertEvent.RESOLVED if incident.alerted_at is not None else None
    closed = replace(incident, resolved_at=now, last_seen_at=now)
    return IncidentChange(closed, event, None if followed_by is None else followed_by.value)


def is_removed(incident: Incident, rows: ControlRows) -> bool:
    """Whether the rows of all its targets were removed, retired or renamed: no run can end it any more."""
    if incident.kind in MONITORED or not incident.targets:
        return False
    return all(rows.transformation(TableName.parse(target)) is None for target in incident.targets)


def is_over(incident: Incident, findings: Iterable[Finding], outcomes: Iterable[TargetOutcome]) -> bool:
    """Whether a run ends an open incident: no finding repeats it, and one of its targets is healthy."""
    if any((item.kind, item.subject) == (incident.kind, incident.subject) for item in findings):
        return False
    if incident.kind in MONITORED or incident.kind is IncidentKind.DEFINITION:  # restating or accepting ends the latter
        return False
    if incident.kind is IncidentKind.SHARED:  # without targets: it prevented runs from starting, and one has started
        return not incident.targets or any(_has_used_warehouse(outcome) for outcome in outcomes)
    return any(_ends(outcome, incident) for outcome in outcomes if outcome.target in incident.targets)


def _ends(outcome: TargetOutcome, incident: Incident) -> bool:
    """Whether the outcome of one of its targets ends an incident."""
    if incident.kind is IncidentKind.REJECTS:
        return outcome.load_id is not None
    if incident.kind is IncidentKind.FILE:
        return _has_read_all(outcome, incident.subject)
    if incident.kind is IncidentKind.HOLD:  # whatever came of it: what held the target does so no longer
        return is_healthy(outcome) or _is_let_through(outcome, incident)
    if incident.kind is IncidentKind.CRASH:  # a run has come to an end; if it failed, that is an incident of its own
        return is_healthy(outcome) or outcome.status in _RAN
    return is_healthy(outcome)


def _has_read_all(outcome: TargetOutcome, source: str) -> bool:
    """Whether a target has read all files of a source, or found that it had."""
    is_listed = outcome.status in (OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED)
    return any(
        not item.left_out and (is_listed or item.mode is SourceMode.FILES)
        for item in outcome.decision.evidence
        if item.source == source and is_healthy(outcome)
    )


def _is_let_through(outcome: TargetOutcome, incident: Incident) -> bool:
    """Whether a target got past what held it: it was given to dbt, or is held for other sources only."""
    if outcome.status in _RAN:
        return True
    is_of_source = incident.subject not in incident.targets and incident.subject not in incident.pipeline_ids
    return outcome.status is OutcomeStatus.HELD and is_of_source and outcome.decision.reason in _READ_ALL_SOURCES


def _has_used_warehouse(outcome: TargetOutcome) -> bool:
    """Whether the warehouse and dbt worked for a target, if only up to an error of its own."""
    if outcome.status is OutcomeStatus.FAILED:
        return outcome.verdict is not None and not _is_elsewhere(outcome)
    return outcome.status in _RAN


def _event(standing: Incident | None, severity: Severity, *, is_cool: bool) -> AlertEvent | None:
    if standing is not None and standing.alerted_at is not None:
        is_worse = severity is Severity.ERROR and standing.severity is Severity.WARNING
        return AlertEvent.ESCALATED if is_worse else None
    return AlertEvent.OPENED if severity is Severity.ERROR or is_cool else None


def _findings(outcome: TargetOutcome, rules: Iterable[Rule], earlier: Mapping[str, int]) -> Iterator[Finding]:
    if outcome.rows is not None and outcome.rejects is not None and outcome.rejects.added:
        yield rejected(outcome.target, outcome.pipeline_id, outcome.rows, outcome.rejects)
    yield from _left_out(outcome)
    if outcome.status is OutcomeStatus.FAILED:
        yield _failure(outcome, earlier.get(outcome.target, 0))
    elif outcome.status is OutcomeStatus.HELD and outcome.decision.reason not in _NO_FINDING:
        yield from _holds(outcome.decision, rules)


def _failure(outcome: TargetOutcome, earlier_tries: int) -> Finding:
    from flows.errors.classify import FailureClass

    failure_class = outcome.verdict.failure_class if outcome.verdict else FailureClass.UNKNOWN
    is_elsewhere = _is_elsewhere(outcome)
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


def _left_out(outcome: TargetOutcome) -> Iterator[Finding]:
    """Yield a finding for each source whose files the target does not read."""
    from flows.errors.classify import FailureClass

    for source in outcome.decision.evidence:
        if source.left_out and outcome.status is not OutcomeStatus.HELD:
            yield Finding(
                kind=IncidentKind.FILE,
                subject=source.source,
                failure_class=FailureClass.UNREADABLE_FILE,
                message=f"{source.left_out}. `sluice lake {source.source} --unread` lists them.",
                targets=(outcome.target,),
                held_up=(),
                pipeline_ids=(outcome.pipeline_id,),
                is_hard=False,
            )


def _is_elsewhere(outcome: TargetOutcome) -> bool:
    """Whether a failure lies in what all targets share: the warehouse or dbt's project."""
    from flows.errors.classify import FailureClass

    is_connection = outcome.verdict is not None and outcome.verdict.failure_class is FailureClass.CONNECTION
    return outcome.is_shared or is_connection


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
    """Yield what a target is held for: the sources that cannot be probed or read, else the target itself."""
    if decision.reason is Reason.PROBE_FAILED:
        yield from ((item.source, item.message) for item in decision.evidence if item.reason is Reason.PROBE_FAILED)
    elif decision.reason is Reason.SOURCE_UNREADABLE and _UNREADABLE in decision.message:
        yield decision.message.partition(_UNREADABLE)[0], decision.message
    elif decision.reason is Reason.PIPELINE_AT_FAULT:
        yield decision.pipeline_id, decision.message
    else:
        yield decision.target, decision.message


def _merge(first: Finding, second: Finding) -> Finding:
    return replace(
        first,
        targets=tuple(dict.fromkeys((*first.targets, *second.targets))),
        pipeline_ids=tuple(dict.fromkeys((*first.pipeline_ids, *second.pipeline_ids))),
        is_hard=first.is_hard or second.is_hard,
        attempts=max(first.attempts, second.attempts),
    )
