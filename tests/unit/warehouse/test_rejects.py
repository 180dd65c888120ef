"""How rejected rows come into their target once their cause is mended."""

from __future__ import annotations

import pytest

from flows.warehouse.rejects import load_again
from metadata_sync.rows.model import ControlRows, Dependency, SourceRow, TransformationRow
from metadata_sync.rows.vocabulary import Increment, LoadType, SourceKind

SOURCE = SourceRow(schema="lake", table="x", kind=SourceKind.WAREHOUSE, incremental_key="at")  # type: ignore[call-arg]


def row(reads: str, increment: Increment = Increment.ROWS) -> TransformationRow:
    return TransformationRow(
        target_schema="dwh",
        target_table=f"of_{reads.rpartition('.')[2]}",
        pipeline_id="p",
        sql_path="a.sql",
        load_type=LoadType.SCD1,
        increment=increment,
        dependencies=(Dependency(table=reads, driving=True),),
    )


@pytest.mark.parametrize(
    ("target", "start", "command"),
    [
        (row("lake.x"), "2013-01-02 03:04:05.600000", "sluice backfill dwh.of_x --from '2013-01-02 03:04:05'"),
        (row("lake.x"), "17", "sluice backfill dwh.of_x --from '17'"),
        (row("lake.x"), None, "sluice dbt build --full-refresh --select dwh__of_x"),
        (row("dwh.of_x"), "2013-01-02", "sluice dbt build --full-refresh --select dwh__of_of_x"),
        (row("lake.x", Increment.FULL), None, "sluice run p --force"),
    ],
)
def test_command_suits_what_the_target_reads(target: TransformationRow, start: str | None, command: str) -> None:
    rows = ControlRows(sources=(SOURCE,), pipelines=(), transformations=(row("lake.x"), target))
    assert load_again(target, rows, start) == command
