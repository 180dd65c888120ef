"""Extents of sources, and cutting them into spans of about the same number of rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from flows.gate.extent import cut_evenly, measure
from flows.warehouse.connection import DuckDBWarehouse
from metadata_sync.project import Project
from tests.support.probe_support import table

SKEWED = """
    create schema shop;
    create table shop.events as
    select {key} as k from (
        select i from range(1000) as t (i)                              -- even
        union all select 5000 + i % 10 from range(1000) as t (i)        -- dense
        union all select 7000 from range(300) as t (i)                  -- one key value
        union all select 100000                                         -- far away
    ) as t (i);
"""
KEYS = {
    "integer": "i",
    "timestamp": "timestamp '2024-01-01' + i * interval 1 minute",
    "date": "date '2024-01-01' + i::integer",
    "zoned": "timestamptz '2024-01-01 00:00:00+00' + i * interval 1 minute",
}


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_spans_hold_about_the_same_number_of_rows_when_keys_lie_unevenly(tmp_path: Path, kind: str) -> None:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(SKEWED.format(key=KEYS[kind]))
    warehouse, project, source = DuckDBWarehouse(connection), Project(tmp_path), table("events")
    extent = measure(project, warehouse, source, "k", start=None, end=None)
    assert extent is not None
    assert extent.row_count == 2301

    spans = cut_evenly(project, warehouse, source, "k", extent, rows_per_chunk=100)

    per_span = "select count(*) from shop.events where k between '{}' and '{}'"
    sizes = [connection.sql(per_span.format(span.start, span.end)).fetchall()[0][0] for span in spans]
    assert 12 <= len(spans) <= 45
    assert [size for size in sizes if size > 250] in ([300], [301]), "rows of one key value stay together"
    assert sum(sizes) >= extent.row_count
    assert (spans[0].start, spans[-1].end) == (str(extent.low), str(extent.high))
    covered = " or ".join(f"k between '{span.start}' and '{span.end}'" for span in spans)
    assert connection.execute(f"select count(*) from shop.events where {covered}").fetchone() == (2301,)
    warehouse.close()
