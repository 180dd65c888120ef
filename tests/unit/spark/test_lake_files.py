"""The files of a job: the unread ones of a window, or all that its target reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from flows.spark.jobs import SourceFiles
from flows.spark.lake_files import ListedFiles
from metadata_sync.rows.model import SourceRow, TransformationRow
from metadata_sync.rows.names import TableName

PATTERN = "/lake/sales/**/*"
ODD = "s3://b/sales/it's [a] *?\\.parquet"
PLAIN, BAD = "/lake/sales/a.parquet", "/lake/sales/bad.parquet"
SALES = SourceRow(schema="lake", table="sales", kind="lake", location="lake/sales", format="parquet")
ROW = TransformationRow(
    target_schema="dwh", target_table="sale", pipeline_id="p", sql_path="transformations/sale.sql", load_type="append"
)


@pytest.fixture
def listed(tmp_path: Path) -> ListedFiles:
    listing = tmp_path / "listing.csv"
    with listing.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("pattern", "path", "name", "version", "left_out_by", "rejects"))
        for path, left_out_by in ((PLAIN, ""), (ODD, "mart.other"), (BAD, "mart.other|dwh.sale")):
            writer.writerow((PATTERN, path, path, "1:1", left_out_by, ""))
    document = {"listing": str(listing), "patterns": {PATTERN: {"nulls": ""}}, "sources": {SALES.key: PATTERN}}
    return ListedFiles(json.dumps(document))


def _window(relation: str | None) -> dict[str, dict[str, object]]:
    return {"lake.sales": {"files": relation}}


def test_without_a_window_of_files_all_files_are_read_that_the_target_does_not_leave_out(listed: ListedFiles) -> None:
    for windows in ({}, _window(None)):
        assert listed.of_job(ROW, [SALES], windows, set()) == {"lake__sales": SourceFiles((PLAIN, ODD), is_mixed=True)}


def test_a_window_names_its_files_as_the_macro_escapes_them(listed: ListedFiles) -> None:
    window = _window("read_parquet(['s3://b/sales/it''s [[]a] [*][?][\\].parquet'], union_by_name = true)")

    found = listed.of_job(ROW, [SALES], window, {TableName("lake", "sales")})

    assert {view: files.paths for view, files in found.items()} == {
        "lake__sales": (PLAIN, ODD),
        "sluice_unread_lake__sales": (ODD,),
    }
    assert listed.of_job(ROW, [SALES], window, set())["lake__sales"].paths == (ODD,)


def test_a_window_of_a_file_that_was_not_listed_stops_the_job(listed: ListedFiles) -> None:
    with pytest.raises(ValueError, match=r"files that were not listed: /lake/other\.parquet"):
        listed.of_job(ROW, [SALES], _window("read_parquet(['/lake/other.parquet'])"), set())


def test_without_a_listing_spark_reads_folders() -> None:
    assert ListedFiles(None).of_job(ROW, [SALES], {}, set()) == {}


@pytest.mark.parametrize(
    ("relation", "paths"),
    [
        (
            """(select * from "dev"."lake"."sales" where "$path" in ('s3://b/sales/it''s [a] *?\\\\.parquet'))""",
            (ODD,),
        ),
        ('"dev"."lake"."sales"', (PLAIN, ODD)),
        # more files than a statement names
        ("""(select * from "dev"."lake"."sales" where regexp_instr("$path", '/[_.][^/=]*/', 14) = 0)""", (PLAIN, ODD)),
    ],
)
def test_a_window_on_redshift_names_its_files_by_path(
    listed: ListedFiles, relation: str, paths: tuple[str, ...]
) -> None:
    assert listed.of_job(ROW, [SALES], _window(relation), set())["lake__sales"].paths == paths
