"""First loads in chunks: equal to one large load, whatever lands meanwhile and whenever they are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metadata_sync.settings import Settings
from tests.support.history_project import BUDGET, HOURS, TABLES, DuckDbFile, HistoryProject

MakeProject = Callable[..., HistoryProject]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeProject]:
    """Make a project on DuckDB with some tables."""
    made: list[HistoryProject] = []

    def new(*tables: str, **values: Any) -> HistoryProject:
        settings = Settings(first_load_rows=BUDGET, lock_wait_seconds=30)
        project = HistoryProject(tmp_path, DuckDbFile(tmp_path / ".sluice" / "dev.duckdb"), settings, tables)
        made.append(project)
        project.create(**values)
        return project

    yield new
    for project in made:
        project.close()


def _story(project: HistoryProject) -> None:
    """Load by chunks while rows land, old ones among them; then everything equals one large load."""
    project.load_whole()
    context, plan, summary = project.run("cut")
    ends = {first.target: len(first.chunks) for first in plan.first_loads.values()}
    assert ends.keys() == {f"cut.{table}" for table in project.tables}
    assert min(ends.values()) > 3
    assert all("chunks, oldest first" in outcome.decision.message for outcome in summary.outcomes)
    top = max(project.watermarks("whole").values())
    assert max(project.watermarks("cut").values()) < top, "the watermark stands at the end of the first chunk"
    assert project.rows("cut", project.tables[0]) != project.rows("whole", project.tables[0])

    project.land(3, HOURS - 1, HOURS)  # below the watermark of `whole`, inside its lookback
    project.land(5, HOURS + 1, HOURS + 3)
    from flows.backfill.first_loads import continue_first_loads

    continued = continue_first_loads(context, plan, summary, project.sentences.append)
    assert [(item.error, item.pause, item.first.is_done) for item in continued] == [(None, None, True)] * len(ends)
    assert context.store.unfinished_first_loads() == ()
    assert project.watermarks("cut") == project.watermarks("whole"), "chunks end where the source ended when it was cut"
    project.load_whole()
    assert not project.load_cut(), "what follows is an ordinary increment"
    assert project.watermarks("cut") == project.watermarks("whole")
    project.assert_equal()


def test_chunks_end_equal_to_one_load_on_duckdb(make: MakeProject) -> None:
    project = make(*TABLES)
    _story(project)
    lines = [line for line in project.sentences if line.startswith("✓ cut.keyed chunk")]
    assert lines[0].startswith("✓ cut.keyed chunk 2 of 4 · shop.events: 2024-01-0")
    assert lines[0].endswith("left")
    assert lines[-1].endswith("inserted")
