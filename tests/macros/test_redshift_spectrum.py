"""The stand-in reads external tables from S3, as Spectrum does."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import redshift_connector

from tests.redshift_standin.server import Standin
from tests.support.redshift_project import connect


def _put(standin: Standin, folder: Path, key: str, select: str) -> None:
    file = folder / "rows.parquet"
    duckdb.sql(f"copy ({select}) to '{file}' (format parquet)")
    standin.lake.client.put_object(Bucket="lake", Key=key, Body=file.read_bytes())


def _ask(standin: Standin, *statements: str) -> list[list[object]]:
    with connect(standin.profile()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [list(row) for row in cursor.fetchall()]


@pytest.fixture
def standin(redshift_standin: Standin) -> Standin:
    redshift_standin.lake.client.create_bucket(Bucket="lake")
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        cursor.execute("create external schema spectrum from data catalog database 'd' iam_role default")
        cursor.execute(
            "create external table spectrum.t (id int, note varchar(20)) stored as parquet location 's3://lake/t/'"
        )
        stored = "stored as parquet location 's3://lake/p/'"
        cursor.execute(f"create external table spectrum.p (id int) partitioned by (day date) {stored}")
    return redshift_standin


def test_rows_are_those_of_the_files_and_name_them(standin: Standin, tmp_path: Path) -> None:
    _put(standin, tmp_path, "t/a.parquet", "select 1::int as id, 'a' as note, 5 as other")
    _put(standin, tmp_path, "t/sub/b", "select 2::int as ID")
    for hidden in ("_SUCCESS", ".d.parquet", "e.parquet~", "#f"):
        _put(standin, tmp_path, f"t/{hidden}", "select 9::int as id")

    assert _ask(standin, "select * from spectrum.t order by id") == [[1, "a"], [2, None]]
    by_file = """select t."$path", count(*), max("$size") > 0 from spectrum.t as t where "$path" <> 'x' group by 1"""
    assert sorted(_ask(standin, by_file)) == [["s3://lake/t/a.parquet", 1, True], ["s3://lake/t/sub/b", 1, True]]
    one = """select id from (select * from spectrum.t where "$path" in ('s3://lake/t/sub/b')) as f"""
    assert _ask(standin, one) == [[2]]

    _put(standin, tmp_path, "t/a.parquet", "select i::int as id, 'n' as note from range(3, 5) as r(i)")
    standin.lake.client.delete_object(Bucket="lake", Key="t/sub/b")
    assert _ask(standin, "select * from spectrum.t order by id") == [[3, "n"], [4, "n"]]


def test_files_outside_registered_partitions_are_not_seen(standin: Standin, tmp_path: Path) -> None:
    for day in (1, 2):
        _put(standin, tmp_path, f"p/day=2013-01-0{day}/a.parquet", f"select {day}::int as id")
    assert _ask(standin, "select count(*) from spectrum.p") == [[0]]

    added = (
        "alter table spectrum.p add if not exists partition (day='2013-01-02') location 's3://lake/p/day=2013-01-02/'"
    )
    _ask(standin, added, "select 1")
    places = "select values, location from svv_external_partitions where tablename = 'p'"
    assert _ask(standin, places) == [['["2013-01-02"]', "s3://lake/p/day=2013-01-02/"]]
    assert _ask(standin, "select id, cast(day as varchar) from spectrum.p") == [[2, "2013-01-02"]]
    assert _ask(standin, "select location from svv_external_tables where tablename = 'p'") == [["s3://lake/p/"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [("select 'x' as id", "incompatible Parquet schema for column"), ("", "is not a Parquet file")],
)
def test_a_file_that_does_not_fit_fails_the_statement(
    standin: Standin, tmp_path: Path, body: str, message: str
) -> None:
    if body:
        _put(standin, tmp_path, "t/a.parquet", body)
    else:
        standin.lake.client.put_object(Bucket="lake", Key="t/a.parquet", Body=b"no parquet")
    with pytest.raises(redshift_connector.Error, match=message):
        _ask(standin, "select * from spectrum.t")
    assert _ask(standin, "select 1") == [[1]]
