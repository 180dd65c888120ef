"""Alerts tell each root cause once when it begins and once when it ends: cases that once went wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.context import Context
from flows.errors.classify import FailureClass, Verdict
from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, Reason, SourceEvidence
from flows.incidents.incident import Finding
from flows.incidents.outbox import deliver
from flows.incidents.settle import RunSettler, settle_incidents
from flows.run.leases import upkeep_lease
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.upkeep.heal import _seen_again
from flows.upkeep.monitor import monitor
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.errors import SoftRunError
from metadata_sync.incident import Alert, AlertEvent, IncidentKind
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import LoadType, Template
from metadata_sync.settings import Settings
from tests.support.instants import at

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
TARGETS = ("dwh.a", "dwh.b")
"""Two targets that read lake.x."""
OUTAGE, LOCK, SYNTAX = FailureClass.CONNECTION, FailureClass.LOCK, FailureClass.SYNTAX


@contextmanager
def world(cooldown_minutes: float = 60) -> Iterator[Context]:
    with tempfile.TemporaryDirectory() as folder:
        chosen = Settings(alert_channel="ops", alert_cooldown_minutes=cooldown_minutes)
        context = Context(Project(Path(folder)), chosen, "tester")
        pipeline = PipelineRow(pipeline_id="p", pipeline_name="P", template=Template.PRESENTATION)
        rows = [_row(target) for target in TARGETS]
        context.store.write([RowChange(None, item) for item in (pipeline, *rows)], "tester", "apply", None)
        yield context
        context.store.close()


def _row(target: str) -> TransformationRow:
    schema, table = target.split(".")
    return TransformationRow(
        target_schema=schema, target_table=table, pipeline_id="p", sql_path="x.sql", load_type=LoadType.APPEND
    )


def loaded(target: str) -> TargetOutcome:
    return TargetOutcome(target, "p", _decision(target), OutcomeStatus.LOADED, load_id="l")


def failed(target: str, failure_class: FailureClass, *, is_shared: bool = False) -> TargetOutcome:
    verdict = Verdict(failure_class, "a_rule", "a page")
    return TargetOutcome(
        target, "p", _decision(target), OutcomeStatus.FAILED, error="no", verdict=verdict, is_shared=is_shared
    )


def held(target: str, *sources: str) -> TargetOutcome:
    """The gate could not probe these sources."""
    evidence = tuple(_evidence(source) for source in sources)
    decision = Decision(target, "p", Action.HOLD, Reason.PROBE_FAILED, "cannot be probed", evidence)
    return TargetOutcome(target, "p", decision, OutcomeStatus.HELD)


def refused(target: str) -> TargetOutcome:
    decision = Decision(target, "p", Action.SKIP, Reason.LEASE_HELD, "another run holds it")
    return TargetOutcome(target, "p", decision, OutcomeStatus.SKIPPED)


def _evidence(source: str) -> SourceEvidence:
    values = dict.fromkeys(SourceEvidence.__dataclass_fields__)
    values |= {"source": source, "reason": Reason.PROBE_FAILED, "message": "IO Error: could not read"}
    return SourceEvidence(**values)  # type: ignore[arg-type]


def _decision(target: str) -> Decision:
    return Decision(target, "p", Action.RUN, Reason.NEW_ROWS, "new rows")


def run(context: Context, minutes: float, *outcomes: TargetOutcome) -> None:
    """Let a run end with outcomes."""
    now = at(context, NOON + timedelta(minutes=minutes))
    context.store._clock = lambda: NOON + timedelta(minutes=minutes)
    settler = RunSettler(now, f"r{minutes}", context.store.usable_rows(), DEFAULT_RULES, fingerprint=lambda _: None)
    settler.settle(outcomes)


def events(context: Context) -> list[tuple[str, str]]:
    """Return what was told: the subject and class of the incident, and what happened to it."""
    known = {item.incident_id: item for item in context.store.incidents(NOON - timedelta(days=1))}
    told = [(known[alert.incident_id], alert.event.value) for alert in context.store.alerts() if alert.incident_id]
    return [(f"{incident.subject} {incident.failure_class or incident.kind}", event) for incident, event in told]


def test_outage_within_the_cooldown_of_another_failure_of_the_warehouse_is_told() -> None:
    with world() as context:
        run(context, 0, failed("dwh.a", LOCK, is_shared=True))
        run(context, 5, loaded("dwh.a"))
        run(context, 10, failed("dwh.a", OUTAGE))
        run(context, 15, loaded("dwh.a"))
        run(context, 20, failed("dwh.a", OUTAGE))  # the same again, within the hour
        run(context, 25, loaded("dwh.a"))

        assert events(context) == [
            ("warehouse lock", "opened"),
            ("warehouse lock", "resolved"),
            ("warehouse connection", "opened"),
            ("warehouse connection", "resolved"),
        ]


def test_hold_ends_when_its_source_is_readable_whatever_comes_of_the_target() -> None:
    with world() as context:
        run(context, 0, held("dwh.a", "lake.x", "lake.y"))
        run(context, 5, held("dwh.a", "lake.y"))
        run(context, 10, failed("dwh.a", SYNTAX))

        assert events(context)[2:] == [
            ("lake.x unknown", "resolved"),
            ("dwh.a syntax", "opened"),
            ("lake.y unknown", "resolved"),
        ]
        assert {item.subject for item in context.store.incidents()} == {"dwh.a"}


def test_outage_ends_when_a_target_fails_of_its_own() -> None:
    with world() as context:
        run(context, 0, failed("dwh.a", OUTAGE))
        run(context, 5, failed("dwh.a", SYNTAX))

        assert [item.subject for item in context.store.incidents()] == ["dwh.a"]


def test_refused_run_ends_no_incident() -> None:
    with world() as context:
        run(context, 0, failed("dwh.a", LOCK))
        run(context, 5, refused("dwh.a"))

        assert [event for _, event in events(context)] == ["opened"]


def test_incident_of_a_row_that_was_removed_ends_and_says_so() -> None:
    with world() as context:
        run(context, 0, failed("dwh.a", SYNTAX), held("dwh.b", "lake.x"))
        row = context.store.usable_rows().transformation(TableName.parse("dwh.a"))
        context.store.write([RowChange(row, None)], "tester", "apply", None)
        context.store._clock = lambda: NOON + timedelta(minutes=5)
        monitor(at(context, NOON + timedelta(minutes=5)))

        assert [item.subject for item in context.store.incidents()] == ["lake.x"]
        (told,) = [alert for alert in context.store.alerts() if alert.event is AlertEvent.RESOLVED]
        assert told.title == "[dev] dwh.a is closed: no row of its targets is left"


def test_check_that_ends_after_another_healer_opens_nothing_again() -> None:
    with world() as context:
        run(context, 0, failed("dwh.a", SYNTAX))
        (incident,) = context.store.incidents()
        run(context, 5, loaded("dwh.a"))  # somebody healed it, and it loaded, while this one was still checking

        context.store.settle(
            Settlement(judge=lambda known: _seen_again(incident.incident_id, NOON + timedelta(minutes=6), known))
        )

        assert context.store.incidents() == ()
        assert [event for _, event in events(context)] == ["opened", "resolved"]


def test_second_healer_waits_for_the_first() -> None:
    with (
        world() as context,
        upkeep_lease(context.store, "heal", "ann", 0) as first,
        upkeep_lease(context.store, "heal", "bob", 0) as second,
    ):
        assert first is None
        assert "ann" in str(second)
    with world() as context:
        for _ in range(2):  # it is free again afterwards
            with upkeep_lease(context.store, "heal", "ann", 0) as in_the_way:
                assert in_the_way is None


def test_crash_ends_with_the_next_run_of_its_target_even_if_that_fails() -> None:
    crash = Finding(IncidentKind.CRASH, "run c", None, "killed", ("dwh.a",), (), ("p",), is_hard=True)
    with world() as context:
        settle_incidents(at(context, NOON), context.store.usable_rows(), [crash])
        run(context, 5, failed("dwh.a", SYNTAX))

        assert [item.subject for item in context.store.incidents()] == ["dwh.a"]


def test_each_cause_of_a_subject_has_an_incident_of_its_own() -> None:
    """Another class of the warehouse is another cause; a target's soft failures are one, a hard failure another."""
    with world() as context:
        run(context, 0, failed("dwh.a", LOCK, is_shared=True))
        run(context, 5, failed("dwh.a", OUTAGE))
        run(context, 10, failed("dwh.a", LOCK))
        run(context, 15, failed("dwh.a", FailureClass.SERIALIZATION))
        run(context, 20, failed("dwh.a", SYNTAX))

        assert events(context) == [
            ("warehouse lock", "opened"),
            ("warehouse lock", "resolved"),
            ("warehouse connection", "opened"),
            ("dwh.a serialization", "opened"),
            ("warehouse connection", "resolved"),
            ("dwh.a serialization", "resolved"),
            ("dwh.a syntax", "opened"),
        ]
        titles = [alert.title for alert in context.store.alerts() if "instead of" in alert.title]
        assert titles == [
            "[dev] warehouse has another problem now: connection instead of lock",
            "[dev] dwh.a has another problem now: syntax instead of serialization",
        ]


def test_channel_that_an_incident_reaches_later_is_told_then_and_all_are_told_of_its_end() -> None:
    with world() as context:
        other = PipelineRow(pipeline_id="q", pipeline_name="Q", template=Template.PRESENTATION, alert_channel="q-ops")
        moved = _row("dwh.b").model_copy(update={"pipeline_id": "q"})
        context.store.write([RowChange(None, other), RowChange(_row("dwh.b"), moved)], "tester", "set", None)
        theirs = replace(failed("dwh.b", OUTAGE), pipeline_id="q")
        run(context, 0, failed("dwh.a", OUTAGE))
        run(context, 5, theirs)
        run(context, 15, loaded("dwh.a"))

        told = [(alert.channel, alert.event.value) for alert in context.store.alerts()]
        assert told[:2] == [("ops", "opened"), ("q-ops", "opened")]
        assert sorted(told[2:]) == [("ops", "resolved"), ("q-ops", "resolved")]


def test_channel_reads_the_beginning_before_the_end_also_when_it_was_down() -> None:
    with world() as context:
        sent: list[str] = []

        def send(alert: Alert) -> None:
            if not sent and alert.event.value == "opened" and alert.attempts == 0:
                raise SoftRunError("HTTP 500")
            sent.append(alert.event.value)

        run(context, 0, failed("dwh.a", OUTAGE))
        deliver(at(context, NOON), send=send)
        run(context, 0.2, loaded("dwh.a"))
        deliver(at(context, NOON + timedelta(seconds=15)), send=send)
        assert sent == [], "the end waits for the beginning"
        deliver(at(context, NOON + timedelta(minutes=1)), send=send)
        assert sent == ["opened", "resolved"]


def test_run_ends_no_incident_of_the_monitor() -> None:
    """The newest run finds nothing new in a source that is late, and a run by hand mends no worker."""
    late = Finding(IncidentKind.FRESHNESS, "lake.x", None, "late", TARGETS, (), ("p",), is_hard=True)
    pool = Finding(IncidentKind.SLA, "work pool sluice", None, "no worker", TARGETS, (), ("p",), is_hard=True)
    with world() as context:
        settle_incidents(at(context, NOON), context.store.usable_rows(), [late, pool])
        run(context, 5, loaded("dwh.a"), loaded("dwh.b"))

        assert [event for _, event in events(context)] == ["opened", "opened"]
