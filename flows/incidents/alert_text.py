"""The text of an alert: what failed, since when, why, which targets wait, what happens next, links. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from flows.errors.classify import ADVICE, FailureClass
from flows.incidents.incident import SCHEDULE, WORK_POOL
from metadata_sync.incident import AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.redact import safe_text
from metadata_sync.text import duration_text

MESSAGE_LENGTH: Final = 1_500
_SHOWN_TARGETS: Final = 10
_RUNBOOK: Final = "operations/runbook.md"


def title_of(
    incident: Incident,
    event: AlertEvent,
    environment: str,
    now: datetime,
    *,
    followed_by: str | None = None,
    is_removed: bool = False,
) -> str:
    """Return the title of an alert.

    Args:
        incident: The incident.
        event: The event to report.
        environment: The environment.
        now: UTC.
        followed_by: Class of the cause that took the place of a resolved one; None: its subject has recovered.
        is_removed: Whether the rows of its targets are gone.
    """
    where = f"[{environment}] {incident.subject}"
    if event is AlertEvent.RESOLVED and is_removed:
        return f"{where} is closed: no row of its targets is left"
    if event is AlertEvent.RESOLVED and incident.kind is IncidentKind.REJECTS:
        return f"{where} rejects no new rows; the rows that it rejected are not loaded yet"
    if event is AlertEvent.RESOLVED and incident.kind is IncidentKind.DEFINITION:
        return f"{where} has no rows of an older SELECT any more, or they were accepted"
    if event is AlertEvent.RESOLVED and followed_by is not None:
        return f"{where} has another problem now: {followed_by} instead of {incident.failure_class}"
    if event is AlertEvent.RESOLVED:
        return f"{where} recovered after {duration_text((now - incident.opened_at).total_seconds())}"
    again = f", run {incident.ticks} in a row" if incident.ticks > 1 and incident.run_id else ""
    return f"{where} {headline_of(incident)}{again}"


def headline_of(incident: Incident) -> str:
    """Return what is wrong, in a few words that follow the subject."""
    what = _HEADLINES[incident.kind]
    if incident.kind is IncidentKind.SLA:
        what = next((words for prefix, words in _SLA_HEADLINES if incident.subject.startswith(prefix)), what)
    if incident.kind is IncidentKind.REJECTS and incident.severity is Severity.ERROR:
        what = "rejected every row of a load"
    if incident.kind is IncidentKind.LOAD:
        what = "failed and is switched off" if _is_off(incident) else "failed"
    if incident.kind is IncidentKind.HOLD and _is_soft(incident):
        what = "cannot be read"
    if incident.kind is IncidentKind.CRASH and incident.pipeline_ids:
        what = f"of {', '.join(incident.pipeline_ids)} crashed"
    return f"{what}: {incident.failure_class}" if incident.failure_class else what


def body_of(incident: Incident, event: AlertEvent, now: datetime, docs_url: str | None = None) -> str:
    """Return the body of an alert, one fact per line.

    Args:
        incident: The incident.
        event: The event to report.
        now: UTC.
        docs_url: Where the pages of docs/ are published; None: the runbook is named by its path.
    """
    return "\n".join(_lines(incident, event, now, docs_url))


def comment_of(failure_class: str, message: str, *, run_id: str, attempts: int, now: datetime) -> str:
    """Return the text for a failed row's `comments`."""
    tries = "1 try" if attempts == 1 else f"{attempts} tries"
    sentence = ADVICE[FailureClass(failure_class)].sentence
    return f"{failure_class} in run {run_id} at {now:%Y-%m-%d %H:%M:%S} UTC after {tries}. {sentence}\n{message}"


_HEADLINES: Final = {
    IncidentKind.LOAD: "failed",
    IncidentKind.HOLD: "is held until somebody fixes its cause",
    IncidentKind.SHARED: "does not work",
    IncidentKind.FRESHNESS: "is late",
    IncidentKind.SLA: "missed its SLA",
    IncidentKind.CRASH: "crashed",
    IncidentKind.REJECTS: "rejected rows",
    IncidentKind.DEFINITION: "has rows of an older SELECT",
    IncidentKind.FILE: "has files that are not read",
}


_SLA_HEADLINES: Final = (("run ", "does not end"), (SCHEDULE, "stands still"), (WORK_POOL, "starts no runs"))


def _lines(incident: Incident, event: AlertEvent, now: datetime, docs_url: str | None) -> Iterator[str]:
    if incident.targets and incident.targets != (incident.subject,):
        yield f"Affects: {_list_targets(incident.targets)}"
    if incident.pipeline_ids:
        yield f"Pipeline: {', '.join(incident.pipeline_ids)}"
    yield f"Since: {incident.opened_at:%Y-%m-%d %H:%M:%S} UTC{_tries(incident)}"
    if event is AlertEvent.RESOLVED:
        yield f"Until: {now:%Y-%m-%d %H:%M:%S} UTC"
        yield f"Cause: {incident.failure_class or incident.kind}"
        if incident.kind is IncidentKind.REJECTS:
            yield f"First message: {safe_text(incident.message, MESSAGE_LENGTH)}"
    else:
        yield from _why(incident)
        yield f"Holds up: {_list_targets(incident.held_up) or 'nothing'}"
        yield f"Next: {next_step(incident)}"
        yield f"Runbook: {runbook_of(incident, docs_url)}"
    if incident.url or incident.run_id:
        yield f"Run: {incident.url or incident.run_id}"


def _why(incident: Incident) -> Iterator[str]:
    if incident.failure_class:
        advice = ADVICE[FailureClass(incident.failure_class)]
        yield f"Why: {incident.failure_class}. {advice.sentence} {advice.remedy}"
    yield f"Message: {safe_text(incident.message, MESSAGE_LENGTH)}"


def runbook_of(incident: Incident, docs_url: str | None) -> str:
    """Return the section of the runbook for an incident: a link, or a path in the repository."""
    base = docs_url.rstrip("/") if docs_url else "docs"
    return f"{base}/{_RUNBOOK}#{(incident.failure_class or incident.kind).replace('_', '-')}"


def next_step(incident: Incident) -> str:
    """Return what Sluice does next, and what is left to people."""
    if _is_off(incident):
        return (
            f"the row stays off until its cause is gone; `sluice heal` checks that and switches it on again. By hand: "
            f"fix the cause, then run `sluice activate {incident.subject}`. All other targets keep running."
        )
    if incident.kind is IncidentKind.HOLD:
        by_hand = "" if _is_soft(incident) else ", once somebody has fixed the cause"
        return f"no row is off. Each run looks again, and loads from the same watermark{by_hand}."
    if incident.kind in (IncidentKind.LOAD, IncidentKind.SHARED):
        return "no row is off. The next run tries again, from the same watermark."
    if incident.kind is IncidentKind.SLA and _is_run(incident):
        return "no other run can load its targets while the process lives. End it; the next run then loads them."
    if incident.kind is IncidentKind.REJECTS and incident.severity is Severity.ERROR:
        return "that load accepted no row. Runs load what is new. No run reads the rejected rows again by itself."
    return _NEXT.get(incident.kind, "`monitor` checks again, and reports when it is over.")


_NEXT: Final = {
    IncidentKind.CRASH: "its targets are free again; the next run loads them.",
    IncidentKind.REJECTS: (
        "all other rows are loaded, and so are the new ones. No run reads the rejected rows again by itself."
    ),
    IncidentKind.DEFINITION: (
        "runs go on. The older rows stay as they are until somebody restates the target or accepts them."
    ),
    IncidentKind.FILE: (
        "all other files are loaded, and new ones. Write the file again, or remove it: the next run looks again."
    ),
}


def _is_off(incident: Incident) -> bool:
    """Whether Sluice switched the row off: the target itself has a hard failure."""
    if incident.kind is not IncidentKind.LOAD or incident.severity is not Severity.ERROR:
        return False
    failure_class = FailureClass(incident.failure_class or FailureClass.UNKNOWN)
    return not ADVICE[failure_class].is_soft or failure_class is FailureClass.UNKNOWN


def _is_soft(incident: Incident) -> bool:
    """Whether the cause may end by itself."""
    failure_class = FailureClass(incident.failure_class or FailureClass.UNKNOWN)
    return incident.severity is not Severity.ERROR or ADVICE[failure_class].is_soft


def _is_run(incident: Incident) -> bool:
    return incident.subject.startswith("run ")


def _tries(incident: Incident) -> str:
    return f" ({incident.attempts} tries)" if incident.attempts > 1 else ""


def _list_targets(targets: tuple[str, ...]) -> str:
    more = len(targets) - _SHOWN_TARGETS
    return ", ".join(targets[:_SHOWN_TARGETS]) + (f" and {more} more" if more > 0 else "")
