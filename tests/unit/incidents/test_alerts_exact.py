"""Alerts tell each root cause once when it begins and once when it ends: the wrong ones, and random faults."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.context import Context
from flows.errors.classify import FailureClass, Verdict
from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, Reason, SourceEvidence
from flows.incidents.outbox import deliver
from flows.incidents.settle import RunSettler
from flows.run.leases import upkeep_lease
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.upkeep.heal import _seen_again
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.errors import SoftRunError
from metadata_sync.incident import Alert, Incident, IncidentKind
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
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
            ("lake.x connection", "resolved"),
            ("dwh.a syntax", "opened"),
            ("lake.y connection", "resolved"),
        ] or {item.subject for item in context.store.incidents()} == {"dwh.a"}


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


FAULTS = st.lists(st.tuples(st.sampled_from(("outage", "a", "b", "x")), st.integers(1, 3)), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None)
@given(FAULTS, st.lists(st.booleans(), min_size=30, max_size=30))
def test_each_root_cause_is_told_once_and_resolved_once_and_delivered_once(
    faults: Sequence[tuple[str, int]], accepts: Sequence[bool]
) -> None:
    """Faults of all kinds, one after the other, each over a number of runs, while the channel fails at times."""
    with world(cooldown_minutes=0) as context:
        answers, delivered = itertools.cycle(accepts), []

        def send(alert: Alert) -> None:
            if not next(answers):
                raise SoftRunError("HTTP 500")
            delivered.append(alert.alert_id)

        minute = itertools.count(0, 5)
        causes: Counter[str] = Counter()
        for fault, runs in faults:
            causes[_subject(fault)] += 1
            for _ in range(runs):
                now = next(minute)
                run(context, now, *_outcomes(fault))
                deliver(at(context, NOON + timedelta(minutes=now)), send=send)
            _switch_on(context)
            run(context, next(minute), *(loaded(target) for target in TARGETS))
        for late in range(15):
            deliver(at(context, NOON + timedelta(hours=18, minutes=31 * late)), send=send)

        told = Counter(context_event for context_event in _told(context))
        assert context.store.incidents() == ()
        assert told == Counter({(cause, event): count for cause, count in causes.items() for event in _BOTH})
        assert sorted(delivered) == sorted(alert.alert_id for alert in context.store.alerts() if alert.sent_at)
        assert len(delivered) == len(set(delivered))
        for alerts in _by_incident(context.store.alerts()):
            assert [alert.event.value for alert in alerts if alert.event.value != "escalated"] == ["opened", "resolved"]


_BOTH = ("opened", "resolved")


def _subject(fault: str) -> str:
    return {"outage": "warehouse", "a": "dwh.a", "b": "dwh.b", "x": "lake.x"}[fault]


def _outcomes(fault: str) -> list[TargetOutcome]:
    if fault == "outage":
        return [failed(target, OUTAGE) for target in TARGETS]
    if fault == "x":
        return [held(target, "lake.x") for target in TARGETS]
    bad = f"dwh.{fault}"
    return [failed(target, SYNTAX) if target == bad else loaded(target) for target in TARGETS]


def _switch_on(context: Context) -> None:
    rows = [row for row in context.store.read_rows().transformations if not row.is_active]
    back = {"is_active": True, "deactivated_by": None, "comments": None, "fingerprint": None}
    context.store.write([RowChange(row, row.model_copy(update=back)) for row in rows], "tester", "set", None)


def _told(context: Context) -> Iterator[tuple[str, str]]:
    known: dict[str, Incident] = {item.incident_id: item for item in context.store.incidents(NOON - timedelta(days=1))}
    for alert in context.store.alerts():
        if alert.event.value in _BOTH and alert.incident_id:
            yield known[alert.incident_id].subject, alert.event.value


def _by_incident(alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(str(alert.incident_id), []).append(alert)
    yield from found.values()


def test_crash_ends_with_the_next_run_of_its_target_even_if_that_fails() -> None:
    from flows.incidents.incident import Finding
    from flows.incidents.settle import settle_incidents

    crash = Finding(IncidentKind.CRASH, "run c", None, "killed", ("dwh.a",), (), ("p",), is_hard=True)
    with world() as context:
        settle_incidents(at(context, NOON), context.store.usable_rows(), [crash])
        run(context, 5, failed("dwh.a", SYNTAX))

        assert [item.subject for item in context.store.incidents()] == ["dwh.a"]
