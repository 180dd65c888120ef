"""What unit tests of several packages start from: control databases, a bare project with a warehouse, simulated EMR."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.warehouse.connection import Warehouse, open_warehouse
from flows.warehouse.profile import Profile
from metadata_sync.database import ControlStore
from metadata_sync.project import Project
from tests.support.emr_simulator import EmrSimulator
from tests.support.postgres_cluster import postgres_cluster, postgres_url

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
    return Project(tmp_path.resolve())


@pytest.fixture
def duckdb_profile(project: Project) -> Profile:
    return Profile("sluice", "dev", "duckdb", "dev", {"path": str(project.root / "dev.duckdb")})


@pytest.fixture
def duckdb_warehouse(duckdb_profile: Profile) -> Iterator[Warehouse]:
    warehouse = open_warehouse(duckdb_profile, wait_seconds=0)
    yield warehouse
    warehouse.close()


@pytest.fixture(scope="module")
def shared_emr() -> Iterator[EmrSimulator]:
    with EmrSimulator() as simulator:
        yield simulator


@pytest.fixture
def emr(shared_emr: EmrSimulator, monkeypatch: pytest.MonkeyPatch) -> EmrSimulator:
    shared_emr.forget()
    for name, value in shared_emr.environment.items():
        monkeypatch.setenv(name, value)
    return shared_emr
