"""Iceberg tables in a local catalog: a load reads the files that snapshots have added, late rows included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.types import LongType
from pyiceberg.utils.config import Config

from flows.gate.facts import Reason
from metadata_sync.errors import MetadataError
from metadata_sync.settings import Settings
from tests.support.engine_project import Workshop, copy_project, transformation
from tests.support.scd_oracle import Event, scd1

ORDERS = "select o.id, o.amount, o.sold_at from lake.orders as o"
THERE = ORDERS.replace("lake.orders", "lake.orders_there")
NAMED = "select o.id, o.amount, o.file from lake.orders_named as o"
DAY = datetime(2013, 1, 1)  # noqa: DTZ001 - as the column holds it
Row = tuple[int, int, int]
"""Id, amount, minute."""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, {"order_now": ORDERS, "order_then": ORDERS, "order_line": THERE, "order_named": NAMED})
    for name, value in (
        ("TYPE", "sql"),
        ("URI", f"sqlite:///{tmp_path}/catalog.db"),
        ("WAREHOUSE", f"file://{root}/lake"),
    ):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__SHOP__{name}", value)
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # it is read when pyiceberg is imported
    workshop = Workshop(root, Settings(lock_wait_seconds=30, tries=1))
    yield workshop
    workshop.close()


@pytest.fixture
def catalog(shop: Workshop) -> Catalog:
    found = load_catalog("shop")
    found.create_namespace("sales")
    return found


def rows() -> dict[str, Any]:
    source = {"schema": "lake", "kind": "lake", "format": "iceberg", "location": "lake/sales/orders"}
    source |= {"catalog_table": "shop.sales.orders", "incremental_key": "sold_at"}
    there = {**source, "table": "orders_there", "on_removed_files": "remove"}
    named = {**there, "table": "orders_named", "file_column": "file", "incremental_key": None}
    keyed = {"business_key": ["id"]}
    free = {"max_vanish_percent": 100}
    return {
        "sources": [{**source, "table": "orders"}, there, named],
        "pipelines": [{"pipeline_id": "orders", "pipeline_name": "Orders", "template": "lake_to_warehouse"}],
        "transformations": [
            transformation("dwh", "order_now", "orders", "lake.orders", load_type="scd1", **keyed),
            transformation("dwh", "order_then", "orders", "lake.orders", load_type="scd2", **keyed),
            transformation("dwh", "order_line", "orders", "lake.orders_there", load_type="append", **free),
            transformation("dwh", "order_named", "orders", "lake.orders_named", load_type="append", **free),
        ],
    }


def orders(*given: Row) -> pa.Table:
    ids, amounts, minutes = zip(*given, strict=True)
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "amount": pa.array(amounts, pa.int32()),
            "sold_at": pa.array([DAY + timedelta(minutes=minute) for minute in minutes], pa.timestamp("us")),
        }
    )


def held(table: Table) -> list[Row]:
    """Return what the table holds now, as pyiceberg reads it."""
    found = table.refresh().scan().to_arrow().to_pylist()
    return [(row["id"], row["amount"], int((row["sold_at"] - DAY).total_seconds()) // 60) for row in found]


def make(catalog: Catalog, *given: Row) -> Table:
    table = catalog.create_table("sales.orders", schema=orders((1, 1, 1)).schema)
    if given:
        table.append(orders(*given))
    return table


def run(shop: Workshop) -> dict[str, str]:
    summary, _ = shop.run()
    plain = ("loaded", "skipped")
    return {
        outcome.target: str(outcome.status) if outcome.status in plain else outcome.error or outcome.decision.message
        for outcome in summary.outcomes
    }


def loaded(shop: Workshop) -> bool:
    """Run; return whether everything was loaded, or nothing."""
    states = set(run(shop).values())
    assert states in ({"loaded"}, {"skipped"}), states
    return states == {"loaded"}


def target(shop: Workshop, name: str) -> list[Row]:
    minute = "cast(epoch(sold_at) - epoch(timestamp '2013-01-01') as integer) // 60"
    found: list[Row] = shop.query(f"select id, amount, {minute} from dwh.{name}")
    return found


def test_a_load_reads_what_snapshots_have_added(shop: Workshop, catalog: Catalog) -> None:
    table = make(catalog, (1, 10, 100), (2, 20, 200))
    shop.apply(rows())
    assert loaded(shop)
    assert not loaded(shop)

    table.append(orders((3, 30, 5)))  # late, far below the watermark
    decision = next(item for item in shop.plan().decisions if item.target == "dwh.order_now")
    assert decision.reason is Reason.NEW_FILES
    assert decision.message.startswith("lake.orders holds 1 new file: data/")
    assert loaded(shop)
    assert sorted(target(shop, "order_now")) == sorted(held(table)) == [(1, 10, 100), (2, 20, 200), (3, 30, 5)]
    assert shop.query("select rows_read from sluice.load_log where target = 'dwh.order_now' order by started_at") == [
        (2,),
        (1,),
    ]
    for manifest in (shop.lake / "sales" / "orders" / "metadata").glob("*.avro"):
        manifest.rename(manifest.with_suffix(".away"))
    assert not loaded(shop), "the files of a snapshot are remembered"
    for manifest in (shop.lake / "sales" / "orders" / "metadata").glob("*.away"):
        manifest.rename(manifest.with_suffix(".avro"))

    with table.transaction() as change:  # a snapshot without data
        change.set_properties(owner="sales")
    assert not loaded(shop)

    (shop.lake / "sales" / "orders" / "data" / "orphan.parquet").write_bytes(b"uncommitted")
    assert not loaded(shop)


def test_added_dropped_and_wider_columns_are_followed(shop: Workshop, catalog: Catalog) -> None:
    table = make(catalog, (1, 10, 100))
    shop.write_select("order_named", "select o.* from lake.orders_named as o")
    shop.apply(rows())
    assert loaded(shop)
    with table.update_schema() as change:
        change.update_column("amount", LongType())
        change.add_column("note", LongType())
    wide = orders((2, 20, 50)).set_column(1, "amount", pa.array([3_000], pa.int64()))
    table.append(wide.append_column("note", pa.array([7], pa.int64())))
    assert loaded(shop)
    assert target(shop, "order_now") == [(1, 10, 100), (2, 3_000, 50)]
    assert shop.query("select id, note from dwh.order_named order by id") == [(1, None), (2, 7)]

    with table.update_schema(allow_incompatible_changes=True) as change:
        change.delete_column("note")
    table.append(wide)
    assert loaded(shop)
    found = shop.query("select note from dwh.order_named order by all")
    assert found == [(7,), (None,), (None,)], "what was loaded stays"


@pytest.mark.parametrize("change", ["rename", "again", "odd", "deletes", "outside", "missing"])
def test_what_reading_by_name_would_get_wrong_is_refused(shop: Workshop, catalog: Catalog, change: str) -> None:
    table = make(catalog, (1, 10, 100))
    given = rows()
    said = {
        "rename": "was renamed to",
        "again": "was dropped and added again",
        "odd": "has another name in its files",
        "deletes": "has delete files",
        "outside": "has files outside",
        "missing": "the catalog shop has no table",
    }
    if change == "rename":
        with table.update_schema(allow_incompatible_changes=True) as schema:
            schema.rename_column("amount", "total")
    elif change == "again":
        with table.update_schema(allow_incompatible_changes=True) as schema:
            schema.delete_column("amount")
        with table.update_schema() as schema:
            schema.add_column("amount", LongType())
    elif change == "odd":
        with table.update_schema() as schema:
            schema.add_column("the note", LongType())
    elif change == "deletes":
        _add_delete_file(table)
    elif change == "outside":
        given["sources"] = [{**source, "location": "lake/sales/other"} for source in given["sources"]]
        (shop.lake / "sales" / "other").mkdir()
    else:
        catalog.drop_table("sales.orders")
    with pytest.raises(MetadataError) as caught:
        shop.apply(given)
    assert any(said[change] in str(fault) for fault in caught.value.faults), caught.value.faults


def _add_delete_file(table: Table) -> None:
    data = next(iter(table.scan().plan_files())).file
    kept = {"file_path": f"{table.location()}/data/deletes.parquet", "file_format": FileFormat.PARQUET}
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        partition=data.partition,
        record_count=1,
        file_size_in_bytes=1,
        **kept,
    )
    deletes.spec_id = 0
    with table.transaction() as change, change.update_snapshot().fast_append() as snapshot:
        snapshot.append_data_file(deletes)


def test_a_table_that_changes_later_is_held_and_says_why(shop: Workshop, catalog: Catalog) -> None:
    table = make(catalog, (1, 10, 100))
    shop.apply(rows())
    assert loaded(shop)
    _add_delete_file(table)
    shop.run()
    assert all("has delete files" in decision.message for decision in shop.plan().decisions)


@pytest.mark.filterwarnings("ignore:Delete operation did not match any records:UserWarning")
@pytest.mark.parametrize("seed", range(4))
def test_any_table_equals_the_oracle(shop: Workshop, catalog: Catalog, seed: int) -> None:
    chance = Random(seed)

    def some() -> list[Row]:
        return [(chance.randrange(6), chance.randrange(90), chance.randrange(1, 1_000)) for _ in range(3)]

    table = make(catalog, *some())
    shop.apply(rows())
    accepted: set[Row] = set()
    for number in range(6):
        for _ in range(chance.randrange(3) if number else 0):
            match chance.choice(["append", "append", "delete", "replace", "compact"]):
                case "append":
                    table.append(orders(*some()))
                case "delete":
                    table.delete(f"id = {chance.randrange(6)}")  # writes the files again without the rows
                    table.append(orders(*some()))
                case "replace":
                    table.overwrite(orders(*some()), overwrite_filter=f"amount < {chance.randrange(90)}")
                case "compact":
                    table.overwrite(table.refresh().scan().to_arrow())
        loaded(shop)
        accepted |= set(held(table))
        events = [Event((str(i),), minute, 0, False, (amount,)) for i, amount, minute in accepted]
        now = {(int(key[0]), content[0], at) for key, content, at, _ in scd1(events)}
        assert set(target(shop, "order_now")) == now
        assert Counter(target(shop, "order_line")) == Counter(held(table))
        named = shop.query("select id, amount from dwh.order_named")
        assert Counter(named) == Counter((i, amount) for i, amount, _ in held(table))
        assert not loaded(shop)
