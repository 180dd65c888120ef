"""Stores on SQLite and on a real PostgreSQL: every test that asks for `store` runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_cluster import postgres_cluster, postgres_url

from metadata_sync.database import ControlStore
from metadata_sync.project import Project

__all__ = ["postgres_cluster", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'state' / 'control.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[ControlStore]:
    with ControlStore.open(store_url, "dev") as opened:
        yield opened


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project whose control folder exists."""
    project = Project((tmp_path / "project").resolve())
    project.control_dir.mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    profile = "sluice:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: .sluice/dev.duckdb}\n"
    project.profiles_file.write_text(profile)
    return project
