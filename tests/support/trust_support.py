"""The corpus: hostile inputs of each kind with what must become of them, and a project that they are tried on."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows, PipelineRow, SourceRow, TransformationRow

CORPUS = Path(__file__).parents[1] / "unit" / "trust" / "corpus"
DIALECTS = ("duckdb", "postgres", "redshift")
SECRET = "hunter2Zq9"

DATA_TESTS = """
data_tests:
  in_range: {minimum: number, "maximum": "number, optional", unit: "text, optional", other: "column, optional"}
  told: {}
  linked: {tables: list of table}
"""


def corpus(name: str) -> Any:
    """Return one file of the corpus."""
    return yaml.safe_load((CORPUS / f"{name}.yml").read_text(encoding="utf-8"))


def source(**values: Any) -> SourceRow:
    defaults = {"schema": "lake", "table": "flights", "kind": "lake", "location": "lake/flights", "format": "parquet"}
    return SourceRow.model_validate(defaults | values)


def pipeline(**values: Any) -> PipelineRow:
    defaults = {"pipeline_id": "flights", "pipeline_name": "Flights", "template": "lake_to_warehouse"}
    return PipelineRow.model_validate(defaults | values)


def target(**values: Any) -> TransformationRow:
    defaults = {
        "target_schema": "dwh",
        "target_table": "dim",
        "pipeline_id": "flights",
        "sql_path": "transformations/dim.sql",
        "load_type": "scd1",
        "business_key": ["tailnum"],
        "dependencies": [{"table": "lake.flights", "driving": True}],
        "increment": "full",
        "column_list": [{"name": name, "type": "varchar"} for name in ("tailnum", "carrier")],
    }
    return TransformationRow.model_validate(defaults | values)


def rows(*given: SourceRow | PipelineRow | TransformationRow) -> ControlRows:
    """Return the given rows, with sound ones where none of a kind is given."""
    sources = [row for row in given if isinstance(row, SourceRow)] or [source()]
    if all(row.key != "lake.planes" for row in sources):
        sources.append(source(table="planes", location="lake/planes"))
    pipelines = [row for row in given if isinstance(row, PipelineRow)] or [pipeline()]
    targets = [row for row in given if isinstance(row, TransformationRow)] or [target()]
    return ControlRows(sources=tuple(sources), pipelines=tuple(pipelines), transformations=tuple(targets))


def make_project(root: Path) -> Project:
    dbt_dir = root / "dbt_project"
    (dbt_dir / "transformations").mkdir(parents=True)
    (dbt_dir / "dbt_project.yml").write_text("name: sluice\n")
    (dbt_dir / "data_tests.yml").write_text(textwrap.dedent(DATA_TESTS))
    (root / "profiles.yml").write_text("sluice: {}\n")
    return Project(root.resolve())
