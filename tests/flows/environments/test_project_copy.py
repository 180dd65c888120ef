"""Copies of a project: what is in them, where Sluice was added to a dbt project and where it was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flows.environments.project_copy import copy_files
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow

LAKE = SourceRow.model_validate(
    {"schema": "lake", "table": "orders", "kind": "lake", "location": "lake/orders/*.parquet", "format": "parquet"}
)
FILES = (
    "dbt_project.yml",
    "transformations/a.sql",
    "transformations/lake/b.sql",
    "control/rows.yml",
    "target/run.json",
)


@pytest.mark.parametrize("folder", ["", "dbt_project/"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_copy_holds_selects_and_neither_rows_nor_data(tmp_path: Path, folder: str, *, is_inside: bool) -> None:
    root = tmp_path / "project"
    names = [*(f"{folder}{name}" for name in FILES), "lake/orders/1.parquet", "profiles.yml", ".sluice/dev.duckdb"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    project = Project(root)
    assert project.dbt_folder == folder
    home = root / ".sluice" / "environments" / "x" if is_inside else tmp_path / "copy"
    copy = replace(project, home=home) if is_inside else replace(project, root=home)

    copy_files(project, project, copy, [LAKE])

    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    wanted = {f"{folder}{name}" for name in FILES[:3]}
    assert found == (wanted if folder else wanted | {"profiles.yml"})
    assert copy.dbt_dir == home / folder
    assert copy.control_dir.is_dir()
    assert (copy.state_dir, project.state_dir) == (home / ".sluice", root / ".sluice")
