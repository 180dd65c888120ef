"""Random SELECTs over `lake.a` and `lake.b`, from a grammar of some ninety constructs.

Each SELECT gives the same rows whenever it reads the same rows: what is numbered, limited or listed is ordered by all
of its columns. Most conditions, groupings and partitions hold the group's columns, as most SELECTs of people do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.support.increment_trials import A, B, Mode

_SOURCE: Final = (("id", "int"), ("k", "int"), ("d", "date"), ("v", "int"), ("s", "text"), ("seq", "int"))
_CONSTANTS: Final = {"int": ("0", "1", "2", "null::integer"), "date": ("date '2026-01-02'",), "text": ("'x'", "''")}
_DUCKDB_ONLY: Final = frozenset(
    {"asof join", "asof left join", "anti join", "columns(*)", "distinct list", "from first", "group by all", "lambda"}
    | {"list", "named struct", "pivot", "qualify", "semi join", "star exclude", "star rename"}
    | {
        "star replace",
        "union by name",
        "unnest",
        "unnest of a row",
        "unnest in projection",
        "unpivot",
        "group by alias 2",
    }
)


@dataclass(frozen=True)
class Rel:
    """Something to read from: its text in FROM, its alias, and its columns with their types."""

    text: str
    alias: str
    columns: tuple[tuple[str, str], ...]

    def of_type(self, kind: str) -> list[str]:
        """Return qualified names of the columns of a type."""
        return [_qualified(self, name) for name, its in self.columns if its == kind]

    def names(self) -> list[str]:
        """Return qualified names of all columns."""
        return [_qualified(self, name) for name, _ in self.columns]

    def has(self, name: str) -> bool:
        """Tell whether it has a column."""
        return any(own == name for own, _ in self.columns)


@dataclass
class RandomSelect:
    """Writes one SELECT.

    Attributes:
        random: Decides everything.
        mode: How the target reads its sources.
        dialect: `duckdb` or `postgres`.
        used: The constructs in the SELECT.
    """

    random: Random
    mode: Mode
    dialect: str = "duckdb"
    used: set[str] = field(default_factory=set)
    _ctes: list[tuple[str, str, Rel]] = field(default_factory=list)
    _count: int = 0
    _tables: int = 0
    _is_recursive: bool = False

    def text(self) -> str:
        """Return the SELECT."""
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2, 3))):
            self._add_cte()
        body, columns = self._query(self.random.choice((0, 1, 1, 2)))
        final = self._final(body, columns)
        if not self._ctes:
            return final
        word = "with recursive" if self._is_recursive else "with"
        if len(self._ctes) > 2:
            self.used.add("CTEs three deep")
        return f"{word} {', '.join(f'{head} as ({query})' for head, query, _ in self._ctes)} {final}"

    def _final(self, body: str, columns: Sequence[tuple[str, str]]) -> str:
        """Put the group's columns into the output, where the query has them."""
        names = [name for name, _ in columns]
        if not self.mode.by_groups or all(key in names for key in self.mode.group_key):
            return body
        listed = [f"q.{name}" for name in names if name not in self.mode.group_key]
        for key in self.mode.group_key:
            kinds = {"k": "int", "d": "date", "m": "date"}
            same = [name for name, kind in columns if kind == kinds[key]]
            listed.append(
                f"q.{key}" if key in names else f"{f'q.{same[0]}' if same else f'null::{kinds[key]}'} as {key}"
            )
        return f"select {', '.join(listed)} from ({body}) as q"

    def _pick(self, *choices: tuple[int, str]) -> str:
        """Choose a construct by weight, among those of the dialect."""
        allowed = [(weight, name) for weight, name in choices if self.dialect == "duckdb" or name not in _DUCKDB_ONLY]
        (found,) = self.random.choices([name for _, name in allowed], [weight for weight, _ in allowed])
        self.used.add(found)
        return found

    def _may(self, construct: str, chance: float) -> bool:
        if self.dialect != "duckdb" and construct in _DUCKDB_ONLY:
            return False
        is_taken = self.random.random() < chance
        if is_taken:
            self.used.add(construct)
        return is_taken

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    # --- FROM -----------------------------------------------------------------------------------------------------

    def _add_cte(self) -> None:
        name = self._name("c")
        kind = self._pick((4, "import CTE"), (4, "CTE"), (1, "CTE with column list"), (1, "recursive CTE"))
        if kind == "import CTE":
            query, columns = self._import(str(self.random.choice((A, B))))
        elif kind == "recursive CTE":
            query, columns = self._recursion(name)
        else:
            query, columns = self._query(1)
        head = name
        if kind == "CTE with column list":
            columns = [(own if own in self._keys() else f"{own}_", its) for own, its in columns]
            head = f"{name}({', '.join(own for own, _ in columns)})"
        self._ctes.append((head, query, Rel(name, name, tuple(columns))))

    def _import(self, table: str) -> tuple[str, list[tuple[str, str]]]:
        columns = list(_SOURCE)
        kind = self._pick((4, "star"), (1, "from first"), (2, "star exclude"), (1, "star replace"), (1, "star rename"))
        more = ", date_trunc('month', d)::date as m" if "m" in self.mode.group_key else ""
        columns += [("m", "date")] if more else []
        if kind == "from first" and not more:
            return f"from {table}", columns
        if kind == "star exclude":
            return f"select * exclude (seq){more} from {table}", [item for item in columns if item[0] != "seq"]
        if kind == "star replace":
            return f"select * replace (v + 1 as v){more} from {table}", columns
        if kind == "star rename":
            return f"select * rename (v as w){more} from {table}", [("w" if n == "v" else n, t) for n, t in columns]
        return f"select *{more} from {table}", columns

    def _recursion(self, name: str) -> tuple[str, list[tuple[str, str]]]:
        self._is_recursive = True
        word = self.random.choice(("union all", "union"))
        first = self._rel(0)
        keys = [key for key in self._keys() if first.has(key)]
        number = (first.of_type("int") or ["1"])[0]
        listed = [f"{first.alias}.{key} as {key}" for key in keys] + [f"{number} as c", "0 as depth"]
        again = [f"r.{key}" for key in keys] + ["r.c", "r.depth + 1"]
        join = ""
        if self._may("recursion through a table", 0.4):
            table = self._table()
            join = f" join {table.text} on {table.alias}.v = r.c"
            again[-2] = f"{table.alias}.id"
        start = f"select {', '.join(listed)} from {first.text}"
        step = f"select {', '.join(again)} from {name} as r{join} where r.depth < 2"
        kinds = {"k": "int", "d": "date", "m": "date"}
        columns = [(key, kinds[key]) for key in keys] + [("c", "int"), ("depth", "int")]
        return f"{start} {word} {step}", columns

    def _table(self) -> Rel:
        alias = self._name("t")
        self._tables += 1
        first = A if self._tables == 1 or self.random.random() < 0.15 else B
        name = str(first if self.random.random() < 0.9 else self.random.choice((A, B)))
        if "m" in self.mode.group_key:
            text = f"(select *, date_trunc('month', d)::date as m from {name}) as {alias}"
            return Rel(text, alias, (*_SOURCE, ("m", "date")))
        return Rel(f"{name} as {alias}", alias, _SOURCE)

    def _rel(self, depth: int) -> Rel:
        """Return a table, a common table expression or a subquery."""
        if self._ctes and self.random.random() < 0.6:
            _, _, cte = self.random.choice(self._ctes)
            alias = self._name("t")
            return Rel(f"{cte.text} as {alias}", alias, cte.columns)
        if depth > 0 and self._may("derived table", 0.4):
            alias = self._name("t")
            query, columns = self._query(depth - 1)
            if self._may("derived table with column list", 0.15):
                columns = [(own if own in self._keys() else f"{own}x", its) for own, its in columns]
                return Rel(f"({query}) as {alias}({', '.join(own for own, _ in columns)})", alias, tuple(columns))
            if self._may("unpivot", 0.1):
                return self._unpivot(query, alias, columns)
            if self._may("pivot", 0.12):
                return self._pivot(query, alias, columns)
            return Rel(f"({query}) as {alias}", alias, tuple(columns))
        return self._table()

    def _unpivot(self, query: str, alias: str, columns: list[tuple[str, str]]) -> Rel:
        numbers = [name for name, kind in columns if kind == "int" and name not in self._keys()][:2]
        if not numbers:
            return Rel(f"({query}) as {alias}", alias, tuple(columns))
        kept = tuple(item for item in columns if item[0] not in numbers)
        text = f"(select * from ({query}) unpivot (x for label in ({', '.join(numbers)}))) as {alias}"
        return Rel(text, alias, (*kept, ("label", "text"), ("x", "int")))

    def _pivot(self, query: str, alias: str, columns: list[tuple[str, str]]) -> Rel:
        label = next((name for name, kind in columns if kind == "text"), None)
        number = next((name for name, kind in columns if kind == "int" and name not in self._keys()), None)
        keys = [key for key in self._keys() if any(name == key for name, _ in columns)]
        if label is None or number is None:
            return Rel(f"({query}) as {alias}", alias, tuple(columns))
        rest = [item for item in columns if item[0] not in {label, number}]
        group = ""
        if keys and self._may("pivot with group by", 0.5):
            rest = [item for item in columns if item[0] in keys]
            group = f" group by {', '.join(keys)}"
        text = f"(select * from ({query}) pivot (sum({number}) as n for {label} in ('x' as px, 'y' as py){group})) as {alias}"  # noqa: E501
        return Rel(text, alias, (*rest, ("px_n", "int"), ("py_n", "int")))

    def _keys(self) -> Sequence[str]:
        return self.mode.group_key or ("k",)

    def _from(self, depth: int) -> tuple[str, list[Rel]]:
        first = self._rel(depth)
        text, rels = first.text, [first]
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 1, 2) if depth else (0, 0, 1))):
            text, rels = self._join(text, rels, depth)
        return text, rels

    def _join(self, text: str, rels: list[Rel], depth: int) -> tuple[str, list[Rel]]:  # noqa: PLR0911 - one expression a kind of join
        kind = self._pick(
            (6, "join"), (6, "left join"), (2, "right join"), (2, "full join"), (1, "cross join"), (1, "comma join"),
            (3, "join using"), (1, "semi join"), (1, "anti join"), (1, "asof join"), (1, "asof left join"),
            (1, "join in parentheses"), (1, "unnest"), (1, "unnest of a row"), (1, "values"), (2, "lateral"),
            (2, "left join lateral"), (1, "natural join"),
        )  # fmt: skip
        simple: dict[str, Callable[[str, list[Rel]], tuple[str, list[Rel]]]] = {
            "unnest": self._unnest, "unnest of a row": self._unnest_row, "values": self._values,
            "lateral": self._lateral, "left join lateral": self._left_lateral, "natural join": self._natural,
        }  # fmt: skip
        if kind in simple:
            return simple[kind](text, rels)
        right = self._dated() if "asof" in kind else self._rel(depth - 1)
        if kind == "comma join":
            return f"{text}, {right.text}", [*rels, right]
        if kind in {"cross join"}:
            return f"{text} {kind} {right.text}", [*rels, right]
        if kind == "join using":
            return self._using(text, rels, right)
        condition = self._join_condition(rels, right)
        if kind.startswith("asof"):
            left = next((name for rel in rels for name in rel.of_type("int")), None)
            if left is None or "join" in text or "," in text:
                return f"{text} cross join {right.text}", [*rels, right]
            equal = f"{condition} and " if " = " in condition and " or " not in condition else ""
            return f"{text} {kind} {right.text} on {equal}{left} * 9 >= {right.alias}.seq", [*rels, right]
        if kind == "join in parentheses":
            other = self._table()
            inner = f"({right.text} join {other.text} on {self._join_condition([right], other)})"
            return f"{text} left join {inner} on {condition}", [*rels, right, other]
        joined = f"{text} {kind} {right.text} on {condition}"
        return joined, rels if kind in {"semi join", "anti join"} else [*rels, right]

    def _dated(self) -> Rel:
        """Return a relation with one row per key and seq, so that the latest before a time is one."""
        table = self._table()
        keys = ", ".join(self._keys())
        kinds = tuple((key, dict(table.columns)[key]) for key in self._keys())
        text = f"(select {keys}, seq, max(v) as v from {table.text} group by {keys}, seq)"
        alias = self._name("t")
        return Rel(f"{text} as {alias}", alias, (*kinds, ("seq", "int"), ("v", "int")))

    def _join_condition(self, rels: Sequence[Rel], right: Rel) -> str:
        shared = [key for key in self._keys() if right.has(key) and any(rel.has(key) for rel in rels)]
        if len(shared) == len(self._keys()) and self.random.random() < 0.75:
            sign = "is not distinct from" if self._may("join on is not distinct from", 0.15) else "="
            parts = []
            for key in shared:
                left = next(rel for rel in rels if rel.has(key))
                pair = [_qualified(left, key), _qualified(right, key)]
                self.random.shuffle(pair)
                parts.append(f"{pair[0]} {sign} {pair[1]}")
            if self._may("join with another condition", 0.3):
                parts.append(self._predicate([*rels, right]))
            return " and ".join(parts)
        left_names = [name for rel in rels for name in rel.of_type("int")]
        names = right.of_type("int")
        if not left_names or not names:
            return "true"
        sign = self.random.choice(("=", "=", "<", ">="))
        self.used.add("join by equality of another column" if sign == "=" else "join by inequality")
        return f"{self.random.choice(left_names)} {sign} {self.random.choice(names)}"

    def _using(self, text: str, rels: list[Rel], right: Rel) -> tuple[str, list[Rel]]:
        shared = [key for key in self._keys() if right.has(key) and sum(rel.has(key) for rel in rels) == 1]
        if len(rels) > 1 or not shared:
            return f"{text} join {right.text} on {self._join_condition(rels, right)}", [*rels, right]
        side = self.random.choice(("", "left ", "full "))
        rest = tuple(item for item in right.columns if item[0] not in shared)
        kept = tuple(item for item in rels[0].columns if item[0] not in shared)
        merged = tuple(item for item in right.columns if item[0] in shared)
        bare = Rel("", "" if side.startswith("full") else rels[0].alias, merged)
        joined = f"{text} {side}join {right.text} using ({', '.join(shared)})"
        return joined, [Rel("", rels[0].alias, kept), Rel("", right.alias, rest), bare]

    def _natural(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        table = self._table()
        keys = ", ".join(self._keys())
        alias, value = self._name("n"), self._name("w")
        inner = f"(select {keys}, v as {value} from {table.text}) as {alias}"
        if len(rels) > 1 or not all(rels[0].has(key) for key in self._keys()):
            return f"{text} cross join {inner}", [*rels, Rel("", alias, ((value, "int"),))]
        return f"{text} natural join {inner}", [*rels, Rel("", alias, ((value, "int"),))]

    def _unnest(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        alias = self._name("u")
        return f"{text}, unnest([1, 2]) as {alias}(x)", [*rels, Rel("", alias, (("x", "int"),))]

    def _unnest_row(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        alias = self._name("u")
        names = [name for rel in rels for name in rel.of_type("int")][:2] or ["1"]
        return f"{text}, unnest([{', '.join(names)}]) as {alias}(x)", [*rels, Rel("", alias, (("x", "int"),))]

    def _values(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        alias = self._name("u")
        return f"{text} cross join (values (1), (2)) as {alias}(x)", [*rels, Rel("", alias, (("x", "int"),))]

    def _lateral(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        alias = self._name("l")
        return f"{text} cross join lateral ({self._correlated(rels)}) as {alias}", [
            *rels, Rel("", alias, (("x", "int"),))
        ]  # fmt: skip

    def _left_lateral(self, text: str, rels: list[Rel]) -> tuple[str, list[Rel]]:
        alias = self._name("l")
        return f"{text} left join lateral ({self._correlated(rels)}) as {alias} on true", [
            *rels, Rel("", alias, (("x", "int"),))
        ]  # fmt: skip

    def _correlated(self, rels: Sequence[Rel], *, one: bool = False) -> str:
        """Return a query of one integer column x that compares a table with the row around it."""
        table = self._table()
        condition = self._join_condition([rel for rel in rels if rel.alias], table)
        value = f"{table.alias}.v"
        if one or self._may("aggregate in a correlated query", 0.5):
            return f"select {self.random.choice(('max', 'count', 'sum'))}({value}) as x from {table.text} where {condition}"  # noqa: E501
        order = f" order by {', '.join(table.names())} limit 1" if self._may("limit in a correlated query", 0.5) else ""
        return f"select {value} as x from {table.text} where {condition}{order}"

    # --- expressions ----------------------------------------------------------------------------------------------

    def _int(self, rels: Sequence[Rel]) -> str:
        names = [name for rel in rels for name in rel.of_type("int")] or ["1"]
        name = self.random.choice(names)
        kind = self._pick(
            (8, "column"), (2, "arithmetic"), (1, "case"), (1, "coalesce"), (1, "cast"), (1, "function of a number"),
            (1, "scalar subquery"), (1, "correlated scalar subquery"), (1, "function of a date"), (1, "nullif"),
        )  # fmt: skip
        dates = [name for rel in rels for name in rel.of_type("date")]
        table = self._table()
        return {
            "column": name,
            "arithmetic": f"{name} + 1",
            "case": f"case when {name} > 1 then 1 when {name} is null then 0 else {name} end",
            "coalesce": f"coalesce({name}, 0)",
            "cast": f"cast({name} as bigint)",
            "function of a number": f"abs({name})",
            "scalar subquery": f"(select count(*) from {table.text})",
            "correlated scalar subquery": f"({self._correlated(rels, one=True)})",
            "function of a date": f"extract(day from {dates[0]})" if dates else name,
            "nullif": f"nullif({name}, 2)",
        }[kind]

    def _predicate(self, rels: Sequence[Rel]) -> str:
        names = [name for rel in rels for name in rel.of_type("int")] or ["1"]
        texts = [name for rel in rels for name in rel.of_type("text")] or ["'x'"]
        name = self.random.choice(names)
        kind = self._pick(
            (3, "comparison"), (1, "in list"), (1, "between"), (1, "like"), (1, "is null"), (1, "or"), (1, "not"),
        )  # fmt: skip
        return {
            "comparison": f"{name} {self.random.choice(('>', '<', '<>'))} {self.random.randint(0, 3)}",
            "in list": f"{name} in (1, 2)",
            "between": f"{name} between 0 and 3",
            "like": f"{texts[0]} like 'x%'",
            "is null": f"{name} is {self.random.choice(('', 'not '))}null",
            "or": f"({name} = 1 or {texts[0]} = 'y')",
            "not": f"not ({name} = 2)",
        }[kind]

    def _where(self, rels: Sequence[Rel]) -> list[str]:
        found = []
        if self._may("where", 0.2):
            found.append(self._predicate(rels))
        if self._may("condition with a subquery", 0.15):
            found.append(self._membership(rels))
        return found

    def _membership(self, rels: Sequence[Rel]) -> str:
        kind = self._pick((2, "in subquery"), (1, "not in subquery"), (2, "exists"), (2, "not exists"))
        rels = [rel for rel in rels if rel.alias]
        table = self._table()
        if kind in {"exists", "not exists"}:
            return f"{kind} (select 1 from {table.text} where {self._join_condition(rels, table)})"
        keys = [key for key in self._keys() if any(rel.has(key) for rel in rels)]
        if len(keys) == 1 and self.random.random() < 0.7:
            own = next(_qualified(rel, keys[0]) for rel in rels if rel.has(keys[0]))
            inner = f"{table.alias}.{keys[0]}"
        else:
            own = self.random.choice([name for rel in rels for name in rel.of_type("int")] or ["1"])
            inner = f"{table.alias}.v"
        only = f" where {inner} is not null" if self.random.random() < 0.5 else ""
        return f"{own} {'not in' if kind.startswith('not') else 'in'} (select {inner} from {table.text}{only})"

    # --- SELECT ---------------------------------------------------------------------------------------------------

    def _query(self, depth: int) -> tuple[str, list[tuple[str, str]]]:
        if depth > 0 and self.random.random() < 0.15:
            return self._set_operation(depth)
        kind = self._pick((8, "plain"), (5, "aggregate"), (3, "window"), (1, "distinct"), (1, "distinct on"))
        text, rels = self._from(depth)
        where = self._where(rels)
        clause = f" from {text}" + (f" where {' and '.join(where)}" if where else "")
        make = {"aggregate": self._aggregate, "window": self._window, "distinct on": self._distinct_on}.get(kind)
        if make is not None:
            return make(clause, rels)
        query, columns = self._plain(clause, rels, distinct=kind == "distinct")
        if self._may("limit", 0.04):
            query += f" order by {', '.join(str(place + 1) for place in range(len(columns)))} limit 2"
            if self._may("offset", 0.3):
                query += " offset 1"
        elif self._may("order by", 0.08):
            query += " order by 1"
        return query, columns

    def _key_columns(self, rels: Sequence[Rel]) -> Iterator[tuple[str, str, str]]:
        """Yield (expression, name, type) of the group's columns that stand in FROM."""
        for key in self._keys():
            holders = [rel for rel in rels if rel.has(key)]
            if holders:
                rel = holders[0] if self.random.random() < 0.85 else self.random.choice(holders)
                kind = next(its for own, its in rel.columns if own == key)
                yield _qualified(rel, key), key, kind

    def _plain(self, clause: str, rels: Sequence[Rel], *, distinct: bool) -> tuple[str, list[tuple[str, str]]]:
        if len(rels) == 1 and not distinct and rels[0].alias and self._may("star", 0.2):
            return f"select {rels[0].alias}.*{clause}", list(rels[0].columns)
        listed, columns = [], []
        for expression, name, kind in self._key_columns(rels):
            if self.random.random() < 0.93:
                listed.append(f"{expression} as {name}")
                columns.append((name, kind))
        listed.append(f"{self._int(rels)} as {self._extra(columns)}")
        listed += [f"{value} as {self._extra(columns)}" for rel in rels for value in rel.of_type("int")]
        for kind in ("text", "date"):
            for value in [name for rel in rels for name in rel.of_type(kind)]:
                name = self._name("e")
                is_changed = kind == "text" and self._may("function of a text", 0.3)
                listed.append(f"lower({value}) as {name}" if is_changed else f"{value} as {name}")
                columns.append((name, kind))
        if self._may("list", 0.04):
            inner = self._int(rels)
            listed.append(f"list_transform([{inner}], lambda y: y + 1)[1] as {self._extra(columns)}")
            self.used.add("lambda")
        if self._may("named struct", 0.03):
            listed.append(f"{{'x': {self._int(rels)}}}.x as {self._extra(columns)}")
        if self._may("unnest in projection", 0.03):
            listed.append(f"unnest([1, 2]) as {self._extra(columns)}")
        return f"select {'distinct ' if distinct else ''}{', '.join(listed)}{clause}", columns

    def _extra(self, columns: list[tuple[str, str]]) -> str:
        name = self._name("e")
        columns.append((name, "int"))
        return name

    def _aggregate(self, clause: str, rels: Sequence[Rel]) -> tuple[str, list[tuple[str, str]]]:
        parts: list[tuple[str, str, str]] = []
        parts += [part for part in self._key_columns(rels) if self.random.random() < 0.85]
        if self._may("group by another column", 0.4):
            others = [
                (name, kind)
                for rel in rels
                for name, kind in zip(rel.names(), (t for _, t in rel.columns), strict=True)
            ]
            name, kind = self.random.choice(others) if others else ("1", "int")
            parts.append((name, self._name("g"), kind))
        if self._may("group by an expression", 0.12):
            parts.append((f"({(self._int_column(rels))}) % 2", self._name("g"), "int"))
        listed = [f"{expression} as {name}" for expression, name, _ in parts]
        columns = [(name, kind) for _, name, kind in parts]
        listed.append(f"{self._aggregate_call(rels)} as {self._extra(columns)}")
        listed += [f"sum({value}) as {self._extra(columns)}" for rel in rels for value in rel.of_type("int")]
        having = f" having count(*) > {self.random.randint(0, 1)}" if self._may("having", 0.12) else ""
        if not parts:
            self.used.add("aggregate without group by")
            return f"select {', '.join(listed)}{clause}{having}", columns
        return f"select {', '.join(listed)}{clause} group by {self._grouping(parts)}{having}", columns

    def _int_column(self, rels: Sequence[Rel]) -> str:
        return self.random.choice([name for rel in rels for name in rel.of_type("int")] or ["1"])

    def _grouping(self, parts: Sequence[tuple[str, str, str]]) -> str:
        expressions = [expression for expression, _, _ in parts]
        kind = self._pick(
            (5, "group by"), (3, "group by position"), (1, "group by all"), (1, "rollup"), (1, "cube"),
            (1, "grouping sets"), (1, "partial rollup"),
        )  # fmt: skip
        listed = ", ".join(expressions)
        if kind == "group by position":
            return ", ".join(str(place + 1) for place in range(len(parts)))
        if kind == "partial rollup" and len(parts) > 1:
            return f"{expressions[0]}, rollup ({', '.join(expressions[1:])})"
        return {
            "group by all": "all",
            "rollup": f"rollup ({listed})",
            "cube": f"cube ({listed})",
            "grouping sets": f"grouping sets (({listed}), ({expressions[0]}))",
        }.get(kind, listed)

    def _aggregate_call(self, rels: Sequence[Rel]) -> str:
        name = self._int_column(rels)
        kind = self._pick(
            (3, "count"), (3, "sum"), (2, "min and max"), (1, "count distinct"), (1, "aggregate with filter"),
            (1, "string_agg"), (1, "bool_or"), (1, "array_agg"),
        )  # fmt: skip
        return {
            "count": "count(*)",
            "sum": f"sum({name})",
            "min and max": f"max({name}) - min({name})",
            "count distinct": f"count(distinct {name})",
            "aggregate with filter": f"count(*) filter (where {name} > 1)",
            "string_agg": f"length(string_agg({name}::varchar, ',' order by {name}))",
            "bool_or": f"case when bool_or({name} = 1) then 1 else 0 end",
            "array_agg": f"(array_agg({name} order by {name}))[1]",
        }[kind]

    def _window(self, clause: str, rels: Sequence[Rel]) -> tuple[str, list[tuple[str, str]]]:
        keys = [*self._key_columns(rels)]
        listed = [f"{expression} as {name}" for expression, name, _ in keys]
        columns = [(name, kind) for _, name, kind in keys]
        value = self._int_column(rels)
        listed += [f"{each} as {self._extra(columns)}" for rel in rels for each in rel.of_type("int")]
        parts = [expression for expression, _, _ in keys if self.random.random() < 0.85]
        if self._may("partition by another column", 0.3):
            parts.append(self._int_column(rels))
        if not parts:
            self.used.add("window without partition by")
        everything = ", ".join(name for rel in rels for name in rel.names()) or "1"
        partition = f"partition by {', '.join(parts)} " if parts else ""
        kind = self._pick(
            (3, "row_number"), (1, "rank"), (1, "lag"), (2, "sum over"), (1, "frame"), (1, "named window"),
            (1, "first_value"), (1, "ntile"),
        )  # fmt: skip
        over = f"({partition}order by {everything})"
        named = f" window w as ({partition}order by {everything})" if kind == "named window" else ""
        call = {
            "row_number": f"row_number() over {over}",
            "rank": f"dense_rank() over {over}",
            "lag": f"lag({value}) over {over}",
            "sum over": f"sum({value}) over ({partition})",
            "frame": f"sum({value}) over ({partition}order by {everything} rows between 1 preceding and current row)",
            "named window": f"count({value}) over w",
            "first_value": f"first_value({value}) over {over}",
            "ntile": f"ntile(2) over {over}",
        }[kind]
        if self._may("qualify", 0.3):
            listed.append(f"row_number() over {over} as {self._extra(columns)}")
            test = "row_number()" if self.random.random() < 0.7 else "dense_rank()"
            return f"select {', '.join(listed)}{clause}{named} qualify {test} over {over} = 1", columns
        listed.append(f"{call} as {self._extra(columns)}")
        return f"select {', '.join(listed)}{clause}{named}", columns

    def _distinct_on(self, clause: str, rels: Sequence[Rel]) -> tuple[str, list[tuple[str, str]]]:
        keys = [*self._key_columns(rels)]
        listed = [f"{expression} as {name}" for expression, name, _ in keys]
        columns = [(name, kind) for _, name, kind in keys]
        listed += [f"{value} as {self._extra(columns)}" for rel in rels for value in rel.of_type("int")]
        on = [expression for expression, _, _ in keys if self.random.random() < 0.8] or [self._int_column(rels)]
        order = ", ".join([*on, *(name for rel in rels for name in rel.names())])
        return f"select distinct on ({', '.join(on)}) {', '.join(listed)}{clause} order by {order}", columns

    def _set_operation(self, depth: int) -> tuple[str, list[tuple[str, str]]]:
        word = self._pick(
            (5, "union all"), (2, "union"), (1, "except"), (1, "intersect"), (1, "except all"), (1, "intersect all"),
            (1, "union by name"), (1, "union all with a constant"),
        )  # fmt: skip
        left, columns = self._branch(depth - 1, None)
        if word == "union all with a constant":
            values = ", ".join(f"{_CONSTANTS[kind][0]} as {name}" for name, kind in columns)
            return f"({left}) union all (select {values})", columns
        right, _ = self._branch(depth - 1, columns)
        sign = "union all by name" if word == "union by name" else word
        return f"({left}) {sign} ({right})", columns

    def _branch(self, depth: int, wanted: Sequence[tuple[str, str]] | None) -> tuple[str, list[tuple[str, str]]]:
        """Return a query with given columns, which it takes where it finds the name or the type."""
        query, columns = self._query(depth)
        alias = self._name("b")
        if wanted is None:
            wanted = [*columns]
        listed = []
        for name, kind in wanted:
            own = [each for each, _ in columns if each == name] or [each for each, its in columns if its == kind]
            value = f"{alias}.{self.random.choice(own)}" if own else self.random.choice(_CONSTANTS[kind])
            listed.append(f"{value} as {name}")
        return f"select {', '.join(listed)} from ({query}) as {alias}", list(wanted)


def _qualified(rel: Rel, name: str) -> str:
    """Return a column's name; a column that USING made has no table."""
    return f"{rel.alias}.{name}" if rel.alias else name


def random_mode(random: Random) -> Mode:
    """Return how a target reads the sources: by rows, or by groups of one column, of two or of an expression."""
    kind = random.choice(("rows", "rows", "rows", "groups", "groups", "groups", "pairs", "months"))
    if kind == "rows":
        return Mode(by_groups=False, driving={A: ()})
    group = {"groups": ("k",), "pairs": ("k", "d"), "months": ("date_trunc('month', d)::date",)}[kind]
    names = {"groups": ("k",), "pairs": ("k", "d"), "months": ("m",)}[kind]
    driving = {A: group, B: group} if random.random() < 0.8 else {A: group}
    return Mode(by_groups=True, driving=driving, group_key=names)
