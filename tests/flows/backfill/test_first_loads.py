"""First loads in chunks: equal to one large load, whatever lands meanwhile and whenever they are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.backfill.first_loads import continue_first_loads
from flows.engine import first_loads
from flows.engine.engine import execute
from flows.gate.first_load import FirstLoad, first_loads_of
from flows.ledger.verify import verify
from flows.reports.status import target_statuses
from metadata_sync.control.apply import switch
from metadata_sync.settings import Settings
from tests.support.history_project import BUDGET, HOURS, DuckDbFile, HistoryProject, PostgresDatabase

MakeProject = Callable[..., HistoryProject]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeProject]:
    """Make a project on DuckDB with some tables."""
    made: list[HistoryProject] = []

    def new(*tables: str, budget: int = BUDGET, **values: Any) -> HistoryProject:
        settings = Settings(first_load_rows=budget, lock_wait_seconds=30)
        project = HistoryProject(tmp_path, DuckDbFile(tmp_path / ".sluice" / "dev.duckdb"), settings, tables)
        made.append(project)
        project.create(**values)
        return project

    yield new
    for project in made:
        project.close()


def test_chunks_end_equal_to_one_load_on_duckdb(make: MakeProject) -> None:
    project = make("current", "history", "keyless", "joined", "looked_up")
    _story(project)
    (line,) = [line for line in project.sentences if line.startswith("✓ cut.keyless chunk")]
    assert line.startswith("✓ cut.keyless chunk 2 of 2 · shop.events: 2024-01-0")
    assert line.endswith("inserted")
    context, _, _ = project.run("cut")
    assert verify(context, "cut.keyless").is_sound, "a verification reads no window"


@pytest.mark.postgres
def test_chunks_end_equal_to_one_load_on_postgresql(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(postgres_url)
    for name, value in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")):
        monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[value]))
    monkeypatch.setenv("SLUICE_POSTGRES_DATABASE", str(parts["dbname"]))
    settings = Settings(environment="postgres", first_load_rows=BUDGET)
    project = HistoryProject(tmp_path, PostgresDatabase(postgres_url), settings, ("keyed", "joined"))
    project.create()
    _story(project)
    project.close()


def _story(project: HistoryProject) -> None:
    """Load by chunks while rows land, old ones among them; then everything equals one large load."""
    project.load_whole()
    context, plan, summary = project.run("cut")
    assert plan.first_loads.keys() == {f"cut.{table}" for table in project.tables}
    assert min(len(first.chunks) for first in plan.first_loads.values()) > 1
    assert all("chunks, oldest first" in outcome.decision.message for outcome in summary.outcomes)
    ends = project.watermarks("cut")
    assert max(ends.values()) < max(project.watermarks("whole").values()), "it stands at the end of the first chunk"
    assert project.rows("cut", project.tables[0]) != project.rows("whole", project.tables[0])

    project.land(3, HOURS - 1, HOURS)  # at and below the watermark of `whole`, inside its lookback
    project.land(5, HOURS + 1, HOURS + 3)
    continued = continue_first_loads(context, plan, summary, project.sentences.append)
    assert [(item.error, item.pause, item.first.is_done) for item in continued] == [
        (None, None, True) for _ in project.tables
    ]
    assert context.store.unfinished_first_loads() == ()
    project.load_whole()
    assert not project.load_cut(), "what follows is an ordinary increment"
    assert project.watermarks("cut") == project.watermarks("whole")
    project.assert_equal()


class _KilledError(Exception):
    """What ends a process between two chunks."""


def test_first_load_goes_on_whenever_it_was_stopped(make: MakeProject) -> None:
    project = make("history", budget=45)
    project.load_whole()
    _, stale, _ = project.run("cut")  # and the process is gone after the chunk of the run

    context, plan = project.plan("cut")
    (first,) = plan.first_loads.values()
    assert (first.done, len(first.chunks), first.is_new) == (1, 6, False)
    (decision,) = plan.decisions
    assert (
        f"history up to {(first.chunks[0].end or '')[:19]}: 1 of 6 chunks of its first load are loaded"
        in decision.message
    )

    def die(sentence: str) -> None:
        if "chunk 3 of 6" in sentence:
            raise _KilledError

    with pytest.raises(_KilledError):
        project.load_cut(die)
    (noted,) = first_loads_of(context.store.unfinished_first_loads()).values()
    assert noted.done == 3
    statuses = target_statuses(
        context.store.usable_rows(), context.store.latest_loads(), context.now(), first_loads={noted.target: noted}
    )
    (note,) = [note for item in statuses for note in item.notes if item.target == "cut.history"]
    assert note.startswith("history up to 2024-01-")

    late = execute(context, plan)  # planned before the other process loaded chunks 2 and 3
    assert not late.has_failed
    tops = project.watermarks("cut")
    (paused,) = project.load_cut(until=datetime(2024, 1, 1, tzinfo=UTC))
    assert (paused.first.done, paused.pause) == (4, "The next scheduled run is due")
    assert max(project.watermarks("cut").values()) > max(tops.values())

    def switch_off(_: FirstLoad) -> None:
        switch(project.change_context(), "cut.history", "month's end", is_active=False)

    (left,) = continue_first_loads(context, stale, late, print, on_progress=switch_off, sleep=print)
    assert (left.first.done, left.error) == (4, None)
    assert "It was switched off meanwhile" in (left.pause or "")
    switch(project.change_context(), "cut.history", None, is_active=True)
    assert continue_first_loads(context, stale, late, print, sleep=print)[0].first.is_done, "an old plan looks again"
    assert not project.load_cut()
    project.assert_equal()
    assert context.store.unfinished_first_loads() == ()


def test_newest_chunk_first_lets_new_rows_in_meanwhile(make: MakeProject) -> None:
    project = make("current", "looked_up", budget=80, backfill_order="newest")
    project.load_whole()
    closed_hour = (datetime.now(UTC).hour + 12) % 23
    paused, *_ = project.load_cut(first_load_hours=f"{closed_hour}-{closed_hour + 1}")
    assert (paused.first.done, len(paused.first.chunks)) == (1, 3)
    assert "SLUICE_FIRST_LOAD_HOURS" in (paused.pause or "")
    assert project.watermarks("cut") == project.watermarks("whole"), "the first chunk is the newest"
    assert (paused.first.history or "").startswith("history from 2024-01-")

    project.land(10, HOURS - 1, HOURS + 2)
    project.load_whole()
    slept: list[float] = []
    continued = project.load_cut(first_load_share=0.5, sleep=slept.append)
    assert all(one.first.is_done for one in continued)
    assert len(slept) == len(continued)
    assert min(slept) > 0
    assert project.watermarks("cut") == project.watermarks("whole"), "older chunks leave the watermark"
    project.assert_equal()


def test_small_sources_are_not_cut_and_loaded_targets_are_not_measured(
    make: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("keyed", "read_whole", budget=100)
    _, plan = project.plan("cut", first_load_rows=240)
    assert (plan.first_loads, [item.is_large for item in plan.decisions]) == ({}, [False, False])
    _, plan = project.plan("cut")
    messages = {item.target: item.message for item in plan.decisions}
    assert messages["cut.keyed"].endswith("its 240 rows are loaded in 3 chunks, oldest first")
    assert (
        "240 rows, more than SLUICE_FIRST_LOAD_ROWS, are loaded at once: increment `full`" in messages["cut.read_whole"]
    )
    assert plan.first_loads.keys() == {"cut.keyed"}

    project.load_whole()
    project.land(1, HOURS + 1, HOURS + 1)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a source was measured")

    monkeypatch.setattr(first_loads, "measure", refuse)
    _, plan = project.plan("whole")
    assert plan.is_due
    assert plan.first_loads == {}
