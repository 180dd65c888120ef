"""Whatever arrives first, driving rows or what they look up: under `on_change: restate` a target equals its SELECT."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtProject
from tests.support.lookup_project import arrive, check, run, start, write_models
from tests.support.redshift_project import RedshiftProject

EXAMPLES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
ROUNDS = {"duckdb": 6, "postgres": 4, "redshift": 2}


@pytest.fixture(scope="module")
def project(make_anywhere: Callable[[str], DbtProject]) -> DbtProject:
    project = make_anywhere("lookups")
    write_models(project)
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
    for now in range(ROUNDS[project.adapter]):
        arrive(project, random, now)
        run(project)
        check(project)
    again = run(project)
    assert {word for name, word in again.items() if "on-run" not in name} == {"SKIP nothing new"}
    if isinstance(project, RedshiftProject) and isinstance(project.place, Standin):
        assert project.broken_rules() == {}
