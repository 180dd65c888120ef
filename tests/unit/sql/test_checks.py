"""What a SELECT may hold at all: one query, declared tables, nothing that changes, hides or escapes."""

from __future__ import annotations

import pytest

from metadata_sync.sql import parse_select
from metadata_sync.sql.checks import form_problems

REFUSED = [
    # one statement
    ("", "single_query"),
    ("-- nothing\n", "single_query"),
    ("select 1 as a; select 2 as b", "single_query"),
    ("select 1 as a; -- x\ndrop table lake.flights", "single_query"),
    ("select 1 as a;;", "single_query"),
    ("; select 1 as a", "single_query"),
    # that reads
    ("delete from lake.flights", "not_a_select"),
    ("drop table lake.flights", "not_a_select"),
    ("create table lake.x as select 1 as a", "not_a_select"),
    ("copy lake.flights to 'x.csv'", "not_a_select"),
    ("attach 'x.db' as lake", "not_a_select"),
    ("install httpfs", "not_a_select"),
    ("pragma database_list", "not_a_select"),
    ("set threads = 1", "not_a_select"),
    ("explain select 1 as a", "not_a_select"),
    ("pivot lake.flights on x using sum(y)", "not_a_select"),
    ("select a into lake.x from lake.flights", "not_a_select"),
    ("with x as (delete from lake.flights returning *) select * from x", "not_a_select"),
    ("with x as (insert into lake.flights values (1) returning *) select * from x", "not_a_select"),
    ("with x as (update lake.flights set a = 1 returning *) select * from x", "not_a_select"),
    ("select * from (describe lake.flights)", "not_a_select"),
    ("select * from (summarize lake.flights)", "not_a_select"),
    ("select a from lake.flights for update", "not_a_select"),
    # tables by their full name
    ("select a from flights", "table_name"),
    ("select a from other.lake.flights", "table_name"),
    ("select a from 'x.parquet'", "table_name"),
    ('select a from "lake.flights"', "table_name"),
    ('select a from lake."x y"', "table_name"),
    ('select a from lake."/etc/passwd"', "table_name"),
    ("with x as (select a from y), y as (select 1 as a) select a from x", "table_name"),
    ("select a from (with x as (select 1 as a) select a from x) s, x", "table_name"),
    ("select lake.flights.a from lake.flights", "qualified_column"),
    ("select lake.flights.* from lake.flights", "qualified_column"),
    ("select a from lake.flights where exists (select 1 as b where lake.flights.a = 1)", "qualified_column"),
    ("select a from lake.flights pivot (sum(x) for y in (1, 2))", "table_modifier"),
    ("select a from only lake.flights", "table_modifier"),
    ("select a from lake.flights tablesample 10%", "sample"),
    # functions
    ("select a from read_parquet('x')", "table_function"),
    ("select a from read_csv('/etc/passwd')", "table_function"),
    ("select a from lake.flights, lateral read_text(a)", "table_function"),
    ("select a from glob('*')", "table_function"),
    ("select a from duckdb_secrets()", "table_function"),
    ("select a from query('select 1')", "table_function"),
    ("select a from my_function(1)", "table_function"),
    ("select (select content from read_text('x')) as a", "table_function"),
    ("with x as (select * from parquet_metadata('x')) select * from x", "table_function"),
    ("select a from lake.flights where a in (select x from read_json('x'))", "table_function"),
    ("select pg_read_file('x') as a", "function"),
    ("select pg_catalog.pg_read_file('x') as a", "function"),
    ("select \"pg_read_file\"('x') as a", "function"),
    ("select PG_Sleep(10) as a", "function"),
    ("select query_to_xml('delete from x', true, true, '') as a", "function"),
    ("select dblink('host=x', 'select 1') as a", "function"),
    ("select lo_import('x') as a", "function"),
    ("select getenv('HOME') as a", "function"),
    ("select set_config('role', 'x', false) as a", "function"),
    ("select nextval('s') as a", "function"),
    # text
    ("select ? as a", "placeholder"),
    ("select $1 as a", "placeholder"),
    ("select /* sluice:window {} */ 1 as a", "window_marker"),
    ("select 'SLUICE:Window' as a", "window_marker"),
    ("select {{ 1 }} as a", "jinja"),
    ("select a from {{ ref('x') }}", "jinja"),
    ("{% set x = 1 %}select 1 as a", "jinja"),
    ("select 1 as a {# hidden #}", "jinja"),
    ("select 1 as a {# 'unfinished", "syntax"),
    ("select 1 /* /* */ , 2 */ as a", "nested_comment"),
    ("select 1\x00 as a", "control_character"),
    ("\ufeffselect 1 as a", "control_character"),
    ("select a from lake.flights where", "syntax"),
    ("select 'unfinished", "syntax"),
    ("selec 1", "not_a_select"),
    ("select " + "(" * 3000 + "1" + ")" * 3000 + " as a", "too_deep"),
]

ALLOWED = [
    "select 1 as a",
    "select a from lake.flights;",
    "select a from lake.flights ; -- the end",
    "from lake.flights",
    "SELECT F.A FROM LAKE.FLIGHTS AS F",
    'select a from "lake"."flights"',
    "with flights as (select a from lake.flights) select a from flights",
    "with flights as (select 1 as a), x as (with flights as (select 2 as a) select a from flights) select a from x",
    "with recursive r as (select 1 as a union all select a + 1 from r where a < 9) select a from r",
    "select a from lake.flights union all (select a from lake.planes)",
    "select f.payload.name from lake.flights as f",
    "select payload.a.b as c from lake.flights",
    "select u.x from lake.flights as f, unnest(f.items) as u(x)",
    "select g.x from generate_series(1, 3) as g(x)",
    "select v.x from (values (1), (2)) as v(x)",
    "select '{{ not jinja }} {% neither %} {# nor #}' as a",
    "select 1 as a -- {{ not jinja }} {#",
    "select 1 as a /* {% not jinja %} */",
    "select {'a': {'b': 1}} as a",
    "select 'read_parquet(x); drop table y' as a",
    "select date_trunc('day', a) as a, pg_typeof(a) as b from lake.flights",
]


def rules(text: str, dialect: str = "duckdb") -> set[str]:
    select, problems = parse_select(text, dialect)
    found = [*problems, *(form_problems(select) if select is not None else ())]
    return {problem.rule for problem in found}


@pytest.mark.parametrize(("text", "rule"), REFUSED, ids=lambda value: repr(value)[:60])
def test_select_is_refused_when_it_does_more_than_read_declared_tables(text: str, rule: str) -> None:
    assert rule in rules(text, "postgres" if "only lake" in text else "duckdb")


@pytest.mark.parametrize("text", ALLOWED)
def test_select_is_accepted_when_it_only_reads(text: str) -> None:
    assert rules(text) == set()


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "redshift"])
def test_reads_are_found_wherever_a_table_may_stand(dialect: str) -> None:
    text = """
        with a as (select x from lake.t1), b as (select x from a join lake.t2 using (x))
        select (select max(x) from lake.t3) as m, b.x
        from b
        left join (lake.t4 join lake.t5 using (x)) using (x)
        where x in (select x from lake.t6) and exists (select 1 from lake.t7 where t7.x = b.x)
        union all
        select x, x from lake.t8
    """
    select, problems = parse_select(text, dialect)
    assert problems == ()
    assert select is not None
    assert [str(name) for name in select.tables] == [f"lake.t{number}" for number in range(1, 9)]
    assert all(text[read.start : read.end] == str(read.name) for read in select.reads)


def test_syntax_fault_says_where() -> None:
    _, (problem,) = parse_select("select a\nfrom lake.flights\nwhere a =", "duckdb")
    assert "line 3, column" in problem.message
    assert "class" not in problem.message
