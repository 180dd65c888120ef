"""The common dialect is PostgreSQL's, too: the same histories and groups on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import histories as h
from tests.support.dbt_project import driving
from tests.support.postgres_project import PostgresProject

TOTALS = """
select e.k1, count(*) as events, max(e.lsn) as lsn
from {{ sluice.increment(source('lake', 'events')) }} as e
where e.history = 0
group by e.k1
"""
SHAPES = h.SHAPES[:2]


@pytest.mark.postgres
def test_loads_equal_the_oracle_when_the_warehouse_is_postgres(postgres_url: str, tmp_path: Path) -> None:
    project = PostgresProject(tmp_path, postgres_url)
    h.add_models(project, len(SHAPES))
    by_key = driving("events", incremental_key="arrived", recompute_by=["k1"])
    project.model("totals", TOTALS, materialized="scd2", increment="groups", business_key=["k1"], dependencies=[by_key])
    h.empty_warehouse(project)
    drawn = h.histories(3, SHAPES)
    h.load_all(project, drawn)
    assert h.differs(project, drawn, (2,)) == []
    expected = "select k1, count(*), max(lsn) from lake.events where history = 0 group by k1"
    assert sorted(project.query("select k1, events, lsn from dwh.totals where is_current")) == sorted(
        project.query(expected)
    )
    assert set(project.run("--full-refresh").statuses.values()) <= {"success", "pass"}
    assert h.differs(project, drawn, (2,)) == []
