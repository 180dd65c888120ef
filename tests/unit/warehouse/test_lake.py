"""Lake folders: what their token notices, how their columns are read, what is said of broken ones."""

from __future__ import annotations

import os
import shutil

import duckdb
import pytest

from flows.warehouse.columns import DuckDBColumns
from flows.warehouse.connection import Warehouse, open_warehouse
from flows.warehouse.lake.folder import change_token, list_files, list_folder, resolve_folder
from flows.warehouse.lake.footers import FooterMemory
from flows.warehouse.lake.shape import LakeColumns, LakeFooters
from flows.warehouse.profile import Profile
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import TableName
from tests.support.lake_files import land


def token(project: Project, location: str = "lake/a") -> str:
    return change_token(list_files(resolve_folder(project, location)))


@pytest.mark.parametrize(
    ("location", "path", "name"),
    [
        ("lake/a", "{root}/lake/a/b/c.parquet", "b/c.parquet"),
        ("lake/a/day=*", "{root}/lake/a/day=1/c", "day=1/c"),
        ("lake/*/x.parquet", "{root}/lake/b/x.parquet", "b/x.parquet"),
        ("lake/a/x.parquet", "{root}/lake/a/x.parquet", "x.parquet"),
        ("s3://bucket/lake/a", "s3://bucket/lake/a/b/c.parquet", "b/c.parquet"),
        ("s3://bucket/lake/a/day=*", "s3://bucket/lake/a/day=1/c", "day=1/c"),
        ("s3://bucket/lake/a*.parquet", "s3://bucket/lake/ab.parquet", "ab.parquet"),
    ],
)
def test_the_name_of_a_file_stands_where_the_folder_says(project: Project, location: str, path: str, name: str) -> None:
    start, rest = resolve_folder(project, location).name_starts_at
    assert (path.format(root=project.root)[start - 1 :], rest) == (name, 0)


def test_token_changes_with_files_added_rewritten_and_removed(project: Project) -> None:
    land(project, "a/1", "select 1 as i")
    tokens = [token(project)]
    land(project, "a/deep/2", "select 1 as i")
    tokens.append(token(project))
    land(project, "a/deep/2", "select 2 as i")
    tokens.append(token(project))
    (project.root / "lake/a/1.parquet").unlink()
    tokens.append(token(project))

    assert len(set(tokens)) == 4


def test_token_does_not_change_by_itself_or_with_other_files(project: Project) -> None:
    land(project, "a/1", "select 1 as i")
    before = token(project)
    (project.root / "lake/a/_SUCCESS").touch()

    assert token(project) == before == token(project, "lake/a/*.parquet") == token(project, "lake/a/1.parquet")


def test_token_notices_a_file_of_the_same_size_written_later(project: Project) -> None:
    land(project, "a/1", "select 1 as i")
    before = token(project)
    path = project.root / "lake/a/1.parquet"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    assert token(project) != before


def test_missing_folder_is_an_error_and_an_empty_one_is_not(project: Project) -> None:
    with pytest.raises(ValueError, match="lake/a does not exist"):
        list_files(resolve_folder(project, "lake/a"))
    (project.root / "lake" / "a").mkdir(parents=True)

    assert list_files(resolve_folder(project, "lake/a")) == ()


def look_at(project: Project, location: str, key: str | None = None) -> LakeColumns:
    footers = LakeFooters({}, FooterMemory(project.state_dir / "footers"))
    try:
        folder = resolve_folder(project, location)
        return footers.look_at(folder, list_folder(folder), key)
    finally:
        footers.close()


def test_location_outside_the_project_is_refused(project: Project) -> None:
    with pytest.raises(ValueError, match="leaves the project"):
        resolve_folder(project, "../elsewhere")


def test_columns_of_a_folder_are_those_of_its_files(project: Project) -> None:
    land(project, "a/1", "select 1::bigint as i, 'x' as name, timestamp '2013-01-01' as landed_at")
    land(project, "a/sub/2", "select 2::bigint as i, 'y' as name, timestamp '2013-01-01' as landed_at")

    columns = look_at(project, "lake/a").columns

    assert [(column.name, column.type) for column in columns] == [
        ("i", "bigint"),
        ("name", "varchar"),
        ("landed_at", "timestamp"),
    ]


def test_decimals_with_more_digits_than_duckdb_holds_are_not_called_doubles(project: Project) -> None:
    land(project, "a/1", "select 1.49::decimal(38,2) as amount, 1::double as d")
    (file,) = (project.root / "lake" / "a").glob("*.parquet")
    scale, digits, more_digits = b"\x15\x04", b"\x15\x4c", b"\x15\x64"  # of the footer: 2, 38 and 50
    file.write_bytes(file.read_bytes().replace(scale + digits, scale + more_digits))

    columns = look_at(project, "lake/a").columns

    assert [(column.name, column.type) for column in columns] == [("amount", "decimal(50,2)"), ("d", "double")]


@pytest.mark.parametrize(
    ("odd", "columns"),
    [
        ("select 1 as i", "i integer, name varchar"),
        ("select 'x' as name, 1 as i, 2.5 as extra", "i integer, name varchar, extra decimal(2,1)"),
        ("select 3000000000 as i, null as name", "i bigint, name varchar"),
        ("select 1.25 as i, 'x' as name", "i decimal(12,2), name varchar"),
    ],
    ids=["column missing", "another order and one more", "wider, and only NULL", "decimal"],
)
def test_files_may_differ_where_no_value_is_lost(project: Project, odd: str, columns: str) -> None:
    land(project, "a/1", "select 1 as i, 'x' as name")
    land(project, "a/2", "select 1 as i, 'x' as name")
    land(project, "a/odd", odd)

    found = look_at(project, "lake/a")

    assert ", ".join(f"{column.name} {column.type}" for column in found.columns) == columns
    assert found.is_mixed


def reasons(found: LakeColumns, *columns: str) -> list[str]:
    return [text for fault in found.faults if (text := fault.reason_for(columns or None)) is not None]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("select 'x' as i, 'x' as name", "i varchar, where 3.parquet has i integer"),
        ("select 1.5::double as i, 'x' as name", "i double, where 3.parquet has i integer"),
        ("select {'a': 1} as i, 'x' as name", "i STRUCT(a INTEGER), where 3.parquet has i integer"),
        ("select 1 as i, timestamp '2013-01-01' as name", "name timestamp, where 3.parquet has name varchar"),
    ],
)
def test_a_file_whose_values_would_change_is_left_out_by_who_reads_the_column(
    project: Project, odd: str, words: str
) -> None:
    land(project, "a/0_odd", odd)  # the older file is not the usual one, when there are more of the others
    for number in range(1, 4):
        land(project, f"a/{number}", "select 1 as i, 'x' as name")

    found = look_at(project, "lake/a")

    assert reasons(found) == [f"0_odd.parquet has {words}"]
    assert reasons(found, words[0]) == ([] if words.startswith("n") else [f"0_odd.parquet has {words}"])
    assert reasons(found, "elsewhere") == []
    assert [(column.name, column.type) for column in found.columns] == [("i", "integer"), ("name", "varchar")]


def test_a_file_of_another_source_is_left_out(project: Project) -> None:
    land(project, "a/1", "select 1 as i, timestamp '2013-01-01' as landed_at")
    land(project, "a/2", "select 1 as i, timestamp '2013-01-01' as landed_at")
    land(project, "a/no_key", "select 1 as i")
    assert reasons(look_at(project, "lake/a", "landed_at"), "landed_at") == [
        "no_key.parquet: it has i, and not landed_at, the incremental key"
    ]
    assert look_at(project, "lake/a").is_mixed
    assert not reasons(look_at(project, "lake/a"))
    land(project, "a/no_key", "select 'JFK' as airport")
    (reason,) = reasons(look_at(project, "lake/a"))
    assert reason == "no_key.parquet: it has airport, and not any column of 2.parquet"
    (project.root / "lake" / "a" / "1.parquet").write_bytes(b"no Parquet at all")
    assert "1.parquet: Invalid Input Error: No magic bytes" in reasons(look_at(project, "lake/a"))[0]


def test_of_two_files_the_older_one_is_the_usual_one(project: Project) -> None:
    for name in ("a", "b"):
        land(project, f"a/{name}", f"select 1 as {name}")
        os.utime(project.root / "lake" / "a" / f"{name}.parquet", (0, 0))
    for _ in range(10):
        assert reasons(look_at(project, "lake/a")) == ["b.parquet: it has b, and not any column of a.parquet"]


def test_columns_in_the_names_of_folders_are_columns_where_the_location_says_so(project: Project) -> None:
    for day, country in (("2013-01-01", "nz"), ("2013-01-02", "at")):
        land(project, f"a/day={day}/country={country}/1", "select 1::bigint as i")

    found = {
        location: [(column.name, column.type) for column in look_at(project, location).columns]
        for location in ("lake/a", "lake/a/day=*", "lake/a/day=*/country=*/*.parquet")
    }

    both = [("i", "bigint"), ("country", "varchar"), ("day", "date")]
    assert found == {"lake/a": both[:1], "lake/a/day=*": both, "lake/a/day=*/country=*/*.parquet": both}


def test_broken_and_empty_folders_are_explained(project: Project) -> None:
    (project.root / "lake" / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no Parquet file in lake/a"):
        look_at(project, "lake/a")
    (project.root / "lake" / "a" / "1.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(ValueError, match=r"no file of lake/a can be read, e.g. 1.parquet: .* No magic"):
        look_at(project, "lake/a")


def test_select_is_described_over_empty_tables(project: Project, duckdb_warehouse: Warehouse) -> None:
    columns = DuckDBColumns(project, lambda: duckdb_warehouse)
    orders = (Column(name="region", type="varchar(10)"), Column(name="amount", type="decimal(8,2)"))
    select = "select o.region, sum(o.amount) as total, count(*) as n from lake.orders as o group by o.region -- so many"

    described = columns.describe(select, {TableName("lake", "orders"): orders})

    assert [(column.name, column.type) for column in described] == [
        ("region", "varchar"),
        ("total", "decimal(38,2)"),
        ("n", "bigint"),
    ]
    with pytest.raises(ValueError, match="colour"):
        columns.describe("select colour from lake.orders", {TableName("lake", "orders"): orders})


def test_each_select_is_bound_over_its_own_columns_also_while_connected(
    project: Project, duckdb_warehouse: Warehouse
) -> None:
    columns = DuckDBColumns(project, lambda: duckdb_warehouse)
    orders = TableName("lake", "orders")
    select = "select amount from lake.orders"

    with columns.connected():
        found = [
            columns.describe(select, {orders: (Column(name="amount", type=type_),)})[0].type
            for type_ in ("integer", "varchar", "integer")
        ]
        with pytest.raises(ValueError, match="amount"):
            columns.describe(select, {orders: (Column(name="total", type="integer"),)})
        found.append(columns.describe(select, {orders: (Column(name="amount", type="date"),)})[0].type)

    assert found == ["integer", "varchar", "integer", "date"]


def test_warehouse_is_connected_to_once_and_let_go_at_the_end(project: Project, duckdb_profile: Profile) -> None:
    with duckdb.connect(duckdb_profile.values["path"]) as connection:
        connection.execute("create table orders (id integer)")
    connected: list[Warehouse] = []

    def connect() -> Warehouse:
        connected.append(open_warehouse(duckdb_profile, wait_seconds=0))
        return connected[-1]

    columns = DuckDBColumns(project, connect)
    source = SourceRow.model_validate({"schema": "main", "table": "orders", "kind": "warehouse"})

    with columns.connected():
        assert columns.source_columns(source) == columns.source_columns(source) == (Column(name="id", type="integer"),)
        assert len(connected) == 1
    duckdb.connect(duckdb_profile.values["path"]).close()  # to write: DuckDB refuses it while a reader is connected
    columns.source_columns(source)
    assert len(connected) == 2


def test_tables_that_are_asked_for_together_are_told_as_they_are_one_by_one(
    project: Project, duckdb_profile: Profile
) -> None:
    with duckdb.connect(duckdb_profile.values["path"]) as connection:
        connection.execute("create schema a; create schema b; create table a.t (i integer, j varchar)")
        connection.execute("create table b.t (x date); create table b.other (y date)")
    columns = DuckDBColumns(project, lambda: open_warehouse(duckdb_profile, wait_seconds=0))
    sources = [
        SourceRow.model_validate({"schema": schema, "table": "t", "kind": "warehouse"}) for schema in ("a", "b", "gone")
    ]
    lake = SourceRow.model_validate({"schema": "b", "table": "other", "kind": "lake", "location": "lake/a"})

    told = columns.columns_of_tables([*sources, lake])

    assert told == {source.name: columns.source_columns(source) for source in sources[:2]}


def test_warehouse_source_that_does_not_exist_is_said_so(project: Project, duckdb_profile: Profile) -> None:
    columns = DuckDBColumns(project, lambda: open_warehouse(duckdb_profile, wait_seconds=0))
    source = SourceRow.model_validate({"schema": "shop", "table": "orders", "kind": "warehouse"})

    with pytest.raises(ValueError, match=r"shop\.orders does not exist"):
        columns.source_columns(source)


def test_folder_that_vanishes_is_noticed(project: Project) -> None:
    land(project, "a/1", "select 1 as i")
    shutil.rmtree(project.root / "lake")

    with pytest.raises(ValueError, match="does not exist"):
        look_at(project, "lake/a")
