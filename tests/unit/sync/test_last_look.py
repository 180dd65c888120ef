"""A sync remembers what it looked at and what it wrote; whatever changes afterwards is noticed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from metadata_sync.database import ControlStore, StoredRows
from metadata_sync.errors import SyncError
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange, all_rows
from metadata_sync.sync import last_look
from metadata_sync.sync.report import SyncReport
from metadata_sync.sync.store import sync_store
from tests.support.sync_support import FakeWarehouse, control_rows, transformation, write_select

SELECT = "-- first\nselect f.tailnum, f.carrier, f.updated_at from lake.flights as f\n"
MODEL = "flights_hourly/dwh__dim.sql"


@pytest.fixture
def store(project: Project) -> Iterator[ControlStore]:
    with ControlStore.open(f"sqlite:///{project.state_dir}/control.db", "dev") as opened:
        yield opened


@pytest.fixture
def remembered(
    project: Project, store: ControlStore, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], SyncReport]:
    """A project whose last sync found nothing to do; returns how to sync once more."""
    monkeypatch.setattr(last_look, "_SETTLED_SECONDS", 0.02)
    write_select(project, "dim", SELECT)
    rows = all_rows(control_rows(transformation("dwh.dim")))
    store.write([RowChange(before=None, after=row) for row in rows], "ada", "apply", None)

    def again() -> SyncReport:
        return sync_store(store, store.read_stored(), project, warehouse)

    assert again().written
    time.sleep(0.1)
    assert not again().written
    assert (project.state_dir / "in-step.json").exists()
    return again


def keep_times(path: Path, old: str, new: str) -> None:
    """Change a file without changing its size or the time that it says."""
    found = path.stat()
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_size == found.st_size


def test_rows_are_not_even_typed_when_nothing_moved(
    remembered: Callable[[], SyncReport], project: Project, store: ControlStore, warehouse: FakeWarehouse
) -> None:
    stored = store.read_stored()
    report = sync_store(store, stored, project, warehouse)
    assert "rows" not in stored.__dict__
    assert set(report.unchanged) == {"sources/lake__flights.yml", "sources/lake__planes.yml", MODEL, MODEL[:-3] + "yml"}
    assert report == SyncReport(unchanged=report.unchanged)


def test_a_select_that_keeps_its_size_and_time_is_noticed(
    remembered: Callable[[], SyncReport], project: Project
) -> None:
    keep_times(project.dbt_dir / "transformations" / "dim.sql", "first", "other")
    assert remembered().written == (MODEL,)


def test_a_generated_file_edited_by_hand_is_noticed(remembered: Callable[[], SyncReport], project: Project) -> None:
    keep_times(project.generated_dir / MODEL, "f.carrier", "f.CARRIER")
    with pytest.raises(SyncError, match="edited by hand"):
        remembered()


def test_a_file_that_is_gone_is_written_again(remembered: Callable[[], SyncReport], project: Project) -> None:
    (project.generated_dir / MODEL).unlink()
    assert remembered().written == (MODEL,)


def test_a_file_that_no_row_asks_for_is_removed(remembered: Callable[[], SyncReport], project: Project) -> None:
    orphan = project.generated_dir / "flights_hourly" / "dwh__other.sql"
    orphan.write_text((project.generated_dir / MODEL).read_text())
    assert remembered().removed == ("flights_hourly/dwh__other.sql",)


def test_a_row_changed_behind_our_back_is_noticed(
    remembered: Callable[[], SyncReport], project: Project, store: ControlStore
) -> None:
    engine = create_engine(f"sqlite:///{project.state_dir}/control.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE transformation_control SET max_rejects = 7"))
    engine.dispose()
    assert remembered().written == (MODEL[:-3] + "yml",)


def test_another_dialect_is_noticed(
    remembered: Callable[[], SyncReport], project: Project, store: ControlStore
) -> None:
    other = FakeWarehouse(dialect="postgres")
    assert sync_store(store, store.read_stored(), project, other).written


def test_files_that_changed_just_now_are_trusted_by_their_content(
    remembered: Callable[[], SyncReport], project: Project, store: ControlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_look, "_SETTLED_SECONDS", 3600.0)
    stored: StoredRows = store.read_stored()
    snapshot = last_look.take_snapshot(project, (), stored.sql_paths)
    last_look.remember(project, snapshot, ())
    assert last_look.recall(project, snapshot) == ()
    (project.generated_dir / MODEL).write_text("another text, written at the same time")
    assert last_look.recall(project, snapshot) is None


def test_the_sync_after_one_that_wrote_files_parses_no_row(
    project: Project, store: ControlStore, warehouse: FakeWarehouse
) -> None:
    """The column lists that the first sync stored are no change for the second."""
    write_select(project, "dim", SELECT)
    rows = all_rows(control_rows(transformation("dwh.dim")))
    store.write([RowChange(before=None, after=row) for row in rows], "ada", "apply", None)
    first = sync_store(store, store.read_stored(), project, warehouse)
    assert first.written
    assert first.filled
    stored = store.read_stored()
    assert set(sync_store(store, stored, project, warehouse).unchanged) == set(first.written)
    assert "rows" not in stored.__dict__
    (project.dbt_dir / "transformations" / "dim.sql").write_text(SELECT.replace("first", "other"))
    assert sync_store(store, store.read_stored(), project, warehouse).written == (MODEL,)


def test_a_file_edited_right_after_it_was_written_is_noticed(
    project: Project, store: ControlStore, warehouse: FakeWarehouse
) -> None:
    write_select(project, "dim", SELECT)
    rows = all_rows(control_rows(transformation("dwh.dim")))
    store.write([RowChange(before=None, after=row) for row in rows], "ada", "apply", None)
    assert sync_store(store, store.read_stored(), project, warehouse).written
    keep_times(project.generated_dir / MODEL, "f.carrier", "f.CARRIER")
    with pytest.raises(SyncError, match="edited by hand"):
        sync_store(store, store.read_stored(), project, warehouse)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"digest": 1, "files": []}'])
def test_a_broken_memory_only_costs_time(remembered: Callable[[], SyncReport], project: Project, content: str) -> None:
    memory = project.state_dir / "in-step.json"
    memory.write_text(content)
    report = remembered()
    assert report.unchanged
    assert not report.written
    assert len(json.loads(memory.read_text())["files"]) == len(report.unchanged)
