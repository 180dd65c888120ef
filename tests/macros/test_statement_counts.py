"""A load sends few statements: on Redshift each of them costs tens to hundreds of milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject, add_events, driving, run_dbt
from tests.support.redshift_project import RedshiftProject

SELECT = "select e.id, e.v, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
KINDS = ("scd1", "scd2", "append", "range")
AT_MOST = {"duckdb": 12, "postgres": 12, "redshift": 17}
"""Statements of an increment in order, transactions and the label of Redshift's query history included. A range
compares what it holds with what it read, and takes one more on Redshift."""


@pytest.fixture
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("counts")
    add_events(project)
    settings = {"incremental_key": "t", "dependencies": [driving("events", incremental_key="t", lookback_minutes=60)]}
    for kind in KINDS:
        key = {} if kind == "range" else {"business_key": ["id"]}
        project.model(kind, SELECT, materialized="append" if kind == "range" else kind, **key, **settings)
    return project


def _statements(project: DbtProject) -> dict[str, list[str]]:
    """Run all models; return the statements that each of them sent."""
    sent: dict[str, list[str]] = {kind: [] for kind in KINDS}

    def hear(event: Any) -> None:
        if event.info.name == "SQLQuery" and event.data.node_info.node_name in sent:
            sent[event.data.node_info.node_name].append(event.data.sql)

    place = project.place if isinstance(project, RedshiftProject) else None
    journal = place.journal if isinstance(place, Standin) else None
    if journal is not None:
        journal.clear()
    result = run_dbt(project.root, ["--quiet", "run"], {}, callbacks=[hear])
    assert result.success, result.messages
    if journal is None:
        return sent
    return {kind: [entry.sql for entry in journal.entries if entry.node == kind] for kind in KINDS}


def test_loads_of_all_kinds_send_few_statements(project: DbtProject) -> None:
    """Also one that finds only known rows, which ends after the counts."""
    _statements(project)
    project.execute("insert into lake.events values (1, 'c', '2024-01-02'), (3, 'd', '2024-01-02')")
    at_most = AT_MOST[project.adapter]
    for kind, sent in _statements(project).items():
        one_more = kind == "range" and project.adapter == "redshift"
        assert 0 < len(sent) <= at_most + one_more, (kind, "\n---\n".join(sent))
    assert [project.query(f"select count(*) from dwh.{kind}")[0][0] for kind in KINDS] == [3, 4, 3, 4]
    project.execute("insert into lake.events values (1, 'c', '2024-01-02')")
    for kind, sent in _statements(project).items():
        # a contested pair needs a winner before it can be compared
        assert 0 < len(sent) <= at_most + 4, (kind, "\n---\n".join(sent))
