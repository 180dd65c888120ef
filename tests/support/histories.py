"""Random histories of a few keys, many targets at once: each dbt run loads one batch of every history."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject, driving, history_tests
from tests.support.scd_oracle import Event, Version

# Keys that run into each other when parts are glued together, that end a literal, or that look alike.
KEYS = (
    ("a", "|b"),
    ("a|", "b"),
    ("a", "b"),
    ("ab", ""),
    ("", "ab"),
    ("ü'", '"%'),
    ("u\u0308'", '"%'),
    ("A", "b"),
    ("a ", "b"),
    ("NULL", "null"),
    ("a\nb", "\t\\"),
    ("{{ a }}", "{% b %}"),
    ("--", "/* */;"),
    ("\u4e2d\U0001f6eb", "\u202e"),
)
AGAIN = "again "
KINDS = ("one", "two", "add", "raw")
BATCHES = 4
SELECT = """
select e.k1, e.k2, e.happened_at, e.lsn, e.is_deleted, e.u, e.v
from {{ sluice.increment(source('lake', 'events')) }} as e
where e.history = %d
"""
ARRIVALS = SELECT.replace("e.v\n", "e.v, e.arrived\n")
EVENTS: dict[str, Any] = {"incremental_key": "arrived"}
SETTINGS: dict[str, Any] = {
    "business_key": ["k1", "k2"],
    "sequence_by": ["happened_at", "lsn"],
    "delete_when": "is_deleted",
    "dependencies": [driving("events", **EVENTS)],
}
TRACKED = ["v"]

Batch = list[Event]
History = list[Batch]


@dataclass(frozen=True)
class Shape:
    """How a history is drawn.

    Attributes:
        keys: How many.
        events: How many a batch has at most.
        in_order: Whether time only moves on.
        told_twice: Whether every key has a twin that the same events reach in other batches, some of them twice.
    """

    keys: int
    events: int
    in_order: bool
    told_twice: bool = False


# Keys do not touch each other: one target of many keys is many histories. The last leaves whole paths out of a load.
SHAPES = (
    Shape(200, 300, in_order=False, told_twice=True),
    Shape(60, 60, in_order=True),
    Shape(1, 1, in_order=False),
)


def histories(seed: int, shapes: Sequence[Shape] = SHAPES) -> list[History]:
    """One history of each shape. Few times and values: ties, equal content and late events are what breaks loads."""
    random = Random(seed)
    return [_history(random, shape) for shape in shapes]


def _history(random: Random, shape: Shape) -> History:
    history = [_batch(random, shape, arrived) for arrived in range(BATCHES)]
    if shape.told_twice:
        for event in list(itertools.chain.from_iterable(history)):
            twin = event._replace(key=(AGAIN + event.key[0], event.key[1]))
            for arrived in random.sample(range(BATCHES), random.choice((1, 1, 1, 2))):
                history[arrived].append(twin)
    return history


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


def add_models(project: DbtProject, count: int, kinds: Sequence[str] = KINDS) -> None:
    """Write the models of so many histories: SCD1, SCD2, append with a key, and for the first one without."""
    project.source("events")
    never = {name: value for name, value in SETTINGS.items() if name != "delete_when"}
    for number in range(count):
        select = SELECT % number
        if "one" in kinds:
            project.model(f"one_{number}", select, materialized="scd1", **SETTINGS)
        if "two" in kinds:
            tests = history_tests(["k1", "k2"], TRACKED)
            settings = {"scd_columns": TRACKED, "data_tests": tests, **SETTINGS}
            project.model(f"two_{number}", select, materialized="scd2", **settings)
        if "add" in kinds:
            project.model(f"add_{number}", select + "and not e.is_deleted", materialized="append", **never)
    if "raw" in kinds:
        by_arrival = {"dependencies": SETTINGS["dependencies"], **EVENTS}
        project.model("raw_0", ARRIVALS % 0, materialized="append", **by_arrival)


def empty_warehouse(project: DbtProject) -> None:
    """Start from nothing."""
    project.empty(
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


def load_all(project: DbtProject, histories_: Sequence[History], batches: int = BATCHES) -> None:
    """Land and load every batch in order, or only the first few."""
    for arrived in range(batches):
        land(project, arrived, [history[arrived] for history in histories_])
        result = project.run()
        assert result.success, (result.error, result.messages)


def differs(
    project: DbtProject, histories_: Sequence[History], tracked: Sequence[int], kinds: Sequence[str] = KINDS
) -> list[str]:
    """Targets that are not what the oracle says."""
    wrong = []
    for number, history in enumerate(histories_):
        events = list(itertools.chain.from_iterable(history))
        if "two" in kinds and read_scd2(project, number) != oracle.scd2(events, tracked):
            wrong.append(f"two_{number}")
        if "one" in kinds and read_scd1(project, "one", number) != oracle.scd1(events):
            wrong.append(f"one_{number}")
        upserts = [event for event in events if not event.is_delete]
        if "add" in kinds and read_scd1(project, "add", number) != oracle.scd1(upserts):
            wrong.append(f"add_{number}")
    if "raw" in kinds and _read_raw(project) != _raw_rows(histories_[0]):
        wrong.append("raw_0")
    return wrong


def _raw_rows(history: History) -> list[tuple[object, ...]]:
    """An append without a key: each row as often as it came."""
    rows = [
        (*event.key, event.at, event.tie, *event.content, arrived)
        for arrived, batch in enumerate(history)
        for event in batch
    ]
    return sorted(rows, key=str)


def _read_raw(project: DbtProject) -> list[tuple[object, ...]]:
    columns = "k1, k2, happened_at, lsn, is_deleted, u, v, arrived"
    return sorted(project.query(f"select {columns} from dwh.raw_0"), key=str)


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
