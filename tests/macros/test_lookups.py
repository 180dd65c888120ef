"""Whatever arrives first, driving rows or what they look up: under `on_change: restate` a target equals its SELECT.

`HISTORY_EXAMPLES=50` tries as many histories, with every target and longer ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject
from tests.support.forked_dbt import Order, forked_dbt
from tests.support.lookup_project import ALL, SOME, arrive, check, expected, run, start, stored, write_models
from tests.support.redshift_project import RedshiftProject

EXAMPLES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
IS_LONG = EXAMPLES > 1
KILLED_BEFORE = (1, 2, 3, 100) if IS_LONG else (2, 100)
"""Numbers of writes; no load has the last."""
ROUNDS = 8 if IS_LONG else 2
ON_DUCKDB = 8 if IS_LONG else 3


@pytest.fixture(scope="module")
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("lookups")
    write_models(project, ALL if IS_LONG else SOME[project.adapter])
    return project


@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 1,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1_000_000))
@pytest.mark.timeout(300 * EXAMPLES)
def test_target_equals_recomputation_in_whatever_order_lookups_and_driving_rows_arrive(
    project: DbtProject, seed: int
) -> None:
    random = Random(seed)
    start(project)
    for now in range(ON_DUCKDB if project.adapter == "duckdb" else ROUNDS):
        arrive(project, random, now)
        run(project)
        check(project)
    if IS_LONG:
        again = run(project)
        assert {word for name, word in again.items() if "on-run" not in name} == {"SKIP nothing new"}
    if isinstance(project, RedshiftProject) and isinstance(project.place, Standin):
        assert project.broken_rules() == {}


def test_load_that_a_lookup_started_has_done_all_or_nothing_when_it_is_killed(
    make_project: Callable[[str], DbtProject],
) -> None:
    project = make_project("killed")
    write_models(project, ["past"])
    start(project)
    project.insert("lake.items", [(item, item % 3, item, 1, 0) for item in range(6)])
    project.insert("lake.orders", [(order, order, "web", order, 0) for order in range(3)])
    project.insert("lake.customers", [(customer, "Lyon", 0) for customer in range(3)])
    env = {"SLUICE_CHANGE_TOKENS": "{}"}
    with forked_dbt(project) as forks:
        (first,) = forks.run(Order([], is_forked=False, env=env))
        assert first.success, first
        project.execute("update lake.customers set city = 'Oslo', landed = 1 where id = 1")
        project.execute("update lake.orders set channel = 'shop', landed = 1 where id = 2")
        before = stored(project, "past")
        for number in KILLED_BEFORE:
            order = Order(["--select", "dwh__past"], stop_before=number, only_writes=True, env=env)
            (outcome,) = forks.run(order)
            assert outcome.was_stopped == (number < KILLED_BEFORE[-1])
            ends = project.query("select max(window_end) from sluice.load_log where source = 'lake.orders'")
            assert stored(project, "past") == (expected(project, "past") if ends == [("1",)] else before)
    assert outcome.success
    check(project)
