"""The promise: a target is a function of the events ever accepted, however they were cut, ordered or repeated.

`HISTORY_EXAMPLES=50` draws that many batches of histories on each warehouse, each time others; an example holds
some hundred keys, each a history of its own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import histories as h
from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject
from tests.support.scd_oracle import Event

NUMBERS = range(len(h.SHAPES))
ALL_TRACKED = (0, 1, 2)
V_ONLY = (2,)
TIMES = range(11)
COLUMNS = "k1, k2, is_deleted, u, v, happened_at, lsn"
EXAMPLES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
# An example is hundreds of histories at once; shrinking it would start dbt for minutes, its seed says enough.
AS_DRAWN = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 1,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
GREW_AT = 2


@dataclass
class Drawn:
    """What was landed.

    Attributes:
        batches: History of each target.
        grown: Events of the target whose SELECT grew, with the column that it gained.
    """

    batches: list[h.History]
    grown: list[Event] = field(default_factory=list)

    @property
    def events(self) -> list[list[Event]]:
        """All events of each history."""
        return [list(itertools.chain.from_iterable(history)) for history in self.batches]


@pytest.fixture(scope="module")
def project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    project = make_on_each("histories")
    h.add_models(project, len(h.SHAPES))
    return project


@AS_DRAWN
@given(seed=st.integers(0, 1_000_000))
@pytest.mark.timeout(300 * EXAMPLES)
def test_loads_equal_the_oracle_when_history_is_random(project: DbtProject, seed: int) -> None:
    drawn = Drawn(h.histories(seed))
    h.empty_warehouse(project)
    _load(project, drawn)
    assert h.differs(project, drawn.batches, V_ONLY) == []
    _check_twins(project)
    _check_as_of(project, drawn.events)
    _check_current_rows(project)
    _check_invariants(project)
    _check_counts(project)
    _check_grown(project, drawn.grown)
    _check_replay(project)
    _check_full_refresh(project, drawn)
    _check_rebuild(project, drawn)


def _load(project: DbtProject, drawn: Drawn) -> None:
    """Land and load every batch; half way a SELECT gains a column and widens another."""
    for arrived in range(h.BATCHES):
        has_grown = arrived >= GREW_AT
        _write_growing(project, has_grown=has_grown)
        batches = [history[arrived] for history in drawn.batches]
        h.land(project, arrived, batches)
        result = project.run()
        assert result.success, (result.error, result.messages)
        # the batch at the watermark is read again, now with the new column
        again = drawn.batches[0][arrived - 1] if arrived == GREW_AT else []
        drawn.grown += [_grow(event, has_grown=has_grown) for event in [*batches[0], *again]]


def _write_growing(project: DbtProject, *, has_grown: bool) -> None:
    select = h.SELECT % 0
    if has_grown:
        select = select.replace("e.u,", "cast(e.u as bigint) as u,").replace("e.v\n", "e.v, e.u + 1 as w\n")
    else:
        select = select.replace("e.u,", "cast(e.u as smallint) as u,")
    for kind in ("scd1", "scd2"):
        project.model(f"grown_{kind}", select, materialized=kind, **h.SETTINGS)


def _grow(event: Event, *, has_grown: bool) -> Event:
    u = event.content[1]
    content = (*event.content, u + 1 if has_grown and isinstance(u, int) else None)
    return event._replace(content=content, definition=2 if has_grown else 1)


def _rows(project: DbtProject, sql: str) -> list[tuple[object, ...]]:
    return sorted(project.query(sql), key=str)


def _check_twins(project: DbtProject) -> None:
    """The same events, cut and ordered otherwise and some of them twice, give the same rows."""
    for name, columns in (("two_0", f"{COLUMNS}, valid_from, valid_to, is_current"), ("one_0", COLUMNS)):
        rows = _rows(project, f"select {columns} from dwh.{name} where k1 not like '{h.AGAIN}%'")
        twins = _rows(project, f"select {columns} from dwh.{name} where k1 like '{h.AGAIN}%'")
        assert rows
        assert sorted(((row[0].removeprefix(h.AGAIN), *row[1:]) for row in twins), key=str) == rows


def _check_as_of(project: DbtProject, events: Sequence[list[Event]]) -> None:
    """Whoever asks what held at a time is told the oracle's state at that time."""
    for number in NUMBERS:
        for time in TIMES:
            held = f"valid_from <= {time} and (valid_to > {time} or valid_to is null)"
            rows = project.query(f"select k1, k2, v from dwh.two_{number} where {held}")
            state = [(*key, content[2]) for key, content in oracle.as_of(events[number], time)]
            assert sorted(rows, key=str) == sorted(state, key=str), (number, time)


def _check_current_rows(project: DbtProject) -> None:
    """SCD1 is the current rows of SCD2."""
    for number in NUMBERS:
        current = _rows(project, f"select {COLUMNS} from dwh.two_{number} where is_current")
        assert current == _rows(project, f"select {COLUMNS} from dwh.one_{number}")


def _check_invariants(project: DbtProject) -> None:
    result = project.run(command="test")
    assert result.success, result.messages
    assert sum(status == "pass" for status in result.statuses.values()) >= 5 * len(NUMBERS)


def _check_counts(project: DbtProject) -> None:
    """What the log says that loads did adds up to what stands there."""
    logged = dict(project.query("select target, sum(rows_inserted - rows_deleted) from sluice.load_log group by 1"))
    for target, count in logged.items():
        assert project.query(f"select count(*) from {target}") == [(count,)], target


def _check_grown(project: DbtProject, events: list[Event]) -> None:
    """A column that comes is NULL before, and a type that widens loses nothing."""
    columns = "k1, k2, is_deleted, u, v, w, happened_at, lsn"
    rows = _rows(project, f"select {columns}, valid_from, valid_to from dwh.grown_scd2")
    versions = oracle.scd2(events, (0, 1, 2, 3))
    assert rows == sorted(((*v.key, *v.content, v.at, v.tie, v.valid_from, v.valid_to) for v in versions), key=str)
    rows = _rows(project, f"select {columns} from dwh.grown_scd1")
    assert rows == sorted(((*key, *content, at, tie) for key, content, at, tie in oracle.scd1(events)), key=str)


def _check_replay(project: DbtProject) -> None:
    """Everything once more by a backfill: known rows write nothing, not even an audit column."""
    tables = [f"dwh.{name}_{number}" for name in ("one", "two", "add") for number in NUMBERS] + ["dwh.raw_0"]
    before = [_rows(project, f"select * from {table}") for table in tables]
    window = {"lake.events": {"start": "0", "end": str(h.BATCHES)}}
    names = [table.removeprefix("dwh.") for table in tables]
    result = project.run("--select", *names, env={"SLUICE_WINDOWS": dict.fromkeys(tables, window)})
    assert result.success, result.messages
    assert {result.messages[name] for name in names} == {"UNCHANGED"}
    assert before == [_rows(project, f"select * from {table}") for table in tables]


def _check_full_refresh(project: DbtProject, drawn: Drawn) -> None:
    """From the sources, all at once: the same."""
    result = project.run("--full-refresh", "--select", "one_0", "two_0", "add_0", "raw_0")
    assert result.success, result.messages
    assert h.differs(project, drawn.batches, V_ONLY) == []


def _check_rebuild(project: DbtProject, drawn: Drawn) -> None:
    """Tracking other columns rebuilds from the ledger; no source is needed."""
    project.execute("delete from lake.events")
    for number in NUMBERS:
        project.model(f"two_{number}", h.SELECT % number, materialized="scd2", **h.SETTINGS)
    try:
        result = project.run("--select", *(f"two_{number}" for number in NUMBERS))
        assert result.success, result.messages
    finally:
        h.add_models(project, len(h.SHAPES))
    assert h.differs(project, drawn.batches, ALL_TRACKED) == []
