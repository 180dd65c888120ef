"""dbt itself reads what sync writes, and finds in it exactly what the rows say, however hostile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metadata_sync.project import Project
from metadata_sync.sync.sync import sync
from tests.support.sync_support import FakeWarehouse, control_rows, source, transformation, write_select

pytestmark = pytest.mark.macros

REPOSITORY = Path(__file__).parents[3]
HOSTILE = [
    "a {{ env_var('HOME') }} b",
    "{% set x = 1 %}{# note #}",
    "x }} y %} z #}",
    "{%raw%}{{x}}",
    "{{{{%",
    "{{ doc('x') }}",
    "{'a': {'b': 1}}",
    "5",
    "[1, 2]",
    "true",
    "null",
    "1e3",
    "2013-01-01",
    "'single' \"double\"\nnext: - #line",
    " blank ",
    "é😀\x85",
]
SELECT = "select f.tailnum, '{{ x }}' as note, f.updated_at from lake.flights as f -- {% gone\n"


@pytest.fixture
def manifest(project: Project, warehouse: FakeWarehouse) -> dict[str, Any]:
    """What dbt makes of a project with one model per hostile text, and of the package's own macros."""
    shutil.copy(REPOSITORY / "dbt_project" / "dbt_project.yml", project.dbt_dir)
    shutil.copytree(REPOSITORY / "macros", project.root / "macros")
    (project.root / "profiles.yml").write_text(
        "sluice: {target: dev, outputs: {dev: {type: duckdb, path: ':memory:'}}}\n"
    )
    path = write_select(project, "dim", SELECT)
    rows = []
    for number, text in enumerate(HOSTILE):
        columns = [
            {
                "name": "tailnum",
                "type": "varchar",
                "description": text,
                "tests": [{"accepted_values": {"values": [text]}}, {"relationships": {"to": "lake.o", "field": "a"}}],
            },
            {"name": "note", "type": "varchar"},
            {"name": "updated_at", "type": "timestamp"},
        ]
        deleted = "note = '" + text.replace("'", "''") + "'"
        values = {"sql_path": path, "description": text, "column_list": columns, "delete_when": deleted}
        rows.append(transformation(f"dwh.t{number}", load_type="scd2", **values))
    other = source("lake.o", kind="warehouse", location=None, format=None)
    sync(control_rows(*rows, sources=[source("lake.flights", location="la'ke/{a}/{{b}}"), other]), project, warehouse)
    dbt = [sys.executable, "-m", "dbt.cli.main", "compile", "--no-introspect", "--select", "test_name:accepted_values"]
    folders = ["--project-dir", str(project.dbt_dir), "--profiles-dir", str(project.root)]
    done = subprocess.run([*dbt, *folders], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads((project.dbt_dir / "target" / "manifest.json").read_text())
    return found


def test_dbt_reads_every_text_as_the_row_says_it(project: Project, manifest: dict[str, Any]) -> None:
    nodes = manifest["nodes"]
    for number, text in enumerate(HOSTILE):
        node = nodes[f"model.sluice.dwh__t{number}"]
        settings = node["config"]["meta"]["sluice"]
        assert node["description"] == text
        assert node["columns"]["tailnum"]["description"] == text
        assert settings["delete_when"] == "note = '" + text.replace("'", "''") + "'"
        assert (node["config"]["materialized"], node["alias"]) == ("scd2", f"t{number}")
        assert node["depends_on"]["nodes"] == ["source.sluice.lake.flights"]
        tests = [item for item in nodes.values() if item.get("attached_node") == node["unique_id"]]
        (accepted,) = (item for item in tests if item["test_metadata"]["name"] == "accepted_values")
        assert text in accepted["compiled_code"] or text.replace("'", "''") in accepted["compiled_code"]
        assert {item["test_metadata"]["name"] for item in tests} > {"accepted_values", "relationships"}
    lake = manifest["sources"]["source.sluice.lake.flights"]
    assert lake["relation_name"].startswith(f"read_parquet('{project.root}/la''ke/{{a}}/{{{{b}}}}/**/*.parquet'")
