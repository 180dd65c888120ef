"""Killed between any two statements, a load has done nothing or everything, and the next one gives the same rows.

What stands changes with writes and commits only: a load is stopped before every third of these, the next kind of load
before the others, and before some of the reads and temporary tables between them. `EVERY_STATEMENT=1` stops each load
before every statement.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, cycle

import pytest

from tests.support.dbt_project import DbtProject
from tests.support.failures import is_soft
from tests.support.forked_dbt import ForkedDbt, Order, forked_dbt
from tests.support.stopped_loads import (
    COLUMNS,
    EVENTS,
    INCREMENT,
    KINDS,
    WIDE,
    WIDER,
    State,
    add_source,
    add_targets,
    state,
)

NAMES = ("twin", "stopped", "first", "within")
LEAST_STATEMENTS, LEAST_WRITES = 15, 4
EVERY_STATEMENT = bool(os.environ.get("EVERY_STATEMENT"))
SOME_STATEMENTS = (1, 8)
STEP = 1 if EVERY_STATEMENT else 3
END_SESSION = (
    "create sequence lake.writes",
    "create table lake.last_write as select 0 as number",
    """create function lake.end_session() returns trigger language plpgsql as $$
    begin
        if nextval('lake.writes') = (select number from lake.last_write) then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
        return null;
    end $$""",
)


@pytest.fixture(scope="module")
def project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    """A target for each way to be stopped, and a twin that nobody disturbs."""
    project = make_on_each("kills")
    add_source(project)
    add_targets(project, [f"{kind}_{name}" for kind in KINDS for name in NAMES])
    return project


@pytest.fixture(scope="module")
def forks(project: DbtProject) -> Iterator[ForkedDbt]:
    """Every target but those of the first load stands before its increment; the twins have loaded it."""
    with forked_dbt(project) as forks:
        project.insert("lake.events", EVENTS)
        (first,) = forks.run(Order(["--exclude", "*_first"], is_forked=False))
        assert first.success, first
        project.insert("lake.events", INCREMENT)
        (twins,) = forks.run(Order(["--select", "*_twin"], env=WIDER, is_forked=False))
        assert twins.success, twins
        yield forks


def _twin(project: DbtProject, name: str, columns: str = COLUMNS) -> State:
    return state(project, name.partition("_")[0] + "_twin", columns)


def _stop_everywhere(
    forks: ForkedDbt, name: str, ways: Sequence[str], check: Callable[[], object], first: int = 1
) -> None:
    """Run a load again and again, stopped at a later statement each time, until it gets through."""

    def stop(number: int, way: str, only_writes: bool) -> bool:
        order = Order(["--select", name], stop_before=number, only_writes=only_writes, how=way, env=WIDER)
        (outcome,) = forks.run(order)
        check()
        softly = outcome.was_stopped and all(is_soft(message) for message in outcome.failures)
        assert outcome.success or softly, (number, outcome)
        return outcome.was_stopped

    if not EVERY_STATEMENT:
        assert all(stop(number, way, only_writes=False) for number, way in zip(SOME_STATEMENTS, cycle(ways)))
    stops = zip(count(first, STEP), cycle(ways), strict=False)
    last = next(number for number, way in stops if not stop(number, way, only_writes=not EVERY_STATEMENT))
    assert last > (LEAST_STATEMENTS if EVERY_STATEMENT else LEAST_WRITES)


def _check_increment(project: DbtProject, name: str) -> Callable[[], None]:
    """A check that a target stands where it stood, or where its twin stands."""
    allowed = (state(project, name), _twin(project, name))

    def check() -> None:
        assert state(project, name) in allowed

    return check


def _check_first(project: DbtProject, name: str) -> None:
    """Rows stand in a new target when a log row says so."""
    rows = project.query(f"select count(*) from dwh.{name}")[0][0] if _is_there(project, name) else 0
    logged = project.query(f"select count(*) from sluice.load_log where target = 'dwh.{name}'")[0][0]
    assert logged == (1 if rows else 0)


def _is_there(project: DbtProject, name: str) -> bool:
    tables = f"select count(*) from information_schema.tables where table_schema = 'dwh' and table_name = '{name}'"
    return project.query(tables) == [(1,)]


@pytest.mark.timeout(1200)
def test_a_load_that_is_stopped_anywhere_has_done_all_or_nothing(project: DbtProject, forks: ForkedDbt) -> None:
    ways = ("kill", "terminate") if project.adapter == "postgres" else ("kill",)
    for number, kind in enumerate(KINDS):
        name = f"{kind}_stopped"
        _stop_everywhere(forks, name, ways, _check_increment(project, name), first=1 + number % STEP)
        assert state(project, name, WIDE) == _twin(project, name, WIDE)


@pytest.mark.timeout(1200)
def test_a_first_load_that_is_stopped_anywhere_has_done_all_or_nothing(project: DbtProject, forks: ForkedDbt) -> None:
    _stop_everywhere(forks, "scd2_first", ["kill"], partial(_check_first, project, "scd2_first"))
    assert state(project, "scd2_first", WIDE)[:2] == _twin(project, "scd2_first", WIDE)[:2]


@pytest.mark.postgres
@pytest.mark.parametrize("make_on_each", ["postgres"], indirect=True)
def test_a_session_that_ends_between_two_writes_has_done_nothing(project: DbtProject, forks: ForkedDbt) -> None:
    """The writes of a load go to the server as one text; here the server ends the session after each of them."""
    project.execute(*END_SESSION)
    for number, kind in enumerate(KINDS):
        name = f"{kind}_within"
        before = state(project, name)
        tables = [f"dwh.{name}", *(f"sluice.dwh__{name}__{part}" for part in ("head", "side", "rejects"))]
        for table in [*tables, "sluice.load_log"]:
            project.execute(
                f"""create or replace trigger end_session after insert or update or delete on {table}
                    for each statement execute function lake.end_session()"""
            )
        for writes in count(1 + number % STEP, STEP):
            project.execute("alter sequence lake.writes restart", f"update lake.last_write set number = {writes}")
            (outcome,) = forks.run(Order(["--select", name], env=WIDER, is_forked=False))
            if outcome.success:
                break
            assert state(project, name) == before
            assert all(is_soft(message) for message in outcome.failures), outcome
        # the log's trigger stays, and other loads write to the log, too
        project.execute("update lake.last_write set number = 0")
        assert writes > LEAST_WRITES
        assert state(project, name, WIDE) == _twin(project, name, WIDE)
