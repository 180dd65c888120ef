"""One project per module: a dbt start costs a second, a parse another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_cluster import LINGUISTIC, Cluster, database, postgres_cluster, postgres_url

from tests.redshift_standin.fixture import redshift_standin
from tests.support.dbt_project import DbtProject
from tests.support.postgres_project import PostgresProject

__all__ = ["postgres_cluster", "postgres_url", "redshift_standin"]

ENGINES = ("duckdb", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DbtProject]:
    """Make a dbt project with schema lake in its warehouse."""

    def make(name: str) -> DbtProject:
        root: Path = tmp_path_factory.mktemp(name)
        project = DbtProject(root)
        project.execute("create schema lake")
        return project

    return make


@pytest.fixture(scope="module", params=ENGINES)
def make_on_each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], DbtProject]]:
    """Make a dbt project with schema lake: the tests that ask run once on DuckDB and once on PostgreSQL."""
    with contextlib.ExitStack() as databases:

        def make(name: str) -> DbtProject:
            root: Path = tmp_path_factory.mktemp(name)
            if request.param == "duckdb":
                project = DbtProject(root)
            else:
                cluster: Cluster = request.getfixturevalue("postgres_cluster")
                project = PostgresProject(root, databases.enter_context(database(cluster, LINGUISTIC)))
            project.execute("create schema lake")
            return project

        yield make
