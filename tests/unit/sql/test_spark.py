"""A SELECT in Spark's words: what is written out, what is refused, and that hostile bounds stay values."""

from __future__ import annotations

import re

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import Cut, spark_select

T = TableName("lake", "t")
COLUMNS = {
    "i": "integer", "n": "bigint", "d": "double", "m": "decimal(10,2)", "s": "varchar", "b": "boolean",
    "day": "date", "other_day": "date", "at": "timestamp", "z": "timestamp with time zone",
}  # fmt: skip


def said(select: str, dialect: str = "duckdb", cut: Cut | None = None) -> str:
    parsed, problems = parse_select(select, dialect)
    assert parsed is not None
    assert not problems
    text, refused = spark_select(parsed, dict.fromkeys(parsed.tables, COLUMNS), {} if cut is None else {T: cut})
    assert not refused, refused
    assert text is not None
    return text


def refused(select: str, dialect: str = "duckdb") -> list[str]:
    parsed, _ = parse_select(select, dialect)
    assert parsed is not None
    text, problems = spark_select(parsed, {T: COLUMNS}, {})
    assert text is None
    return [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("dialect", "expression", "expected"),
    [
        ("duckdb", "i / n", "CAST(t.i AS DOUBLE) / CAST(t.n AS DOUBLE)"),
        ("redshift", "i / n", "(t.i) DIV (t.n)"),
        ("redshift", "m / n", "t.m / t.n"),
        ("duckdb", "cast(d as integer)", "CAST(BROUND(t.d) AS INT)"),
        ("duckdb", "cast(m as bigint)", "CAST(ROUND(t.m) AS BIGINT)"),
        ("duckdb", "cast(i as bigint)", "CAST(t.i AS BIGINT)"),
        ("duckdb", "day - other_day", "DATEDIFF(t.day, t.other_day)"),
        ("duckdb", "avg(m)", "CAST(SUM(t.m) AS DOUBLE) / CAST(NULLIF(COUNT(t.m), 0) AS DOUBLE)"),
        ("duckdb", "cast(s as timestamp)", "CAST(t.s AS TIMESTAMP_NTZ)"),
        ("duckdb", "cast(s as timestamptz)", "CAST(t.s AS TIMESTAMP_LTZ)"),
    ],
)
def test_what_differs_is_written_out(dialect: str, expression: str, expected: str) -> None:
    assert f"SELECT {expected} AS x FROM lake__t AS t" == said(f"select {expression} as x from lake.t", dialect)


@pytest.mark.parametrize(
    ("dialect", "expression", "part"),
    [
        ("duckdb", "list_aggregate([1], 'min')", "list_aggregate"),
        ("duckdb", "dayofweek(day)", "dayofweek|day_of_week"),
        ("duckdb", "extract(dow from day)", "DOW"),
        ("duckdb", "date_trunc('week', at)", "WEEK"),
        ("duckdb", "cast(d as varchar)", "CAST\\(t.d AS TEXT\\)"),
        ("duckdb", "at - at", "not a number on Spark"),
        ("duckdb", "try_cast(s as integer)", "TRYCAST|try_cast"),
        ("duckdb", "strftime(at, '%Y')", "time_to_str"),
        ("redshift", "avg(i)", "cuts the fraction off"),
        ("redshift", "listagg(s, ',')", "group_concat"),
        ("duckdb", "cast(s as uuid)", "UUID"),
        ("duckdb", "nowhere", "could not be resolved"),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_refused_by_name(dialect: str, expression: str, part: str) -> None:
    messages = refused(f"select {expression} as x from lake.t", dialect)

    assert any(re.search(part, message) for message in messages), messages


def test_a_limit_is_refused() -> None:
    assert refused("select i from lake.t limit 5")


def test_every_problem_is_told_at_once() -> None:
    assert len(refused("select list_sum(s) as a, at - at as b, cast(d as varchar) as c from lake.t")) == 3


def test_a_window_cuts_its_source_and_no_other() -> None:
    select = "select t.i, u.s from lake.t left join lake.u as u on u.i = t.i"
    cut = Cut("at", "timestamp", "2013-01-01 00:00:00.000000", "2013-01-02 00:00:00.000000")

    assert said(select, cut=cut) == (
        "SELECT t.i AS i, u.s AS s FROM (SELECT * FROM lake__t"
        " WHERE `at` >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP_NTZ)"
        " AND `at` <= CAST('2013-01-02 00:00:00.000000' AS TIMESTAMP_NTZ)) AS t LEFT JOIN lake__u AS u ON u.i = t.i"
    )


@pytest.mark.parametrize(
    ("cut", "condition"),
    [
        (Cut("n", "integer", "5", "9"), "`n` >= 5 AND `n` <= 9"),
        (Cut("n", "integer", "5", "9", is_open=True), "`n` > 5 AND `n` <= 9"),
        (Cut("day", "date", None, "2013-01-02"), "`day` <= CAST('2013-01-02' AS DATE)"),
        (Cut("z", "timestamptz", None, "2013-01-02+00"), "`z` <= CAST('2013-01-02+00' AS TIMESTAMP_LTZ)"),
        (Cut("n", "integer", None, None), "FALSE"),
        (Cut(is_empty=True), "FALSE"),
        (Cut("s", "timestamp", None, "' or 1=1 --"), "`s` <= CAST('\\' or 1=1 --' AS TIMESTAMP_NTZ)"),
        (Cut("a`b", "date", None, "2013-01-02"), "`a``b` <= CAST('2013-01-02' AS DATE)"),
    ],
)  # fmt: skip
def test_bounds_become_literals(cut: Cut, condition: str) -> None:
    assert (
        said("select t.i from lake.t", cut=cut)
        == f"SELECT t.i AS i FROM (SELECT * FROM lake__t WHERE {condition}) AS t"
    )


def test_groups_that_a_window_touches_are_read_whole() -> None:
    cut = Cut("at", "date", "2013-01-01", "2013-01-02", group=("s", "i"))

    assert said("select t.i from lake.t", cut=cut) == (
        "SELECT t.i AS i FROM (SELECT sluice_source.* FROM lake__t AS sluice_source JOIN ("
        "SELECT DISTINCT CAST(`s` AS STRING) AS sluice_group_1, CAST(`i` AS INT) AS sluice_group_2 FROM lake__t"
        " WHERE `at` >= CAST('2013-01-01' AS DATE) AND `at` <= CAST('2013-01-02' AS DATE)) AS sluice_touched"
        " ON sluice_source.`s` IS NOT DISTINCT FROM sluice_touched.`sluice_group_1`"
        " AND sluice_source.`i` IS NOT DISTINCT FROM sluice_touched.`sluice_group_2`"
        " WHERE NOT sluice_source.`at` IS NULL) AS t"
    )
    first = Cut("at", "date", None, "2013-01-02", group=("s",))
    assert said("select t.i from lake.t", cut=first) == (
        "SELECT t.i AS i FROM (SELECT sluice_source.* FROM lake__t AS sluice_source"
        " WHERE NOT sluice_source.`at` IS NULL) AS t"
    )


def test_a_source_in_a_common_table_expression_is_cut_there() -> None:
    select = "with t as (select x.i, x.at from lake.t as x) select t.i from t"

    assert said(select, cut=Cut("n", "integer", None, "9")) == (
        "WITH t AS (SELECT x.i AS i, x.at AS at FROM (SELECT * FROM lake__t WHERE `n` <= 9) AS x) "
        "SELECT t.i AS i FROM t AS t"
    )
