"""A SELECT in Spark's words: what is written out, what is refused by name and line, and that bounds stay values."""

from __future__ import annotations

import re

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import Cut, spark_select

T = TableName("lake", "t")
COLUMNS = {
    "i": "integer", "n": "bigint", "d": "double", "m": "decimal(10,2)", "w": "decimal(38,30)", "s": "varchar",
    "b": "boolean", "day": "date", "other_day": "date", "at": "timestamp", "z": "timestamp with time zone",
    "ns": "timestamp_ns", "j": "json",
}  # fmt: skip


def said(select: str, dialect: str = "duckdb", cut: Cut | None = None) -> str:
    parsed, problems = parse_select(select, dialect)
    assert parsed is not None
    assert not problems
    text, refused = spark_select(parsed, dict.fromkeys(parsed.tables, COLUMNS), {} if cut is None else {T: cut})
    assert not refused, refused
    assert text is not None
    return text.replace("`", "")


def refused(select: str, dialect: str = "duckdb", outputs: dict[str, str] | None = None) -> list[str]:
    parsed, _ = parse_select(select, dialect)
    assert parsed is not None
    text, problems = spark_select(parsed, dict.fromkeys(parsed.tables, COLUMNS), {}, outputs)
    assert text is None
    assert all(problem.remedy for problem in problems)
    return [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("dialect", "expression", "expected"),
    [
        ("redshift", "i / n", "CAST((CAST(t.i AS BIGINT) DIV t.n) AS BIGINT)"),
        ("duckdb", "cast(d as integer)", "CAST(RINT(CAST(t.d AS DOUBLE)) AS INT)"),
        ("duckdb", "cast(m as bigint)", "CAST(ROUND(t.m) AS BIGINT)"),
        ("duckdb", "cast(i as bigint)", "CAST(t.i AS BIGINT)"),
        ("duckdb", "day - other_day", "CAST(DATEDIFF(t.day, t.other_day) AS BIGINT)"),
        ("duckdb", "i + n", "CAST((CAST(t.i AS BIGINT)) + (t.n) AS BIGINT)"),
        ("duckdb", "-m", "CAST(CAST(0 AS DECIMAL(10, 2)) - (t.m) AS DECIMAL(10, 2))"),
        ("duckdb", "s like 'a\\b'", "(t.s) LIKE ('a\\\\\\\\b')"),
        ("redshift", "s like 'a\\\\%'", "(t.s) LIKE ('a\\\\%')"),
        ("duckdb", "s like 'a!_' escape '!'", "(t.s) LIKE ('a\\\\_')"),
        ("duckdb", "sum(i)", "CAST(SUM(CAST(t.i AS BIGINT)) AS DECIMAL(38, 0))"),
        ("duckdb", "count(*) filter (where b)", "COUNT(CASE WHEN t.b THEN 1 END)"),
    ],
)
def test_what_differs_is_written_out(dialect: str, expression: str, expected: str) -> None:
    assert f"SELECT {expected} AS x FROM lake__t AS t" == said(f"select {expression} as x from lake.t", dialect)


@pytest.mark.parametrize(
    ("dialect", "expression", "part"),
    [
        ("duckdb", "list_aggregate([1], 'min')", "list_aggregate"),
        ("duckdb", "extract(decade from day)", "DECADE"),
        ("duckdb", "date_trunc('decade', at)", "DECADE"),
        ("duckdb", "cast(d as varchar)", "CAST\\(d AS TEXT\\) writes a number"),
        ("duckdb", "at - at", "not a number on Spark"),
        ("duckdb", "try_cast(s as integer)", "try_cast"),
        ("duckdb", "strftime(at, '%j')", "time_to_str"),
        ("redshift", "avg(i)", "cuts fractions off"),
        ("redshift", "listagg(s, ',')", "group_concat"),
        ("redshift", "m / n", "divides decimals"),
        ("redshift", "left(s, i)", "negative"),
        ("redshift", "substring(s, 0, 2)", "from the end"),
        ("duckdb", "cast(s as uuid)", "UUID"),
        ("duckdb", "nowhere", "could not be resolved"),
        ("duckdb", "s similar to 'a'", "similar_to|SIMILARTO"),
        ("duckdb", "s glob 'a'", "glob|GLOB"),
        ("duckdb", "s[1]", "BRACKET"),
        ("duckdb", "i = any(select 1)", "ANY"),
        ("duckdb", "sum(d)", "order of the rows"),
        ("duckdb", "count(distinct i) over ()", "distinct values over a window"),
        ("duckdb", "row_number() over ()", "no ORDER BY"),
        ("duckdb", "w * w", "38 digits"),
        ("duckdb", "cast(d as decimal(38, 2))", "18 digits"),
        ("duckdb", "i = b", "mixes boolean and integer"),
        ("duckdb", "ns", "timestamp_ns, a type that Spark does not have"),
        ("duckdb", "at at time zone 'EST'", "time zone"),
        ("duckdb", "case when i in (select n from lake.u) then 1 end", "takes NULL differently"),
        ("duckdb", "(select max(n) from lake.u where u.i = t.i)", "row outside"),
        ("duckdb", "first_value(s) over (order by i range between 1 preceding and current row)", "frame"),
        ("duckdb", "sum(i order by n)", "ORDER|order"),
        ("duckdb", "struct_pack(a := 1)", "struct"),
        ("duckdb", "round(m, i)", "not written out"),
        ("redshift", "s like r", "pattern that is not written out"),
        ("duckdb", "s like r escape '!'", "pattern that is not written out"),
        ("duckdb", "interval '1 day'", "INTERVAL"),
        ("duckdb", "at + interval '1 day ago'", "ends with ago"),
        ("duckdb", "timestamp '2013-01-01 24:00:00'", "reads '2013-01-01 24:00:00', which Spark reads differently"),
        ("duckdb", "date '2013-01-05 (BC)'", "reads '2013-01-05 .BC.', which Spark"),
        ("duckdb", "s ->> s", "path that is not written out"),
        ("duckdb", "s ->> '$.*'", "was not compared"),
        ("duckdb", "json_extract(s, '$.a')", "JSON|json"),
        ("redshift", "json_extract_path_text(s, 'a')", "JSON|json"),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_refused_by_name(dialect: str, expression: str, part: str) -> None:
    messages = refused(f"select {expression} as x from lake.t", dialect)

    assert any(re.search(part, message) for message in messages), messages


@pytest.mark.parametrize(
    ("select", "part"),
    [
        ("select i from lake.t limit 5", "LIMIT"),
        ("select i from lake.t offset 5", "OFFSET"),
        ("select distinct on (i) i, s from lake.t", "keeps rows by order"),
        ("select t.i from lake.t asof join lake.u on t.i >= u.i", "ASOF"),
        ("select t.i from lake.t positional join lake.u", "POSITIONAL"),
        ("select t.i from lake.t semi join lake.u using (i)", "SEMI"),
        ("select i from lake.t union by name select n as i from lake.u", "by name"),
        ("with recursive r as (select 1 as x union all select x + 1 from r) select x from r", "recursive"),
        ("select i from lake.t group by rollup (i)", "several sets"),
        ("select x.i from range(3) as x (i)", "FROM"),
        ("select i, j from lake.t", "json, a type"),
        ("select abs(i) as n, count(*) as c from lake.t group by n", "a column and an alias"),
    ],
)
def test_clauses_are_refused_by_name(select: str, part: str) -> None:
    messages = refused(select)

    assert any(re.search(part, message) for message in messages), messages


def test_every_problem_is_told_at_once_with_its_line() -> None:
    messages = refused("select list_sum(s) as a,\n at - at as b,\n cast(d as varchar) as c\nfrom lake.t")

    assert [message.partition(":")[0] for message in messages] == ["Line 1", "Line 2", "Line 3"]


def test_columns_of_odd_types_that_are_not_read_do_not_matter() -> None:
    assert said("select i from lake.t") == "SELECT t.i AS i FROM lake__t AS t"


def test_the_result_is_cast_to_the_column_list_as_the_warehouse_casts() -> None:
    parsed, _ = parse_select("select sum(i) as x from lake.t", "duckdb")
    assert parsed is not None
    text, _ = spark_select(parsed, {T: COLUMNS}, {}, {"x": "bigint"})

    assert text is not None
    assert text.startswith("SELECT CAST(`sluice_result`.`x` AS BIGINT) AS `x` FROM (SELECT")
    (message,) = refused("select d as x from lake.t", outputs={"x": "varchar"})
    assert "binary fraction" in message


def test_text_beside_numbers_is_text_in_a_set_operation() -> None:
    text = said("select s from lake.t union all select i from lake.u")

    assert "CAST(sluice_side.sluice_0 AS STRING) AS s" in text


def test_a_window_cuts_its_source_and_no_other() -> None:
    select = "select t.i, u.s from lake.t left join lake.u as u on u.i = t.i"
    cut = Cut("at", "timestamp", "2013-01-01 00:00:00.000000", "2013-01-02 00:00:00.000000")

    assert said(select, cut=cut) == (
        "SELECT t.i AS i, u.s AS s FROM (SELECT * FROM lake__t"
        " WHERE at >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP_NTZ)"
        " AND at <= CAST('2013-01-02 00:00:00.000000' AS TIMESTAMP_NTZ)) AS t LEFT JOIN lake__u AS u ON (u.i) = (t.i)"
    )


@pytest.mark.parametrize(
    ("cut", "condition"),
    [
        (Cut("n", "integer", "5", "9"), "n >= 5 AND n <= 9"),
        (Cut("n", "integer", "5", "9", is_open=True), "n > 5 AND n <= 9"),
        (Cut("day", "date", None, "2013-01-02"), "day <= CAST('2013-01-02' AS DATE)"),
        (Cut("z", "timestamptz", None, "2013-01-02+00"), "z <= CAST('2013-01-02+00' AS TIMESTAMP_LTZ)"),
        (Cut("n", "integer", None, None), "FALSE"),
        (Cut(is_empty=True), "FALSE"),
        (Cut("s", "timestamp", None, "' or 1=1 --"), "s <= CAST('\\' or 1=1 --' AS TIMESTAMP_NTZ)"),
    ],
)  # fmt: skip
def test_bounds_become_literals(cut: Cut, condition: str) -> None:
    assert (
        said("select t.i from lake.t", cut=cut)
        == f"SELECT t.i AS i FROM (SELECT * FROM lake__t WHERE {condition}) AS t"
    )


def test_names_are_quoted() -> None:
    parsed, _ = parse_select('select t.i as "a`b" from lake.t', "duckdb")
    assert parsed is not None
    text, _ = spark_select(parsed, {T: COLUMNS}, {T: Cut("a`b", "date", None, "2013-01-02")})

    assert text is not None
    assert "AS `a``b` FROM (SELECT * FROM `lake__t` WHERE `a``b` <=" in text


def test_groups_that_a_window_touches_are_read_whole() -> None:
    cut = Cut("at", "date", "2013-01-01", "2013-01-02", group=("s", "i"))

    assert said("select t.i from lake.t", cut=cut) == (
        "SELECT t.i AS i FROM (SELECT sluice_source.* FROM lake__t AS sluice_source JOIN ("
        "SELECT DISTINCT CAST(s AS STRING) AS sluice_group_1, CAST(i AS INT) AS sluice_group_2 FROM lake__t"
        " WHERE at >= CAST('2013-01-01' AS DATE) AND at <= CAST('2013-01-02' AS DATE)) AS sluice_touched"
        " ON sluice_source.s IS NOT DISTINCT FROM sluice_touched.sluice_group_1"
        " AND sluice_source.i IS NOT DISTINCT FROM sluice_touched.sluice_group_2"
        " WHERE NOT sluice_source.at IS NULL) AS t"
    )
    first = Cut("at", "date", None, "2013-01-02", group=("s",))
    assert said("select t.i from lake.t", cut=first) == (
        "SELECT t.i AS i FROM (SELECT sluice_source.* FROM lake__t AS sluice_source"
        " WHERE NOT sluice_source.at IS NULL) AS t"
    )


def test_a_source_in_a_common_table_expression_is_cut_there() -> None:
    select = "with t as (select x.i, x.at from lake.t as x) select t.i from t"

    assert said(select, cut=Cut("n", "integer", None, "9")) == (
        "WITH t(i, at) AS (SELECT x.i AS i, x.at AS at FROM (SELECT * FROM lake__t WHERE n <= 9) AS x) "
        "SELECT t.i AS i FROM t AS t"
    )
