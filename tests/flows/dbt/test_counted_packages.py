"""A project beside other packages, on the dbt-core of the leg: 1.12 starts only with the packages that it lists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.init.adopt import add_to_dbt_project
from flows.init.scaffold import Warehouse, create_project
from tests.support.doc_pages import REPOSITORY

pytestmark = pytest.mark.flows
ROWS = """
sources:
  - {table: lake.days, format: csv, location: lake/days, columns: {day: date, n: bigint}, incremental_key: day}
pipelines:
  - pipeline_id: days
    transformations:
      - {table: dwh.days, load_type: append, business_key: day, dependencies: lake.days}
"""


def _python(folder: Path, *words: str) -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    environ = {**os.environ, "PYTHONPATH": f"{inherited}:{REPOSITORY}", "COLUMNS": "200", "DBT_PROFILES_DIR": "."}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _sluice(folder: Path, *words: str) -> str:
    return _python(folder, "-m", "flows.cli", *words)


def _dbt(folder: Path, *words: str) -> str:
    return _python(folder, "-c", "from dbt.cli.main import cli; cli()", *words)


def test_new_project_loads_with_and_without_dbt_deps(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    create_project(root, Warehouse.DUCKDB)
    _sluice(root, "control", "apply", "--yes")
    assert "2 inserted" in _sluice(root, "run")
    _dbt(root, "deps", "--project-dir", "dbt_project")
    assert "PASS=5" in _dbt(root, "build", "--project-dir", "dbt_project")
    assert "nothing new" in _sluice(root, "run")


def test_dbt_project_with_a_package_of_its_own_keeps_it(tmp_path: Path) -> None:
    shared, root = tmp_path / "shared", tmp_path / "shop"
    (shared / "macros").mkdir(parents=True)
    (shared / "dbt_project.yml").write_text("name: shared\nversion: 1.0.0\n")
    (shared / "macros" / "one.sql").write_text("{% macro one() %}1{% endmacro %}")
    (root / "models").mkdir(parents=True)
    (root / "models" / "own.sql").write_text("select {{ shared.one() }} as one")
    (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\nversion: 1.0.0\n")
    (root / "profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: duckdb, path: .sluice/dev.duckdb, schema: main}}}"
    )
    (root / "packages.yml").write_text("packages:\n  - local: ../shared\n")
    _dbt(root, "deps")
    add_to_dbt_project(root)
    _dbt(root, "deps")
    (root / "control" / "rows.yml").write_text(ROWS)
    (root / "transformations").mkdir()
    (root / "transformations" / "days.sql").write_text("select d.day, d.n from lake.days as d")
    (root / "lake" / "days").mkdir(parents=True)
    (root / "lake" / "days" / "all.csv").write_text("day,n\n2024-01-01,1\n")
    _sluice(root, "control", "apply", "--yes")
    assert "1 inserted" in _sluice(root, "run")
    assert "ERROR=0" in _dbt(root, "build", "--select", "own", "days")
