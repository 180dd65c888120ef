"""Which SELECTs suit which increment mode: `rows` reads single rows, `groups` whole groups, `full` everything."""

from __future__ import annotations

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql import parse_select
from metadata_sync.sql.groups import group_problems
from metadata_sync.sql.increments import increment_problems

FLIGHTS = TableName("lake", "flights")

UNSUITABLE_FOR_ROWS = [
    ("select count(*) as n from lake.flights", "aggregates"),
    ("select a, max(b) as b from lake.flights group by a", "aggregates"),
    ("select a from lake.flights group by a", "aggregates"),
    ("select list(a) as a from lake.flights", "aggregates"),
    ("select string_agg(a, ',') as a from lake.flights", "aggregates"),
    ("select sum(a) filter (where b) as a from lake.flights", "aggregates"),
    ("with x as (select a, count(*) as n from lake.flights group by a) select * from x", "aggregates"),
    ("select s.n from (select count(*) as n from lake.flights) as s", "aggregates"),
    ("with f as (select * from lake.flights) select count(*) as n from f", "aggregates"),
    ("select row_number() over (partition by a order by b) as n from lake.flights", "window functions"),
    ("select sum(a) over () as n from lake.flights", "window functions"),
    ("select sum(a) over w as n from lake.flights window w as (partition by b)", "window functions"),
    ("select a from lake.flights qualify row_number() over (partition by a order by b) = 1", "window functions"),
    ("select distinct a from lake.flights", "DISTINCT"),
    ("select distinct on (a) a, b from lake.flights", "DISTINCT"),
    ("select a from lake.flights limit 10", "LIMIT"),
    ("select a from lake.flights offset 10", "LIMIT"),
    ("select a from lake.flights union select a from lake.planes", "UNION"),
    ("select a from lake.flights except select a from lake.planes", "EXCEPT"),
    ("select a from lake.planes except select a from lake.flights", "EXCEPT"),
    ("select a from lake.flights intersect select a from lake.planes", "INTERSECT"),
    ("(select a from lake.flights union all select a from lake.planes) limit 5", "LIMIT"),
    ("select f.a from lake.flights f join lake.flights g on g.a = f.b", "itself"),
    ("select f.a from lake.flights f, lake.flights g", "itself"),
    ("with f as (select a from lake.flights) select f.a from f join f as g on g.a = f.a", "itself"),
    ("select p.a from lake.planes p left join lake.flights f on f.a = p.a", "nullable side"),
    ("select p.a from lake.flights f right join lake.planes p on f.a = p.a", "nullable side"),
    ("select p.a from lake.flights f full join lake.planes p on f.a = p.a", "nullable side"),
    ("select p.a from lake.planes p left join (lake.airlines l join lake.flights f on true) on true", "nullable side"),
    ("select f.a from lake.flights f join lake.x x on true right join lake.planes p on f.a = p.a", "nullable side"),
    ("select p.a from lake.planes p join lake.flights f using (a) full join lake.x x using (a)", "nullable side"),
    ("select p.a from lake.planes p semi join lake.flights f on f.a = p.a", "SEMI"),
    ("select p.a from lake.planes p anti join lake.flights f on f.a = p.a", "ANTI"),
    ("select p.a from lake.planes p asof join lake.flights f on p.a >= f.a", "ASOF"),
    ("select f.a from lake.flights f positional join lake.planes p", "position"),
    ("select p.a from lake.planes p where p.a in (select a from lake.flights)", "subquery"),
    ("select f.a from lake.flights f where exists (select 1 from lake.flights g where g.a = f.b)", "subquery"),
    ("select p.a, (select max(a) from lake.flights) as m from lake.planes p", "subquery"),
    ("select p.a from lake.planes p join lake.x x on x.a in (select a from lake.flights)", "subquery"),
    ("select f.a from lake.flights f where f.t < now()", "another value"),
    ("select current_date - f.d as age from lake.flights f", "another value"),
    ("select random() as r from lake.flights", "another value"),
    ("select f.a from lake.flights f join lake.planes p on p.valid_to > current_timestamp", "another value"),
    ("select age(f.d) as a from lake.flights f", "another value"),
    ("select 'today'::date - f.d as a from lake.flights f", "another value"),
    ("with recursive r as (select a from lake.flights union all select a from r) select a from r", "recursively"),
]

SUITABLE_FOR_ROWS = [
    "select f.a, p.b from lake.flights f left join lake.planes p on p.a = f.a",
    "select f.a, p.b from lake.planes p right join lake.flights f on p.a = f.a",
    "select f.a, p.b from lake.planes p join lake.flights f on p.a = f.a where f.b > 1",
    "select f.a, p.n from lake.flights f left join (select a, count(*) as n from lake.planes group by a) p using (a)",
    "with p as (select distinct a from lake.planes), f as (from lake.flights) select f.a from f join p using (a)",
    "select f.a, (select max(p.b) from lake.planes p where p.a = f.a) as b from lake.flights f",
    "select f.a from lake.flights f where f.a in (select a from lake.planes limit 5)",
    "select f.a from lake.flights f semi join lake.planes p on p.a = f.a",
    "select a from lake.flights where b = 1 union all select a from lake.flights where b = 2",
    "select u.x from lake.flights f, unnest(f.items) as u(x)",
    "select f.a from lake.flights f asof join lake.planes p on f.a >= p.a",
    "select s.a from (select a from lake.flights where a > 1) as s order by s.a",
    "select greatest(a, b) as a, coalesce(a, b) as b, age(a, b) as c from lake.flights",
    "with recursive r as (select 1 as n union all select n + 1 from r where n < 9) select f.a from lake.flights f, r",
]

UNSUITABLE_FOR_GROUPS = [
    ("select count(*) as n from lake.flights", "without GROUP BY"),
    ("select sum(a) over (order by b) as n from lake.flights", "without PARTITION BY"),
    ("select a from lake.flights limit 5", "LIMIT"),
    ("select a, count(*) as n from lake.flights where d > current_date group by a", "another value"),
]

SUITABLE_FOR_GROUPS = [
    "select a, count(*) as n from lake.flights group by a",
    "select a, sum(b) over (partition by a) as n from lake.flights",
    "select a, sum(b) over w as n from lake.flights window w as (partition by a)",
    "select f.a, count(*) as n from lake.flights f left join lake.flights g using (a) group by f.a",
    "select distinct a from lake.flights",
]


COARSER_THAN_ITS_GROUPS = [
    ("select b, count(*) as n from lake.flights group by b", "GROUP BY (b) leaves out (a), the group of lake.flights"),
    ("select date_trunc('day', a) as d, count(*) as n from lake.flights group by 1", "GROUP BY () leaves out (a)"),
    (
        "select x, sum(n) as n from (select b as x, count(*) as n from lake.flights group by b) group by x",
        "GROUP BY (b)",
    ),
    ("select a, sum(b) over (partition by c) as n from lake.flights", "PARTITION BY (c) leaves out (a)"),
    ("select b, count(*) as n from lake.flights group by all", "GROUP BY (b) leaves out (a)"),
]

AS_FINE_AS_ITS_GROUPS = [
    "select f.a as x, b, count(*) as n from lake.flights f group by x, b",
    "select a, b, count(*) as n from lake.flights group by 1, 2",
    "select a, count(*) as n from lake.flights group by all",
    "select f.A, sum(b) over (partition by c, f.a) as n from lake.flights f",
    "select p.b, count(*) as n from lake.planes p group by p.b",
    "select a, b from lake.flights",
]


def messages(text: str, increment: Increment) -> list[str]:
    select, problems = parse_select(text, "duckdb")
    assert select is not None, problems
    return [problem.message for problem in increment_problems(select, increment, {FLIGHTS})]


@pytest.mark.parametrize(("text", "why"), UNSUITABLE_FOR_ROWS)
def test_rows_refuses_a_select_that_needs_other_rows(text: str, why: str) -> None:
    assert any(why in message for message in messages(text, Increment.ROWS))


@pytest.mark.parametrize("text", SUITABLE_FOR_ROWS)
def test_rows_accepts_a_select_when_each_row_stands_for_itself(text: str) -> None:
    assert messages(text, Increment.ROWS) == []


@pytest.mark.parametrize(("text", "why"), UNSUITABLE_FOR_GROUPS)
def test_groups_refuses_a_select_that_looks_beyond_its_groups(text: str, why: str) -> None:
    assert any(why in message for message in messages(text, Increment.GROUPS))


@pytest.mark.parametrize("text", SUITABLE_FOR_GROUPS)
def test_groups_accepts_a_select_over_whole_groups(text: str) -> None:
    assert messages(text, Increment.GROUPS) == []


@pytest.mark.parametrize(("text", "why"), COARSER_THAN_ITS_GROUPS)
def test_groups_refuses_a_grouping_that_is_coarser_than_its_groups(text: str, why: str) -> None:
    select, _ = parse_select(text, "duckdb")
    assert select is not None
    (problem,) = group_problems(select, {FLIGHTS: ["a"]})
    assert why in problem.message


@pytest.mark.parametrize("text", AS_FINE_AS_ITS_GROUPS)
def test_groups_accepts_a_grouping_that_holds_its_groups(text: str) -> None:
    select, _ = parse_select(text, "duckdb")
    assert select is not None
    assert group_problems(select, {FLIGHTS: ["a"]}) == []


@pytest.mark.parametrize("text", [text for text, _ in UNSUITABLE_FOR_ROWS + UNSUITABLE_FOR_GROUPS])
def test_full_accepts_every_select(text: str) -> None:
    assert messages(text, Increment.FULL) == []


def test_every_problem_names_a_mode_that_would_do() -> None:
    select, _ = parse_select("select distinct a, now() as t from lake.flights limit 3", "duckdb")
    assert select is not None
    for problem in increment_problems(select, Increment.ROWS, {FLIGHTS}):
        assert "increment: " in problem.remedy
        assert "increment_checked: true" in problem.remedy
