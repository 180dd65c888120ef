"""The read-only look into a warehouse, and the lock around the embedded one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlglot import exp

from flows.warehouse.columns import PostgresColumns
from flows.warehouse.connection import open_warehouse
from flows.warehouse.file_lock import Holder, read_holder, warehouse_lock
from flows.warehouse.kept import Kept
from flows.warehouse.load_log import companion_table, read_loads, read_state
from flows.warehouse.profile import Profile
from metadata_sync.errors import HardRunError, SoftRunError
from metadata_sync.project import Project
from metadata_sync.rows.model import Column
from metadata_sync.rows.names import TableName

WRITER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
HOLDER = """
import sys
from pathlib import Path
from flows.warehouse.file_lock import warehouse_lock
from flows.warehouse.profile import Profile
from metadata_sync.project import Project
profile = Profile("sluice", "dev", "duckdb", "dev", {"path": sys.argv[1]})
with warehouse_lock(Project(Path(sys.argv[1]).parent), profile, command="a long load", wait_seconds=0):
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(code: str, profile: Profile) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, str(profile.database_file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "open\n"
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


def one() -> exp.Select:
    return exp.select(exp.Literal.number(1))


def test_warehouse_without_a_file_is_an_empty_one(duckdb_profile: Profile) -> None:
    warehouse = open_warehouse(duckdb_profile, wait_seconds=0)

    state = read_state(warehouse, duckdb_profile, [TableName("dwh", "fact")], [])

    assert (state.existing, state.watermarks, state.heads) == (frozenset(), {}, {})
    assert read_loads(warehouse, duckdb_profile, run_id="r1") == ()
    assert not duckdb_profile.database_file.exists()


def test_file_that_another_process_writes_is_soft_and_names_it(duckdb_profile: Profile) -> None:
    with other_process(WRITER, duckdb_profile) as writer, pytest.raises(SoftRunError) as refused:
        open_warehouse(duckdb_profile, wait_seconds=0)
    assert "Another process is writing" in refused.value.message
    assert str(writer.pid) in refused.value.message

    warehouse = open_warehouse(duckdb_profile, wait_seconds=0)
    assert [tuple(row) for row in warehouse.query(one())] == [(1,)]
    warehouse.close()


def test_file_that_another_process_writes_is_waited_for(duckdb_profile: Profile) -> None:
    with other_process(WRITER, duckdb_profile) as writer:
        ticks = iter(range(100))

        def sleep(_: float) -> None:
            assert writer.stdin is not None
            writer.stdin.close()
            writer.wait(timeout=10)

        warehouse = open_warehouse(duckdb_profile, wait_seconds=5, clock=lambda: float(next(ticks)), sleep=sleep)
        assert [tuple(row) for row in warehouse.query(one())] == [(1,)]
        warehouse.close()


def test_file_that_is_no_database_is_a_hard_error(duckdb_profile: Profile) -> None:
    duckdb_profile.database_file.write_bytes(b"no database at all" * 1000)

    with pytest.raises(HardRunError, match="cannot be opened"):
        open_warehouse(duckdb_profile, wait_seconds=0)


def test_embedded_warehouse_is_opened_to_read_only(duckdb_profile: Profile) -> None:
    duckdb.connect(str(duckdb_profile.database_file)).close()
    warehouse = open_warehouse(duckdb_profile, wait_seconds=0)
    statement: Any = exp.Create(kind="schema", this=exp.table_("dwh"))

    with pytest.raises(HardRunError, match="read-only"):
        warehouse.query(statement)
    warehouse.close()


@pytest.mark.postgres
def test_server_is_opened_to_read_only_and_describes_without_tables(postgres_url: str) -> None:
    parts: dict[str, Any] = conninfo_to_dict(postgres_url)
    profile = Profile("sluice", "dev", "postgres", "dev", parts)
    warehouse = open_warehouse(profile, wait_seconds=0)
    statement: Any = exp.Create(kind="schema", this=exp.table_("dwh"))
    with pytest.raises(HardRunError, match="read-only"):
        warehouse.query(statement)
    warehouse.close()

    columns = PostgresColumns(profile, Kept(lambda: open_warehouse(profile, wait_seconds=0)))
    orders = (
        Column(name="region", type="varchar(10)"),
        Column(name="amount", type="numeric(8,2)"),
        Column(name="landed_at", type="timestamp"),
    )
    select = (
        "with per_region as (select o.region, sum(o.amount) as total, max(o.landed_at) as landed_at "
        "from lake.orders as o group by o.region) select p.region, p.total, p.landed_at, 1 as n from per_region as p"
    )
    described = columns.describe(select, {TableName("lake", "orders"): orders})

    assert [column.name for column in described] == ["region", "total", "landed_at", "n"]
    assert [column.type for column in described] == [
        "character varying(10)",
        "numeric",
        "timestamp without time zone",
        "integer",
    ]
    with pytest.raises(ValueError, match="colour"):
        columns.describe("select o.colour from lake.orders as o", {TableName("lake", "orders"): orders})


@pytest.mark.postgres
def test_state_is_read_from_a_server_under_its_environments_schemas(postgres_url: str) -> None:
    parts: dict[str, Any] = conninfo_to_dict(postgres_url)
    profile = Profile("sluice", "dev", "postgres", "dev", parts)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(b"""
            create schema dev_dwh; create table dev_dwh.fact (id bigint);
            create schema dev_sluice;
            create table dev_sluice.load_log (load_id varchar(64), target varchar(127));
            create view dev_sluice.watermark_control as select 'dwh.fact' as target, 'lake.a' as source,
                '2013-01-01 00:00:00.000000' as window_end, 3::bigint as lookback_count, null::bigint as source_epoch,
                'l2' as load_id, timestamp '2013-01-01' as loaded_at
                union all select 'dwh.fact', 'lake.b', 'x', 0, null, 'l1', timestamp '2013-01-02';
            create table dev_sluice.dwh__fact__head as select timestamp '2013-01-01' as loaded_at, 'abc' as fingerprint,
                'scd2 by (id) in order of (t) tracking a, b' as definition, 2::bigint as epoch;
        """)
    warehouse = open_warehouse(profile, wait_seconds=0)

    targets = [TableName("dwh", "fact"), TableName("dwh", "other")]
    state = read_state(warehouse, profile, targets, targets)

    assert state.existing == {TableName("dwh", "fact")}
    assert state.watermarks["dwh.fact", "lake.a"].band_count == 3
    head = state.heads["dwh.fact"]
    assert (head.fingerprint, head.tracks, head.epoch) == ("abc", "a, b", 2)
    assert state.logged == {"dwh.fact"}
    assert state.last_loads == {"dwh.fact": "l1"}, "the name of a load tells what its machine believed of the time"
    warehouse.close()


@pytest.mark.postgres
def test_server_that_does_not_answer_is_soft() -> None:
    profile = Profile("sluice", "dev", "postgres", "dev", {"host": "127.0.0.1", "port": 1, "connect_timeout": 1})

    with pytest.raises(SoftRunError, match=r"127\.0\.0\.1:1 cannot be reached"):
        open_warehouse(profile, wait_seconds=0)


def test_long_names_are_shortened_as_the_macros_do() -> None:
    assert companion_table(TableName("dwh", "fact"), "head") == "dwh__fact__head"
    long_name = companion_table(TableName("a" * 40, "b" * 40), "head")
    assert len(long_name) == 63
    assert long_name != companion_table(TableName("a" * 40, "b" * 41), "head")


def test_lock_is_held_once_per_process_and_says_by_whom(project: Project, duckdb_profile: Profile) -> None:
    with (
        warehouse_lock(project, duckdb_profile, command="outer", wait_seconds=0),
        warehouse_lock(project, duckdb_profile, command="inner", wait_seconds=0),
    ):
        holder = read_holder(project.state_dir / "warehouse-dev.lock")

    assert holder is not None
    assert (holder.pid, holder.command) == (os.getpid(), "outer")


def test_lock_of_another_process_is_named_and_freed_when_it_dies(project: Project, duckdb_profile: Profile) -> None:
    heard: list[str] = []
    with other_process(HOLDER, duckdb_profile) as holder:
        with (
            pytest.raises(SoftRunError, match=rf"in use by process {holder.pid} \(a long load\), since 20"),
            warehouse_lock(project, duckdb_profile, command="me", wait_seconds=0.2, on_wait=heard.append),
        ):
            pytest.fail("it was held by another process")
        holder.kill()
        holder.wait(timeout=10)
        with warehouse_lock(project, duckdb_profile, command="me", wait_seconds=5):
            pass

    assert len(heard) == 1


def test_servers_are_not_locked(project: Project) -> None:
    with warehouse_lock(project, Profile("s", "p", "postgres", "p", {}), command="me", wait_seconds=0):
        assert not project.state_dir.exists()


def test_holder_is_shown_with_its_time() -> None:
    holder = Holder(42, datetime(2013, 1, 1, tzinfo=UTC), "run r1")

    assert str(holder) == "process 42 (run r1), since 2013-01-01 00:00:00 UTC"
