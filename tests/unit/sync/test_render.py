"""Golden pairs: a row and its SELECT, and the model that is made of them.

UPDATE_GOLDEN=1 writes the expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, SourceRow
from metadata_sync.rows.resolve import added_columns, sequence_columns
from metadata_sync.sync.render import _dumper, document_text, source_document
from metadata_sync.sync.sync import sync
from tests.support.sync_support import FakeWarehouse, control_rows, generated, transformation

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_model_is_rendered_as_expected(case: str, project: Project, warehouse: FakeWarehouse) -> None:
    folder = GOLDEN / case
    rows = ControlRows.model_validate(yaml.safe_load((folder / "row.yml").read_text()))
    row = rows.transformations[-1]
    (project.dbt_dir / row.sql_path).write_text((folder / "select.sql").read_text())
    (project.dbt_dir / "transformations/other.sql").write_text(
        "select f.tailnum, f.origin, f.updated_at from lake.flights as f"
    )
    warehouse.is_reachable = False
    sync(rows, project, warehouse)
    files = generated(project)
    for kind in ("sql", "yml"):
        text = files[f"{row.pipeline_id}/{row.name.model_name}.{kind}"]
        expected = folder / f"model.{kind}"
        if os.environ.get("UPDATE_GOLDEN"):
            expected.write_text(text)
        assert text == expected.read_text()


@pytest.mark.parametrize(
    ("values", "dialect", "schema", "external_location"),
    [
        (
            {"kind": "lake", "location": "lake/x"},
            "duckdb",
            "lake",
            "read_parquet('ROOT/lake/x/**/*.parquet', union_by_name = false, hive_partitioning = false)",
        ),
        (
            {"kind": "lake", "location": "lake/x/year=*/*.parquet"},
            "duckdb",
            "lake",
            "read_parquet('ROOT/lake/x/year=*/*.parquet', union_by_name = false, hive_partitioning = true)",
        ),
        (
            {"kind": "lake", "location": "s3://bucket/x/day=*"},
            "duckdb",
            "lake",
            "read_parquet('s3://bucket/x/day=*/**/*.parquet', union_by_name = false, hive_partitioning = true)",
        ),
        (
            {"kind": "lake", "location": "s3://bucket/x/"},
            "duckdb",
            "lake",
            "read_parquet('s3://bucket/x/**/*.parquet', union_by_name = false, hive_partitioning = false)",
        ),
        (
            {"kind": "lake", "location": "o'/{a}"},
            "duckdb",
            "lake",
            "read_parquet('ROOT/o''/{{ '{{' }}a}}/**/*.parquet', union_by_name = false, hive_partitioning = false)",
        ),
        ({"kind": "lake", "location": "s3://b/x", "external_schema": "spectrum"}, "redshift", "spectrum", None),
        ({"kind": "lake", "location": "s3://b/x"}, "postgres", "lake", None),
        ({"kind": "warehouse"}, "duckdb", "lake", None),
    ],
)
def test_source_is_read_where_it_lies(
    project: Project, values: dict[str, str], dialect: str, schema: str, external_location: str | None
) -> None:
    source = SourceRow.model_validate({"schema": "lake", "table": "x", **values})
    (written,) = yaml.safe_load(document_text(source_document(source, project, dialect)))["sources"]
    assert (written["name"], written["schema"], written["tables"][0]["name"]) == ("lake", schema, "x")
    meta = written["tables"][0].get("config", {}).get("meta", {})
    expected = external_location and external_location.replace("ROOT", str(project.root))
    assert meta.get("external_location") == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_survives_yaml(text: str) -> None:
    document = {"models": [{"name": "x", "description": text, "meta": {text: [text, text]}}]}
    written = document_text(document)
    assert yaml.load(written, Loader=yaml.CSafeLoader) == document
    assert yaml.safe_load(written) == document


def test_odd_characters_survive_a_python_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeDumper", raising=False)
    _dumper.cache_clear()
    try:
        document = {"models": [{"name": "x", "description": "über\x85"}, {"name": "y", "description": "\u2028\r\x1b"}]}
        assert yaml.safe_load(document_text(document)) == document
    finally:
        _dumper.cache_clear()


@pytest.mark.parametrize(("increment", "expected"), [("rows", ("updated_at",)), ("groups", ()), ("full", ())])
def test_incremental_key_orders_events_where_single_rows_are_read(increment: str, expected: tuple[str, ...]) -> None:
    row = transformation("dwh.dim", increment=increment)
    rows = control_rows(row)
    columns = (Column(name="tailnum", type="varchar"), Column(name="updated_at", type="timestamp"))
    assert sequence_columns(row, rows, ["tailnum", "updated_at"]) == expected
    added = [column.name for column in added_columns(row, rows, columns)]
    assert ("_sluice_effective_at" in added) == (not expected)
