"""Rows and watermark commit together or not at all, and of two loads of one target the second loses cleanly."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import duckdb
import pytest

from tests.support.dbt_project import DbtProject, driving

SELECT = "select e.id, e.v, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
KINDS = ("scd1", "scd2", "append", "range")
BEFORE_LOG = "    {%- do parts.append(sluice.insert_log_sql(load)) -%}"


@pytest.fixture
def project(make_project: Callable[[str], DbtProject]) -> DbtProject:
    project = make_project("transactions")
    project.execute("create table lake.events as select 1 as id, 'a' as v, timestamp '2024-01-01' as t")
    project.source("events")
    settings = {"incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}
    for kind in KINDS:
        key = {} if kind == "range" else {"business_key": ["id"]}
        materialized = "append" if kind == "range" else kind
        project.model(kind, SELECT, materialized=materialized, **key, **settings)
    return project


def _state(project: DbtProject) -> list[list[tuple[object, ...]]]:
    tables = [f"dwh.{kind}" for kind in KINDS]
    tables += [f"sluice.dwh__{kind}__{part}" for kind in KINDS for part in ("side", "head", "rejects")]
    return [project.query(f"select * from {table} order by all") for table in [*tables, "sluice.load_log"]]


def _change_source(project: DbtProject) -> None:
    project.execute(
        "insert into lake.events values (1, 'b', '2024-01-02'), (2, 'c', '2024-01-02'), (null, 'd', '2024-01-02')"
    )


def test_nothing_commits_when_a_load_fails_just_before_its_log_row(project: DbtProject) -> None:
    assert project.run().success
    before = _state(project)
    _change_source(project)
    path = "load/commit_load.sql"
    failure = "{%- do parts.append(\"select cast('the cluster died ' || load_id as integer) from \" ~ load.head) -%}"
    project.patch_macro(path, BEFORE_LOG, failure + "\n" + BEFORE_LOG)
    failed = project.run()
    assert not failed.success
    assert all("the cluster died" in failed.messages[kind] for kind in KINDS)
    assert _state(project) == before

    project.patch_macro(path, failure + "\n" + BEFORE_LOG, BEFORE_LOG)
    assert project.run().success
    assert project.query("select count(*) from sluice.load_log") == [(8,)]
    assert project.query("select id, v from dwh.scd1 order by id") == [(1, "b"), (2, "c")]
    assert project.query("select id, v from dwh.range order by t, id") == [(1, "a"), (1, "b"), (2, "c"), (None, "d")]


def test_second_load_loses_when_another_committed_since_it_read_the_head(project: DbtProject) -> None:
    assert project.run().success
    _change_source(project)
    before = _state(project)
    path = "strategies/staging/stage_increment.sql"
    stage = "    {%- set counts = sluice.count_staged(load) -%}"
    rival = "{%- do sluice.run_step(load, none, 'update ' ~ load.head ~ \" set load_id = 'rival'\") -%}"
    project.patch_macro(path, stage, stage + rival)
    lost = project.run()
    assert not lost.success
    for kind in KINDS:
        assert f"sluice: another load of dwh.{kind} committed first (rival)" in lost.messages[kind]
    assert _state(project)[: len(KINDS)] == before[: len(KINDS)]
    assert _state(project)[-1] == before[-1]


def test_second_of_two_simultaneous_writers_fails_and_leaves_nothing(project: DbtProject) -> None:
    """Both stage, both write, neither has committed: DuckDB itself refuses the second, before the guard can speak."""
    assert project.run().success
    _change_source(project)
    project.execute("checkpoint")
    before = project.root / "before" / project.warehouse.name
    before.parent.mkdir()
    shutil.copy(project.warehouse, before)
    assert project.run("--select", "scd2").success
    expected = project.query("select id, v, valid_to from dwh.scd2 order by all")
    script, _, _ = (project.root / "target/run/sluice/models/scd2.sql").read_text().rpartition("commit;")
    with duckdb.connect(str(before)) as first, first.cursor() as second:
        first.execute(script)
        with pytest.raises(duckdb.TransactionException, match=r"[Cc]onflict"):
            second.execute(re.sub(r"(when load_id = '[^']+' then) '[^']+'", r"\1 'second'", script, count=1))
        second.execute("rollback")
        first.execute("commit")
        assert second.execute("select id, v, valid_to from dwh.scd2 order by all").fetchall() == expected
        assert second.execute("select count(*) from sluice.load_log where target = 'dwh.scd2'").fetchall() == [(2,)]


def test_row_counts_and_watermark_stand_in_the_log_when_a_load_commits(project: DbtProject) -> None:
    assert project.run(env={"SLUICE_RUN_ID": "run-1"}).success
    _change_source(project)
    assert project.run(env={"SLUICE_RUN_ID": "run-2"}).success
    columns = "run_id, target, source, window_start, window_end, rows_read, rows_inserted, rows_updated, rows_closed"
    first, second = "2024-01-01 00:00:00.000000", "2024-01-02 00:00:00.000000"
    assert project.query(
        f"select {columns}, rows_rejected from sluice.load_log where target = 'dwh.scd2' order by loaded_at"
    ) == [
        ("run-1", "dwh.scd2", "lake.events", None, first, 1, 1, 0, 0, 0),
        ("run-2", "dwh.scd2", "lake.events", first, second, 4, 2, 0, 1, 1),
    ]
    assert project.query("select target, window_end, lookback_count from sluice.watermark_control order by 1") == [
        (f"dwh.{kind}", second, 3) for kind in sorted(KINDS)
    ]
    stamps = "select distinct l.loaded_at = t._sluice_loaded_at, t._sluice_run_id from sluice.load_log l"
    assert project.query(f"{stamps} join dwh.scd1 t on l.run_id = 'run-2' and l.target = 'dwh.scd1'") == [
        (True, "run-2")
    ]


def test_rows_stay_without_a_watermark_when_the_log_is_written_after_the_commit(project: DbtProject) -> None:
    """The mutant that the tests above exist for: they would see its rows committed."""
    assert project.run().success
    before = _state(project)
    _change_source(project)
    path = "load/commit_load.sql"
    project.patch_macro(path, BEFORE_LOG, "")
    commit = "{%- do adapter.commit() -%}\n        {#- COMMIT happened here -#}"
    log = "{%- call statement('log') -%} select cast('the cluster died' as integer) {%- endcall -%}"
    project.patch_macro(path, commit, commit + log)
    assert not project.run().success
    assert _state(project) != before
