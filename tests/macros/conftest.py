"""One project per module: a dbt start costs a second, a parse another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.redshift_standin.fixture import redshift_standin, running
from tests.support.dbt_project import DbtProject
from tests.support.postgres_cluster import LINGUISTIC, Cluster, database, postgres_cluster, postgres_url
from tests.support.postgres_project import PostgresProject
from tests.support.redshift_live import workgroup
from tests.support.redshift_project import Redshift, RedshiftProject

__all__ = ["postgres_cluster", "postgres_url", "redshift_standin"]

ENGINES = ("duckdb", pytest.param("postgres", marks=pytest.mark.postgres))
REDSHIFT = pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin])
LIVE = pytest.param("redshift, live", marks=pytest.mark.redshift_live)


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


@pytest.fixture(scope="module", params=[*ENGINES, REDSHIFT, LIVE])
def make_anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], DbtProject]]:
    """Make a dbt project with schema lake, also on Redshift and its stand-in, where dbt asks for metadata by SHOW."""
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
            if request.param == "redshift, live":
                return RedshiftProject(root, opened.enter_context(workgroup()), datasharing=True)
            cluster: Cluster = request.getfixturevalue("postgres_cluster")
            url = opened.enter_context(database(cluster, LINGUISTIC if request.param == "postgres" else ""))
            if request.param == "postgres":
                return PostgresProject(root, url)
            return RedshiftProject(root, opened.enter_context(running(url)), datasharing=True)

        yield make


@pytest.fixture(params=[REDSHIFT, LIVE])
def redshift(request: pytest.FixtureRequest) -> Iterator[Redshift]:
    """The stand-in, or a live Redshift."""
    if request.param == "redshift":
        yield request.getfixturevalue("redshift_standin")
    else:
        with workgroup() as live:
            yield live
