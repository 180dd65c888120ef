"""One project per module: a dbt start costs a second, a parse another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_cluster import LINGUISTIC, Cluster, database, postgres_cluster, postgres_url

from tests.redshift_standin.fixture import redshift_standin, running
from tests.support.dbt_project import DbtProject
from tests.support.postgres_project import PostgresProject
from tests.support.redshift_project import RedshiftProject

__all__ = ["postgres_cluster", "postgres_url", "redshift_standin"]

ENGINES = ("duckdb", pytest.param("postgres", marks=pytest.mark.postgres))
REDSHIFT = pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin])


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
    yield from _make_on(request, tmp_path_factory)


@pytest.fixture(scope="module", params=[*ENGINES, REDSHIFT])
def make_anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], DbtProject]]:
    """Make a dbt project with schema lake, also on the Redshift stand-in, where dbt asks for metadata by SHOW."""
    yield from _make_on(request, tmp_path_factory)


def _make_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], DbtProject]]:
    with contextlib.ExitStack() as opened:

        def make(name: str) -> DbtProject:
            project = _open(tmp_path_factory.mktemp(name))
            project.execute("create schema lake")
            return project

        def _open(root: Path) -> DbtProject:
            if request.param == "duckdb":
                return DbtProject(root)
            cluster: Cluster = request.getfixturevalue("postgres_cluster")
            url = opened.enter_context(database(cluster, LINGUISTIC if request.param == "postgres" else ""))
            if request.param == "postgres":
                return PostgresProject(root, url)
            return RedshiftProject(root, opened.enter_context(running(url)), datasharing=True)

        yield make
