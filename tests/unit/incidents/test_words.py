"""The words of every alert in one table, made by the code that writes alerts, and what must agree in it.

UPDATE_GOLDEN=1 writes the expected file anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.errors.classify import ADVICE, FailureClass
from flows.incidents.alert_text import body_of, next_step, runbook_of, title_of
from flows.incidents.incident import SCHEDULE, WAREHOUSE, WORK_POOL
from metadata_sync.incident import AlertEvent, Incident, IncidentKind, Severity

GOLDEN = Path(__file__).parent / "golden" / "words.md"
RUNBOOK = Path(__file__).parents[3] / "docs" / "operations" / "runbook.md"
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
TARGET = "dwh.fact"
PIPELINE = "orders"


@dataclass(frozen=True)
class Words:
    """What one incident is called and what its alert says."""

    incident: Incident

    @property
    def title(self) -> str:
        return title_of(self.incident, AlertEvent.OPENED, "prod", NOON)

    @property
    def why(self) -> str:
        lines = body_of(self.incident, AlertEvent.OPENED, NOON).splitlines()
        return next((line.removeprefix("Why: ") for line in lines if line.startswith("Why: ")), "")

    @property
    def next_step(self) -> str:
        return next_step(self.incident)

    @property
    def runbook(self) -> str:
        return runbook_of(self.incident, "https://docs.example")

    @property
    def row(self) -> str:
        case = f"{self.incident.kind}, {self.incident.severity}"
        return f"| {case} | {self.title} | {self.why} | {self.next_step} | {self.runbook.rpartition('/')[2]} |"


def incident(
    kind: IncidentKind, severity: Severity, failure_class: FailureClass | None = None, subject: str = TARGET
) -> Incident:
    return Incident(
        incident_id="1",
        kind=kind,
        subject=subject,
        severity=severity,
        failure_class=failure_class.value if failure_class else None,
        message="the message",
        targets=(TARGET,),
        held_up=(),
        pipeline_ids=(PIPELINE,),
        run_id="r1",
        attempts=1,
        ticks=1,
        opened_at=NOON,
        last_seen_at=NOON,
    )


def every_incident() -> Iterator[Incident]:
    """Yield an incident of each error class, as a load and as an outage, and of each kind."""
    for failure_class, advice in ADVICE.items():
        if advice.is_soft:
            yield incident(IncidentKind.LOAD, Severity.WARNING, failure_class)
            yield incident(IncidentKind.SHARED, Severity.WARNING, failure_class, WAREHOUSE)
            yield incident(IncidentKind.HOLD, Severity.WARNING, failure_class)
        yield incident(IncidentKind.LOAD, Severity.ERROR, failure_class)
        yield incident(IncidentKind.SHARED, Severity.ERROR, failure_class, WAREHOUSE)
        yield incident(IncidentKind.HOLD, Severity.ERROR, failure_class)
    yield incident(IncidentKind.FRESHNESS, Severity.WARNING, subject="lake.orders")
    yield incident(IncidentKind.SLA, Severity.ERROR, subject=PIPELINE)
    for subject in ("run r1", f"{SCHEDULE}{PIPELINE}", f"{WORK_POOL}sluice"):
        yield incident(IncidentKind.SLA, Severity.ERROR, subject=subject)
    yield incident(IncidentKind.CRASH, Severity.WARNING, subject="run r1")
    yield incident(IncidentKind.REJECTS, Severity.WARNING)
    yield incident(IncidentKind.REJECTS, Severity.ERROR)
    yield incident(IncidentKind.DEFINITION, Severity.WARNING)


ALL = tuple(Words(item) for item in every_incident())


def test_words_are_the_expected_ones() -> None:
    head = "| kind, severity | title | why | next | runbook |\n| --- | --- | --- | --- | --- |\n"
    found = head + "".join(f"{words.row}\n" for words in ALL)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", ALL, ids=[words.row.split(" | ")[1] for words in ALL])
def test_title_advice_and_next_step_agree(words: Words) -> None:
    is_off = "is switched off" in words.title
    is_held = "is held" in words.title
    says_retried = "It is retried" in words.why

    assert is_off == ("the row stays off" in words.next_step)
    assert not (is_held and "stays off" in words.next_step)
    assert not is_held or "somebody has fixed the cause" in words.next_step
    assert not (is_off and says_retried), "a row that is off is not tried again"
    assert not ("until somebody" in words.title and says_retried)
    assert not ("every row" in words.title and "other rows are loaded" in words.next_step)
    section = words.runbook.partition("#")[2]
    assert re.search(rf"^## {section}$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE), section
