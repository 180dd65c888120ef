"""A project of a test's own: this repository's, with other SELECTs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def copy_project(root: Path, selects: Mapping[str, str]) -> None:
    """Copy this repository's dbt project, macros and profile, with other SELECTs and without rows."""
    ignore = shutil.ignore_patterns(
        "generated", "target", "logs", "transformations", "control", "unit_tests", ".user.yml"
    )
    shutil.copytree(REPOSITORY / "dbt_project", root / "dbt_project", ignore=ignore)
    shutil.copytree(REPOSITORY / "macros", root / "macros")
    shutil.copy2(REPOSITORY / "profiles.yml", root)
    for folder in ("transformations", "control"):
        (root / "dbt_project" / folder).mkdir()
    for name, select in selects.items():
        (root / "dbt_project" / "transformations" / f"{name}.sql").write_text(select + "\n")
