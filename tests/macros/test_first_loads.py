"""First loads choose their algorithm by the rows of each key, and every choice gives the oracle's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject, driving, run_dbt
from tests.support.scd_oracle import Event

Row = tuple[int | None, str | None, int, bool]
SINGLES: list[Row] = [(key, f"v{key}", key % 3, key % 4 == 0) for key in range(1, 9)]
MERGES: list[Row] = [(key, v, at, False) for key in (21, 22) for at, v in enumerate("aabb")]
DELETES: list[Row] = [
    (31, "a", 1, False),
    (31, "a", 2, True),
    (31, "a", 3, False),
    (32, None, 1, True),
    (32, None, 2, True),
]
CHANGES: list[Row] = [(key, f"v{at}", at, False) for key in range(41, 49) for at in range(3)]
TIES: list[Row] = [
    (51, "a", 1, False),
    (51, "b", 1, False),
    (51, "b", 1, True),
    (51, None, 2, False),
    (51, None, 2, False),
]
REJECTS: list[Row] = [(None, "a", 1, False), (None, "b", 1, False)]
FEEDS: dict[str, list[Row]] = {
    "every_key_once": [*SINGLES, *REJECTS],
    "few_keys_often": [*SINGLES, *MERGES[:4], *REJECTS],
    "changes_only": CHANGES,
    "with_merges": [*SINGLES[:2], *MERGES, *DELETES, *CHANGES],
    "with_ties": [*SINGLES, *MERGES, *TIES, *REJECTS],
    "nothing": [],
}
WINDOWS = {"every_key_once": set(), "few_keys_often": {"busy", "start", "version"}, "changes_only": {"start"}}
SETTINGS: dict[str, Any] = {"business_key": ["id"], "incremental_key": "t", "delete_when": "gone"}


@pytest.fixture
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("first")
    for feed, rows in FEEDS.items():
        project.execute(f"create table lake.{feed} (id integer, v varchar(10), t bigint, gone boolean)")
        for row in rows:
            values = ", ".join("null" if value is None else repr(value).lower() for value in row)
            project.execute(f"insert into lake.{feed} values ({values})")
        project.source(feed)
        select = f"select e.id, e.v, e.t, e.gone from {{{{ sluice.increment(source('lake', '{feed}')) }}}} as e"
        dependencies = [driving(feed, incremental_key="t")]
        for kind in ("scd1", "scd2"):
            tracked = {"scd_columns": ["v"]} if kind == "scd2" else {}
            project.model(f"{kind}_{feed}", select, materialized=kind, dependencies=dependencies, **tracked, **SETTINGS)
    return project


def _events(feed: str) -> list[Event]:
    return [
        Event(key=(str(key),), at=at, tie=0, is_delete=gone, content=(gone, v))
        for key, v, at, gone in FEEDS[feed]
        if key is not None
    ]


def _check(project: DbtProject) -> None:
    for feed, landed in FEEDS.items():
        events = _events(feed)
        rows = project.query(f"select id, v, t, valid_from, valid_to from dwh.scd2_{feed}")
        versions = {(int(v.key[0]), v.content[1], v.at, v.valid_from, v.valid_to) for v in oracle.scd2(events, (1,))}
        assert set(rows) == versions, feed
        assert len(rows) == len(versions)
        last = {(int(key[0]), content[1], at) for key, content, at, _ in oracle.scd1(events)}
        assert sorted(project.query(f"select id, v, t from dwh.scd1_{feed}"), key=str) == sorted(last, key=str), feed
        winners = {(event.key, event.at) for event in events}
        (side_count,) = project.query(f"select count(*) from sluice.dwh__scd2_{feed}__side")[0]
        assert side_count == len(winners) - len(versions), feed
        logged = project.query(
            f"select rows_read, rows_rejected, rows_inserted from sluice.load_log where target = 'dwh.scd2_{feed}' "
            "order by loaded_at desc limit 1"
        )
        assert logged == [(len(landed), len(landed) - len(events), len(versions))], feed


def test_first_loads_and_full_refreshes_give_the_oracles_rows(project: DbtProject) -> None:
    sent: dict[str, set[str]] = {feed: set() for feed in FEEDS}

    def hear(event: Any) -> None:
        if event.info.name != "SQLQuery" or not event.data.node_info.node_name.startswith("scd2_"):
            return
        for table in ("busy", "start", "version"):
            if f"create temporary table sluice_{table} " in event.data.sql:
                sent[event.data.node_info.node_name.removeprefix("scd2_")].add(table)

    result = run_dbt(project.root, ["--quiet", "run"], {}, callbacks=[hear])
    assert result.success, result.messages
    _check(project)
    for feed, tables in WINDOWS.items():
        assert sent[feed] == tables, feed
    result = project.run("--full-refresh")
    assert result.success, result.messages
    _check(project)
