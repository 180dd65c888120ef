"""Every expression that may go to Spark means there what it means on DuckDB, on odd values and folders' names, too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from flows.spark.backend import JobEnd, Order
from flows.spark.jobs import SparkJob, spark_location
from flows.spark.local import LocalBackend
from flows.spark.results import read_end
from flows.spark.settings import SparkSettings
from flows.spark.sizing.sizing import Bounds
from metadata_sync.analysis.lake_location import read_parquet
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import spark_select, spark_type
from tests.support.random_groups import GroupCase, random_case

ROWS = """
select * from (values
    (1, 7, 2, 2.5, 1.005, 'Ab c', true, date '2013-01-31', date '2012-02-29', timestamp '2013-01-31 23:59:59.123456'),
    (2, -7, 2, -2.5, -1.015, '', false, date '2000-02-29', date '2013-12-31', timestamp '1999-12-31 00:00:00'),
    (3, 0, 3, 3.5, 0, 'żółw', null, date '1970-01-01', date '1969-12-31', timestamp '1970-01-01 00:00:00'),
    (4, null, 5, null, null, null, true, null, date '2013-03-10', null),
    (5, 2147483647, 1, 1e15, 99999.99, ' x ', false, date '2013-07-04', date '2013-07-04',
     timestamp '2013-03-10 02:30:00')
) as t (id, i, j, d, m, s, b, day, other_day, moment)
"""
TYPES = {
    "id": "integer", "i": "integer", "j": "integer", "d": "double", "m": "decimal(10,3)", "s": "varchar",
    "b": "boolean", "day": "date", "other_day": "date", "moment": "timestamp",
}  # fmt: skip
LAKE = SourceRow(schema="lake", table="t", kind="lake", location="lake/day=*", format="parquet")
EXPRESSIONS = {
    "division": ("i / j", "double"),
    "whole": ("cast(d as bigint)", "bigint"),
    "whole_of_decimal": ("cast(m as integer)", "integer"),
    "declared_whole": ("d", "bigint"),
    "declared_whole_of_decimal": ("m", "integer"),
    "shorter": ("cast(m as decimal(10, 1))", "decimal(10,1)"),
    "text": ("cast(i as varchar) || '|' || cast(day as varchar) || '|' || cast(m as varchar)", "varchar"),
    "moment_text": ("cast(moment as varchar)", "varchar"),
    "case_when": ("case when b then 'y' when not b then 'n' else '?' end", "varchar"),
    "coalesced": ("coalesce(s, 'none')", "varchar"),
    "nulled": ("nullif(s, '')", "varchar"),
    "lowered": ("lower(s) || upper(coalesce(s, 'ż'))", "varchar"),
    "trimmed": ("trim(s)", "varchar"),
    "part": ("substring(s, 2, 2)", "varchar"),
    "lengths": ("length(s)", "bigint"),
    "together": ("concat(s, '-', s)", "varchar"),
    "other_letters": ("replace(s, 'b', 'xx')", "varchar"),
    "ends": ("left(s, 1) || right(s, 1)", "varchar"),
    "positive": ("abs(i)", "integer"),
    "up_and_down": ("ceil(d) + floor(d)", "double"),
    "rounded": ("round(m, 1)", "decimal(10,1)"),
    "signed": ("sign(d)", "integer"),
    "made_day": ("make_date(2013, j, 1)", "date"),
    "made_moment": ("make_timestamp(2013, j, 3, 4, 5, 0) + i % 100 * interval '1 minute'", "timestamp"),
    "of_month": ("date_trunc('month', moment)", "timestamp"),
    "of_hour": ("date_trunc('hour', moment)", "timestamp"),
    "day_of_month": ("date_trunc('quarter', day)", "date"),
    "parts": ("extract(year from moment) * 100 + extract(month from day)", "bigint"),
    "year_and_more": ("year(day) + month(day) + day(day) + hour(moment) + minute(moment) + quarter(day)", "bigint"),
    "days_between": ("day - other_day", "bigint"),
    "later": ("day + interval '1 month'", "timestamp"),
    "alike": ("s like '%b%' or s in ('', ' x ')", "boolean"),
    "between_them": ("day between date '2000-01-01' and other_day", "boolean"),
    "without_null": ("i is not distinct from null", "boolean"),
    "remainder": ("i % j", "integer"),
    "numbered": ("row_number() over (order by s desc, id)", "bigint"),
    "ranked": ("rank() over (order by b) * 10 + dense_rank() over (order by b)", "bigint"),
    "neighbours": ("coalesce(lag(i) over (order by id), -1) + coalesce(lead(i) over (order by id), -2)", "bigint"),
    "first_and_last": ("first_value(s) over (order by id) || last_value(id) over (order by id)", "varchar"),
    "running": ("sum(m) over (order by id)", "decimal(38,3)"),
    "highest": ("max(d) over (partition by b) - min(d) over (partition by b)", "double"),
    "counted": ("count(*) over () + count(i) over ()", "bigint"),
    "mean": ("avg(m) over (partition by j)", "double"),
    "mean_of_whole": ("avg(i) over ()", "double"),
    "there": ("exists (select 1 from lake.t as u where u.j = t.i)", "boolean"),
    "all_of_them": ("b and i > 0 or j = 5", "boolean"),
}  # fmt: skip


@dataclass(frozen=True)
class OnSpark:
    """One spark-submit: every expression; a small SELECT twice as one attempt, then as another; increments by groups.

    Attributes:
        expected: DuckDB's rows.
        values: How the expressions ended.
        attempts: How the small SELECT ended, by attempt, as it was told afterwards.
        folder: Where that put its files.
        groups: How the increments by groups ended.
    """

    expected: list[tuple[object, ...]]
    values: JobEnd
    attempts: dict[str, JobEnd]
    folder: Path
    groups: list[tuple[GroupCase, JobEnd]]


@pytest.fixture(scope="module")
def on_spark(tmp_path_factory: pytest.TempPathFactory) -> OnSpark:
    folder = tmp_path_factory.mktemp("values")
    select = "select t.id as id, " + ", ".join(f"{text} as {name}" for name, (text, _) in EXPRESSIONS.items())
    parsed, problems = parse_select(f"{select} from lake.t as t", "duckdb")
    assert parsed is not None
    assert not problems
    sql, refused = spark_select(parsed, {TableName("lake", "t"): TYPES}, {})
    assert sql is not None, refused
    casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, (_, kind) in EXPRESSIONS.items())
    with duckdb.connect() as connection:
        typed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in TYPES.items())
        options = "(format parquet, partition_by (day))"
        connection.execute(f"copy (select {typed} from ({ROWS})) to '{folder}/lake' {options}")
        files = read_parquet(f"{folder}/lake/day=*/*.parquet", is_partitioned=True)
        connection.execute(f"create schema lake; create view lake.t as from {files}")
        expected = connection.execute(f"select {casts} from ({select} from lake.t as t) order by id").fetchall()
    kinds = [("id", "INT"), *((name, str(spark_type(kind, "duckdb"))) for name, (_, kind) in EXPRESSIONS.items())]
    values = _job(folder, SparkSelect(sql, (LAKE,), tuple(kinds)), "a.b", "zero")
    small = SparkSelect("select t.id from lake__t as t", (LAKE,), (("id", "INT"),))
    attempts = [_job(folder, small, "a.c", attempt) for attempt in ("one", "one", "two")]
    cluster = LocalBackend(folder / "state", SparkSettings(local_cores=1)).start(
        Order("run", "dev", "default", "tester", None, Bounds()), lambda _: None, lambda *_: None
    )
    cases = [random_case(number) for number in (0, 1, 3, 6, 9)]  # a first load, nothing touched, some, NULL among them
    ends = cluster.run([values, *attempts, *(case.job(folder) for case in cases)])
    cluster.close()
    told = {job.attempt: end for job in attempts if (end := read_end(job, datetime.now(UTC))) is not None}
    groups = [(case, ends[f"g.c{case.number}"]) for case in cases]
    return OnSpark(expected, ends["a.b"], told, Path(attempts[0].folder), groups)


def _job(folder: Path, select: SparkSelect, target: str, attempt: str) -> SparkJob:
    output = str(folder / "out" / target.replace(".", "__"))
    return SparkJob(target, attempt, select, {"lake__t": spark_location(Project(folder), LAKE)}, output, 1)


def test_every_expression_means_the_same_on_both(on_spark: OnSpark) -> None:
    result = on_spark.values.result
    assert result is not None, on_spark.values.error
    assert result.row_count == 5
    with duckdb.connect() as connection:
        rows = f"select {', '.join(EXPRESSIONS)} from read_parquet('{result.pattern}') order by id"
        found = connection.execute(rows).fetchall()

    both = {
        name: ([row[place] for row in on_spark.expected], [row[place] for row in found])
        for place, name in enumerate(EXPRESSIONS)
    }
    assert {name: pair for name, pair in both.items() if pair[0] != pair[1]} == {}
    assert sum(value is not None for expected, _ in both.values() for value in expected) > 150


def test_attempts_that_ran_twice_or_late_leave_one_whole_result_each(on_spark: OnSpark) -> None:
    executions = [path.name for path in on_spark.folder.iterdir() if path.is_dir()]
    assert sorted(name.rpartition("-")[0] for name in executions) == ["attempt=one", "attempt=one", "attempt=two"]
    assert list(on_spark.attempts) == ["one", "two"]
    for end in on_spark.attempts.values():
        assert end.result is not None
        assert end.result.row_count == 5
        (entry,) = json.loads(Path(end.result.manifest).read_text())["entries"]
        assert [Path(entry["url"])] == list(Path(end.result.pattern).parent.glob("*.parquet"))


def test_increments_by_groups_compute_touched_groups_whole_and_name_them(on_spark: OnSpark) -> None:
    partial = 0
    for case, end in on_spark.groups:
        assert end.result is not None, end.error
        assert _rows(end.result.pattern) == case.expected, case
        groups, touched = end.result.groups, case.touched
        assert (groups is None) == (touched is None)
        if groups is not None and touched is not None:
            assert _rows(groups.pattern) == sorted(((k,) for k in touched), key=repr)
            partial += 0 < len(touched) < len({k for rows in case.rows.values() for k, _, _ in rows})
    assert partial == 2


def _rows(pattern: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        files = f"read_parquet('{pattern}', hive_partitioning = false)"
        return sorted(connection.execute(f"select * from {files}").fetchall(), key=repr)
