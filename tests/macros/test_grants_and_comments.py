"""dbt's grants and persist_docs on PostgreSQL: part of the load's transaction, kept in step at every load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dbt_project import DbtProject, driving
from tests.support.postgres_cluster import Cluster, database
from tests.support.postgres_project import PostgresProject

pytestmark = pytest.mark.postgres

SELECT = "select e.id, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
KEYED = {"business_key": ["id"], "incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}
KINDS = ("scd1", "scd2", "append")
# roles belong to the cluster, which all workers of a test run share
READER, ANALYST = (f"sluice_{word}_{os.getpid()}" for word in ("reader", "analyst"))


@pytest.fixture
def project(tmp_path: Path, postgres_cluster: Cluster) -> Iterator[DbtProject]:
    with database(postgres_cluster) as url:
        project = PostgresProject(tmp_path / "grants", url)
        project.source("events")
        project.execute(
            "create schema lake",
            "create table lake.events (id integer, t timestamp)",
            "insert into lake.events values (1, '2024-01-01')",
            f"drop role if exists {READER}",
            f"drop role if exists {ANALYST}",
            f"create role {READER}",
            f"create role {ANALYST}",
        )
        yield project


def readers(project: DbtProject, kind: str) -> set[str]:
    rows = project.query(
        "select grantee from information_schema.role_table_grants where privilege_type = 'SELECT' "
        f"and table_schema = 'dwh' and table_name = '{kind}' and grantee in ('{READER}', '{ANALYST}')"
    )
    return {str(row[0]) for row in rows}


def load(project: DbtProject, day: int, *roles: str) -> None:
    docs = {"persist_docs": {"relation": True, "columns": True}, "grants": {"select": list(roles)}}
    for kind in KINDS:
        project.model(
            kind, SELECT, materialized=kind, config=docs, columns={"id": "integer", "t": "timestamp"}, **KEYED
        )
        path = project.root / f"models/{kind}.yml"
        path.write_text(path.read_text().replace(f"- name: {kind}\n", f"- name: {kind}\n  description: Day {day}\n", 1))
    project.execute(f"insert into lake.events values ({day}, '2024-01-{day:02}')")
    result = project.run()
    assert result.success, result.messages


def test_grants_and_comments_follow_the_model_at_every_load(project: DbtProject) -> None:
    comment = "select obj_description('dwh.{}'::regclass)"
    load(project, 2, READER)
    for kind in KINDS:
        assert readers(project, kind) == {READER}
        assert project.query(comment.format(kind)) == [("Day 2",)]
    load(project, 3, ANALYST)
    for kind in KINDS:
        assert readers(project, kind) == {ANALYST}, "who is not named any more may not read any more"
        assert project.query(comment.format(kind)) == [("Day 3",)]


def test_a_grant_that_fails_takes_the_load_with_it(project: DbtProject) -> None:
    load(project, 2, READER)
    for kind in KINDS:
        project.model(kind, SELECT, materialized=kind, config={"grants": {"select": ["nobody_there"]}}, **KEYED)
    project.execute("insert into lake.events values (3, '2024-01-03')")
    messages = project.run().messages
    for kind in KINDS:
        assert 'role "nobody_there" does not exist' in messages[kind]
        assert project.query(f"select count(*) from dwh.{kind}") == [(2,)]
    assert project.query("select max(window_end) from sluice.load_log") == [("2024-01-02 00:00:00.000000",)]
