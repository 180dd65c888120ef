"""Which columns a SELECT yields."""

from __future__ import annotations

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.columns import output_columns
from metadata_sync.sql.expressions import delete_when_problems, is_type

TABLES = {TableName("lake", "flights"): ("a", "b"), TableName("lake", "planes"): ("a", "c")}


def columns(text: str, *, is_known: bool = True) -> tuple[str, ...] | None:
    select, _ = parse_select(text, "duckdb")
    assert select is not None
    names, problems = output_columns(select, TABLES if is_known else {})
    assert problems == ()
    return names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select a, b as x, 1 as y from lake.flights", ("a", "x", "y")),
        ("select A, B as X from lake.flights", ("a", "X")),
        ("select * from lake.flights", ("a", "b")),
        ("from lake.flights", ("a", "b")),
        ("select f.*, p.c from lake.flights f join lake.planes p using (a)", ("a", "b", "c")),
        ("select * from lake.flights join lake.planes using (a)", ("a", "b", "c")),
        ("select * exclude (b) from lake.flights", ("a",)),
        ("select * replace (1 as b) from lake.flights", ("a", "b")),
        ("with x as (select *, 1 as z from lake.flights), y as (select * from x) select * from y", ("a", "b", "z")),
        ("select * from (select c as d from lake.planes)", ("d",)),
        ("select a from lake.flights union all select c from lake.planes", ("a",)),
        ("(select b from lake.flights)", ("b",)),
        ("select (select max(c) from lake.planes) as m from lake.flights", ("m",)),
        ("with flights as (select 1 as q) select * from flights", ("q",)),
        ("select f.payload.name from lake.flights f", ("name",)),
    ],
)
def test_columns_are_named_in_order(text: str, expected: tuple[str, ...]) -> None:
    assert columns(text) == expected


def test_star_over_an_unknown_table_is_unknown() -> None:
    assert columns("select * from lake.flights", is_known=False) is None
    assert columns("with x as (select *, 1 as z from lake.flights) select * from x", is_known=False) is None
    assert columns("with x as (select * from lake.flights) select x.a from x", is_known=False) == ("a",)
    assert columns("select columns('a.*') from lake.flights") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("select a + 1 from lake.flights", "unnamed_column"),
        ("select a::date from lake.flights", "unnamed_column"),
        ("select count(*) from lake.flights", "unnamed_column"),
        ("select a, b as a from lake.flights", "duplicate_column"),
        ('select a as "Tail Number" from lake.flights', "column_name"),
        ('select a as "x""; drop" from lake.flights', "column_name"),
    ],
)
def test_column_without_a_usable_name_is_refused(text: str, rule: str) -> None:
    select, _ = parse_select(text, "duckdb")
    assert select is not None
    names, problems = output_columns(select, TABLES)
    assert names is None
    assert {problem.rule for problem in problems} == {rule}


@pytest.mark.parametrize("text", ["op = 'D'", "is_deleted", "a > 1 and b in (1, 2)", "comment = 'x'", "a = '--'"])
def test_delete_when_is_accepted_when_it_is_one_condition(text: str) -> None:
    assert delete_when_problems(text, "duckdb", {"op", "is_deleted", "a", "b", "comment"}) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "operation = 'D'; drop table x",
        "operation = 'D') or (1 = 1",
        "operation = 'D' -- or",
        "operation = 'D' /* or */",
        "operation in (select 1)",
        "exists (select 1)",
        "f.operation = 'D'",
        "operatoin = 'D'",
        "count(*) > 1",
        "row_number() over (partition by a order by a) = 1",
        "a < now()",
        "pg_read_file('x') = operation",
        "operation = 'D' as x",
        "a = ?",
        "a = '/* sluice:window */'",
        "true, true",
    ],
)
def test_delete_when_is_refused_when_it_is_more_than_a_condition(text: str) -> None:
    assert delete_when_problems(text, "duckdb", {"operation", "a"})


@pytest.mark.parametrize(
    "text",
    ["varchar(10)", "decimal(5, 2)", "timestamp with time zone", "struct(a integer, b varchar[])", "enum('a', 'b')"],
)
def test_type_is_known(text: str) -> None:
    assert is_type(text, "duckdb")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "varchr(10)",
        "int; drop table x",
        "int) as x, (select 1",
        "int -- x",
        "int /* x */",
        "int default 5",
        "int null",
        "int collate x",
        "{{ x }}",
        "int as x",
        "select 1",
        "interval '1' day",
    ],
)
def test_type_is_refused_when_it_is_more_than_a_type(text: str) -> None:
    assert not is_type(text, "duckdb")
