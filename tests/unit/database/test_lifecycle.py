"""Renamings in the control database, on SQLite and PostgreSQL: one at a time, told to readers, all journals at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from metadata_sync.database import ControlStore
from metadata_sync.database.journals.entries import BackfillEntry, DecisionEntry, Lifecycle, LifecycleEntry
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.errors import MetadataError, StaleRowError, StoreError
from metadata_sync.incident import Incident, IncidentKind, Severity
from metadata_sync.loads import Window
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import TransformationRow
from tests.support.control_support import pipeline, transformation

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
OLD, NEW, READER = "dwh.dim_aircraft", "core.plane", "mart.total"
ENTRY = LifecycleEntry("1", Lifecycle.RENAME, OLD, NEW, (NEW, OLD, READER), "ann", NOW)


def prepared(store: ControlStore) -> tuple[TransformationRow, TransformationRow]:
    old = transformation(OLD)
    reader = transformation(READER, dependencies=[{"table": OLD, "driving": True}])
    added = [RowChange(None, row, row) for row in (pipeline(), old, reader)]
    store.write(added, "ann", "apply", None)
    return old, reader


def incident(subject: str, number: int) -> Incident:
    return Incident(
        incident_id=str(number),
        kind=IncidentKind.HOLD,
        subject=subject,
        severity=Severity.ERROR,
        failure_class=None,
        message="held",
        targets=(OLD, READER),
        held_up=(OLD,),
        pipeline_ids=("flights_hourly",),
        run_id=None,
        attempts=1,
        ticks=1,
        opened_at=NOW,
        last_seen_at=NOW,
        alerted_at=None,
        resolved_at=None,
        url=None,
    )


def test_second_beginning_with_one_of_the_targets_is_refused_with_the_first(store: ControlStore) -> None:
    store.begin_lifecycle(ENTRY)
    with pytest.raises(StoreError, match=r"Not finished yet: the renaming of dwh\.dim_aircraft to core"):
        store.begin_lifecycle(replace(ENTRY, entry_id="2", target=READER, new_target="a.b", involved=(READER, "a.b")))
    store.begin_lifecycle(replace(ENTRY, entry_id="3", target="x.a", new_target="x.b", involved=("x.a", "x.b")))
    store.end_lifecycle(ENTRY, "given up: no right")
    store.begin_lifecycle(replace(ENTRY, entry_id="4"))

    assert [entry.entry_id for entry in store.lifecycle(unfinished_only=True)] == ["3", "4"]
    assert [entry.outcome for entry in store.lifecycle()] == ["given up: no right", None, None]
    assert [entry.entry_id for entry in store.lifecycle(since=store.now() + timedelta(hours=1))] == ["3", "4"]


def test_rows_that_an_unfinished_renaming_involves_are_faulty_until_it_ends(store: ControlStore) -> None:
    prepared(store)
    digest = store.read_stored().digest
    store.begin_lifecycle(ENTRY)

    stored = store.read_stored()
    assert [(fault.key, fault.rule) for fault in stored.faults] == [
        (OLD, "unfinished_rename"),
        (READER, "unfinished_rename"),
    ]
    assert stored.faults[0].remedy == "Finish it: sluice rename dwh.dim_aircraft core.plane."
    assert stored.digest != digest
    for read in (store.read_rows, store.read_state):
        with pytest.raises(MetadataError, match="holds 2 faults"):
            read()
    assert len(store.read_renaming()[1].rows.transformations) == 2

    store.end_lifecycle(ENTRY, "given up")
    assert (store.read_stored().faults, store.read_stored().digest) == ((), digest)


def test_all_journals_and_rows_get_the_new_name_together(store: ControlStore) -> None:
    old, reader = prepared(store)
    store.begin_lifecycle(ENTRY)
    store.record_decisions([DecisionEntry("r", NOW, "flights_hourly", OLD, "skip", "trigger_waits", "waits", {})])
    store.settle(Settlement(judge=lambda _: ((incident(OLD, 1), incident(READER, 2)), ())))
    chunks = {OLD: [Window("lake.flights", "1", "2")], READER: [Window(OLD, "1", "2")]}
    store.begin_backfill(BackfillEntry("b", OLD, "1", None, None, chunks, "ann", NOW))
    new = old.model_copy(update={"target_schema": "core", "target_table": "plane"})
    changed = transformation(READER, dependencies=[{"table": NEW, "driving": True}])
    changes = [RowChange(old, None), RowChange(None, new, new), RowChange(reader, changed, changed)]

    stale = [RowChange(old.model_copy(update={"comments": "x"}), None)]
    with pytest.raises(StaleRowError):
        store.write_renaming(ENTRY, stale, ())
    assert store.lifecycle(unfinished_only=True) == (ENTRY,)
    store.write_renaming(ENTRY, changes, [RowChange(new.model_copy(update={"is_active": False}), new)])

    assert {row.key for row in store.read_rows().transformations} == {NEW, READER}
    assert store.declared().transformations[0].key == NEW
    assert [item.target for item in store.latest_decisions()] == [NEW]
    assert store.waiting_since([NEW], "trigger_waits") == {NEW: NOW}
    assert [(item.subject, item.targets, item.held_up) for item in store.incidents()] == [
        (NEW, (NEW, READER), (NEW,)),
        (READER, (NEW, READER), (NEW,)),
    ]
    (backfill,) = store.unfinished_backfills(NEW)
    assert {target: windows[0].source for target, windows in backfill.chunks.items()} == {
        NEW: "lake.flights",
        READER: NEW,
    }
    newest = store.history(NEW)[0]
    assert (newest.column, newest.via, newest.reason) == ("is_active", "framework", f"renamed from {OLD} to {NEW}")
    assert store.lifecycle()[0].outcome == f"renamed from {OLD} to {NEW}"


def test_of_two_open_incidents_of_a_kind_the_new_name_keeps_its_own(store: ControlStore) -> None:
    prepared(store)
    store.begin_lifecycle(ENTRY)
    store.settle(Settlement(judge=lambda _: ((incident(OLD, 1), incident(NEW, 2)), ())))

    store.write_renaming(ENTRY, (), ())

    assert [(item.incident_id, item.subject) for item in store.incidents()] == [("2", NEW)]
