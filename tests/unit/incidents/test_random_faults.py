"""Random faults of all kinds in random order, with channel outages and two healers: each cause is told exactly.

A cause is what an operator would name: a kind, its subject, and the class of its error. The model below knows when a
cause shows and when its absence shows; it knows nothing of incidents.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.context import Context
from flows.errors.classify import ADVICE, FailureClass, Verdict
from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, Reason, SourceEvidence, SourceMode
from flows.incidents.incident import SCHEDULE, WORK_POOL, Finding
from flows.incidents.outbox import deliver
from flows.incidents.settle import RunSettler, settle_incidents
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.upkeep.heal import _Round
from flows.upkeep.heal_policy import HealCheck
from metadata_sync.errors import SoftRunError
from metadata_sync.incident import Alert, Incident, IncidentKind
from metadata_sync.loads import Rejects, RowCounts
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template
from metadata_sync.settings import Settings
from tests.support.instants import at

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
PIPELINES = {"dwh.a": "p", "dwh.b": "p", "dwh.c": "q"}
READS = {"dwh.a": ("lake.x",), "dwh.b": ("lake.x", "lake.y"), "dwh.c": ("lake.y",)}
PROBE_MESSAGES = {"connection": "IO Error: could not read", "permission": "permission denied for table x"}
LOAD, HOLD, SHARED = IncidentKind.LOAD, IncidentKind.HOLD, IncidentKind.SHARED
Cause = tuple[IncidentKind, str, str]
"""Kind, subject, and the class; the soft classes of a target or source are one."""

LOAD_CLASSES = [item for item in FailureClass if item not in {FailureClass.CONNECTION, FailureClass.UNKNOWN}]
FAULTS: st.SearchStrategy[tuple[str, str, str]] = st.one_of(
    st.tuples(st.just("load"), st.sampled_from(sorted(PIPELINES)), st.sampled_from(LOAD_CLASSES)),
    st.tuples(st.just("shared"), st.just("warehouse"), st.sampled_from([*FailureClass])),
    st.tuples(st.just("source"), st.sampled_from(["lake.x", "lake.y"]), st.sampled_from(sorted(PROBE_MESSAGES))),
    st.tuples(st.just("target"), st.sampled_from(sorted(PIPELINES)), st.just("settings")),
    st.tuples(st.just("pipeline"), st.sampled_from(["p", "q"]), st.just("settings")),
    st.tuples(st.just("rejects"), st.sampled_from(sorted(PIPELINES)), st.just("")),
    st.tuples(st.just("file"), st.just("lake.y"), st.just("unreadable_file")),
    st.tuples(st.just("definition"), st.sampled_from(sorted(PIPELINES)), st.just("")),
    st.tuples(st.just("crash"), st.sampled_from(sorted(PIPELINES)), st.just("")),
    st.tuples(st.just("pool"), st.sampled_from([f"{WORK_POOL}sluice", f"{SCHEDULE}p"]), st.just("")),
)
TIMES = st.tuples(FAULTS, st.integers(0, 5), st.integers(1, 3))
"""A fault, the step in which it begins, and the number of steps that it lasts."""


@dataclass
class World:
    """The control database, what is wrong at the moment, and which causes people should have been told of."""

    context: Context
    step: int = 0
    shown: set[Cause] = field(default_factory=set)
    targets: dict[Cause, set[str]] = field(default_factory=dict)
    told: Counter[Cause] = field(default_factory=Counter)

    @property
    def now(self) -> datetime:
        return NOON + self.step * STEP

    def begin(self, cause: Cause, *targets: str) -> None:
        """Note that a cause shows."""
        self.told[cause] += cause not in self.shown
        self.shown.add(cause)
        self.targets[cause] = set(targets)

    def end(self, *causes: Cause) -> None:
        """Note that the absence of causes shows."""
        self.shown -= set(causes)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A control database with two pipelines, each with a channel of its own."""
    context = _context(tmp_path_factory.mktemp("control"))
    pipelines = [
        PipelineRow(pipeline_id=name, pipeline_name=name, template=Template.PRESENTATION, alert_channel=channel)
        for name, channel in (("p", None), ("q", "q-ops"))
    ]
    rows = [
        TransformationRow(
            **dict(zip(("target_schema", "target_table"), target.split("."), strict=True)),
            pipeline_id=name,
            sql_path="x.sql",
            load_type=LoadType.APPEND,
        )
        for target, name in PIPELINES.items()
    ]
    context.store.write([RowChange(None, item) for item in (*pipelines, *rows)], "tester", "apply", None)
    context.store.close()
    return context.project.state_dir


@contextmanager
def world(control: Path) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        context = _context(Path(folder))
        shutil.copytree(control, context.project.state_dir)
        yield World(context)
        context.store.close()


def _context(root: Path) -> Context:
    return Context(Project(root), Settings(alert_channel="ops", alert_cooldown_minutes=0), "tester")


def cause_of(kind: IncidentKind, subject: str, failure_class: str) -> Cause:
    is_soft = failure_class and ADVICE[FailureClass(failure_class)].is_soft
    return kind, subject, "soft" if is_soft and kind is not SHARED else failure_class


def outcome_of(target: str, faults: Mapping[tuple[str, str], str], *, is_off: bool) -> TargetOutcome:
    """Return what becomes of a target while these faults last."""
    pipeline = PIPELINES[target]

    def ended(status: OutcomeStatus, action: Action, reason: Reason, message: str, **values: Any) -> TargetOutcome:
        decision = Decision(target, pipeline, action, reason, message, values.pop("evidence", ()))
        return TargetOutcome(target, pipeline, decision, status, **values)

    if is_off:
        return ended(OutcomeStatus.SKIPPED, Action.SKIP, Reason.INACTIVE, "switched off")
    if ("pipeline", pipeline) in faults:
        return ended(OutcomeStatus.HELD, Action.HOLD, Reason.PIPELINE_AT_FAULT, "its row has faults")
    if ("target", target) in faults:
        return ended(OutcomeStatus.HELD, Action.HOLD, Reason.ROW_RENAMED, "it was renamed")
    unreadable = {source: faults["source", source] for source in READS[target] if ("source", source) in faults}
    if unreadable:
        evidence = tuple(
            SourceEvidence(source, SourceMode.KEYED, False, Reason.PROBE_FAILED, PROBE_MESSAGES[kind])
            for source, kind in unreadable.items()
        )
        return ended(OutcomeStatus.HELD, Action.HOLD, Reason.PROBE_FAILED, "cannot be probed", evidence=evidence)
    for kind, subject in (("shared", "warehouse"), ("load", target)):
        if (kind, subject) in faults:
            verdict = Verdict(FailureClass(faults[kind, subject]), "a_rule", "a page")
            failed = ended(OutcomeStatus.FAILED, Action.RUN, Reason.NEW_ROWS, "new", error="no", verdict=verdict)
            return replace(failed, is_shared=kind == "shared")
    values: dict[str, Any] = {"load_id": "l"}
    if ("rejects", target) in faults:
        values["rows"] = RowCounts(read=9, rejected=2)
        values["rejects"] = Rejects("sluice.r", kept=2, added=2, reason="x is NULL", again="sluice run p --force")
    values["evidence"] = tuple(
        SourceEvidence(source, SourceMode.FILES, True, Reason.NEW_FILES, "new", left_out="1 file cannot be read")
        if ("file", source) in faults
        else SourceEvidence(source, SourceMode.FILES, True, Reason.NEW_FILES, "new")
        for source in READS[target]
    )
    return ended(OutcomeStatus.LOADED, Action.RUN, Reason.NEW_ROWS, "new", **values)


def note_run(here: World, faults: Mapping[tuple[str, str], str], outcomes: Sequence[TargetOutcome]) -> None:
    """Note which causes show in the outcomes of a run, and of which the absence shows."""
    seen: dict[Cause, list[str]] = {}
    for item in outcomes:
        for cause in causes_of(item, faults):
            seen.setdefault(cause, []).append(item.target)
    followed = {(kind, subject) for kind, subject, _ in seen}
    here.end(*[cause for cause in here.shown if cause not in seen and cause[:2] in followed and cause[0] != "file"])
    ran = {item.target for item in outcomes if item.status in {OutcomeStatus.LOADED, OutcomeStatus.FAILED}}
    loaded = {item.target for item in outcomes if item.status is OutcomeStatus.LOADED}
    probed = {item.target for item in outcomes if item.decision.reason is Reason.PROBE_FAILED}
    used = loaded | {item.target for item in outcomes if item.target in ran and not is_shared(item)}
    for cause in here.shown - seen.keys():
        kind, subject, _ = cause
        mine = here.targets[cause]
        is_of_source = subject.startswith("lake.")
        if (
            (kind is LOAD and mine & loaded)
            or (kind is SHARED and used)
            or (kind is HOLD and (mine & ran or (is_of_source and mine & probed)))
            or (kind is IncidentKind.REJECTS and mine & loaded)
            or (kind is IncidentKind.FILE and mine & loaded)
            or (kind is IncidentKind.CRASH and mine & ran)
        ):
            here.end(cause)
    for cause, targets in seen.items():
        here.begin(cause, *targets)


def is_shared(outcome: TargetOutcome) -> bool:
    assert outcome.verdict is not None or outcome.status is OutcomeStatus.LOADED
    is_connection = outcome.verdict is not None and outcome.verdict.failure_class is FailureClass.CONNECTION
    return outcome.is_shared or is_connection


def causes_of(outcome: TargetOutcome, faults: Mapping[tuple[str, str], str]) -> Iterator[Cause]:
    target, pipeline = outcome.target, outcome.pipeline_id
    if outcome.status is OutcomeStatus.HELD:
        reason = outcome.decision.reason
        if reason is Reason.PROBE_FAILED:
            yield from (
                cause_of(HOLD, item.source, faults["source", item.source]) for item in outcome.decision.evidence
            )
        else:
            subject = pipeline if reason is Reason.PIPELINE_AT_FAULT else target
            yield cause_of(HOLD, subject, "settings")
    elif outcome.status is OutcomeStatus.FAILED:
        assert outcome.verdict is not None
        shared = is_shared(outcome)
        yield cause_of(SHARED if shared else LOAD, "warehouse" if shared else target, outcome.verdict.failure_class)
    elif outcome.status is OutcomeStatus.LOADED:
        if ("rejects", target) in faults:
            yield cause_of(IncidentKind.REJECTS, target, "")
        for source in READS[target]:
            if ("file", source) in faults:
                yield cause_of(IncidentKind.FILE, source, "unreadable_file")


def run(here: World, faults: Mapping[tuple[str, str], str]) -> None:
    """Let a run meet the faults."""
    context = at(here.context, here.now + timedelta(minutes=1))
    rows = context.store.usable_rows()
    off = {str(row.name) for row in rows.transformations if not row.is_active}
    outcomes = [outcome_of(target, faults, is_off=target in off) for target in PIPELINES]
    note_run(here, faults, outcomes)
    settler = RunSettler(context, f"r{here.step}", rows, DEFAULT_RULES, fingerprint=lambda _: None)
    settler.settle(outcomes)


def heal_twice(here: World, faults: Mapping[tuple[str, str], str]) -> None:
    """Let two healers, who have read the same rows and incidents, end one after the other."""
    context = at(here.context, here.now + timedelta(minutes=2))
    rows, recent = context.store.usable_rows(), context.store.incidents()
    off = tuple(row for row in rows.transformations if not row.is_active)
    for _ in range(2):
        healer = _Round(context, off, here.now, is_forced=True, recent=recent)
        for row in off:
            target = str(row.name)
            error = "still broken" if ("load", target) in faults else None
            healer._settle(row, HealCheck(is_due=True, reason="asked for"), error, rows)
            if error is None:
                here.end(*[cause for cause in here.shown if cause[:2] == (LOAD, target)])


def watch(here: World, faults: Mapping[tuple[str, str], str], begun: Mapping[tuple[str, str], str]) -> None:
    """Let the checks beside runs find what they find: crashes, older definitions, schedules that stand still."""
    context = at(here.context, here.now)
    rows = context.store.usable_rows()

    def found(kind: IncidentKind, subject: str, *targets: str) -> Finding:
        return Finding(kind, subject, None, "x", targets, (), tuple({PIPELINES[item] for item in targets}), True)

    for kind, subject in begun:
        if kind == "crash":
            cause = IncidentKind.CRASH, f"run {here.step} {subject}", ""
            settle_incidents(context, rows, [found(*cause[:2], subject)])
            here.begin(cause, subject)
        if kind == "definition":
            cause = IncidentKind.DEFINITION, subject, ""
            settle_incidents(context, rows, [found(*cause[:2], subject)])
            here.begin(cause, subject)
    restated = [cause for cause in here.shown if cause[0] == "definition" and ("definition", cause[1]) not in faults]
    is_over = {(kind, subject) for kind, subject, _ in restated}
    settle_incidents(context, rows, [], is_over=lambda item: (item.kind, item.subject) in is_over)
    here.end(*restated)
    stopped = [subject for kind, subject in faults if kind == "pool"]
    late = [found(IncidentKind.SLA, subject, "dwh.a") for subject in stopped]
    settle_incidents(
        context, rows, late, is_over=lambda item: item.kind is IncidentKind.SLA and item.subject not in stopped
    )
    here.end(*[cause for cause in here.shown if cause[0] is IncidentKind.SLA and cause[1] not in stopped])
    for subject in stopped:
        here.begin((IncidentKind.SLA, subject, ""), "dwh.a")


@settings(max_examples=12)
@given(times=st.lists(TIMES, min_size=1, max_size=8), accepts=st.lists(st.booleans(), min_size=11, max_size=11))
def test_each_cause_is_told_once_in_order_on_each_of_its_channels(
    control: Path, times: Sequence[tuple[tuple[str, str, str], int, int]], accepts: Sequence[bool]
) -> None:
    with world(control) as here:
        delivered: list[Alert] = []
        tries = Counter[None]()

        def send(alert: Alert) -> None:
            tries[None] += 1
            if not accepts[tries[None] % len(accepts)] and here.step < 100:
                raise SoftRunError("HTTP 500")
            delivered.append(alert)

        for here.step in range(10):
            faults = {fault[:2]: fault[2] for fault, first, count in times if first <= here.step < first + count}
            begun = {fault[:2]: fault[2] for fault, first, _ in times if first == here.step}
            watch(here, faults, begun)
            run(here, faults)
            if here.step % 2:
                heal_twice(here, faults)
            check_open(here)
            deliver(at(here.context, here.now + timedelta(minutes=3)), send=send)
        assert here.shown == set()
        for here.step in range(100, 110):
            deliver(at(here.context, here.now), send=send)
        check_alerts(here, delivered)


def check_open(here: World) -> None:
    """The open incidents are the causes that show, and no others."""
    opened = [cause_of(item.kind, item.subject, item.failure_class or "") for item in here.context.store.incidents()]
    assert sorted(opened) == sorted(here.shown)


def check_alerts(here: World, delivered: Sequence[Alert]) -> None:
    known = {item.incident_id: item for item in here.context.store.incidents(NOON - timedelta(days=1))}
    told: Counter[Cause] = Counter()
    by_way: dict[tuple[Incident, str], list[str]] = {}
    for alert in delivered:
        assert alert.incident_id is not None
        by_way.setdefault((known[alert.incident_id], alert.channel), []).append(alert.event.value)
    for (incident, _), events in by_way.items():
        assert [event for event in events if event != "escalated"] == ["opened", "resolved"], incident
        assert events.count("escalated") <= 1
    for incident in {incident for incident, _ in by_way}:
        told[cause_of(incident.kind, incident.subject, incident.failure_class or "")] += 1
    assert told == here.told
