"""Kinds of changes between SELECTs: a corpus of pairs, and random graphs that are computed before and after."""

from __future__ import annotations

import random
from collections import Counter

import duckdb
import pytest

from metadata_sync.analysis.impact import Change, reach
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.canonical import canonical
from metadata_sync.sql.changes import SelectChange, select_change
from metadata_sync.sql.parse import ParsedSelect

TABLES = {
    TableName("l", "o"): ["id", "c_id", "amount", "at", "status"],
    TableName("l", "c"): ["id", "name", "city"],
}
BASE = (
    "select o.id, o.amount * 2 as twice, c.name from l.o as o left join l.c as c on c.id = o.c_id "
    "where o.status = 'x' and o.amount > 0"
)
GROUPED = "select o.c_id, sum(o.amount) as total from l.o as o where o.amount > 0 group by o.c_id having count(*) > 1"
STEPS = (
    "with p as (select o.id, o.amount + 1 as more, o.c_id from l.o as o where o.amount > 0), "
    "q as (select p.id, p.more, c.city from p join l.c as c on c.id = p.c_id) select q.id, q.more, q.city from q"
)
WINDOW = "select o.id, row_number() over (partition by o.c_id order by o.at) as n from l.o as o"
UNION = "select o.id, o.amount as v from l.o as o union all select c.id, 0 as v from l.c as c"
EXISTS = "select o.id from l.o as o where exists (select 1 from l.c as c where c.id = o.c_id and c.city = 'a')"

FORMATTING, ADDED, MOVED = "formatting", "added column", "reordered columns"
EXPRESSION, DROPPED, MODEL = "changed expression", "dropped column", "whole model"

CORPUS: list[tuple[str, str, str]] = [
    # layout, case, comments, names inside the SELECT
    (BASE, BASE.replace(" from", "\n  from").replace("select", "SELECT"), FORMATTING),
    (BASE, BASE.replace("o.id,", "o.id /* key */,"), FORMATTING),
    (BASE, BASE.replace("o.", "z.").replace("as o", "as z"), FORMATTING),
    (BASE, BASE.replace("as c ", "as d ").replace("c.name", "d.name").replace("c.id", "d.id"), FORMATTING),
    (BASE, BASE.replace("o.status = 'x' and o.amount > 0", "o.amount > 0 and o.status = 'x'"), FORMATTING),
    (BASE, BASE.replace("c.id = o.c_id", "o.c_id = c.id"), FORMATTING),
    (BASE, BASE.replace("o.amount * 2", "2 * o.amount"), FORMATTING),
    (BASE, BASE.replace("o.amount * 2", "(o.amount * 2)"), FORMATTING),
    (BASE, BASE.replace("left join", "left outer join"), FORMATTING),
    (BASE, BASE.replace("as twice", "AS TWICE"), FORMATTING),
    (BASE, f"select * from ({BASE}) as s", FORMATTING),
    (BASE, f"with s as ({BASE}) select s.id, s.twice, s.name from s", FORMATTING),
    (
        BASE,
        "with p as (select * from l.o where status = 'x' and amount > 0) "
        "select p.id, p.amount * 2 as twice, c.name from p left join l.c as c on c.id = p.c_id",
        FORMATTING,
    ),
    (GROUPED, GROUPED.replace("group by o.c_id", "group by 1"), FORMATTING),
    (GROUPED, GROUPED.replace("sum(", "SUM("), FORMATTING),
    (STEPS, STEPS.replace("p.", "pp.").replace("with p ", "with pp ").replace("from p ", "from pp "), FORMATTING),
    (UNION, UNION.replace("as o", "as u").replace("o.", "u."), FORMATTING),
    (EXISTS, EXISTS.replace("as o", "as u").replace("o.", "u."), FORMATTING),
    ("select * from l.c as c", "select c.id, c.name, c.city from l.c as c", FORMATTING),
    # one column more
    (BASE, BASE.replace("c.name", "c.name, c.city"), ADDED),
    (BASE, BASE.replace("select o.id", "select o.at, o.id"), ADDED),
    (BASE, BASE.replace("c.name", "c.name, 1 as one"), ADDED),
    (GROUPED, GROUPED.replace(" as total", " as total, max(o.at) as latest"), ADDED),
    (STEPS, STEPS.replace("q.city from q", "q.city, q.more * 2 as most from q"), ADDED),
    (WINDOW, WINDOW.replace(" as n", " as n, lag(o.at) over (partition by o.c_id order by o.at) as before"), ADDED),
    (UNION, UNION.replace(" as v", " as v, 'x' as kind"), ADDED),
    # another order
    (BASE, BASE.replace("o.id, o.amount * 2 as twice", "o.amount * 2 as twice, o.id"), MOVED),
    (STEPS, STEPS.replace("q.id, q.more, q.city from", "q.city, q.id, q.more from"), MOVED),
    # another value
    (BASE, BASE.replace("* 2", "* 3"), EXPRESSION),
    (BASE, BASE.replace("c.name", "upper(c.name) as name"), EXPRESSION),
    (BASE, BASE.replace("c.name", "coalesce(c.name, '-') as name"), EXPRESSION),
    (BASE, BASE.replace("c.name", "c.city as name"), EXPRESSION),
    (BASE, BASE.replace("o.amount * 2", "o.amount - 2"), EXPRESSION),
    (BASE, BASE.replace("o.amount * 2", "cast(o.amount * 2 as bigint)"), EXPRESSION),
    (BASE, BASE.replace("o.id,", "o.c_id as id,"), EXPRESSION),
    (GROUPED, GROUPED.replace("sum(o.amount)", "avg(o.amount)"), EXPRESSION),
    (GROUPED, GROUPED.replace("sum(o.amount)", "sum(distinct o.amount)"), EXPRESSION),
    (STEPS, STEPS.replace("+ 1", "+ 2"), EXPRESSION),
    (WINDOW, WINDOW.replace("order by o.at", "order by o.at desc"), EXPRESSION),
    (WINDOW, WINDOW.replace("partition by o.c_id", "partition by o.status"), EXPRESSION),
    (WINDOW, WINDOW.replace("row_number()", "rank()"), EXPRESSION),
    (UNION, UNION.replace("0 as v", "1 as v"), EXPRESSION),
    (
        "select case when o.amount > 1 then 'a' end as k from l.o as o",
        "select case when o.amount > 2 then 'a' end as k from l.o as o",
        EXPRESSION,
    ),
    # one column less
    (BASE, BASE.replace(", c.name", ""), DROPPED),
    (BASE, BASE.replace("as twice", "as double_amount"), DROPPED),
    (STEPS, STEPS.replace("q.more, q.city from", "q.city from"), DROPPED),
    # other rows
    (BASE, BASE.replace("left join", "join"), MODEL),
    (BASE, BASE.replace("left join", "full join"), MODEL),
    (BASE, BASE.replace("> 0", ">= 0"), MODEL),
    (BASE, BASE.replace(" and o.amount > 0", ""), MODEL),
    (BASE, BASE.replace("and o.amount", "or o.amount"), MODEL),
    (BASE, f"{BASE} and c.city is not null", MODEL),
    (BASE, BASE.replace("c.id = o.c_id", "c.id = o.id"), MODEL),
    (BASE, BASE.replace("c.id = o.c_id where", "c.id = o.c_id and c.city = 'a' where"), MODEL),
    (BASE, BASE.replace("select o.id", "select distinct o.id"), MODEL),
    (BASE, f"{BASE} limit 10", MODEL),
    (BASE, BASE.replace(" left join l.c as c on c.id = o.c_id", "").replace("c.name", "o.status as name"), MODEL),
    (GROUPED, GROUPED.replace("group by o.c_id", "group by o.c_id, o.status"), MODEL),
    (GROUPED, GROUPED.replace("> 1", "> 2"), MODEL),
    (GROUPED, GROUPED.replace(" having count(*) > 1", ""), MODEL),
    (STEPS, STEPS.replace("amount > 0", "amount > 1"), MODEL),
    (STEPS, STEPS.replace("from p join", "from p left join"), MODEL),
    (STEPS, STEPS.replace("join l.c as c on c.id = p.c_id)", "join l.c as c on c.id = p.id)"), MODEL),
    (UNION, UNION.replace("union all", "union"), MODEL),
    (UNION, UNION.replace("union all", "except"), MODEL),
    (UNION, UNION.partition(" union")[0], MODEL),
    (EXISTS, EXISTS.replace("exists", "not exists"), MODEL),
    (EXISTS, EXISTS.replace("'a'", "'b'"), MODEL),
    (WINDOW, f"{WINDOW} qualify row_number() over (partition by o.c_id order by o.at) = 1", MODEL),
    ("select o.id from l.o as o", "select c.id from l.c as c", MODEL),
    (
        "with p as (select o.id, o.amount as a from l.o as o) select p.id from p where p.a > 1",
        "with p as (select o.id, o.amount * 2 as a from l.o as o) select p.id from p where p.a > 1",
        MODEL,
    ),
]


def parsed(text: str) -> ParsedSelect:
    select, problems = parse_select(text, "duckdb")
    assert select is not None, f"{text}: {problems}"
    return select


@pytest.mark.parametrize(("before", "after", "kind"), CORPUS, ids=range(len(CORPUS)))
def test_kind_of_a_change(before: str, after: str, kind: str) -> None:
    assert before != after
    assert select_change(parsed(before), parsed(after), TABLES).kind == kind
    assert select_change(parsed(after), parsed(after), TABLES).kind == FORMATTING


def test_corpus_is_large() -> None:
    assert len(CORPUS) >= 60


COLUMNS = ("id", "k", "v", "w")
GRAPHS = 300


class Graph:
    """Tables that read one another, as SELECTs over s.base."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.selects: dict[str, str] = {}
        for number in range(self.chance.randint(3, 6)):
            self.selects[f"t{number}"] = self._select(["base", *self.selects])

    def _select(self, tables: list[str]) -> str:
        chance = self.chance
        one, other = chance.choice(tables), chance.choice(tables)
        kind = chance.randrange(6)
        v, w = chance.choice(["a.v", "a.w", "a.v + a.k"]), chance.choice(["a.w", "a.k", "a.v * 2", "1"])
        on = chance.choice(["id", "k"])
        plain = f"select a.id, a.k, {v} as v, {w} as w from s.{one} as a"
        return [
            plain,
            f"{plain} where a.{chance.choice('kvw')} > {chance.randint(0, 3)}",
            f"select a.id, a.k, b.v as v, {w} as w from s.{one} as a left join s.{other} as b on b.id = a.{on}",
            f"select a.k as id, min(a.k) as k, sum(a.v) as v, count(*) as w from s.{one} as a group by a.k",
            f"{plain} union all select b.id, b.w as k, b.v, b.k as w from s.{other} as b where b.v > 1",
            f"with c as ({plain}) select c.id, c.k, c.w as v, c.v as w from c where c.k < 4",
        ][kind]

    def changed(self) -> tuple[str, str]:
        """Return a table and its SELECT after a random change."""
        table = self.chance.choice(list(self.selects))
        text = self.selects[table]
        edits = [
            text.replace(" as v", " + 1 as v", 1),
            text.replace(" as w", " - 1 as w", 1),
            text.replace("a.v", "a.w", 1),
            text.replace("a.id, a.k,", "a.id, a.v as k,", 1),
            text.replace("> 1", "> 2"),
            text.replace("left join", "join"),
            text.replace("sum(", "max("),
            f"select q.id, q.k, q.v, q.w from ({text}) as q where q.v is not null",
            f"select * from ({text}) as q",
        ]
        return table, self.chance.choice([edit for edit in edits if edit != text])


def rows_of(selects: dict[str, str]) -> ControlRows:
    return ControlRows(
        transformations=tuple(
            TransformationRow.model_validate(
                {
                    "target_schema": "s",
                    "target_table": name,
                    "pipeline_id": "p",
                    "sql_path": "x.sql",
                    "load_type": "append",
                    "dependencies": [{"table": str(table), "driving": True} for table in parsed(text).tables],
                }
            )
            for name, text in selects.items()
        )
    )


def computed(selects: dict[str, str]) -> dict[str, list[dict[str, object]]]:
    with duckdb.connect() as connection:
        connection.execute("create schema s")
        connection.execute(
            "create table s.base as select i as id, i % 5 as k, (i * 7) % 6 as v, i % 3 as w from range(17) t(i)"
        )
        for name, text in selects.items():
            connection.execute(f"create table s.{name} as {text}")
        return {
            name: [
                dict(zip(COLUMNS, row, strict=True))
                for row in connection.execute(f"select id, k, v, w from s.{name}").fetchall()
            ]
            for name in selects
        }


def test_what_is_not_named_does_not_change() -> None:
    """Compute every table before and after a random change: columns that are not reached hold the same rows."""
    columns = {TableName("s", name): list(COLUMNS) for name in ("base", *(f"t{number}" for number in range(6)))}
    spared: Counter[str] = Counter()
    for seed in range(GRAPHS):
        graph = Graph(seed)
        table, text = graph.changed()
        after = {**graph.selects, table: text}
        change = select_change(parsed(graph.selects[table]), parsed(text), columns)
        assert isinstance(change, SelectChange)
        forms = {TableName("s", name): canonical(parsed(select), columns) for name, select in after.items()}
        assert None not in forms.values()
        reached = reach(
            [Change("transformation_control", f"s.{table}", "changed", select=change)], rows_of(after), forms
        )
        old, new = computed(graph.selects), computed(after)
        for name in after:
            target = TableName("s", name)
            if target in reached.rows:
                continue
            kept = [
                c for c in COLUMNS if not any(item.table == target and item.column == c for item in reached.columns)
            ]
            bags = [Counter(tuple(row[c] for c in kept) for row in rows[name]) for rows in (old, new)]
            assert bags[0] == bags[1], (seed, table, text, name, kept, graph.selects)
            spared["columns"] += len(kept)
            spared["tables"] += len(kept) == len(COLUMNS)
    assert spared["tables"] > GRAPHS
    assert spared["columns"] > 4 * GRAPHS


def test_star_over_unknown_columns_is_not_resolved() -> None:
    assert canonical(parsed("select * from l.unknown as u"), {}) is None
    assert (
        select_change(parsed("select * from l.unknown as u"), parsed("select u.a from l.unknown as u"), {}).kind
        == MODEL
    )
