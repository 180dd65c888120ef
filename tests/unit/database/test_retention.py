"""What is older than the retention goes in batches; what the gate, status and people still need stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.context import Context
from metadata_sync.database import DecisionEntry, LoadEntry, LoadStatus
from metadata_sync.database.journals import retention
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Alert, AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template
from metadata_sync.settings import Settings

NOW = datetime(2013, 6, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(days=30)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context(Project(tmp_path), Settings(), "tester")
    pipeline = PipelineRow(pipeline_id="p", pipeline_name="P", template=Template.PRESENTATION)
    rows = [
        TransformationRow(
            target_schema="dwh", target_table=table, pipeline_id="p", sql_path="x.sql", load_type=LoadType.APPEND
        )
        for table in ("busy", "quiet")
    ]
    context.store.write([RowChange(None, row) for row in (pipeline, *rows)], "tester", "apply", None)
    yield context
    context.store.close()


def fill(context: Context) -> None:
    store = context.store
    for day in range(60):
        for target in ("dwh.busy", "dwh.quiet") if day == 0 else ("dwh.busy",):
            when = NOW - timedelta(days=60 - day)
            status = LoadStatus.SUCCESS if day == 0 else LoadStatus.ERROR
            run = f"r{day}"
            store.record_decisions([DecisionEntry(run, when, "p", target, "run", "new_rows", "x", {})])
            store.record_loads([LoadEntry(run, "p", target, f"l{day}", status, when, when, 1.0)])
    old = NOW - timedelta(days=50)
    open_ = Incident(
        *("open", IncidentKind.LOAD, "dwh.quiet", Severity.ERROR, "value", "x", ("dwh.quiet",), (), ("p",)),
        *("r", 1, 1, old, old),
    )
    ended = Incident(
        *("ended", IncidentKind.LOAD, "dwh.busy", Severity.ERROR, "value", "x", ("dwh.busy",), (), ("p",)),
        *("r", 1, 1, old, old, old, old),
    )
    alerts = [
        Alert(name, "ended", "ops", AlertEvent.OPENED, "t", "b", old, old, sent_at=old if name == "sent" else None)
        for name in ("sent", "waiting")
    ]
    store.settle(Settlement(judge=lambda _: ([open_, ended], alerts)))


def test_old_entries_go_and_what_is_needed_stays(context: Context) -> None:
    fill(context)
    audited = len(context.store.history(None, 1_000))

    context.store.remove_older(BEFORE)

    store = context.store
    assert {entry.decided_at >= BEFORE for entry in store.latest_decisions("dwh.busy", limit=500)} == {True}
    assert len(store.latest_decisions("dwh.quiet")) == 1
    loads = store.latest_loads()
    assert {(entry.target, entry.run_id) for entry in loads.newest} == {("dwh.busy", "r59"), ("dwh.quiet", "r0")}
    assert {(entry.target, entry.run_id) for entry in loads.successful} == {("dwh.busy", "r0"), ("dwh.quiet", "r0")}
    assert [item.incident_id for item in store.incidents(NOW - timedelta(days=99))] == ["open"]
    assert [alert.alert_id for alert in store.alerts()] == ["waiting"]
    assert len(store.history(None, 1_000)) == audited
    assert store.remove_older(BEFORE) == 0


def test_one_call_removes_a_small_batch(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 5)
    fill(context)

    removed = [context.store.remove_older(BEFORE) for _ in range(8)]

    assert removed[0] == 12  # five decisions, five loads, an alert, an incident
    assert removed[-1] == 0
