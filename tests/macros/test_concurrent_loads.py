"""Loads of one target at the same time give what some order of them, one after the other, gives.

DuckDB lets one process write; its second writer within a process is in test_transactions.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.support import histories as h
from tests.support.dbt_project import DbtProject
from tests.support.failures import is_soft
from tests.support.forked_dbt import ForkedDbt, Order, Outcome, forked_dbt

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("make_on_each", ["postgres"], indirect=True)]
SHAPE = h.Shape(40, 80, in_order=False)
NAMES = ("two_0", "raw_0")
KINDS = ("two", "raw")
V_ONLY = (2,)
# The models of a run go one after the other, so that runs which meet before the first write meet again at the next.
ARGUMENTS = ("--threads", "1")


@pytest.fixture(scope="module")
def project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    project = make_on_each("concurrent")
    h.add_models(project, 1, KINDS)
    return project


@pytest.fixture(scope="module")
def forks(project: DbtProject) -> Iterator[ForkedDbt]:
    with forked_dbt(project) as forks:
        yield forks


def _backfill(arrived: int) -> Order:
    window = {"lake.events": {"start": str(arrived), "end": str(arrived)}}
    return Order(ARGUMENTS, env={"SLUICE_WINDOWS": json.dumps({f"dwh.{name}": window for name in NAMES})})


def _lost(outcomes: Sequence[Outcome]) -> list[str]:
    """What the loads that failed said: each of them that trying again makes sense."""
    messages = [message for outcome in outcomes for message in outcome.failures]
    assert all(is_soft(message) for message in messages), messages
    return messages


@pytest.mark.parametrize("runs", [2, 4])
def test_one_of_several_loads_of_the_same_rows_wins(project: DbtProject, forks: ForkedDbt, runs: int) -> None:
    (drawn,) = h.histories(runs, [SHAPE])
    h.empty_warehouse(project)
    for arrived, batch in enumerate(drawn[:2]):
        h.land(project, arrived, [batch])
        outcomes = forks.run(*[Order(ARGUMENTS)] * (runs if arrived else 1))
        lost = _lost(outcomes)
        if arrived:
            assert "committed first" in lost[0]
            assert len([outcome for outcome in outcomes if not outcome.failures]) <= 1
    (again,) = forks.run(Order(ARGUMENTS))
    assert again.success, again
    assert h.differs(project, [drawn[:2]], V_ONLY, KINDS) == []
    count = "select count(*) from sluice.load_log where target = 'dwh.two_0'"
    assert project.query(count) == [(2,)], "a load that lost left a log row"


def test_backfills_of_any_windows_at_once_give_the_history(project: DbtProject, forks: ForkedDbt) -> None:
    (drawn,) = h.histories(7, [SHAPE])
    h.empty_warehouse(project)
    h.land(project, 0, [drawn[0]])
    (first,) = forks.run(Order(ARGUMENTS, is_forked=False))
    assert first.success, first
    for arrived in range(1, h.BATCHES):
        h.land(project, arrived, [drawn[arrived]])
    waiting = [Order(ARGUMENTS), *(_backfill(arrived) for arrived in range(1, h.BATCHES))]
    loads = 0
    while waiting:
        outcomes = forks.run(*waiting)
        _lost(outcomes)
        waiting = [order for order, outcome in zip(waiting, outcomes, strict=True) if not outcome.success]
        ((loads_now,),) = project.query("select count(*) from sluice.load_log")
        assert loads_now > loads, "somebody wins each time"
        loads = loads_now
    assert h.differs(project, [drawn], V_ONLY, KINDS) == []


def test_first_loads_at_once_make_one_target(project: DbtProject, forks: ForkedDbt) -> None:
    (drawn,) = h.histories(11, [SHAPE])
    h.empty_warehouse(project)
    h.land(project, 0, [list(itertools.chain.from_iterable(drawn))])
    _lost(forks.run(*[Order(ARGUMENTS)] * 3))
    (again,) = forks.run(Order(ARGUMENTS))
    assert again.success, again
    assert h.differs(project, [[list(itertools.chain.from_iterable(drawn))]], V_ONLY, KINDS) == []
