"""Files of a lake that cannot be read or do not fit: the others are loaded, and nothing calls that sound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.engine.engine import execute, prepare
from flows.gate.facts import Guard, Reason
from flows.gate.lake import look_at_lake
from flows.run.model import RunRequest
from flows.warehouse.lake.variable import files_variable, lake_view
from metadata_sync.incident import Incident, IncidentKind, Severity
from tests.flows.engine.test_lake_files import ORDERS, TOTALS, put, rows, sales
from tests.support.engine_project import Workshop, copy_project, transformation

IDS = "select o.id, o.amount, o.sold_at from lake.sales as o"


def some(*targets: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of some of the targets."""
    found = rows()
    found["transformations"] = [row for row in found["transformations"] if row["target_table"] in targets]
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    selects = {"sale": ORDERS, "sale_now": IDS, "sale_then": ORDERS, "sale_line": ORDERS, "shop_total": TOTALS}
    copy_project(root, selects)
    workshop = Workshop(root)
    yield workshop
    workshop.close()


def run(shop: Workshop) -> dict[str, str]:
    """Run, and return what came of each target."""
    summary, _ = shop.run()
    assert not [outcome.error for outcome in summary.outcomes if outcome.error]
    return {
        outcome.target: "loaded" if outcome.load_id else f"{outcome.status}: {outcome.decision.message}"
        for outcome in summary.outcomes
    }


def file_incidents(shop: Workshop) -> list[Incident]:
    return [item for item in shop.context.store.incidents() if item.kind is IncidentKind.FILE and item.is_open]


def ids(shop: Workshop, table: str) -> list[Any]:
    return [value for (value,) in shop.query(f"select id from dwh.{table} order by id")]


def test_a_file_that_cannot_be_read_stops_itself(shop: Workshop) -> None:
    put(shop, "1.parquet", sales((1, "x", 1, "2013-01-01")))
    put(shop, "2.parquet", sales((2, "y", 2, "2013-01-02")))
    folder = shop.lake / "sales"
    half = (folder / "2.parquet").read_bytes()
    (folder / "half.parquet").write_bytes(half[: len(half) // 2])
    (folder / "empty.parquet").touch()
    shop.apply(some("sale", "sale_line", "shop_total"))
    every = {"dwh.sale", "dwh.sale_line", "mart.shop_total"}

    assert run(shop) == dict.fromkeys(every, "loaded"), "a first load goes on without the files"
    assert ids(shop, "sale") == ids(shop, "sale_line") == [1, 2]
    (incident,) = file_incidents(shop)
    assert (incident.subject, incident.failure_class) == ("lake.sales", "unreadable_file")
    assert incident.severity is Severity.WARNING
    assert set(incident.targets) == every
    assert "2 files are left out until written again: e.g. empty.parquet: " in incident.message

    again = run(shop)
    assert all(text.startswith("skipped: lake.sales holds nothing new that can be read") for text in again.values())
    (decision, *_) = shop.plan().decisions
    assert decision.reason is Reason.FILES_LEFT_OUT
    assert Guard.FILES_LEFT_OUT in decision.evidence[0].guards
    assert len(file_incidents(shop)) == 1

    put(shop, "half.parquet", sales((3, "x", 3, "2012-12-31")))
    assert run(shop) == dict.fromkeys(every, "loaded")
    assert ids(shop, "sale") == ids(shop, "sale_line") == [1, 2, 3]
    report = look_at_lake(shop.context, "lake.sales")
    assert {item.target for item in report.files if item.state == "unreadable"} == every
    assert {item.file for item in report.files if item.state == "unreadable"} == {"empty.parquet"}

    (folder / "empty.parquet").unlink()
    put(shop, "4.parquet", sales((4, "x", 4, "2013-01-04")))
    assert run(shop) == dict.fromkeys(every, "loaded")
    assert not file_incidents(shop)

    (folder / "4.parquet").write_bytes(b"no Parquet")  # it was read: what it held must not be lost
    last = run(shop)
    assert {target for target, text in last.items() if text.startswith("skipped")} == {"dwh.sale"}
    put(shop, "5.parquet", sales((5, "x", 5, "2013-01-05")))
    last = run(shop)
    assert {target for target, text in last.items() if text == "loaded"} == {"dwh.sale"}
    for target in ("dwh.sale_line", "mart.shop_total"):
        assert last[target].startswith("held: lake.sales cannot be read: 4.parquet")
        assert "those that this file held before would be lost" in last[target]
    assert shop.query("select shop, amount from mart.shop_total order by all") == [("x", 8), ("y", 2)]


def test_types_that_do_not_fit_hold_a_file_from_those_who_read_the_column(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, "1.parquet", sales((1, "x", 1, "2013-01-01")))
    put(shop, "2.parquet", sales((2, "x", 2, "2013-01-02")))
    shop.apply(some("sale", "sale_now"))
    both = {"dwh.sale", "dwh.sale_now"}
    run(shop)

    odd = "select 3 as id, {'name': 'x'} as shop, 3 as amount, timestamp '2013-01-03' as sold_at"
    put(shop, "3.parquet", odd)
    put(shop, "4.parquet", sales((4, "x", 4, "2013-01-04")))
    assert run(shop) == dict.fromkeys(both, "loaded")
    assert ids(shop, "sale") == [1, 2, 4]
    assert ids(shop, "sale_now") == [1, 2, 3, 4], "its SELECT does not read the column"
    (incident,) = file_incidents(shop)
    assert incident.targets == ("dwh.sale",)
    assert '3.parquet has shop STRUCT("name" VARCHAR), where the source has shop varchar' in incident.message
    report = look_at_lake(shop.context, "lake.sales")
    states = {item.target: item.state for item in report.files if item.file == "3.parquet"}
    assert states == {"dwh.sale": "left_out", "dwh.sale_now": "read"}

    rows_ = shop.context.store.usable_rows()
    variable = files_variable(shop.context, rows_, rows_.transformations, "by-hand")
    assert "where the source has shop varchar" in variable["SLUICE_FILES"], "whoever asks no gate is refused"
    decided = {("dwh.sale", "lake.sales", "3.parquet")}
    seen = lake_view(shop.context, rows_)
    seen.listed(rows_.sources[0])
    monkeypatch.setattr("flows.warehouse.lake.view._SECONDS_FRESH", 0)
    put(shop, "5.parquet", odd)
    for before, refused in ((None, ["dwh.sale"]), (seen, [])):  # what comes after the decision was never read
        variable = files_variable(shop.context, rows_, rows_.transformations, "late", left_out=decided, seen=before)
        assert list(json.loads(variable["SLUICE_FILES"])["refused"]) == refused
    (shop.lake / "sales" / "5.parquet").unlink()

    put(shop, "3.parquet", sales((3, "x", 3, "2013-01-03")))
    assert run(shop) == dict.fromkeys(both, "loaded")
    assert ids(shop, "sale") == [1, 2, 3, 4]
    assert not file_incidents(shop)


def test_a_source_that_is_held_or_read_in_full_is_not_read_in_part(shop: Workshop) -> None:
    put(shop, "1.parquet", sales((1, "x", 1, "2013-01-01")))
    (shop.lake / "sales" / "2.parquet").write_text("id,shop\n3,x\n")
    changed = some("sale_now")
    changed["transformations"][0]["increment"] = "full"
    (source,) = changed["sources"]
    key = source.pop("incremental_key")
    shop.apply(changed)
    message = run(shop)["dwh.sale_now"]
    assert message.startswith("held: lake.sales cannot be read: 2.parquet: ")
    assert message.endswith("It has no incremental_key: it is read in full, or not at all")

    source |= {"incremental_key": key, "on_bad_file": "hold"}
    shop.apply(changed)
    assert run(shop)["dwh.sale_now"].endswith("(on_bad_file: hold)")
    del source["on_bad_file"]
    shop.apply(changed)
    assert run(shop) == {"dwh.sale_now": "loaded"}
    assert ids(shop, "sale_now") == [1]


def test_a_change_of_columns_is_said_once_and_follows_the_row(shop: Workshop) -> None:
    def said() -> list[str]:
        heard: list[str] = []
        plan = prepare(shop.context, RunRequest(requested_by="test"), on_wait=heard.append)
        summary = execute(shop.context, plan)
        assert not [outcome.error for outcome in summary.outcomes if outcome.error]
        return heard

    def policy(word: str) -> None:
        changed = rows()
        changed["sources"][0]["on_source_change"] = word
        changed["transformations"] = [
            transformation("dwh", "sale_now", "sales", "lake.sales", load_type="scd1", business_key=["id"]),
            transformation("dwh", "sale_all", "sales", "lake.sales", load_type="append", business_key=["id"]),
        ]
        shop.apply(changed)

    (shop.root / "dbt_project" / "transformations" / "sale_all.sql").write_text("select s.* from lake.sales as s")
    put(shop, "1.parquet", "select 1 as id, 'x' as shop, 1::smallint as amount, timestamp '2013-01-01' as sold_at")
    policy("ignore")
    assert said() == []
    put(shop, "2.parquet", "select 2 as id, 'x' as shop, 2 as amount, timestamp '2013-01-02' as sold_at, true as paid")
    assert said() == ["! lake.sales has changed: amount smallint is integer now (read by dwh.sale_all, dwh.sale_now)"]
    assert ids(shop, "sale_all") == ids(shop, "sale_now") == [1, 2]
    columns = "select column_name from information_schema.columns where table_name = 'sale_all'"
    assert ("paid",) not in shop.query(columns), "a new column is ignored, also by a star"
    assert said() == []

    policy("hold")
    put(shop, "3.parquet", "select 3 as id, 'x' as shop, 3 as amount, timestamp '2013-01-03' as sold_at, 1 as tip")
    put(shop, "4.parquet", "select 4 as id, 'x' as shop, 4 as amount, timestamp '2013-01-04' as sold_at")
    assert said() == []
    assert ids(shop, "sale_now") == [1, 2, 4]
    (incident,) = file_incidents(shop)
    assert "3.parquet: it has the new column tip (on_source_change: hold)" in incident.message

    policy("add")
    assert said() == [
        "! lake.sales has changed: new column paid boolean (read by dwh.sale_all); "
        "new column tip integer (read by dwh.sale_all)"
    ]
    assert ids(shop, "sale_now") == [1, 2, 3, 4]
    assert look_at_lake(shop.context, "lake.sales").change.startswith("new column paid boolean")
    assert not file_incidents(shop)


def test_a_file_damaged_behind_its_footer_stops_itself(shop: Workshop) -> None:
    put(shop, "1.parquet", sales((1, "x", 1, "2013-01-01")))
    shop.apply(some("sale"))
    run(shop)
    columns = "10 + range as id, uuid()::varchar as shop, 1 as amount, timestamp '2013-01-02' as sold_at"
    put(shop, "2.parquet", f"select {columns} from range(5000)")
    put(shop, "3.parquet", sales((3, "x", 3, "2013-01-03")))
    path = shop.lake / "sales" / "2.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(b ^ 0xFF for b in content[40:140]) + content[140:])

    assert run(shop) == {"dwh.sale": "loaded"}, "the run goes on without the file"
    assert ids(shop, "sale") == [1, 3]
    (incident,) = file_incidents(shop)
    assert "2.parquet: Failed to read file" in incident.message
    assert run(shop)["dwh.sale"].startswith("skipped: lake.sales holds nothing new that can be read")
    path.write_bytes(content)
    assert run(shop) == {"dwh.sale": "loaded"}
    assert len(ids(shop, "sale")) == 5_002
    assert not file_incidents(shop)


def test_a_target_that_restates_is_held_when_a_file_that_it_has_read_cannot_be_read(shop: Workshop) -> None:
    """A changed lookup would derive the rows of that file again, and they would be lost."""
    joined = (
        "select o.id, o.amount, o.sold_at, s.label from lake.sales as o left join lake.shops as s on s.shop = o.shop"
    )
    shop.write_select("sale_now", joined)
    given = some("sale_now")
    shops = {**given["sources"][0], "table": "shops", "location": "lake/shops", "incremental_key": "known_at"}
    given["sources"].append(shops)
    lookup = {"table": "lake.shops", "driving": False, "on_change": "restate"}
    given["transformations"][0]["dependencies"].append(lookup)
    put(shop, "1.parquet", sales((1, "x", 1, "2013-01-01")))
    shop.land("shops/1", "select 'x' as shop, 'X' as label, timestamp '2013-01-01' as known_at")
    shop.apply(given)
    assert run(shop) == {"dwh.sale_now": "loaded"}

    path = shop.lake / "sales" / "1.parquet"
    sound = path.read_bytes()
    path.write_bytes(sound[:50])
    put(shop, "2.parquet", sales((2, "x", 2, "2013-01-02")))
    shop.land("shops/2", "select 'x' as shop, 'Y' as label, timestamp '2013-01-03' as known_at")
    (held,) = run(shop).values()
    assert held.startswith("held: lake.sales cannot be read: 1.parquet")
    assert held.endswith("The load replaces rows: those that this file held before would be lost")
    put(shop, "unread.parquet", "select 'no' as id")  # never read: it loses nothing, and is left out
    path.write_bytes(sound)
    assert run(shop) == {"dwh.sale_now": "loaded"}
    assert set(shop.query("select id, label from dwh.sale_now")) == {(1, "Y"), (2, "Y")}
