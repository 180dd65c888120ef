"""Targets whose SELECTs join lookups, what arrives in their sources in any order, and what must stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from metadata_sync.analysis.data_tests import TestScope
from metadata_sync.analysis.lookups import plan_lookups
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.sql import parse_select
from metadata_sync.sync.render import document_text, model_document, model_text
from tests.support.dbt_project import DbtProject
from tests.support.scd_oracle import Event, Value, scd1, scd2

TABLES = {
    "items": "id integer, order_id integer, bought integer, qty integer, landed integer",
    "orders": "id integer, customer_id integer, channel varchar(9), ordered integer, landed integer",
    "customers": "id integer, city varchar(9), landed integer",
    "titles": "code varchar(9), title varchar(9)",
}
WITHOUT_KEY = "titles"
JOINS = """from lake.items as i
join {orders} as o on o.id = i.order_id
left join {customers} as c on c.id = o.customer_id"""
OPEN = "where coalesce(o.channel, '-') <> 'shop'"
"""An order that is placed in the shop takes its items away, which were loaded while it was not."""
EVENTS = f"select i.id, i.bought, i.qty, o.channel, c.city\n{JOINS} {OPEN}"
LANDED = f"select i.id, i.qty, o.channel, c.city, i.landed\n{JOINS} {OPEN}"
ORDERED = f"select i.id, o.ordered, i.qty, o.channel, c.city\n{JOINS}"
IMPORTED = """with items as (select * from lake.items), placed as (select id, customer_id, channel from {orders}),
lived as (select customers.id as customer, city from {customers} as customers)
select i.id, i.bought, i.qty, p.channel, l.city,
    (select max(t.title) from lake.titles as t where t.code = p.channel) as title
from items as i join placed as p on p.id = i.order_id left join lived as l on l.customer = p.customer_id"""
TOTALS = f"select i.order_id, count(*) as n, sum(i.qty) as qty, max(c.city) as city\n{JOINS} {OPEN}\n{{group}}"
KEY = {"business_key": ["id"]}
DELETES = {"delete_when": "channel = 'gone'"}
PAST: dict[str, Any] = {
    "load_type": "scd2",
    **KEY,
    "sequence_by": ["bought", "qty"],
    "scd_columns": ["channel", "city"],
}
TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "now": (EVENTS, {"load_type": "scd1", **KEY, "sequence_by": ["bought"], **DELETES}),
    "past": (EVENTS, {**PAST, **DELETES}),
    "titled": (IMPORTED, PAST),
    "ordered": (ORDERED, {"load_type": "scd1", **KEY, "sequence_by": ["ordered"]}),
    "each": (EVENTS, {"load_type": "append", "business_key": ["id", "bought"], "sequence_by": ["bought"]}),
    "keyless": (LANDED, {"load_type": "append"}),
    "totals": (TOTALS, {"load_type": "scd1", "increment": "groups", "business_key": ["order_id"]}),
    "homes": (
        "select o.id, o.channel, c.city\nfrom lake.orders as o left join {customers} as c on c.id = o.customer_id",
        {"load_type": "scd1", "increment": "full", **KEY, "max_vanish_percent": 100},
    ),
}
MANAGED = {"past": "managed"}
"""Targets that read the two keyed lookups as targets of Sluice."""
COPIES = {
    "orders": ("scd1", "select o.id, o.customer_id, o.channel, o.ordered, o.landed from lake.orders as o"),
    "customers": ("scd1", "select c.id, c.city, c.landed from lake.customers as c"),
}


ALL = (*TARGETS, *MANAGED.values())
SOME = {
    "duckdb": ("past", "titled", "ordered", "each", "keyless", "totals", "managed"),
    "postgres": ("now", "past", "keyless", "totals"),
    "redshift": ("now", "past"),
}
"""Those that a short test loads, by adapter."""


def control_rows(on_change: str | None = "restate") -> ControlRows:
    """Return the rows of all targets."""
    pipeline = {"pipeline_id": "p", "pipeline_name": "p", "template": "presentation", "engine": "warehouse"}
    sources = [
        {"schema": "lake", "table": table, "kind": "warehouse"}
        | ({"probe": "select count(*) from lake.titles"} if table == WITHOUT_KEY else {"incremental_key": "landed"})
        for table in TABLES
    ]
    found = [_row(name, name, "lake", on_change) for name in TARGETS]
    found += [_row(copy, name, "dwh", on_change) for name, copy in MANAGED.items()]
    for table, (load_type, _) in COPIES.items():
        settings = {"load_type": load_type, **KEY, "sequence_by": ["landed"]}
        found.append(_transformation(table, settings, [{"table": f"lake.{table}", "driving": True}]))
    return ControlRows.model_validate({"sources": sources, "pipelines": [pipeline], "transformations": found})


def _row(name: str, target: str, schema: str, on_change: str | None) -> dict[str, Any]:
    select, settings = TARGETS[target]
    keyed = [f"{schema}.{table}" for table in ("orders", "customers") if f"{{{table}}}" in select]
    lookups = [*keyed, *(["lake.titles"] if "titles" in select else [])]
    driving: dict[str, Any] = {"table": "lake.items" if "lake.items" in select else "lake.orders", "driving": True}
    if settings.get("increment") == "groups":
        driving["recompute_by"] = ["order_id"]
    declared = {"driving": False} | ({} if on_change is None else {"on_change": on_change})
    return _transformation(name, settings, [driving, *({"table": table, **declared} for table in lookups)])


def _transformation(name: str, settings: dict[str, Any], dependencies: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "target_schema": "dwh",
        "target_table": name,
        "pipeline_id": "p",
        "sql_path": f"transformations/{name}.sql",
        **settings,
        "dependencies": dependencies,
    }


def select_of(name: str) -> str:
    """Return the SELECT of a target, as a person writes it."""
    if name in COPIES:
        return COPIES[name][1]
    original = _original(name)
    schema = "dwh" if name in MANAGED.values() else "lake"
    select = TARGETS[original][0]
    return select.format(orders=f"{schema}.orders", customers=f"{schema}.customers", group="group by i.order_id")


def write_models(project: DbtProject, names: Sequence[str], on_change: str | None = "restate") -> None:
    """Write the models of some targets as sync does."""
    for table in TABLES:
        project.source(table)
    rows = control_rows(on_change)
    copies = COPIES if set(names).intersection(MANAGED.values()) else ()
    columns = {TableName("lake", table): _names(text) for table, text in TABLES.items()}
    columns |= {TableName("dwh", table): _names(TABLES[table]) for table in COPIES}
    for row in rows.transformations:
        if row.target_table not in (*names, *copies):
            continue
        select, problems = parse_select(select_of(row.target_table), project.adapter)
        assert select is not None, problems
        plan = plan_lookups(row, rows, select, columns)
        scope = TestScope(row, rows, project.adapter, {}, frozenset())
        base = f"models/{row.name.model_name}"
        project.write(f"{base}.sql", model_text(select, resolve_dependencies(row, rows), plan))
        project.write(f"{base}.yml", document_text(model_document(scope)))


def _names(text: str) -> list[str]:
    return [part.split()[0] for part in text.split(", ")]


def start(project: DbtProject) -> None:
    """Make the sources, empty."""
    project.empty(*(f"create table lake.{name} ({text})" for name, text in TABLES.items()))


def arrive(project: DbtProject, random: Random, now: int) -> None:
    """Let items, orders and customers arrive in any order, and change orders, customers and titles in place."""
    items = [
        (random.randint(1, 6), random.randint(1, 8), random.randint(1, 5), random.randint(1, 3), now) for _ in "1234"
    ]
    if random.random() < 0.7 or now == 0:
        project.insert("lake.items", items)
    for order in random.sample(range(1, 9), 3):
        values = (order, random.randint(1, 4), random.choice(["web", "shop", "gone", None]), random.randint(1, 5), now)
        _replace(project, "orders", values, random)
    for customer in random.sample(range(1, 5), 2):
        _replace(project, "customers", (customer, random.choice(["Lyon", "Oslo", "Bern", None]), now), random)
    if random.random() < 0.5:
        project.execute("delete from lake.titles")
        codes = random.sample(["web", "shop", "gone"], 2)
        project.insert("lake.titles", [(code, random.choice(["old", "new"])) for code in codes])


def _replace(project: DbtProject, table: str, values: Sequence[object], random: Random) -> None:
    if random.random() < 0.7:
        project.execute(f"delete from lake.{table} where id = {values[0]}")
        project.insert(f"lake.{table}", [values])


def token(project: DbtProject) -> str:
    """Return what tells that the lookup without a key changed."""
    return str(sorted(project.query("select code, title from lake.titles")))


def run(project: DbtProject, **env: object) -> dict[str, str]:
    """Load every target; the result says what each load did."""
    result = project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.titles": token(project)}, **env})
    assert result.success, (result.messages, result.error)
    return result.messages


def check(project: DbtProject) -> None:
    """Compare every target with its SELECT over everything that arrived."""
    for name in ALL:
        if (project.root / "models" / f"dwh__{name}.sql").exists():
            assert stored(project, name) == expected(project, name), name


def expected(project: DbtProject, name: str) -> list[Any]:
    """Return what a target holds after its SELECT over everything that arrived."""
    original = _original(name)
    columns = _columns(original)
    everything = project.query(f"select {', '.join(columns)} from ({select_of(original)}) as everything")
    return _expected(everything, columns, TARGETS[original][1])


def stored(project: DbtProject, name: str) -> list[Any]:
    """Return what a target holds."""
    original = _original(name)
    versions = ["valid_from", "valid_to"] if TARGETS[original][1]["load_type"] == "scd2" else []
    return _sorted(project.query(f"select {', '.join([*_columns(original), *versions])} from dwh.{name}"))


def _original(name: str) -> str:
    return {copy: name for name, copy in MANAGED.items()}.get(name, name)


def _columns(name: str) -> list[str]:
    if name == "totals":
        return ["order_id", "n", "qty", "city"]
    if name == "homes":
        return ["id", "channel", "city"]
    times = {"keyless": "landed", "ordered": "ordered"}
    titles = ["title"] if "title" in TARGETS[name][0] else []
    return ["id", times.get(name, "bought"), "qty", "channel", "city", *titles]


def _expected(everything: Sequence[Sequence[Any]], columns: Sequence[str], settings: dict[str, Any]) -> list[Any]:
    if not settings.get("business_key") or "increment" in settings:
        return _sorted(everything)
    sequence = settings["sequence_by"]
    content = sorted(set(columns) - {*settings["business_key"], sequence[0]})
    tracked = [content.index(name) for name in settings.get("scd_columns", content) if name in content]
    if not settings.get("scd_columns"):
        tracked = [place for place, name in enumerate(content) if name not in sequence]
    events = [_event(dict(zip(columns, row, strict=True)), settings, content) for row in everything]
    kept: Iterable[tuple[Any, ...]]
    if settings["load_type"] == "scd2":
        kept = ((item.key, item.content, item.at, item.valid_from, item.valid_to) for item in scd2(events, tracked))
    else:
        kept = ((key, values, at) for key, values, at, _ in scd1(events))
    found = []
    for key, values, at, *validity in kept:
        named = {**dict(zip(settings["business_key"], map(int, key), strict=True)), sequence[0]: at}
        named |= dict(zip(content, values, strict=True))
        found.append((*(named[name] for name in columns), *validity))
    return _sorted(found)


def _event(values: dict[str, Any], settings: dict[str, Any], content: Sequence[str]) -> Event:
    sequence = settings["sequence_by"]
    kept: tuple[Value, ...] = tuple(values[name] for name in content)
    return Event(
        key=tuple(str(values[name]) for name in settings["business_key"]),
        at=values[sequence[0]],
        tie=values[sequence[1]] if len(sequence) > 1 else 0,
        is_delete="delete_when" in settings and values["channel"] == "gone",
        content=kept,
    )


def _sorted(rows: Iterable[Sequence[Any]]) -> list[Any]:
    return sorted((tuple(row) for row in rows), key=str)
