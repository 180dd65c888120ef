"""Fixtures of the tests of SELECTs, rendering and sync."""

from __future__ import annotations

from pathlib import Path

import pytest
from sync_support import FakeWarehouse, make_project

from metadata_sync.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse()
