"""Whatever SELECTs derived the events, in whatever order, and whatever was killed: the newest derivation stands.

When everything was restated, a target is that of a fresh load by today's SELECT. `HISTORY_EXAMPLES=50` draws that many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject, driving
from tests.support.forked_dbt import Order, close_warehouses, forked_dbt
from tests.support.scd_oracle import Event

EXAMPLES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
AS_DRAWN = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 1,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
STEPS = {"duckdb": 4, "postgres": 2, "redshift": 1}
ROWS, KEYS, TIMES = 40, 12, 10_000
MOST_WRITES = 8
SOURCE = "lake.events"


class Row(NamedTuple):
    """One row of the source; seq is its incremental key."""

    seq: int
    k: str
    at: int
    u: int
    v: int


class Derived(NamedTuple):
    """What a SELECT makes of a row; w is None when it yields no such column."""

    v: int
    w: int | None


@dataclass(frozen=True)
class Select:
    """One definition, in SQL and in Python."""

    v: str
    w: str | None
    where: str
    derive: Callable[[Row], Derived | None]
    joins: bool = False

    def sql(self, *, seq: bool = False) -> str:
        columns = ["e.k", "e.happened_at", "e.u", f"{self.v} as v", *([f"{self.w} as w"] if self.w else [])]
        columns += ["e.seq"] if seq else []
        join = "left join {{ source('lake', 'bonus') }} as b on b.k = e.k" if self.joins else ""
        increment = "{{ sluice.increment(source('lake', 'events')) }}"
        return f"select {', '.join(columns)}\nfrom {increment} as e {join}\nwhere {self.where}"

    def sums(self) -> str:
        join = "left join {{ source('lake', 'bonus') }} as b on b.k = e.k" if self.joins else ""
        increment = "{{ sluice.increment(source('lake', 'events')) }}"
        return f"select e.k, sum({self.v}) as total\nfrom {increment} as e {join}\nwhere {self.where}\ngroup by e.k"


BONUS = {f"k{number}": number for number in range(0, KEYS, 2)}
SELECTS = (
    Select("e.v", "e.u", "1 = 1", lambda row: Derived(row.v, row.u)),
    Select("-e.v", "e.u", "1 = 1", lambda row: Derived(-row.v, row.u)),
    Select("e.v * 10 - 45", "e.u", "e.u > 2", lambda row: Derived(row.v * 10 - 45, row.u) if row.u > 2 else None),
    Select("e.v", "e.u", "e.u <> 3", lambda row: Derived(row.v, row.u) if row.u != 3 else None),
    Select("e.v - 1", None, "1 = 1", lambda row: Derived(row.v - 1, None)),
    Select(
        "e.v + coalesce(b.bonus, 0)",
        "e.u",
        "1 = 1",
        lambda row: Derived(row.v + BONUS.get(row.k, 0), row.u),
        joins=True,
    ),
)


@dataclass
class World:
    """What the oracle knows: the source, the events of each derivation, and what each target must hold."""

    rows: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ranges: dict[int, tuple[object, ...]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    kept: dict[tuple[str, int], int | None] = field(default_factory=dict)
    number: int = 1
    select: Select = SELECTS[0]

    def read(self, low: int, high: int) -> None:
        """Derive the rows of a window by today's SELECT."""
        window = [row for row in self.rows if low <= row.seq <= high]
        for row in window:
            self.ranges.pop(row.seq, None)
            derived = self.select.derive(row)
            if derived is not None:
                # a column that the SELECT no longer yields keeps what an older derivation of the event gave
                w = self.kept.get((row.k, row.at)) if self.select.w is None else derived.w
                self.kept[row.k, row.at] = w
                content = (row.u, derived.v, w)
                self.events.append(Event((row.k,), row.at, 0, derived.v == 3, content, self.number))
                self.ranges[row.seq] = (row.k, row.at, row.u, *derived)
        for k in {row.k for row in window}:
            found = [derived for row in self.rows if row.k == k and (derived := self.select.derive(row)) is not None]
            self.totals.pop(k, None)
            if found:
                self.totals[k] = sum(item.v for item in found)

    def forget(self) -> None:
        """Drop what another SELECT than today's derived: what no chunk of a restatement yielded."""
        self.events = [event for event in self.events if event.definition == self.number]


@pytest.fixture(scope="module")
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("definitions")
    project.source("events")
    project.source("bonus")
    return project


@AS_DRAWN
@given(seed=st.integers(0, 1_000_000))
@pytest.mark.timeout(300 * EXAMPLES)
def test_newest_derivation_of_each_event_stands(project: DbtProject, seed: int) -> None:
    draw = Random(seed)
    world = World()
    _begin(project)
    _write(project, world.select)
    _land_and_run(project, world, draw)
    for _ in range(STEPS[project.adapter]):
        _change(project, world, draw)
        for step in draw.sample((_land_and_run, _backfill), k=draw.randint(1, 2)):
            step(project, world, draw)
        _check(project, world)
    _restate(project, world, draw)
    _check(project, world)
    if world.select.w is not None:
        fresh = World(rows=world.rows, number=world.number, select=world.select)
        fresh.read(0, len(world.rows))
        _check(project, fresh)


def _begin(project: DbtProject) -> None:
    for name in ("one", "two", "app", "raw", "grp"):
        for table in (f"dwh.{name}", *(f"sluice.dwh__{name}__{part}" for part in ("head", "side", "rejects"))):
            project.execute(f"drop table if exists {table}")
    project.execute("drop view if exists sluice.watermark_control", "drop table if exists sluice.load_log")
    project.execute("drop table if exists lake.events", "drop table if exists lake.bonus")
    project.execute("create table lake.events (seq bigint, k varchar, happened_at bigint, u integer, v integer)")
    project.execute("create table lake.bonus (k varchar, bonus integer)")
    values = ", ".join(f"('{k}', {bonus})" for k, bonus in BONUS.items())
    project.execute(f"insert into lake.bonus values {values}")


def _write(project: DbtProject, select: Select) -> None:
    reads = {"dependencies": [driving("events", incremental_key="seq")]}
    ordered = {**reads, "sequence_by": ["happened_at"]}
    deletes = {**ordered, "business_key": ["k"], "delete_when": "v = 3"}
    project.model("one", select.sql(), materialized="scd1", **deletes)
    project.model("two", select.sql(), materialized="scd2", scd_columns=["v"], **deletes)
    project.model("app", select.sql(), materialized="append", business_key=["k", "happened_at"], **ordered)
    project.model("raw", select.sql(seq=True), materialized="append", incremental_key="seq", **reads)
    groups = [driving("events", incremental_key="seq", recompute_by=["k"])]
    project.model(
        "grp",
        select.sums(),
        materialized="scd1",
        increment="groups",
        business_key=["k"],
        recompute_key=["k"],
        dependencies=groups,
    )


def _change(project: DbtProject, world: World, draw: Random) -> None:
    world.select = draw.choice([select for select in SELECTS if select is not world.select])
    world.number += 1
    _write(project, world.select)


def _land_and_run(project: DbtProject, world: World, draw: Random) -> None:
    watermark = len(world.rows)
    times = draw.sample([time for time in range(TIMES) if time not in {row.at for row in world.rows}], k=ROWS)
    rows = [
        Row(watermark + place + 1, f"k{draw.randrange(KEYS)}", time, draw.randrange(6), draw.randrange(10))
        for place, time in enumerate(times)
    ]
    world.rows += rows
    values = ", ".join(f"({row.seq}, '{row.k}', {row.at}, {row.u}, {row.v})" for row in rows)
    project.execute(f"insert into lake.events values {values}")
    _run(project, draw)
    world.read(watermark, len(world.rows))  # the row at the watermark is read again


def _backfill(project: DbtProject, world: World, draw: Random) -> None:
    low = draw.randint(1, len(world.rows))
    high = draw.randint(low, len(world.rows))
    _run(project, draw, SLUICE_WINDOWS=_windows(low, high))
    world.read(low, high)


def _restate(project: DbtProject, world: World, draw: Random) -> None:
    cut = draw.randint(1, len(world.rows) - 1)
    tasks = dict.fromkeys(_windows(0, 0), "restate")
    chunks = ((cut + 1, len(world.rows)), (1, cut))  # the newest first, as `sluice restate` does
    stopped = draw.randrange(3)
    for place, (low, high) in enumerate(chunks):
        _run(project, draw, is_stopped=stopped == place, SLUICE_WINDOWS=_windows(low, high), SLUICE_TASKS=tasks)
        world.read(low, high)
    pruned = ("one", "two", "app")
    _run(project, draw, *pruned, is_stopped=stopped == 2, SLUICE_TASKS={f"dwh.{name}": "prune" for name in pruned})
    world.forget()


def _windows(low: int, high: int) -> dict[str, object]:
    window = {SOURCE: {"start": str(low), "end": str(high)}}
    return {f"dwh.{name}": window for name in ("one", "two", "app", "raw", "grp")}


def _run(
    project: DbtProject, draw: Random, *models: str, is_stopped: bool = False, **env: Mapping[str, object]
) -> None:
    """Run dbt; before that, perhaps, a run that is killed before one of its writes."""
    if is_stopped:
        order = Order(
            ["--select", *models] if models else [],
            stop_before=draw.randint(1, MOST_WRITES),
            only_writes=True,
            env={name: json.dumps(value) for name, value in env.items()},
        )
        if project.adapter == "duckdb":
            close_warehouses()
        with forked_dbt(project) as forks:
            (outcome,) = forks.run(order)
        assert outcome.was_stopped, outcome
    result = project.run(*(("--select", *models) if models else ()), env=env)
    assert result.success, (result.error, result.messages)


def _check(project: DbtProject, world: World) -> None:
    upserts = [event._replace(is_delete=False) for event in world.events]
    expected = {
        "one": {(*key, at, *content[:2]) for key, content, at, _ in oracle.scd1(world.events)},
        "two": {
            (*item.key, item.at, *item.content, item.valid_from, item.valid_to)
            for item in oracle.scd2(world.events, (1,))
        },
        "app": {(*event.key, event.at, *event.content) for event in oracle.winners(upserts)},
        "raw": {(seq, *row) for seq, row in world.ranges.items()},
        "grp": set(world.totals.items()),
    }
    for name, rows in expected.items():
        assert set(_rows(project, name)) == rows, name


def _rows(project: DbtProject, name: str) -> Iterator[tuple[object, ...]]:
    # a table of last events does not keep what older derivations of earlier events gave
    columns = {"grp": "k, total", "raw": "seq, k, happened_at, u, v, w", "one": "k, happened_at, u, v"}.get(
        name, "k, happened_at, u, v, w"
    )
    columns += ", valid_from, valid_to" if name == "two" else ""
    for row in project.query(f"select {columns} from dwh.{name}"):
        yield (
            tuple(int(value) if isinstance(value, int) else value for value in row)
            if name != "grp"
            else (
                row[0],
                int(row[1]),
            )
        )
