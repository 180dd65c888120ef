"""Parquet files for tests."""

from __future__ import annotations

import duckdb

from metadata_sync.project import Project


def land(project: Project, name: str, select: str) -> None:
    """Write a Parquet file below the project's lake/."""
    path = project.root / "lake" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select}) to '{path}' (format parquet)")
