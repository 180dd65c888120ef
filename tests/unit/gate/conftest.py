"""A lake and warehouses to look into: DuckDB in memory, and a real PostgreSQL for those tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_cluster import postgres_cluster, postgres_url

from flows.warehouse.connection import Warehouse, open_warehouse
from flows.warehouse.profile import Profile
from metadata_sync.project import Project

__all__ = ["postgres_cluster", "postgres_url"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path.resolve())


@pytest.fixture
def duckdb_profile(project: Project) -> Profile:
    return Profile("sluice", "dev", "duckdb", "dev", {"path": str(project.root / "dev.duckdb")})


@pytest.fixture
def duckdb_warehouse(duckdb_profile: Profile) -> Iterator[Warehouse]:
    warehouse = open_warehouse(duckdb_profile, wait_seconds=0)
    yield warehouse
    warehouse.close()
