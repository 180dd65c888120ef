"""`make demo` itself: it begins from scratch, goes on without a server, and never touches anybody else's work."""

from __future__ import annotations

import itertools
import socket
import sqlite3
import sys
from pathlib import Path

import duckdb

from flows.demo.recap import history_of_a_split_plane
from tests.support.workspace import Workspace, assert_no_traceback, assert_same, finish

DEMO = (sys.executable, "-m", "flows.demo")


def test_second_demo_begins_from_scratch_and_ends_with_the_same_tables(nine_days: Workspace, tmp_path: Path) -> None:
    """The port is taken, so no server can start: the story says so and goes on."""
    workspace = nine_days.copy(tmp_path / "project")
    mark_as_demo(workspace)
    (workspace.lake / "notes.txt").write_text("the demo did not write")
    (workspace.lake / "flights" / "mine.txt").write_text("tried")
    workspace.must("control", "set", "transformation", "dwh.dim_aircraft", "max_rejects=7", "--reason", "a trial")
    before = workspace.warehouse.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = finish(workspace.start_program(*DEMO, prefect_port=taken.getsockname()[1]))
    assert done.code == 0, done.out + done.err
    assert_no_traceback(done.out + done.err)
    assert "continuing without it" in done.out
    (earlier,) = (workspace.root / ".sluice" / "demos").iterdir()
    assert f".sluice/demos/{earlier.name}/" in done.out
    assert (earlier / "dev.duckdb").read_bytes() == before
    assert (earlier / "lake" / "flights" / "mine.txt").read_text() == "tried"
    with sqlite3.connect(earlier / "control.db") as control:
        assert control.execute("select max_rejects from transformation_control where max_rejects = 7").fetchall()
    _type_what_is_shown(workspace, done.out)
    assert_same(workspace.contents(), nine_days.contents())
    assert (workspace.lake / "notes.txt").exists()


def _type_what_is_shown(workspace: Workspace, story: str) -> None:
    """Type the three commands at the end of the story, after the line that puts them on the PATH."""
    lines = [line.strip() for line in story[story.index("Try next") :].splitlines()]
    (path,) = [line for line in lines if line.startswith("export PATH=")]
    commands = [line for line in lines if line.startswith("sluice ")]
    assert len(commands) == 3, commands
    script = "\n".join(("set -e", path, *commands))
    typed = finish(workspace.start_program("sh", "-c", script))
    assert typed.code == 0, typed.out + typed.err
    assert "dwh.dim_airport" in typed.out
    assert "2 passed" in typed.out
    assert "PASS=" in typed.out


def test_demo_leaves_work_alone_that_is_not_its_own(loaded: Workspace) -> None:
    before = loaded.contents()
    done = finish(loaded.start_program(*DEMO))
    assert done.code == 2
    assert str(loaded.root / ".sluice") in done.err
    assert_same(loaded.contents(), before)


def test_second_demo_keeps_a_table_that_was_made_since(loaded: Workspace) -> None:
    mark_as_demo(loaded)
    with duckdb.connect(str(loaded.warehouse)) as connection:
        connection.execute("create table main.notes as select 1 as id")
    before = loaded.contents()
    done = finish(loaded.start_program(*DEMO))
    assert done.code == 2
    assert "main.notes" in done.err
    assert_same(loaded.contents(), before)
    assert loaded.query("select id from main.notes") == [(1,)]


def test_plane_that_is_shown_was_split_by_a_late_row(nine_days: Workspace) -> None:
    history = history_of_a_split_plane(nine_days.warehouse)
    late = [number for number, version in enumerate(history) if version.is_late]
    assert late
    assert 0 < late[0] < len(history) - 1
    assert len({version.tailnum for version in history}) == 1
    assert all(version.valid_to == after.valid_from for version, after in itertools.pairwise(history))


def mark_as_demo(workspace: Workspace) -> None:
    (workspace.root / ".sluice" / "demo").touch()
