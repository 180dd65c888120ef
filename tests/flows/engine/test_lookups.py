"""Items land one run before their orders, a customer moves, an order is cancelled: what is derived again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.engine.outlook import look_ahead
from flows.gate.explain import explain
from flows.ledger.verify import verify
from flows.run.model import OutcomeStatus, RunRequest, RunSummary, TargetOutcome
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.errors import MetadataError
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from metadata_sync.validation import find_faults, find_faults_and_notes
from tests.support.history_project import DuckDbFile
from tests.support.project_copy import copy_project

JOINS = "from shop.items as i join shop.orders as o on o.id = i.order_id"
REVENUE = f"""select i.id, i.amount, c.city, i.landed_at
{JOINS} and not o.is_cancelled left join shop.customers as c on c.id = o.customer_id"""
SELECTS = {
    "revenue": REVENUE,
    "stale": REVENUE,
    "per_item": "select r.id, count(*) as n, sum(r.amount) as amount from mart.revenue as r group by r.id",
}
RESTATE = {"driving": False, "on_change": "restate"}
TOTAL = "select count(*), sum(amount) from mart.{}"
BY_HAND = "select count(*), sum(amount) from shop.items join shop.orders on orders.id = order_id and not is_cancelled"


class Shop:
    """The project, and what happens in the shop."""

    def __init__(self, root: Path) -> None:
        copy_project(root, SELECTS)
        self.warehouse = DuckDbFile(root / ".sluice" / "dev.duckdb")
        self.rows = _rows()
        self.root = root
        self.warehouse.execute(
            "create schema shop",
            "create table shop.items (id integer, order_id integer, amount decimal(9, 2), landed_at timestamp)",
            "create table shop.orders (id integer, customer_id integer, is_cancelled boolean, landed_at timestamp)",
            "create table shop.customers (id integer, city varchar, landed_at timestamp)",
            "insert into shop.customers select i, 'Lyon', timestamp '2024-01-01' + to_seconds(i) from range(11) t(i)",
        )
        self.context = Context(Project(root), Settings(), who="tester")
        self.land_items(0, 300, "2024-01-01")
        self.land_orders(0, 100, "2024-01-01")
        self.apply()

    def apply(self) -> None:
        (self.root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(self.rows))
        changes = ChangeContext(self.context.project, self.context.store, self.context.columns, "tester")
        apply_plan(changes, plan_files(changes))

    def land_items(self, first: int, last: int, day: str) -> None:
        """Three items of each order, one a second."""
        self.warehouse.execute(
            f"insert into shop.items select i, i // 3, 143.34 + i % 5, timestamp '{day}' + to_seconds(i) "
            f"from range({first}, {last}) as t(i)"
        )

    def land_orders(self, first: int, last: int, day: str) -> None:
        self.warehouse.execute(
            f"insert into shop.orders select i, i % 10, false, timestamp '{day}' + to_seconds(i) "
            f"from range({first}, {last}) as t(i)"
        )

    def run(self, pipeline: str = "shop") -> dict[str, TargetOutcome]:
        request = RunRequest((pipeline,), requested_by="tester")
        summary: RunSummary = execute(self.context, prepare(self.context, request))
        assert not summary.has_failed, [(outcome.target, outcome.error) for outcome in summary.outcomes]
        return {outcome.target.partition(".")[2]: outcome for outcome in summary.outcomes}

    def total(self, table: str) -> tuple[Any, ...]:
        return self.warehouse.query(TOTAL.format(table))[0]

    def by_hand(self) -> tuple[Any, ...]:
        return self.warehouse.query(BY_HAND)[0]


def _rows() -> dict[str, list[dict[str, Any]]]:
    source = {"schema": "shop", "kind": "warehouse", "incremental_key": "landed_at"}
    common = {"target_schema": "mart", "pipeline_id": "shop", "load_type": "scd1", "business_key": ["id"]}
    driving = {"table": "shop.items", "driving": True}
    lookups = ("shop.orders", "shop.customers")
    restating = [{"table": table, **RESTATE} for table in lookups]
    tables: dict[str, dict[str, Any]] = {
        "revenue": {"dependencies": [driving, {**restating[0], "may_drop": True}, restating[1]]},
        "stale": {"dependencies": [driving, *({"table": table, "driving": False} for table in lookups)]},
        "per_item": {
            "increment": "groups",
            "pipeline_id": "readers",
            "dependencies": [{"table": "mart.revenue", "driving": True, "recompute_by": ["id"]}],
        },
    }
    return {
        "sources": [{**source, "table": table} for table in ("items", "orders", "customers")],
        "pipelines": [
            {"pipeline_id": name, "pipeline_name": name, "template": "presentation"} for name in ("shop", "readers")
        ],
        "transformations": [
            {**common, "target_table": name, "sql_path": f"transformations/{name}.sql", **values}
            for name, values in tables.items()
        ],
    }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.context.store.close()


def test_rows_that_came_before_what_they_look_up_are_derived_again(shop: Shop) -> None:
    first = shop.run()
    assert shop.total("revenue") == shop.total("stale") == shop.by_hand()
    assert first["revenue"].notes == ()

    shop.land_items(300, 513, "2024-01-02")
    early = shop.run()
    assert shop.total("revenue")[0] == 300
    dropped = "214 driving rows were read and 1 kept: 213 have no row in shop.orders"
    assert early["revenue"].notes == (dropped,), "the row at the watermark is read again"
    assert early["stale"].notes == (f"{dropped}. If that is meant, declare may_drop: true on shop.orders",)

    shop.land_orders(100, 171, "2024-01-02")
    late = shop.run()
    shop.run("readers")
    assert shop.total("revenue") == shop.total("per_item") == shop.by_hand()
    assert shop.total("stale")[0] == 300
    assert late["stale"].status is OutcomeStatus.SKIPPED
    loaded, decision = late["revenue"], late["revenue"].decision
    assert decision.reason == "lookup_changed"
    assert "shop.orders holds rows up to 2024-01-02 00:02:50, read up to 2024-01-01 00:01:39" in decision.message
    assert (loaded.rows and loaded.rows.inserted) == 213
    assert [window.source for window in loaded.windows] == ["shop.items", "shop.orders"]

    shop.warehouse.execute(
        "update shop.customers set city = 'Oslo', landed_at = timestamp '2024-01-03' where id = 3",
        "update shop.orders set is_cancelled = true, landed_at = timestamp '2024-01-04' where id = 7",
    )
    changed = shop.run()["revenue"]
    cities = "select city, count(*) from mart.{} group by city order by city"
    moved = shop.warehouse.query("select count(*) from shop.items where order_id % 10 = 3")[0][0]
    assert shop.warehouse.query(cities.format("revenue")) == [("Lyon", 513 - 3 - moved), ("Oslo", moved)]
    assert shop.warehouse.query(cities.format("stale")) == [("Lyon", 300)]
    assert changed.rows is not None
    assert (changed.rows.updated, changed.rows.deleted) == (moved, 3)
    assert changed.rows.read == moved + 3, "beside these, the items of the newest order only"
    shop.run("readers")
    assert shop.total("revenue") == shop.total("per_item") == shop.by_hand(), (
        "rows that leave reach readers by a new epoch"
    )
    assert verify(shop.context, "mart.revenue").is_sound

    assert {outcome.status for outcome in shop.run().values()} == {OutcomeStatus.SKIPPED}
    outlook = dict(look_ahead(shop.context, RunRequest(("shop",), requested_by="tester")).lookups)
    assert [note.partition(":")[0] for note in outlook["mart.stale"]] == [
        "loaded rows keep what shop.orders held when they were loaded",
        "loaded rows keep what shop.customers held when they were loaded",
        "in its last load, 214 driving rows were read and 1 kept",
    ]
    assert "mart.revenue" not in outlook or len(outlook["mart.revenue"]) == 1
    (entry,) = shop.context.store.latest_decisions("mart.revenue", None, 1)
    assert any("shop.customers holds nothing beyond 2024-01-03" in text for text in (entry.message, *explain(entry)))


def test_what_cannot_be_derived_again_is_refused_and_what_goes_stale_is_said(shop: Shop) -> None:
    _, notes = find_faults_and_notes(shop.context.store.usable_rows(), *_places(shop))
    warnings = [(str(target), text) for target, text in notes]
    assert [target for target, _ in warnings] == ["mart.stale"] * 3
    assert "the SELECT leaves out driving rows without a row in shop.orders" in warnings[2][1]

    revenue = shop.rows["transformations"][0]
    path = shop.root / "dbt_project" / "transformations" / "revenue.sql"
    for select, rule in (
        (REVENUE.replace("o.id = i.order_id", "o.id >= i.order_id"), "no_join_columns"),
        (REVENUE.replace("i.id,", "o.id,"), "no_identity"),
    ):
        path.write_text(select)
        faults = find_faults(shop.context.store.usable_rows(), *_places(shop))
        assert {fault.rule for fault in faults} == {rule}
        assert all("on_change: ignore" in fault.remedy for fault in faults)

    path.write_text(REVENUE.replace("o.id = i.order_id", "o.id + 0 = i.order_id"))
    revenue["dependencies"][1]["restate_by"] = ["order_id = id"]
    shop.rows["sources"][2].pop("incremental_key")
    with pytest.raises(MetadataError) as refused:
        shop.apply()
    assert {fault.rule for fault in refused.value.faults} == {"lookup_not_comparable"}
    shop.rows["sources"][2]["probe"] = "select max(landed_at) from shop.customers"
    shop.apply()
    assert not find_faults(shop.context.store.usable_rows(), *_places(shop))


def _places(shop: Shop) -> tuple[Any, Any]:
    return shop.context.project, shop.context.columns
