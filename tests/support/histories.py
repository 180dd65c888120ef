"""Random histories of a few keys, many targets at once: each dbt run loads one batch of every history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.support.dbt_project import DbtProject
from tests.support.scd_oracle import Event, Version

KEYS = (("a", "|b"), ("a|", "b"), ("ü'", '"%'))
BATCHES = 4
SELECT = """
select e.k1, e.k2, e.happened_at, e.lsn, e.is_deleted, e.u, e.v
from {{ sluice.increment(source('lake', 'events')) }} as e
where e.history = %d
"""
SETTINGS = {
    "business_key": ["k1", "k2"],
    "sequence_by": ["happened_at", "lsn"],
    "delete_when": "is_deleted",
    "dependencies": [
        {"table": "lake.events", "source": ["lake", "events"], "driving": True, "incremental_key": "arrived"}
    ],
}
TRACKED = ["v"]

Batch = list[Event]
History = list[Batch]


def histories(seed: int, count: int) -> list[History]:
    """Histories of BATCHES batches. Few keys, times and values: ties, equal content and late events break loads."""
    random = Random(seed)
    return [[[_event(random) for _ in range(random.randint(0, 4))] for _ in range(BATCHES)] for _ in range(count)]


def _event(random: Random) -> Event:
    is_delete = random.random() < 0.25
    content = (is_delete, random.choice((None, 1, 2)), random.choice((None, "", "x", "x", "y", "Y")))
    return Event(random.choice(KEYS), random.randint(1, 5), random.choice((0, 0, 0, 1)), is_delete, content)


def make_project(root: Path, count: int) -> DbtProject:
    """A project with an SCD1 and an SCD2 target for each history."""
    project = DbtProject(root, threads=2)
    project.source("events")
    for number in range(count):
        project.model(f"one_{number}", SELECT % number, materialized="scd1", **SETTINGS)
        project.model(f"two_{number}", SELECT % number, materialized="scd2", scd_columns=TRACKED, **SETTINGS)
    return project


def empty_warehouse(project: DbtProject) -> None:
    """Start from nothing."""
    project.execute(
        *(f"drop schema if exists {schema} cascade" for schema in ("lake", "dwh", "sluice")),
        "create schema lake",
        """create table lake.events (history integer, arrived integer, k1 varchar, k2 varchar, happened_at integer,
           lsn integer, is_deleted boolean, u integer, v varchar)""",
    )


def land(project: DbtProject, arrived: int, batches: Sequence[Batch]) -> None:
    """Write one batch of every history, and a row of none that moves the watermark."""
    rows = [
        [number, arrived, *event.key, event.at, event.tie, *event.content]
        for number, batch in enumerate(batches)
        for event in batch
    ]
    with project.connect() as connection:
        connection.executemany(
            "insert into lake.events values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*rows, [-1, arrived, None, None, None, None, None, None, None]],
        )


def load_all(project: DbtProject, histories_: Sequence[History]) -> None:
    """Land and load every batch in order."""
    for arrived in range(BATCHES):
        land(project, arrived, [history[arrived] for history in histories_])
        result = project.run()
        assert result.success, (result.error, result.messages)


def read_scd2(project: DbtProject, number: int) -> set[Version]:
    """An SCD2 target as the oracle writes it; a row that stands twice fails."""
    rows = project.query(
        f"select k1, k2, is_deleted, u, v, happened_at, lsn, valid_from, valid_to from dwh.two_{number}"
    )
    versions = {Version((r[0], r[1]), (r[2], r[3], r[4]), *r[5:]) for r in rows}
    assert len(versions) == len(rows)
    return versions


def read_scd1(project: DbtProject, number: int) -> set[tuple[object, ...]]:
    """An SCD1 target as the oracle writes it."""
    rows = project.query(f"select k1, k2, is_deleted, u, v, happened_at, lsn from dwh.one_{number}")
    found = {((r[0], r[1]), (r[2], r[3], r[4]), *r[5:]) for r in rows}
    assert len(found) == len(rows)
    return found
