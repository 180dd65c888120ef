"""One project per module: a dbt start costs a second, a parse another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_cluster import postgres_cluster, postgres_url

from tests.redshift_standin.fixture import redshift_standin
from tests.support.dbt_project import DbtProject

__all__ = ["postgres_cluster", "postgres_url", "redshift_standin"]


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DbtProject]:
    """Make a dbt project with schema lake in its warehouse."""

    def make(name: str) -> DbtProject:
        root: Path = tmp_path_factory.mktemp(name)
        project = DbtProject(root)
        project.execute("create schema lake")
        return project

    return make
