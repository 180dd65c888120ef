"""Incidents and the alerts that tell of them, as the control database keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """What is wrong."""

    LOAD = "load"
    """A target fails."""
    HOLD = "hold"
    """The gate holds targets until a person mends something."""
    SHARED = "shared"
    """Something that many targets need does not work: the warehouse, or dbt's project."""
    FRESHNESS = "freshness"
    """Nothing new arrived in time."""
    SLA = "sla"
    """A pipeline was not done in time."""
    CRASH = "crash"
    """A run ended without a word."""
    REJECTS = "rejects"
    """A load rejected rows that no load had rejected before."""


class Severity(StrEnum):
    """How urgent it is, the least first."""

    WARNING = "warning"
    """It may heal by itself."""
    ERROR = "error"
    """It will not, or has not for too long."""


class AlertEvent(StrEnum):
    """What an alert tells."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Incident:
    """One root cause, from its first failure until it is gone.

    Attributes:
        incident_id: Sorts by time.
        kind: What is wrong.
        subject: With what: a target, a source, a pipeline, `warehouse`.
        severity: How urgent it is.
        failure_class: Class of the error; None when there is none.
        message: What was said, fit to be shown.
        targets: Targets that it hit themselves.
        held_up: What waits for them.
        pipeline_ids: Pipelines of the targets that it hit.
        run_id: The run that met it last; None when no run did.
        attempts: How often it was tried in all.
        ticks: How many runs in a row met it.
        opened_at: First seen, UTC.
        last_seen_at: Last seen, UTC.
        told_at: When people were last told; None: not yet.
        resolved_at: When it was gone; None while it is open.
        url: Page of the run; None when there is none.
    """

    incident_id: str
    kind: IncidentKind
    subject: str
    severity: Severity
    failure_class: str | None
    message: str
    targets: tuple[str, ...]
    held_up: tuple[str, ...]
    pipeline_ids: tuple[str, ...]
    run_id: str | None
    attempts: int
    ticks: int
    opened_at: datetime
    last_seen_at: datetime
    told_at: datetime | None = None
    resolved_at: datetime | None = None
    url: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still there."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to one channel; it stays in the outbox until the channel took it.

    Attributes:
        alert_id: Sorts by time.
        incident_id: What it tells of; None for a test.
        channel: Name of the channel.
        event: What it tells.
        title: One line.
        body: The rest, plain text.
        created_at: UTC.
        due_at: Not sent before, UTC.
        attempts: How often it was tried.
        sent_at: When the channel took it; None: not yet.
        given_up_at: When it was given up; None: it was not.
        last_error: Why it could not be sent.
    """

    alert_id: str
    incident_id: str | None
    channel: str
    event: AlertEvent
    title: str
    body: str
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    given_up_at: datetime | None = None
    last_error: str | None = None
