"""Whatever a run reads, the target equals the SELECT over everything: rows, groups and full, joins and aggregates."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject, driving
from tests.support.redshift_project import RedshiftProject

EXAMPLES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
ORDERS = {"incremental_key": "changed_at", "recompute_by": ["region"]}
RATES = {"incremental_key": "changed_at", "recompute_by": ["area"]}
TOTALS = """
select coalesce(o.region, '-') as region_key, o.region, count(*) as order_count, sum(o.amount) as amount,
    max(r.rate) as rate
from {orders} as o
left join (select area, max(rate) as rate from {rates} as every_rate group by area) as r on r.area = o.region
where not o.is_gone
group by coalesce(o.region, '-'), o.region
"""
PAIRS = """
select o.id, r.rate, o.region, r.area, o.amount
from {orders} as o
join {rates} as r on r.area = o.region
where not o.is_gone
"""
BUCKETS = """
with imported as (select * from {orders} as o), kept as (select i.*, mod(i.id, 5) as bucket from imported as i)
select k.bucket, count(*) as order_count, sum(k.amount) as amount from kept as k where not k.is_gone group by k.bucket
"""
# The output columns of each SELECT, its key, and the columns that carry the group.
GROUPED = {
    "totals": (TOTALS, "region_key, region, order_count, amount, rate", ["region_key"], ["region"]),
    "pairs": (PAIRS, "id, rate, region, area, amount", ["id", "rate"], ["region"]),
}
COPY = "select o.id, o.region, o.amount, o.is_gone, o.changed_at from {orders} as o"
LIST = "select p.code, p.title from {{ sluice.increment(source('lake', 'places')) }} as p"
LIVE = {"scd1": "", "scd2": " where is_current"}
ROUNDS = {"duckdb": 4, "postgres": 2, "redshift": 1}


def _increment(relation: str) -> str:
    return "{{ sluice.increment(" + relation + ") }}"


@pytest.fixture(scope="module")
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("increments")
    for name in ("orders", "rates", "places"):
        project.source(name)
    orders, rates = _increment("source('lake', 'orders')"), _increment("source('lake', 'rates')")
    # The history keeps gone orders: a table on top must see that they are gone.
    for name, kind, deletes in (
        ("orders", "scd2", {}),
        ("lines_scd1", "scd1", {"delete_when": "is_gone"}),
        ("lines_scd2", "scd2", {"delete_when": "is_gone"}),
    ):
        project.model(
            name,
            COPY.format(orders=orders),
            materialized=kind,
            business_key=["id"],
            sequence_by=["changed_at"],
            dependencies=[driving("orders", incremental_key="changed_at")],
            **deletes,
        )
    managed = {"table": "dwh.orders", "ref": "orders", "driving": True, "managed": True, "recompute_by": ["region"]}
    now = "(select * from " + _increment("ref('orders')") + " as versions where versions.is_current)"
    for kind in LIVE:
        for name, (select, _, key, group) in GROUPED.items():
            common = {"materialized": kind, "increment": "groups", "business_key": key, "recompute_key": group}
            project.model(
                f"{name}_{kind}",
                select.format(orders=orders, rates=rates),
                dependencies=[driving("orders", **ORDERS), driving("rates", **RATES)],
                **common,
            )
        select, _, key, group = GROUPED["totals"]
        project.model(
            f"chained_{kind}",
            select.format(orders=now, rates=rates),
            dependencies=[managed, driving("rates", **RATES)],
            materialized=kind,
            increment="groups",
            business_key=key,
            recompute_key=group,
        )
        project.model(
            f"buckets_{kind}",
            BUCKETS.format(orders=orders),
            dependencies=[driving("orders", **{**ORDERS, "recompute_by": [{"sql": "mod(id, 5)"}]})],
            materialized=kind,
            increment="groups",
            business_key=["bucket"],
            recompute_key=["bucket"],
        )
        project.model(
            f"places_{kind}",
            LIST,
            materialized=kind,
            increment="full",
            business_key=["code"],
            max_vanish_percent=100,
            dependencies=[driving("places")],
        )
    return project


@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 1,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1_000_000))
@pytest.mark.timeout(300 * EXAMPLES)
def test_target_equals_recomputation_when_sources_change_at_random(project: DbtProject, seed: int) -> None:
    random = Random(seed)
    _start(project)
    for now in range(ROUNDS[project.adapter]):
        _change(project, random, now)
        result = project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.places": f"version {now}"}})
        assert result.success, result.messages
        _check(project)
    again = project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.places": f"version {now}"}})
    assert {word for name, word in again.messages.items() if "on-run" not in name} == {"SKIP nothing new"}
    if isinstance(project, RedshiftProject) and isinstance(project.place, Standin):
        assert project.broken_rules() == {}


def _start(project: DbtProject) -> None:
    project.empty(
        "create table lake.orders (id integer, region varchar(9), amount integer, is_gone boolean, changed_at integer)",
        "create table lake.rates (area varchar(9), rate integer, changed_at integer)",
        "create table lake.places (code varchar(9), title varchar(9))",
    )


def _change(project: DbtProject, random: Random, now: int) -> None:
    """Insert orders, change and cancel others, drop rows of a group that something new touches, rewrite the places."""
    regions = ["north", "south", "east", None]
    orders = [(random.randint(1, 10**9), random.choice(regions), random.randint(1, 9), False, now) for _ in range(6)]
    project.insert("lake.orders", orders)
    project.execute(
        f"update lake.orders set amount = amount + 1, changed_at = {now} where mod(id, 3) = {random.randint(0, 2)}",
        f"update lake.orders set is_gone = true, changed_at = {now} where mod(id, 5) = {random.randint(0, 4)}",
        f"delete from lake.rates where area = 'north' and rate < {random.randint(1, 9)}",
    )
    # a rate is its area's only one of that height, so that an order and a rate make one pair
    project.insert(
        "lake.rates", [(random.choice(regions), 10 * now + random.randint(1, 9), now), ("north", 10 * now, now)]
    )
    project.execute("delete from lake.places")
    places = [(code, random.choice(("old", "new", None))) for code in ["a", *random.sample("bcde", 2)]]
    project.insert("lake.places", places)


def _rows(project: DbtProject, sql: str) -> list[tuple[object, ...]]:
    return sorted(project.query(sql), key=str)


def _check(project: DbtProject) -> None:
    for kind, current in LIVE.items():
        for name, (select, columns, _, _) in GROUPED.items():
            expected = select.format(orders="lake.orders", rates="lake.rates")
            rows = _rows(project, f"select {columns} from ({expected}) as expected")
            assert rows
            assert _rows(project, f"select {columns} from dwh.{name}_{kind}{current}") == rows, (name, kind)
            if name == "totals":
                assert _rows(project, f"select {columns} from dwh.chained_{kind}{current}") == rows, kind
        buckets = _rows(project, BUCKETS.format(orders="lake.orders"))
        assert _rows(project, f"select bucket, order_count, amount from dwh.buckets_{kind}{current}") == buckets
        places = _rows(project, "select code, title from lake.places")
        assert _rows(project, f"select code, title from dwh.places_{kind}{current}") == places
        lines = _rows(project, "select id, region, amount, changed_at from lake.orders where not is_gone")
        assert _rows(project, f"select id, region, amount, changed_at from dwh.lines_{kind}{current}") == lines


def test_full_read_stops_when_too_much_vanished_or_nothing_is_left(make_project: Callable[[str], DbtProject]) -> None:
    project = make_project("vanish")
    project.execute("create table lake.places as select 'p' || i as code, 'x' as title from range(10) as numbers(i)")
    project.source("places")
    project.model(
        "places", LIST, materialized="scd1", increment="full", business_key=["code"], dependencies=[driving("places")]
    )
    assert project.run().success
    project.execute("delete from lake.places where code < 'p3'")
    refused = project.run()
    assert "3 of 10 rows of dwh.places are no longer yielded, max_vanish_percent is 20" in refused.messages["places"]
    project.execute("delete from lake.places")
    refused = project.run()
    assert "yields no row; 10 would be deleted" in refused.messages["places"]
    assert project.query("select count(*) from dwh.places") == [(10,)]
    assert project.run("--full-refresh").success
    assert project.query("select count(*) from dwh.places") == [(0,)]


def test_group_leaves_the_target_when_its_upstream_rows_were_deleted(make_project: Callable[[str], DbtProject]) -> None:
    """A delete upstream stands only in the upstream's side table; downstream groups hear of it from there."""
    project = make_project("deletes")
    project.execute(
        "create table lake.orders (id integer, region varchar, gone boolean, changed_at integer)",
        "insert into lake.orders values (1, 'north', false, 1), (2, 'south', false, 1)",
    )
    project.source("orders")
    project.model(
        "orders",
        "select o.id, o.region, o.gone, o.changed_at from " + _increment("source('lake', 'orders')") + " as o",
        materialized="scd1",
        business_key=["id", "region"],
        sequence_by=["changed_at"],
        delete_when="gone",
        dependencies=[driving("orders", incremental_key="changed_at")],
    )
    project.model(
        "regions",
        "select o.region, count(*) as orders from " + _increment("ref('orders')") + " as o group by o.region",
        materialized="scd1",
        increment="groups",
        business_key=["region"],
        dependencies=[
            {"table": "dwh.orders", "ref": "orders", "driving": True, "managed": True, "recompute_by": ["region"]}
        ],
    )
    assert project.run().success
    project.execute("insert into lake.orders values (2, 'south', true, 2)")
    assert project.run().success
    assert project.query("select region from dwh.regions") == [("north",)]
    assert project.run("--select", "orders", "--full-refresh").success
    result = project.run("--select", "regions")
    assert result.messages["regions"] == "UNCHANGED", "a new epoch upstream is read in full, once"
    assert project.run("--select", "regions").messages["regions"] == "SKIP nothing new"
