"""Runs teach a fixed time and a speed; small runs say nothing about large windows; odd inputs are refused by name."""

from __future__ import annotations

import random

import pytest

from flows.spark.sizing.learning import Sample, combine, learn
from flows.spark.sizing.prices import load_instances
from flows.spark.sizing.sizing import GIB, MIB, MOST_NODES, MOST_PARTITIONS, PRIOR, Bounds, Sizing, Workload, size
from metadata_sync.errors import HardRunError
from metadata_sync.project import Project
from tests.support.project_copy import REPOSITORY

BOUNDS = Bounds(("m5.xlarge", "m5.4xlarge"), 2, 20)


def _sized(scan_bytes: int, samples: list[Sample], sla_minutes: float | None = 60) -> Sizing:
    prices = load_instances(Project(REPOSITORY)).in_region("us-east-1")
    return size(Workload(scan_bytes, sla_minutes), BOUNDS, learn(samples).calibration, prices)


def _run(scan_bytes: int, seconds: float, cores: int = 12) -> Sample:
    return Sample(scan_bytes, seconds, cores, PRIOR.startup_minutes * 60)


def test_many_small_runs_do_not_change_the_cluster_of_a_large_window() -> None:
    before = _sized(500 * GIB, [])
    after = _sized(500 * GIB, [_run(20 * MIB, 45)] * 9)

    assert str(after) == str(before)
    assert after.is_feasible
    assert after.usd <= before.usd * 1.1


def test_runs_of_different_sizes_tell_fixed_time_from_speed() -> None:
    chance = random.Random(5)  # the same runs each time
    sizes = [chance.choice([1, 10, 60, 200, 500]) * GIB for _ in range(9)]
    samples = [_run(size_, 40 + size_ / MIB / 12 / 5) for size_ in sizes]
    samples[4] = _run(sizes[4], 4000)  # one run on a bad day

    learned = learn(samples).calibration

    assert learned.mib_per_core_second == pytest.approx(5, rel=0.05)
    assert learned.fixed_seconds == pytest.approx(40, abs=15)


def test_a_slow_job_of_one_size_is_slow() -> None:
    learned = learn([_run(100 * GIB, 100 * 1024 / 12 / 2)] * 5).calibration

    assert learned.mib_per_core_second == pytest.approx(2)


def test_steps_on_one_cluster_add_their_fixed_times() -> None:
    slow = learn([_run(20 * MIB, 45)] * 9).calibration

    assert combine([(GIB, slow), (GIB, slow)]).fixed_seconds == pytest.approx(2 * slow.fixed_seconds)


def test_odd_inputs_are_refused_by_name_and_shuffles_are_capped() -> None:
    with pytest.raises(HardRunError, match="digits"):
        Workload(10**400)
    with pytest.raises(HardRunError, match="SLA of inf"):
        Workload(GIB, float("inf"))
    assert _sized(100 * 10**12, [], None).partitions <= MOST_PARTITIONS


def test_a_run_of_a_few_bytes_says_nothing_about_speed() -> None:
    before = _sized(10 * GIB, [])

    for seconds in (0.5, 1, 30, 119):
        for count in (1, 3, 9):
            after = _sized(10 * GIB, [_run(1, seconds)] * count)
            assert after.usd <= before.usd * 2, (seconds, count)


@pytest.mark.parametrize("sla", [float("nan"), float("-inf"), 0.0, -5.0])
def test_a_time_limit_that_is_none_is_refused(sla: float) -> None:
    with pytest.raises(HardRunError, match="cannot be met"):
        Workload(GIB, sla)


def test_bounds_without_an_end_are_capped() -> None:
    prices = load_instances(Project(REPOSITORY)).in_region("us-east-1")

    found = size(Workload(10**15, 1), Bounds(("m5.xlarge",), 2, 10**9), PRIOR, prices)

    assert found.core_count == MOST_NODES
    assert not found.is_feasible
