"""Incidents: one a root cause; when people are told, and when not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.errors.classify import ADVICE, FailureClass, Verdict
from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, Reason
from flows.incidents.alert_text import body_of, title_of
from flows.incidents.channels import channels_of
from flows.incidents.incident import AlertPolicy, Finding, find, held_up, is_over, rejected, resolve, update_incident
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.incident import AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.loads import Rejects, RowCounts
from metadata_sync.rows.model import ControlRows, Dependency, PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import ChildPolicy, LoadType, Template
from metadata_sync.settings import Settings

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
POLICY = AlertPolicy(timedelta(hours=1), 3)
SOFT = Finding(IncidentKind.LOAD, "dwh.a", FailureClass.LOCK, "locked", ("dwh.a",), (), ("p",), is_hard=False)
HARD = replace(SOFT, failure_class=FailureClass.SYNTAX, is_hard=True)


def pipeline(name: str, **values: object) -> PipelineRow:
    return PipelineRow(pipeline_id=name, pipeline_name=name, template=Template.PRESENTATION, **values)  # type: ignore[arg-type]


def row(table: str, *reads: str, pipeline_id: str = "p", is_active: bool = True) -> TransformationRow:
    return TransformationRow(
        target_schema="dwh",
        target_table=table,
        pipeline_id=pipeline_id,
        sql_path=f"{table}.sql",
        load_type=LoadType.SCD1,
        is_active=is_active,
        dependencies=tuple(Dependency(table=name, driving=True) for name in reads),
    )


ROWS = ControlRows(
    sources=(),
    pipelines=(pipeline("p"), pipeline("stale", child_policy=ChildPolicy.STALE)),
    transformations=(
        row("a", "lake.x"),
        row("b", "dwh.a"),
        row("c", "dwh.b"),
        row("d", "dwh.a", pipeline_id="stale"),
        row("e", "dwh.d"),
        row("f", "dwh.a", is_active=False),
    ),
)


def failed(target: str, failure_class: FailureClass = FailureClass.SYNTAX, **values: object) -> TargetOutcome:
    decision = Decision(target, "p", Action.RUN, Reason.NEW_ROWS, "new rows")
    verdict = Verdict(failure_class, "a_rule", "a page")
    outcome = TargetOutcome(target, "p", decision, OutcomeStatus.FAILED, error="no", verdict=verdict)
    return replace(outcome, **values)  # type: ignore[arg-type]


def told(
    finding: Finding, known: Incident | None, minutes: float, run_id: str, last_alerted_at: datetime | None = None
) -> tuple[Incident, AlertEvent | None]:
    now = NOON + timedelta(minutes=minutes)
    verdict = update_incident(
        finding, known, POLICY, last_alerted_at=last_alerted_at, run_id=run_id, now=now, new_id=str
    )
    return verdict.incident, verdict.event


def test_what_waits_is_folded_into_its_cause_and_who_goes_on_is_not() -> None:
    assert held_up(["dwh.a"], ROWS) == ("dwh.b", "dwh.c")
    skipped = TargetOutcome(
        "dwh.b", "p", Decision("dwh.b", "p", Action.SKIP, Reason.UPSTREAM_FAILED, "x"), OutcomeStatus.SKIPPED
    )
    (finding,) = find([failed("dwh.a"), skipped], ROWS, DEFAULT_RULES, {})
    assert (finding.subject, finding.held_up, finding.is_hard) == ("dwh.a", ("dwh.b", "dwh.c"), True)


def test_lost_connections_of_many_targets_are_one_incident() -> None:
    outcomes = [failed(name, FailureClass.CONNECTION) for name in ("dwh.a", "dwh.b")]
    (finding,) = find(outcomes, ROWS, DEFAULT_RULES, {})
    assert (finding.kind, finding.subject, finding.targets) == (IncidentKind.SHARED, "warehouse", ("dwh.a", "dwh.b"))


def test_hard_failure_is_told_at_once_and_never_again() -> None:
    first, event = told(HARD, None, 0, "r1")
    again, silence = told(HARD, first, 5, "r2")
    assert (event, silence) == (AlertEvent.OPENED, None)
    assert (again.incident_id, again.ticks, again.attempts) == (first.incident_id, 2, 2)


def test_flapping_soft_failure_is_told_once_an_hour_and_its_end_only_when_its_beginning_was() -> None:
    last_alerted_at: datetime | None = None
    events = []
    for tick in range(24):
        incident, event = told(SOFT, None, tick * 5, f"r{tick}", last_alerted_at)
        over = resolve(incident, NOON + timedelta(minutes=tick * 5 + 1))
        events += [event, over.event]
        last_alerted_at = incident.alerted_at or last_alerted_at
    opened = [event for event in events if event is AlertEvent.OPENED]
    assert len(opened) == 2
    assert events.count(AlertEvent.RESOLVED) == 2


def test_soft_failure_escalates_once_after_ticks() -> None:
    known: Incident | None = None
    events = []
    for tick in range(6):
        known, event = told(SOFT, known, tick * 60, f"r{tick}")
        events.append(event)
    assert events == [AlertEvent.OPENED, None, AlertEvent.ESCALATED, None, None, None]
    assert known is not None
    assert known.severity is Severity.ERROR


def test_one_run_that_meets_it_twice_is_one_tick() -> None:
    first, _ = told(SOFT, None, 0, "r1")
    again, event = told(SOFT, first, 1, "r1")
    assert (again.ticks, event) == (1, None)


def test_channel_is_the_pipelines_then_the_job_groups_then_the_environments() -> None:
    rows = ControlRows(
        sources=(),
        pipelines=(
            pipeline("own", alert_channel="own-ops"),
            pipeline("group", job_group="finance"),
            pipeline("none"),
        ),
        transformations=(),
    )
    settings = Settings(alert_channel="everybody", job_group_channels={"finance": "money"})
    asked = [channels_of([name], rows, settings) for name in ("own", "group", "none")]
    assert asked == [("own-ops",), ("money",), ("everybody",)]
    assert channels_of(["own", "none", "own"], rows, settings) == ("own-ops", "everybody")
    assert channels_of([], rows, settings) == ("everybody",)
    assert channels_of(["none"], rows, Settings()) == ()


def test_alert_says_what_since_when_why_what_waits_what_next_and_where() -> None:
    incident, event = told(replace(HARD, held_up=("dwh.b",), message="near FROM"), None, 0, "r1")
    assert event is not None
    body = body_of(replace(incident, url="http://ui/1"), event, NOON)
    assert title_of(incident, event, "prod", NOON) == "[prod] dwh.a failed and is switched off: syntax"
    assert [line.partition(":")[0] for line in body.splitlines()] == [
        *("Pipeline", "Since", "Why", "Message", "Holds up", "Next", "Runbook", "Run")
    ]
    linked = body_of(incident, event, NOON, "https://docs.example.com/")
    assert "Runbook: https://docs.example.com/operations/runbook.md#syntax" in linked
    over = resolve(incident, NOON + timedelta(minutes=125))
    assert over.event is not None
    title = title_of(over.incident, over.event, "prod", NOON + timedelta(minutes=125))
    assert title == "[prod] dwh.a recovered after 2 h 5 min"


RUNBOOK = (Path(__file__).parents[3] / "docs" / "operations" / "runbook.md").read_text()
WITHOUT_CLASS = (IncidentKind.FRESHNESS, IncidentKind.SLA, IncidentKind.CRASH, IncidentKind.REJECTS)


@pytest.mark.parametrize("word", [*FailureClass, *WITHOUT_CLASS])
def test_every_alert_leads_to_its_section_of_the_runbook(word: FailureClass | IncidentKind) -> None:
    is_class = isinstance(word, FailureClass)
    finding = replace(
        HARD, failure_class=word if is_class else None, kind=IncidentKind.LOAD if is_class else IncidentKind(word)
    )
    incident, event = told(finding, None, 0, "r1")
    assert event is not None

    (line,) = [line for line in body_of(incident, event, NOON).splitlines() if line.startswith("Runbook: ")]

    path, _, anchor = line.removeprefix("Runbook: ").partition("#")
    assert path == "docs/operations/runbook.md"
    section = RUNBOOK.partition(f"\n## {anchor}\n")[2].partition("\n## ")[0]
    parts = re.findall(r"^\*\*(Means|Check|Reactivate)\*\* (.+?)\n(?:\n|\Z)", section, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in parts] == ["Means", "Check", "Reactivate"], anchor
    assert all(len(text.split()) > 5 for _, text in parts), anchor
    is_switched_off = is_class and (not ADVICE[FailureClass(word)].is_soft or word is FailureClass.UNKNOWN)
    assert parts[2][1].startswith("by " if is_switched_off else "nothing"), anchor
    assert ("sluice heal TARGET --force" in parts[2][1]) is is_switched_off, anchor


def test_rejects_are_over_with_a_load_and_not_with_a_look() -> None:
    rejects = Rejects("sluice.dwh__a__rejects", kept=2, added=2, reason="x is NULL", again="sluice run p --force")
    incident, event = told(rejected("dwh.a", "p", RowCounts(read=9, rejected=2), rejects), None, 0, "r1")
    looked_at = TargetOutcome(
        "dwh.a", "p", Decision("dwh.a", "p", Action.SKIP, Reason.NOTHING_NEW, "x"), OutcomeStatus.SKIPPED
    )

    assert (event, incident.severity) == (AlertEvent.OPENED, Severity.WARNING)
    assert not is_over(incident, [], [looked_at])
    assert is_over(incident, [], [replace(looked_at, status=OutcomeStatus.LOADED, load_id="l2")])
