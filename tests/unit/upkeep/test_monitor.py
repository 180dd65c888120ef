"""Runs that died and pipelines that are late: one incident each, told once, gone when they are gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.context import Context
from flows.process import ProcessIdentity, process_space
from flows.upkeep.monitor import monitor
from metadata_sync.database import ControlStore, DecisionEntry, LeaseHolder, LoadEntry, LoadStatus
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Incident, IncidentKind, Severity
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template
from metadata_sync.settings import Settings
from tests.support.instants import at

NOON = datetime(2013, 1, 1, 12, 40, tzinfo=UTC)
BEFORE = NOON - timedelta(minutes=30)
PIPELINE = PipelineRow(
    pipeline_id="orders", pipeline_name="Orders", template=Template.PRESENTATION, schedule="0 * * * *", sla_minutes=30
)
ROW = TransformationRow(
    target_schema="dwh", target_table="fact", pipeline_id="orders", sql_path="x.sql", load_type=LoadType.APPEND
)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context(Project(tmp_path), Settings(alert_channel="data-ops"), "tester")
    context.store.write([RowChange(None, PIPELINE), RowChange(None, ROW)], "tester", "apply", None)
    yield context
    context.store.close()


def decided(store: ControlStore, at: datetime, action: str = "skip", run_id: str = "r1") -> None:
    store.record_decisions([DecisionEntry(run_id, at, "orders", "dwh.fact", action, "nothing_new", "x", {})])


def loaded(store: ControlStore, at: datetime, run_id: str = "r1") -> None:
    store.record_loads([LoadEntry(run_id, "orders", "dwh.fact", "l1", LoadStatus.SUCCESS, at, at, 1.0)])


def test_pipeline_that_is_not_done_in_time_is_told_once_and_once_when_it_is_done(context: Context) -> None:
    decided(context.store, NOON - timedelta(hours=1))

    first = monitor(at(context, NOON))
    monitor(at(context, NOON + timedelta(minutes=5)))
    decided(context.store, NOON + timedelta(minutes=6), "run")
    still = monitor(at(context, NOON + timedelta(minutes=7)))
    loaded(context.store, NOON + timedelta(minutes=8))
    done = monitor(at(context, NOON + timedelta(minutes=9)))

    assert first.late == still.late == ("orders",)
    assert [(item.kind, item.subject, item.targets) for item in first.open] == [
        (IncidentKind.SLA, "orders", ("dwh.fact",))
    ]
    assert (done.late, done.open) == ((), ())
    assert [alert.event for alert in context.store.alerts()] == ["opened", "resolved"]


def test_pipeline_is_not_late_within_its_sla_or_without_one(context: Context) -> None:
    decided(context.store, NOON - timedelta(hours=1))
    assert monitor(at(context, NOON - timedelta(minutes=15))).late == ()
    context.store.write([RowChange(PIPELINE, PIPELINE.model_copy(update={"sla_minutes": None}))], "x", "set", None)
    assert monitor(at(context, NOON)).late == ()


def test_run_that_lives_and_does_not_end_is_told_once(context: Context) -> None:
    holder = LeaseHolder(
        "t", "stuck", "schedule", process_space(), os.getpid(), ProcessIdentity.of(os.getpid()).started
    )
    context.store.take_leases(["dwh.fact"], holder, 600, set())
    taken_at = context.store.leases()[0].taken_at
    decided(context.store, taken_at + timedelta(hours=9))

    within = monitor(at(context, taken_at + timedelta(minutes=89)))
    first = monitor(at(context, taken_at + timedelta(minutes=91)))
    monitor(at(context, taken_at + timedelta(minutes=95)))
    context.store.give_back_leases("t", {"dwh.fact"})
    ended = monitor(at(context, taken_at + timedelta(minutes=96)))

    assert (within.hanging, first.hanging, ended.hanging) == ((), ("run stuck",), ())
    (incident,) = first.open
    assert (incident.kind, incident.targets, incident.pipeline_ids) == (IncidentKind.SLA, ("dwh.fact",), ("orders",))
    opened, resolved = context.store.alerts()
    assert opened.title == "[dev] run stuck does not end"
    assert f"process {os.getpid()} on " in opened.body
    assert resolved.event == "resolved"
    assert context.store.leases() == ()


def test_table_that_is_late_is_told_once_and_once_when_it_is_fresh_again(context: Context) -> None:
    strict = ROW.model_copy(update={"freshness_minutes": 60})
    context.store.write([RowChange(ROW, strict)], "tester", "set", None)
    context.store.write([RowChange(PIPELINE, PIPELINE.model_copy(update={"sla_minutes": None}))], "x", "set", None)
    loaded(context.store, NOON)

    fresh = monitor(at(context, NOON + timedelta(minutes=59)))
    first = monitor(at(context, NOON + timedelta(minutes=61)))
    monitor(at(context, NOON + timedelta(minutes=70)))
    loaded(context.store, NOON + timedelta(minutes=75), "r2")
    again = monitor(at(context, NOON + timedelta(minutes=76)))

    assert (fresh.stale, first.stale, again.stale, again.open) == ((), ("dwh.fact",), (), ())
    assert [(item.kind, item.subject) for item in first.open] == [(IncidentKind.FRESHNESS, "dwh.fact")]
    opened, resolved = context.store.alerts()
    assert (opened.title, resolved.event) == ("[dev] dwh.fact is late", "resolved")
    assert "Last loaded 2013-01-01 12:40 UTC, 1 h 1 min ago; its row allows 1 h" in opened.body


def test_table_whose_load_fails_is_not_told_of_twice(context: Context) -> None:
    strict = ROW.model_copy(update={"freshness_minutes": 60})
    context.store.write([RowChange(ROW, strict)], "tester", "set", None)
    failed = Incident(
        *("i1", IncidentKind.LOAD, "dwh.fact", Severity.ERROR, "syntax", "no", ("dwh.fact",), (), ("orders",)),
        *("r1", 1, 1, NOON, NOON),
    )
    context.store.settle(Settlement(judge=lambda _: ([failed], ())))

    assert monitor(at(context, NOON + timedelta(hours=9))).stale == ()


def test_run_that_died_is_marked_freed_and_told_once(context: Context) -> None:
    decided(context.store, BEFORE, "run", "dead")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(process.pid)
    holder = LeaseHolder("t", "dead", "schedule", process_space(), identity.pid, identity.started)
    context.store.take_leases(["dwh.fact"], holder, 600, set())
    alive = monitor(at(context, BEFORE))
    process.kill()
    process.communicate()

    crashed = monitor(at(context, BEFORE))
    again = monitor(at(context, BEFORE))

    assert (alive.crashed, crashed.crashed, again.crashed) == ((), ("dead",), ())
    assert context.store.leases() == ()
    (entry,) = context.store.latest_loads().newest
    assert (entry.run_id, entry.status) == ("dead", LoadStatus.ERROR)
    assert "ended without a word" in (entry.error_message or "")
    (incident,) = crashed.open
    assert (incident.kind, incident.subject, incident.targets) == (IncidentKind.CRASH, "run dead", ("dwh.fact",))
    (alert,) = context.store.alerts()
    assert "the next run loads them" in alert.body
