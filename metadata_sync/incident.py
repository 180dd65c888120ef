"""Incidents and their alerts, as the control database stores them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """The kind of an incident."""

    LOAD = "load"
    """The load of a target failed."""
    HOLD = "hold"
    """The gate holds targets until a person acts."""
    SHARED = "shared"
    """Something that many targets need failed: the warehouse, or dbt's project."""
    FRESHNESS = "freshness"
    """No new data arrived in time."""
    SLA = "sla"
    """A pipeline missed its SLA, or a run hangs."""
    CRASH = "crash"
    """A run ended without a result."""
    REJECTS = "rejects"
    """A load rejected rows that no earlier load had rejected."""
    DEFINITION = "definition"
    """Rows of a target were derived by an older SELECT."""
    FILE = "file"
    """Files of a lake source are left out: they cannot be read, or do not fit the others."""


class Severity(StrEnum):
    """How urgent an incident is, least urgent first."""

    INFO = "info"
    WARNING = "warning"
    """A retry may succeed."""
    ERROR = "error"
    """Retries cannot succeed, or have failed for too long."""


class AlertEvent(StrEnum):
    """The event that an alert reports."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Incident:
    """One root cause, from its first failure until it is resolved.

    Attributes:
        incident_id: Sorts by time.
        kind: Its kind.
        subject: A target, a source, a pipeline, a run, or `warehouse`.
        severity: How urgent it is.
        failure_class: Class of the error; None when there is none.
        message: The error message, with secrets masked.
        targets: Targets that failed.
        held_up: Targets that wait for them.
        pipeline_ids: Pipelines of the targets that failed.
        run_id: The last run that failed with it; None when no run did.
        attempts: Total number of attempts.
        ticks: Number of consecutive runs that failed with it.
        opened_at: First seen, UTC.
        last_seen_at: Last seen, UTC.
        alerted_at: When the last alert was written; None: not yet.
        resolved_at: When it was resolved; None while it is open.
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
    alerted_at: datetime | None = None
    resolved_at: datetime | None = None
    url: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved yet."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to one channel; it stays in the outbox until the channel accepts it.

    Attributes:
        alert_id: Sorts by time.
        incident_id: Its incident; None for a test.
        channel: Name of the channel.
        event: The event that it reports.
        title: One line.
        body: Plain text.
        created_at: UTC.
        due_at: Not sent before, UTC.
        attempts: Number of attempts to send it.
        sent_at: When the channel accepted it; None: not yet.
        given_up_at: When Sluice stopped trying; None: it did not.
        last_error: Error of the last attempt.
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
