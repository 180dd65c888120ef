"""Whatever a run reads, the target equals the SELECT over everything: rows, groups and full, joins and aggregates."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.dbt_project import DbtProject, driving

ORDERS = {"incremental_key": "changed_at", "recompute_by": ["region"]}
RATES = {"incremental_key": "changed_at", "recompute_by": ["area"]}
TOTALS = """
select coalesce(o.region, '-') as region_key, o.region, count(*) as order_count, sum(o.amount) as amount,
    max(r.rate) as rate
from {orders} as o
left join (select area, max(rate) as rate from {rates} as every_rate group by area) as r on r.area = o.region
group by coalesce(o.region, '-'), o.region
"""
EXPECTED = TOTALS.format(orders="lake.orders", rates="lake.rates")
LIST = "select p.code, p.title from {{ sluice.increment(source('lake', 'places')) }} as p"
ROUNDS = 4


def _increment(relation: str) -> str:
    return "{{ sluice.increment(" + relation + ") }}"


@pytest.fixture(scope="module")
def project(make_project: Callable[[str], DbtProject]) -> DbtProject:
    project = make_project("increments")
    for name in ("orders", "rates", "places"):
        project.source(name)
    orders, rates = "source('lake', 'orders')", "source('lake', 'rates')"
    copy = f"select o.id, o.region, o.amount, o.changed_at from {_increment(orders)} as o"
    project.model(
        "orders",
        copy,
        materialized="scd2",
        business_key=["id"],
        sequence_by=["changed_at"],
        dependencies=[driving("orders", incremental_key="changed_at")],
    )
    managed = {"table": "dwh.orders", "ref": "orders", "driving": True, "managed": True, "recompute_by": ["region"]}
    now = "(select * from {{ sluice.increment(ref('orders')) }} as versions where versions.is_current)"
    for kind in ("scd1", "scd2"):
        common = {
            "materialized": kind,
            "increment": "groups",
            "business_key": ["region_key"],
            "recompute_key": ["region"],
        }
        project.model(
            f"totals_{kind}",
            TOTALS.format(orders=_increment(orders), rates=_increment(rates)),
            dependencies=[driving("orders", **ORDERS), driving("rates", **RATES)],
            **common,
        )
        project.model(
            f"chained_{kind}",
            TOTALS.format(orders=now, rates=_increment(rates)),
            dependencies=[managed, driving("rates", **RATES)],
            **common,
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


@settings(max_examples=1, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 1_000_000))
def test_target_equals_recomputation_when_sources_change_at_random(project: DbtProject, seed: int) -> None:
    random = Random(seed)
    _start(project)
    for now in range(ROUNDS):
        _change(project, random, now)
        result = project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.places": f"version {now}"}})
        assert result.success, result.messages
        _check(project)
    assert project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.places": f"version {now}"}}).success
    again = project.run(env={"SLUICE_CHANGE_TOKENS": {"lake.places": f"version {now}"}})
    assert {word for name, word in again.messages.items() if "on-run" not in name} == {"SKIP nothing new"}


def _start(project: DbtProject) -> None:
    project.execute(
        *(f"drop schema if exists {schema} cascade" for schema in ("lake", "dwh", "sluice")),
        "create schema lake",
        "create table lake.orders (id integer, region varchar, amount integer, changed_at integer)",
        "create table lake.rates (area varchar, rate integer, changed_at integer)",
        "create table lake.places (code varchar, title varchar)",
    )


def _change(project: DbtProject, random: Random, now: int) -> None:
    """Insert and update orders within their region, add rates, and rewrite the places."""
    regions = ["north", "south", "east", None]
    with project.connect() as connection:
        for _ in range(3):
            connection.execute(
                "insert into lake.orders values (?, ?, ?, ?)",
                [random.randint(1, 10**9), random.choice(regions), random.randint(1, 9), now],
            )
        connection.execute(
            "update lake.orders set amount = amount + 1, changed_at = ? where id % 3 = ?", [now, random.randint(0, 2)]
        )
        connection.execute(
            "insert into lake.rates values (?, ?, ?)", [random.choice(regions), random.randint(1, 9), now]
        )
        connection.execute("delete from lake.places")
        for code in ["a", *random.sample("bcde", 2)]:
            connection.execute("insert into lake.places values (?, ?)", [code, random.choice(("old", "new", None))])


def _check(project: DbtProject) -> None:
    totals = sorted(project.query(EXPECTED), key=str)
    places = sorted(project.query("select code, title from lake.places"), key=str)
    assert totals
    for kind, current in (("scd1", ""), ("scd2", "where is_current")):
        for name in (f"totals_{kind}", f"chained_{kind}"):
            columns = "region_key, region, order_count, amount, rate"
            assert sorted(project.query(f"select {columns} from dwh.{name} {current}"), key=str) == totals, name
        rows = project.query(f"select code, title from dwh.places_{kind} {current}")
        assert sorted(rows, key=str) == places


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
