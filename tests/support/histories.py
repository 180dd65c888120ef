"""Random histories of a few keys, many targets at once: each dbt run loads one batch of every history."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.support import scd_oracle as oracle
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


@dataclass(frozen=True)
class Shape:
    """How a history is drawn: how many keys, how many events a batch at most, and whether time only moves on."""

    keys: int
    events: int
    in_order: bool


# Keys do not touch each other: one target of many keys is many histories. The last leaves whole paths out of a load.
SHAPES = (Shape(200, 300, in_order=False), Shape(60, 60, in_order=True), Shape(1, 1, in_order=False))


def histories(seed: int, shapes: Sequence[Shape] = SHAPES) -> list[History]:
    """One history of each shape. Few times and values: ties, equal content and late events are what breaks loads."""
    random = Random(seed)
    return [[_batch(random, shape, arrived) for arrived in range(BATCHES)] for shape in shapes]


def _batch(random: Random, shape: Shape, arrived: int) -> Batch:
    keys = [*KEYS, *((f"key {number}", "") for number in range(shape.keys))][: shape.keys]
    first = 1 + 2 * arrived if shape.in_order else 1
    last = first + 1 if shape.in_order else 5
    return [_event(random, random.choice(keys), first, last) for _ in range(random.randint(0, shape.events))]


def _event(random: Random, key: tuple[str, str], first: int, last: int) -> Event:
    is_delete = random.random() < 0.25
    content = (is_delete, random.choice((None, 1, 2)), random.choice((None, "", "x", "x", "y", "Y")))
    return Event(key, random.randint(first, last), random.choice((0, 0, 0, 1)), is_delete, content)


def make_project(root: Path, count: int = len(SHAPES)) -> DbtProject:
    """A project with an SCD1, an SCD2 and an append target for each of so many histories."""
    project = DbtProject(root, threads=2)
    add_models(project, count)
    return project


def add_models(project: DbtProject, count: int) -> None:
    """Write the models of so many histories."""
    project.source("events")
    for number in range(count):
        project.model(f"one_{number}", SELECT % number, materialized="scd1", **SETTINGS)
        project.model(f"two_{number}", SELECT % number, materialized="scd2", scd_columns=TRACKED, **SETTINGS)
        never = {name: value for name, value in SETTINGS.items() if name != "delete_when"}
        project.model(f"add_{number}", SELECT % number + "and not e.is_deleted", materialized="append", **never)


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
        (number, arrived, *event.key, event.at, event.tie, *event.content)
        for number, batch in enumerate(batches)
        for event in batch
    ]
    project.insert("lake.events", [(-1, arrived, *[None] * 7), *rows])


def load_all(project: DbtProject, histories_: Sequence[History]) -> None:
    """Land and load every batch in order."""
    for arrived in range(BATCHES):
        land(project, arrived, [history[arrived] for history in histories_])
        result = project.run()
        assert result.success, (result.error, result.messages)


def differs(project: DbtProject, histories_: Sequence[History], tracked: Sequence[int]) -> list[str]:
    """Targets that are not what the oracle says."""
    wrong = []
    for number, history in enumerate(histories_):
        events = list(itertools.chain.from_iterable(history))
        if read_scd2(project, number) != oracle.scd2(events, tracked):
            wrong.append(f"two_{number}")
        if read_scd1(project, "one", number) != oracle.scd1(events):
            wrong.append(f"one_{number}")
        upserts = [event for event in events if not event.is_delete]
        if read_scd1(project, "add", number) != oracle.scd1(upserts):
            wrong.append(f"add_{number}")
    return wrong


def read_scd2(project: DbtProject, number: int) -> set[Version]:
    """An SCD2 target as the oracle writes it; a row that stands twice fails."""
    rows = project.query(
        f"select k1, k2, is_deleted, u, v, happened_at, lsn, valid_from, valid_to from dwh.two_{number}"
    )
    versions = {Version((r[0], r[1]), (r[2], r[3], r[4]), *r[5:]) for r in rows}
    return versions if len(versions) == len(rows) else set()


def read_scd1(project: DbtProject, name: str, number: int) -> set[tuple[object, ...]]:
    """An SCD1 or keyed append target as the oracle writes it; a row that stands twice fails."""
    rows = project.query(f"select k1, k2, is_deleted, u, v, happened_at, lsn from dwh.{name}_{number}")
    found = {((r[0], r[1]), (r[2], r[3], r[4]), *r[5:]) for r in rows}
    return found if len(found) == len(rows) else set()
