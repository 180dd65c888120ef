"""`on_removed_files: remove`: targets are what their SELECT yields over the files that are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.gate.facts import Reason
from metadata_sync.settings import Settings
from tests.flows.engine.test_lake_files import ORDERS, TOTALS, rows, sales
from tests.support.engine_project import Workshop, copy_project, transformation

LINES = "select s.id, s.amount, s.at_number from lake.sales as s"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, {"sale_line": ORDERS, "sale_all": ORDERS, "shop_total": TOTALS})
    workshop = Workshop(root, Settings(lock_wait_seconds=30, tries=1))
    yield workshop
    workshop.close()


def removing() -> dict[str, Any]:
    given = rows()
    given["sources"][0]["on_removed_files"] = "remove"
    everything = {"load_type": "scd2", "business_key": ["id"], "increment": "full"}
    kept = [row for row in given["transformations"] if row["target_table"] in ("sale_line", "shop_total")]
    kept[-1]["max_vanish_percent"] = 50  # one of two shops
    kept.append(transformation("dwh", "sale_all", "sales", "lake.sales", **everything))
    return {**given, "transformations": kept}


def land_day(shop: Workshop, day: int) -> Path:
    """Land ten sales of shop x; the ninth day is of shop z alone."""
    name = "z" if day == 9 else "x"
    return shop.land(f"sales/{day}", sales(*((day * 10 + n, name, 1, f"2013-01-0{day} 0{n}:00") for n in range(10))))


def loaded(shop: Workshop) -> dict[str, Any]:
    summary, _ = shop.run()
    assert not [outcome.error for outcome in summary.outcomes if outcome.error]
    ids = "select list(id order by id) from dwh."
    return {
        "lines": shop.query(f"{ids}sale_line")[0][0],
        "all": shop.query(f"{ids}sale_all where is_current")[0][0],
        "totals": dict(shop.query("select shop, cast(amount as integer) from mart.shop_total")),
        "ran": sorted(outcome.target for outcome in summary.outcomes if outcome.status == "loaded"),
    }


def ids_of(*days: int) -> list[int]:
    return [day * 10 + number for day in days for number in range(10)]


def test_rows_of_a_removed_file_go_and_come_back_with_it(shop: Workshop) -> None:
    for day in (1, 2, 3, 4, 5, 9):
        land_day(shop, day)
    shop.apply(removing())
    assert loaded(shop)["totals"] == {"x": 50, "z": 10}

    (shop.lake / "sales" / "2.parquet").unlink()
    decisions = {decision.target: decision for decision in shop.plan().decisions}
    assert {decision.reason for decision in decisions.values()} == {Reason.FILES_REMOVED}
    assert "lake.sales holds fewer files; 1 file is gone, its rows are removed" in decisions["dwh.sale_line"].message
    left = ids_of(1, 3, 4, 5, 9)
    removed = loaded(shop)
    assert (removed["lines"], removed["all"], removed["totals"]) == (left, left, {"x": 40, "z": 10})
    assert len(removed["ran"]) == 3
    assert loaded(shop)["ran"] == []

    land_day(shop, 2)
    back = loaded(shop)
    assert (back["lines"], back["totals"]) == (ids_of(1, 2, 3, 4, 5, 9), {"x": 50, "z": 10})
    shop.land("sales/9", sales(*((90 + n, "x", 1, f"2013-01-09 0{n}:00") for n in range(10))))  # no z any more
    assert loaded(shop)["totals"] == {"x": 60}


def test_too_many_rows_do_not_vanish(shop: Workshop) -> None:
    for day in (1, 2, 3, 4, 9):
        land_day(shop, day)
    shop.apply(removing())
    loaded(shop)
    for day in (1, 2):
        (shop.lake / "sales" / f"{day}.parquet").unlink()
    summary, _ = shop.run()
    errors = {outcome.target: outcome.error or "" for outcome in summary.outcomes}
    for target in ("dwh.sale_line", "dwh.sale_all"):
        assert "20 of 50 rows" in errors[target], errors
    assert shop.query("select count(*) from dwh.sale_line") == [(50,)]

    for day in (3, 4, 9):
        (shop.lake / "sales" / f"{day}.parquet").unlink()
    assert {decision.reason for decision in shop.plan().decisions} >= {Reason.SOURCE_EMPTIED}


def test_least_keys_that_are_numbers_are_compared_as_numbers(shop: Workshop) -> None:
    shop.write_select("sale_line", LINES)
    given = removing()
    given["sources"][0]["incremental_key"] = "at_number"
    given["transformations"] = [row for row in given["transformations"] if row["target_table"] == "sale_line"]
    given["transformations"][0]["max_vanish_percent"] = 100
    for first in (9, 10, 100):
        shop.land(f"sales/{first}", f"select {first} as id, 1 as amount, {first} as at_number")
    shop.apply(given)
    shop.run()
    for first in (9, 10):
        (shop.lake / "sales" / f"{first}.parquet").unlink()
    shop.run()
    assert shop.query("select id from dwh.sale_line") == [(100,)]
