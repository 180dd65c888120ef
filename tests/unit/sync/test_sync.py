"""Sync on disk: what is written, what is left alone, what is refused, and what a crash leaves behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata_sync.analysis.blame import Blame
from metadata_sync.errors import MetadataError, SyncError
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.sync.report import SyncReport
from metadata_sync.sync.sync import sync
from tests.support.sync_support import (
    FakeWarehouse,
    control_rows,
    generated,
    make_project,
    pipeline,
    source,
    transformation,
    write_select,
)

SELECT = "select f.tailnum, f.carrier, f.updated_at from lake.flights as f\n"
PLANE_SELECT = "select p.tailnum, p.model from lake.planes as p\n"


@pytest.fixture
def rows(project: Project) -> ControlRows:
    """Two targets over two sources; the second takes its columns from its SELECT."""
    write_select(project, "dim_carrier", SELECT)
    write_select(project, "dim_plane", PLANE_SELECT)
    columns = [
        {"name": "tailnum", "type": "varchar(10)"},
        {"name": "carrier", "type": "varchar(2)"},
        {"name": "updated_at", "type": "timestamp"},
    ]
    plane = {"increment": "full", "incremental_key": None, "dependencies": [{"table": "lake.planes", "driving": True}]}
    return control_rows(
        transformation("dwh.dim_carrier", column_list=columns), transformation("dwh.dim_plane", **plane)
    )


@pytest.fixture
def synced(project: Project, rows: ControlRows, warehouse: FakeWarehouse) -> ControlRows:
    """The rows after a first sync, with the column lists that it took stored in them."""
    return stored(rows, sync(rows, project, warehouse))


def stored(rows: ControlRows, report: SyncReport) -> ControlRows:
    filled = [
        row.model_copy(update={"column_list": report.filled[row.name].after}) if row.name in report.filled else row
        for row in rows.transformations
    ]
    return rows.model_copy(update={"transformations": tuple(filled)})


def changed(rows: ControlRows, target: str, **values: object) -> ControlRows:
    name = TableName.parse(target)
    transformations = (row.model_copy(update=values) if row.name == name else row for row in rows.transformations)
    return rows.model_copy(update={"transformations": tuple(transformations)})


def stamps(project: Project) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in project.generated_dir.rglob("*") if path.is_file()}


def test_first_sync_writes_every_row(project: Project, rows: ControlRows, warehouse: FakeWarehouse) -> None:
    report = sync(rows, project, warehouse)
    assert set(report.written) == set(generated(project))
    assert sorted(report.written) == [
        "flights_hourly/dwh__dim_carrier.sql",
        "flights_hourly/dwh__dim_carrier.yml",
        "flights_hourly/dwh__dim_plane.sql",
        "flights_hourly/dwh__dim_plane.yml",
        "sources/lake__flights.yml",
        "sources/lake__planes.yml",
    ]


def test_second_sync_touches_nothing_and_asks_nothing(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    before = stamps(project)
    warehouse.asked.clear()
    report = sync(synced, project, warehouse)
    assert (report.written, report.removed, len(report.unchanged)) == ((), (), 6)
    assert stamps(project) == before
    assert warehouse.asked == []


def test_second_sync_touches_nothing_when_the_column_lists_were_not_stored(
    project: Project, rows: ControlRows, warehouse: FakeWarehouse
) -> None:
    sync(rows, project, warehouse)
    before = stamps(project)
    report = sync(rows, project, warehouse)
    assert report.written == ()
    assert stamps(project) == before
    assert set(report.filled) == {TableName("dwh", "dim_plane")}


def test_column_list_that_is_left_out_is_taken_from_the_select(
    project: Project, rows: ControlRows, warehouse: FakeWarehouse
) -> None:
    (columns,) = (change.after for change in sync(rows, project, warehouse).filled.values())
    assert [(column.name, column.type) for column in columns] == [("tailnum", "varchar"), ("model", "varchar")]


def test_column_lists_are_taken_in_the_order_of_the_data(
    project: Project, rows: ControlRows, warehouse: FakeWarehouse
) -> None:
    write_select(project, "report", "select d.tailnum, d._sluice_loaded_at as seen_at from dwh.dim_plane as d")
    report_row = transformation(
        "mart.report",
        incremental_key=None,
        sequence_by=["seen_at"],
        dependencies=[{"table": "dwh.dim_plane", "driving": True}],
    )
    rows = rows.model_copy(update={"transformations": (report_row, *rows.transformations)})
    filled = sync(rows, project, warehouse).filled[TableName("mart", "report")].after
    assert [(column.name, column.type) for column in filled] == [("tailnum", "varchar"), ("seen_at", "timestamp")]


def test_changed_select_rewrites_its_model_only(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    write_select(project, "dim_carrier", SELECT + "where f.carrier is not null\n")
    report = sync(synced, project, warehouse)
    assert report.written == ("flights_hourly/dwh__dim_carrier.sql",)


def test_select_that_drifts_from_its_columns_is_a_fault(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    before = generated(project)
    write_select(project, "dim_plane", "select p.tailnum, p.model, p.year from lake.planes as p")
    with pytest.raises(MetadataError) as caught:
        sync(synced, project, warehouse)
    assert [(fault.key, fault.column) for fault in caught.value.faults] == [("dwh.dim_plane", "column_list")]
    assert generated(project) == before


def test_inactive_rows_are_written_and_say_so(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    report = sync(changed(synced, "dwh.dim_plane", is_active=False), project, warehouse)
    assert report.written == ("flights_hourly/dwh__dim_plane.yml",)
    assert "is_active: false" in generated(project)["flights_hourly/dwh__dim_plane.yml"]
    off = synced.model_copy(update={"pipelines": (pipeline(is_active=False),)})
    sync(off, project, warehouse)
    assert "is_active: false" in generated(project)["flights_hourly/dwh__dim_carrier.yml"]


def test_inactive_row_without_columns_does_not_stop_the_others(
    project: Project, rows: ControlRows, warehouse: FakeWarehouse
) -> None:
    warehouse.refusals["lake.planes"] = "the folder is gone"
    report = sync(changed(rows, "dwh.dim_plane", is_active=False), project, warehouse)
    assert "flights_hourly/dwh__dim_plane.sql" in report.written
    assert report.filled == {}


def test_columns_that_nobody_knows_are_a_fault(project: Project, rows: ControlRows, warehouse: FakeWarehouse) -> None:
    warehouse.is_reachable = False
    with pytest.raises(MetadataError) as caught:
        sync(rows, project, warehouse)
    assert [(fault.key, fault.rule) for fault in caught.value.faults] == [("dwh.dim_plane", "columns_unknown")]
    assert generated(project) == {}


def test_orphans_are_removed_with_their_folder(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    foreign = project.generated_dir / "flights_hourly" / "notes.sql"
    foreign.write_text("select 1 -- somebody's own\n")
    fewer = synced.model_copy(update={"transformations": synced.transformations[:1]})
    report = sync(fewer, project, warehouse)
    assert report.removed == ("flights_hourly/dwh__dim_plane.sql", "flights_hourly/dwh__dim_plane.yml")
    assert foreign.exists()
    foreign.unlink()
    sync(synced.model_copy(update={"transformations": (), "sources": ()}), project, warehouse)
    assert generated(project) == {}
    assert list(project.generated_dir.iterdir()) == []


def test_row_that_moves_to_another_pipeline_moves_its_files(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    moved = changed(synced, "dwh.dim_plane", pipeline_id="planes")
    moved = moved.model_copy(update={"pipelines": (pipeline(), pipeline("planes"))})
    report = sync(moved, project, warehouse)
    assert report.written == ("planes/dwh__dim_plane.yml", "planes/dwh__dim_plane.sql")
    assert report.removed == ("flights_hourly/dwh__dim_plane.sql", "flights_hourly/dwh__dim_plane.yml")


def add_a_line(path: Path) -> None:
    path.write_text(path.read_text() + "-- a quick fix\n")


def replace_header(path: Path) -> None:
    path.write_text("select 1\n")


def change_hash(path: Path) -> None:
    path.write_text(path.read_text().replace("body: ", "body: 0"))


@pytest.mark.parametrize("edit", [add_a_line, replace_header, change_hash])
def test_hand_edit_is_reported_and_kept_until_overwritten(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse, edit: Callable[[Path], None]
) -> None:
    path = project.generated_dir / "flights_hourly" / "dwh__dim_carrier.sql"
    original = path.read_text()
    edit(path)
    edited = path.read_text()
    for check in (False, True):
        with pytest.raises(SyncError, match=r"flights_hourly/dwh__dim_carrier\.sql") as caught:
            sync(synced, project, warehouse, check=check)
        assert "--overwrite" in caught.value.hint
    assert path.read_text() == edited
    assert sync(synced, project, warehouse, overwrite=True).written == ("flights_hourly/dwh__dim_carrier.sql",)
    assert path.read_text() == original


def test_hand_edited_orphan_is_reported(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    add_a_line(project.generated_dir / "flights_hourly" / "dwh__dim_plane.sql")
    fewer = synced.model_copy(update={"transformations": synced.transformations[:1]})
    with pytest.raises(SyncError, match=r"dwh__dim_plane\.sql"):
        sync(fewer, project, warehouse)
    sync(fewer, project, warehouse, overwrite=True)
    assert not (project.generated_dir / "flights_hourly" / "dwh__dim_plane.sql").exists()


def test_deleted_file_is_written_again(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    before = generated(project)
    (project.generated_dir / "sources" / "lake__planes.yml").unlink()
    assert sync(synced, project, warehouse).written == ("sources/lake__planes.yml",)
    assert generated(project) == before


def test_check_writes_nothing_and_lists_what_is_out_of_step(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    assert sync(synced, project, warehouse, check=True).drifted == ()
    before = stamps(project)
    drifting = changed(synced, "dwh.dim_carrier", description="Now described.")
    drifting = drifting.model_copy(update={"transformations": drifting.transformations[:1]})
    report = sync(drifting, project, warehouse, check=True)
    assert report.drifted == (
        "flights_hourly/dwh__dim_carrier.yml",
        "flights_hourly/dwh__dim_plane.sql",
        "flights_hourly/dwh__dim_plane.yml",
    )
    assert stamps(project) == before


def test_faults_leave_everything_as_it_was(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    before = generated(project)
    write_select(project, "dim_carrier", SELECT + "where f.carrier <> 'AA'")
    broken = changed(synced, "dwh.dim_plane", sql_path="transformations/nowhere.sql")
    with pytest.raises(MetadataError) as caught:
        sync(broken, project, warehouse)
    assert [fault.key for fault in caught.value.faults] == ["dwh.dim_plane"]
    assert generated(project) == before


@pytest.mark.parametrize("location", ["/etc", "../elsewhere", "lake/circle"])
def test_source_outside_the_project_is_a_fault(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse, location: str
) -> None:
    (project.root / "lake").mkdir(exist_ok=True)
    (project.root / "lake" / "circle").symlink_to(project.root / "lake" / "circle")
    moved = tuple(row.model_copy(update={"location": location}) for row in synced.sources)

    with pytest.raises(MetadataError) as caught:
        sync(synced.model_copy(update={"sources": moved}), project, warehouse)

    assert {fault.rule for fault in caught.value.faults} == {"path_outside_project"}


def test_folder_that_cannot_be_written_is_explained(
    project: Project, rows: ControlRows, warehouse: FakeWarehouse
) -> None:
    """A file in the folder's place keeps root out too, which permissions do not."""
    project.generated_dir.parent.mkdir(parents=True)
    project.generated_dir.write_text("in the way")
    with pytest.raises(SyncError, match=str(project.generated_dir)) as caught:
        sync(rows, project, warehouse)
    assert "writable" in caught.value.hint


def test_leftovers_of_a_killed_sync_are_swept(project: Project, synced: ControlRows, warehouse: FakeWarehouse) -> None:
    before = generated(project)
    (project.generated_dir / "sources" / ".lake__planes.yml.tmp").write_text("half a fi")
    sync(synced, project, warehouse)
    assert generated(project) == before


_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from metadata_sync.sync import generated
from metadata_sync.project import Project
from metadata_sync.sync.sync import sync
from tests.support.sync_support import FakeWarehouse
from metadata_sync.rows.model import ControlRows

left = int(sys.argv[2])
def trace(frame, event, argument):
    global left
    if frame.f_code in (generated.write_file.__code__, generated.remove_file.__code__) and event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
rows = ControlRows.model_validate_json(Path(sys.argv[1], "rows.json").read_text())
sys.settrace(trace)
sync(rows, Project(Path(sys.argv[1])), FakeWarehouse())
"""


@pytest.mark.processes
@pytest.mark.parametrize("line", [1, 6, 8, 10, 13, 17])
def test_sync_that_is_killed_anywhere_is_right_when_run_again(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse, line: int
) -> None:
    """It has one file to write and two to remove; line counts the lines of doing so."""
    fewer = changed(synced, "dwh.dim_carrier", description="changed")
    fewer = fewer.model_copy(update={"transformations": fewer.transformations[:1]})
    (project.root / "rows.json").write_text(fewer.model_dump_json(by_alias=True))
    script = _KILLED.format(tests=str(Path(__file__).parents[3]))
    done = subprocess.run([sys.executable, "-c", script, str(project.root), str(line)], check=False)
    assert done.returncode == -signal.SIGKILL
    sync(fewer, project, warehouse)
    survived = generated(project)
    shutil.rmtree(project.generated_dir)
    sync(fewer, project, warehouse)
    assert survived == generated(project)


_COLUMN = st.sampled_from(["carrier", "origin", "operation", "departed_at"])


@settings(max_examples=25)  # each syncs two projects; the words of a row are few
@given(
    columns=st.lists(_COLUMN, unique=True, min_size=1),
    description=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    is_active=st.booleans(),
    load_type=st.sampled_from(["scd1", "scd2", "append"]),
)
def test_sync_is_deterministic_and_idempotent(
    tmp_path_factory: pytest.TempPathFactory, columns: list[str], description: str, is_active: bool, load_type: str
) -> None:
    texts = []
    for _ in range(2):
        project = make_project(tmp_path_factory.mktemp("x") / "project")
        text = f"select f.tailnum, f.updated_at, {', '.join(f'f.{name}' for name in columns)} from lake.flights f"
        write_select(project, "dim", text)
        row = transformation("dwh.dim", description=description, is_active=is_active, load_type=load_type)
        warehouse = FakeWarehouse()
        rows = control_rows(row, sources=[source("lake.flights")])
        rows = stored(rows, sync(rows, project, warehouse))
        texts.append({name: text.replace(str(project.root), "") for name, text in generated(project).items()})
        again = sync(rows, project, warehouse)
        assert (again.written, again.removed, again.filled) == ((), (), {})
    files = texts[0].keys()
    assert texts[0].keys() == texts[1].keys()
    for name in files:  # the hash of a source's inputs holds the project's folder, its text does not
        assert [line for line in texts[0][name].splitlines() if "inputs: " not in line] == [
            line for line in texts[1][name].splitlines() if "inputs: " not in line
        ]


def test_copied_rows_know_their_own_rows(rows: ControlRows) -> None:
    assert rows.pipeline("flights_hourly") is not None
    assert rows.model_copy(update={"pipelines": ()}).pipeline("flights_hourly") is None


def test_row_at_fault_stops_only_itself_when_sync_keeps_going(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    before = generated(project)
    write_select(project, "dim_carrier", SELECT + "where f.carier is not null\n")
    write_select(project, "dim_plane", PLANE_SELECT + "where p.year > 2000\n")

    with pytest.raises(MetadataError):
        sync(synced, project, warehouse)
    assert generated(project) == before
    report = sync(synced, project, warehouse, keep_going=True)

    assert [(fault.key, fault.rule) for fault in report.faults] == [("dwh.dim_carrier", "bind")]
    assert report.written == ("flights_hourly/dwh__dim_plane.sql",)
    after = generated(project)
    assert {name for name in after if after[name] != before[name]} == set(report.written)
    write_select(project, "dim_carrier", SELECT)
    assert set(sync(synced, project, warehouse, keep_going=True).unchanged) == set(after)


def test_row_at_fault_that_never_had_a_model_leaves_its_name_to_its_readers(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    write_select(project, "broken", "selec nothing\n")
    write_select(project, "report", "select b.tailnum from dwh.broken as b\n")
    reads = {"increment": "full", "incremental_key": None}
    broken = transformation("dwh.broken", **reads, dependencies=[{"table": "lake.flights", "driving": True}])
    report = transformation("mart.report", **reads, dependencies=[{"table": "dwh.broken", "driving": True}])
    rows = synced.model_copy(update={"transformations": (*synced.transformations, broken, report)})

    first = sync(rows, project, warehouse, keep_going=True)
    again = sync(rows, project, warehouse, keep_going=True)

    assert [(fault.key, fault.rule) for fault in first.faults] == [
        ("dwh.broken", "not_a_select"),
        ("mart.report", "columns_unknown"),
    ]
    assert again.faults == first.faults
    files = generated(project)
    assert "is_active: false" in files["flights_hourly/dwh__broken.yml"]
    assert files["flights_hourly/dwh__broken.sql"].endswith("select 1 as has_faults\n")
    write_select(project, "broken", SELECT)
    mended = sync(rows, project, warehouse, keep_going=True)
    assert mended.faults == ()
    assert "flights_hourly/dwh__broken.sql" in mended.written


def test_source_or_pipeline_at_fault_stops_what_needs_it(
    project: Project, synced: ControlRows, warehouse: FakeWarehouse
) -> None:
    odd = synced.model_copy(
        update={"sources": (source("lake.flights", incremental_key="odd; drop"), source("lake.planes"))}
    )
    late = synced.model_copy(update={"pipelines": (pipeline(schedule="every noon"),)})
    for rows, stopped in ((odd, {"dwh.dim_carrier"}), (late, {"dwh.dim_carrier", "dwh.dim_plane"})):
        shaken = changed(rows, "dwh.dim_plane", description=f"stopped: {len(stopped)}")
        blame = Blame.of(sync(shaken, project, warehouse, keep_going=True).faults)
        assert {row.key for row in shaken.transformations if blame.stops(row, shaken)} == stopped
    assert "drop" not in "".join(generated(project).values())
