"""Lake sources of text: CSV and JSON files reach the targets like Parquet, and their unreadable lines the rejects."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.gate.lake import look_at_lake
from metadata_sync.incident import IncidentKind
from tests.support.engine_project import Workshop, copy_project, transformation

SELECTS = {
    "sale_now": (
        "select o.id, r.label, o.amount, o.sold_at from lake.sales as o left join lake.shops as r on r.shop = o.shop"
    ),
    "sale_line": "select o.id, o.amount, o.sold_at from lake.sales as o",
    "shop": "select s.shop, s.label, s.address.city as city from lake.shops as s",
}
HEADER = "id;shop;amount;sold_at\n"


def rows(**sales: Any) -> dict[str, list[dict[str, Any]]]:
    lake = {"schema": "lake", "kind": "lake"}
    now = transformation("dwh", "sale_now", "sales", "lake.sales", load_type="scd1", business_key=["id"])
    now["dependencies"].append({"table": "lake.shops", "driving": False, "on_change": "ignore"})
    return {
        "sources": [
            {
                **lake,
                "table": "sales",
                "format": "csv",
                "location": "lake/sales",
                "incremental_key": "sold_at",
                "columns": {"id": "integer", "shop": "varchar", "amount": "decimal(9,2)", "sold_at": "timestamp"},
                "format_options": {"delimiter": ";", "decimal": ","},
                **sales,
            },
            {
                **lake,
                "table": "shops",
                "format": "ndjson",
                "location": "lake/shops",
                "columns": {"shop": "varchar", "label": "varchar", "address": "struct(city varchar)"},
            },
        ],
        "pipelines": [{"pipeline_id": "sales", "pipeline_name": "Sales", "template": "lake_to_warehouse"}],
        "transformations": [
            now,
            transformation("dwh", "sale_line", "sales", "lake.sales", load_type="append"),
            transformation(
                *("dwh", "shop", "sales", "lake.shops"), load_type="scd1", increment="full", business_key=["shop"]
            ),
        ],
    }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, SELECTS)
    workshop = Workshop(root)
    yield workshop
    workshop.close()


def put(shop: Workshop, name: str, content: str | bytes) -> Path:
    path = shop.lake / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def run(shop: Workshop) -> dict[str, int | None]:
    """Run, and return the rejects that each load added; None: the target was not loaded."""
    summary, _ = shop.run()
    assert not [outcome.error for outcome in summary.outcomes if outcome.error]
    return {outcome.target: outcome.rows.rejected if outcome.rows is not None else None for outcome in summary.outcomes}


def test_text_files_are_loaded_once_and_bad_lines_are_rejected(shop: Workshop) -> None:
    first = put(
        shop,
        "sales/1.csv",
        HEADER + "1;a;1,50;2013-01-01 10:00\n2;b;x;2013-01-01 11:00\n3;a\n4;b;4;2013-01-01 12:00\n",
    )
    put(shop, "shops/all", '{"shop":"a","label":"Anna\'s","address":{"city":"Ulm"}}\n{"shop":"b",\n')
    shop.apply(rows())
    assert run(shop) == {"dwh.sale_now": 3, "dwh.sale_line": 2, "dwh.shop": 1}
    assert shop.query("select id, label, amount::varchar from dwh.sale_now order by id") == [
        (1, "Anna's", "1.50"),
        (4, None, "4.00"),
    ]
    assert shop.query("select shop, city from dwh.shop") == [("a", "Ulm")]
    rejects = shop.query("select reason, row_text from sluice.dwh__sale_line__rejects order by reason")
    assert rejects == [
        ("1.csv, line 3: amount does not cast to decimal(9,2): x", "id=2, shop=b, amount=x, sold_at=2013-01-01 11:00"),
        ("1.csv, line 4: it has 2 fields, and 4 columns are expected", "3;a"),
    ]

    # a late file, packed and in another order; the old file must not be opened again
    status = first.stat()
    first.write_bytes(b"\0" * status.st_size)
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    put(shop, "sales/late", gzip.compress(b"sold_at;id;amount\n2012-12-31;5;5\n2012-12-31;6;six\n"))
    (decision, *_) = shop.plan().decisions
    assert decision.message == "lake.sales holds 1 new file: late"
    assert run(shop) == {"dwh.sale_now": 2, "dwh.sale_line": 1, "dwh.shop": None}
    assert shop.query("select id, amount from dwh.sale_line order by id") == [(1, 1.5), (4, 4), (5, 5)]
    assert run(shop) == dict.fromkeys(("dwh.sale_now", "dwh.sale_line", "dwh.shop"))

    # written again, and bad files: other formats are counted, one that is none of its own is left out by name
    put(shop, "sales/late", "sold_at;id;amount\n2012-12-31;5;5,5\n2012-12-31;6;6\n")
    put(shop, "sales/other.csv", b"PAR1 and more")
    put(shop, "sales/cut.csv", gzip.compress(HEADER.encode() * 99)[:-12])
    put(shop, "sales/notes.md", "no data")
    put(shop, "sales/part.parquet", "no data")
    put(shop, "sales/empty.csv", "")
    put(shop, "sales/new.csv", HEADER.replace("shop", "shop;note") + "7;a;n;7;2013-01-02\n")
    run(shop)
    assert shop.query("select id, amount from dwh.sale_line order by id") == [
        (1, 1.5),
        (4, 4),
        (5, 5.5),
        (6, 6),
        (7, 7),
    ]
    assert shop.query("select id, amount from dwh.sale_now order by id") == [(1, 1.5), (4, 4), (5, 5.5), (6, 6), (7, 7)]
    report = look_at_lake(shop.context, "lake.sales")
    assert report.ignored == "2 of other formats, or unfinished: not read"
    assert "new column note" in report.change
    left_out = {item.file: item.reason for item in report.files if item.state == "unreadable"}
    assert set(left_out) == {"other.csv", "cut.csv"}
    assert left_out["other.csv"] == "other.csv: it is a Parquet file"
    assert "cut off" in left_out["cut.csv"]
    (incident,) = [item for item in shop.context.store.incidents() if item.kind is IncidentKind.FILE and item.is_open]
    assert incident.subject == "lake.sales"


def test_types_that_were_found_are_kept(shop: Workshop) -> None:
    put(shop, "sales/1.csv", "id,zip,amount,sold_at\n1,007,1,2013-01-01 10:00\n2,12,2,2013-01-01 11:00\n")
    put(shop, "shops/all", '{"shop":"a"}\n')
    found = rows(columns={}, format_options=None)
    found["transformations"] = found["transformations"][1:2]
    shop.write_select("sale_line", "select o.id, o.zip, o.amount, o.sold_at from lake.sales as o")
    shop.apply(found)
    run(shop)
    put(shop, "sales/2.csv", "id,zip,amount,sold_at\n3,13,3,2013-01-02 10:00\n")
    run(shop)
    assert shop.query("select id, zip, amount from dwh.sale_line order by id") == [
        (1, "007", 1),
        (2, "12", 2),
        (3, "13", 3),
    ]

    # a number with a fraction is told, a code in place of numbers stops its file
    put(shop, "sales/3.csv", "id,zip,amount,sold_at\n4,14,4.5,2013-01-03 10:00\n")
    put(shop, "sales/4.csv", "id,zip,amount,sold_at\n0005,14,5,2013-01-03 10:00\n")
    run(shop)
    report = look_at_lake(shop.context, "lake.sales")
    assert report.change.startswith("amount bigint is decimal(38,9) now (read by dwh.sale_line), since ")
    (left_out,) = [item.reason for item in report.files if item.state == "left_out"]
    assert left_out.startswith("4.csv has id varchar, where")
    assert shop.query("select count(*), max(id) from dwh.sale_line") == [(4, 4)]
