"""Lake sources by their files: late, rewritten, hidden and oddly named ones, each loaded exactly once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.gate.facts import Reason
from flows.gate.lake import look_at_lake
from metadata_sync.settings import Settings
from tests.support.engine_project import Workshop, copy_project, transformation

ORDERS = "select o.id, o.shop, o.amount, o.sold_at from lake.sales as o"


def rows() -> dict[str, list[dict[str, Any]]]:
    groups = transformation("mart", "shop_total", "sales", "lake.sales")
    return {
        "sources": [
            {
                "schema": "lake",
                "table": "sales",
                "kind": "lake",
                "format": "parquet",
                "location": "lake/sales",
                "incremental_key": "sold_at",
            }
        ],
        "pipelines": [{"pipeline_id": "sales", "pipeline_name": "Sales", "template": "lake_to_warehouse"}],
        "transformations": [
            transformation("dwh", "sale", "sales", "lake.sales", load_type="append", business_key=["id"]),
            transformation("dwh", "sale_now", "sales", "lake.sales", load_type="scd1", business_key=["id"]),
            transformation("dwh", "sale_then", "sales", "lake.sales", load_type="scd2", business_key=["id"]),
            transformation("dwh", "sale_line", "sales", "lake.sales", load_type="append"),
            {
                **groups,
                "load_type": "scd1",
                "increment": "groups",
                "business_key": ["shop"],
                "dependencies": [{"table": "lake.sales", "driving": True, "recompute_by": ["shop"]}],
            },
        ],
    }


TOTALS = "select s.shop, sum(s.amount) as amount from lake.sales as s group by s.shop"


@pytest.fixture
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    names = ("sale", "sale_now", "sale_then", "sale_line")
    copy_project(root, {**dict.fromkeys(names, ORDERS), "shop_total": TOTALS})
    workshop = Workshop(root, Settings(lock_wait_seconds=30, **getattr(request, "param", {})))
    yield workshop
    workshop.close()


def sales(*values: tuple[int, str, int, str]) -> str:
    listed = ", ".join(f"({id_}, '{shop}', {amount}, timestamp '{at}')" for id_, shop, amount, at in values)
    return f"select * from (values {listed}) as v (id, shop, amount, sold_at)"


def loaded(workshop: Workshop) -> dict[str, Any]:
    """Run, and return what stands in the targets."""
    summary, _ = workshop.run()
    errors = [outcome.error for outcome in summary.outcomes if outcome.error]
    assert not errors, errors
    found: dict[str, Any] = {
        table: workshop.query(f"select id, amount from dwh.{table} order by all")
        for table in ("sale", "sale_now", "sale_line")
    }
    found["sale_then"] = workshop.query("select id, amount, is_current from dwh.sale_then order by all")
    found["shop_total"] = workshop.query("select shop, amount from mart.shop_total order by all")
    found["ran"] = {outcome.target for outcome in summary.outcomes if outcome.status == "loaded"}
    return found


ALL = {"dwh.sale", "dwh.sale_now", "dwh.sale_then", "dwh.sale_line", "mart.shop_total"}


def test_late_and_rewritten_files_are_loaded_once(shop: Workshop, tmp_path: Path) -> None:
    first = shop.land("sales/b", sales((1, "x", 1, "2013-01-02"), (2, "y", 2, "2013-01-02 06:00")))
    shop.apply(rows())
    assert loaded(shop)["ran"] == ALL

    shop.land("sales/late", sales((3, "x", 30, "2013-01-01")))  # its key is older than all that was read
    (decision, *_) = shop.plan().decisions
    (evidence,) = decision.evidence
    assert (decision.reason, evidence.newest) == (Reason.NEW_FILES, "2013-01-02 06:00:00.000000")
    assert decision.message == "lake.sales holds 1 new file: late.parquet"
    late = loaded(shop)
    assert late["sale"] == late["sale_now"] == late["sale_line"] == [(1, 1), (2, 2), (3, 30)]
    assert late["shop_total"] == [("x", 31), ("y", 2)]

    shop.land("sales/b", sales((1, "x", 10, "2013-01-02 01:00"), (2, "y", 2, "2013-01-02 06:00")))
    written = loaded(shop)
    assert written["sale_now"] == [(1, 10), (2, 2), (3, 30)]
    assert written["sale_then"] == [(1, 1, False), (1, 10, True), (2, 2, True), (3, 30, True)]
    assert written["sale_line"] == [(1, 10), (2, 2), (3, 30)]  # without a key, a file's rows are what it holds
    assert written["shop_total"] == [("x", 40), ("y", 2)]

    assert loaded(shop)["ran"] == set()
    shop.close()
    shutil.copytree(shop.root, tmp_path / "moved")
    moved = Workshop(tmp_path / "moved")
    assert loaded(moved)["ran"] == set(), "files are known by their paths below the location"
    moved.close()
    first.unlink()
    report = look_at_lake(shop.context, "lake.sales")
    states = {(item.state, item.target) for item in report.files}
    assert states == {(state, target) for state in ("read", "gone") for target in ALL}
    assert (report.file_count, report.ignored) == (1, "")
    (decision, *_) = shop.plan().decisions
    assert "1 file is gone, its rows stay" in decision.message
    assert loaded(shop)["ran"] == set()


def put(shop: Workshop, name: str, select: str) -> None:
    path = shop.lake / "sales" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shop.land("elsewhere/file", select).rename(path)


def test_names_tell_which_files_are_data(shop: Workshop) -> None:
    spoken = ["a.parquet", "part 1 ü%20.parquet", "it's[1].parquet", "x*y.parquet", "c/day=1/q?.parquet", "_d=2/a\\b"]
    odd = ["part-00000", "old.PARQUET", "d.parq", "e.parquet.gzip", "f.snappy.parquet", "{x,y}"]
    for number, name in enumerate(spoken + odd):
        put(shop, name, sales((number, "x", 1, f"2013-01-{number + 1}")))
    for name in ("_temporary/0/t.parquet", ".hidden.parquet", "_delta_log/0.parquet", "c/.staging/s.parquet"):
        put(shop, name, sales((99, "x", 99, "2013-03-01")))
    put(shop, "xxy.parquet.inprogress", sales((99, "x", 99, "2013-03-01")))
    (shop.lake / "sales" / "_SUCCESS").touch()
    (shop.lake / "sales" / ".bad.parquet").write_text("no Parquet")
    (shop.lake / "sales" / "readme.md").write_text("no Parquet")

    shop.apply(rows())
    found = loaded(shop)
    expected = [(number, 1) for number in range(12)]
    assert found["sale"] == found["sale_now"] == found["sale_line"] == expected
    assert found["shop_total"] == [("x", 12)]
    (decision, *_) = shop.plan().decisions
    assert "6 files are hidden and not read; 2 files are of other formats or unfinished" in decision.message


def test_files_may_differ_in_columns_and_types(shop: Workshop) -> None:
    put(shop, "1.parquet", "select 1 as id, null as shop, 1::smallint as amount, timestamp '2013-01-01' as sold_at")
    put(shop, "2.parquet", sales((2, "x", 2, "2013-01-02")))
    shop.apply(rows())
    assert loaded(shop)["sale"] == [(1, 1), (2, 2)]

    put(shop, "3.parquet", "select timestamp '2013-01-03' as sold_at, 3 as id, 3 as amount, true as is_new")  # no shop
    lacking = loaded(shop)
    assert lacking["sale"] == lacking["sale_line"] == lacking["sale_now"] == [(1, 1), (2, 2), (3, 3)]
    assert lacking["shop_total"] == [("x", 2)]  # a total without a shop has no key: it is a reject

    put(shop, "4.parquet", "select 'four' as id, 'x' as shop, 4 as amount, timestamp '2013-01-04' as sold_at")
    decisions = {decision.target: decision for decision in shop.plan().decisions}
    assert decisions.pop("mart.shop_total").reason is Reason.NEW_FILES  # its SELECT does not read the column
    assert {decision.reason for decision in decisions.values()} == {Reason.FILES_LEFT_OUT}
    assert "4.parquet has id varchar" in decisions["dwh.sale"].message
    put(shop, "4.parquet", sales((4, "x", 4, "2013-01-04")))
    assert loaded(shop)["sale"] == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_no_file_that_was_read_is_opened_again(shop: Workshop) -> None:
    """Old files are emptied, with size and time as before: whoever opened one would fail."""
    one = shop.land("sales/000", sales((0, "x", 1, "2013-01-01"))).read_bytes()
    for number in range(1, 1_000):
        (shop.lake / "sales" / f"{number:03}.parquet").write_bytes(one)
    shop.apply(rows())
    assert loaded(shop)["sale_line"] == [(0, 1)] * 1_000
    for path in (shop.lake / "sales").iterdir():
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert loaded(shop)["ran"] == set()
    for number in range(3):
        shop.land(f"sales/new_{number}", sales((number, "x", 10, "2012-12-31")))
    summary, _ = shop.run()

    by_files = {"dwh.sale", "dwh.sale_now", "dwh.sale_then"}  # the others read the rows of a group, or of a range
    assert {outcome.target for outcome in summary.outcomes if outcome.status == "loaded"} == by_files
    assert shop.query("select id, amount from dwh.sale order by id") == [(0, 1), (1, 10), (2, 10)]


@pytest.mark.parametrize("shop", [{"first_load_rows": 4}], indirect=True)
def test_files_that_come_during_a_first_load_in_chunks_are_loaded(shop: Workshop) -> None:
    first = [(number, "xyz"[number % 3], number, f"2013-01-01 00:{number:02}") for number in range(10, 22)]
    for place in range(3):
        shop.land(f"sales/{place}", sales(*first[place::3]))
    shop.apply(rows())
    assert "chunks" in shop.plan().decisions[0].message
    assert 0 < len(loaded(shop)["sale"]) < len(first)

    shop.land("sales/late", sales((1, "x", 1, "2013-01-01 00:01")))  # below the first chunk, which is loaded
    shop.land("sales/later", sales((50, "y", 50, "2013-01-01 00:50")))
    for _ in range(8):
        found = loaded(shop)
        if not found["ran"]:
            break
    everything = [(number, number) for number in (1, *range(10, 22), 50)]
    assert found["ran"] == set()
    assert found["sale"] == found["sale_now"] == found["sale_line"] == everything
    assert found["sale_then"] == [(number, number, True) for number, _ in everything]
    totals = {"x": 1 + sum(range(12, 22, 3)), "y": sum(range(10, 22, 3)) + 50, "z": sum(range(11, 22, 3))}
    assert dict(found["shop_total"]) == totals
