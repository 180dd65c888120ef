"""`make bench-check`: what counts as a regression, by ratios; what is missing, new or failed; and the exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measures import COUNT_TOLERANCE, COUNTED, TOLERANCE, BenchRun, Measure, compare, merge, read_measures
from tests.support.project_copy import REPOSITORY

BASE = Measure("load", "CPU s", 2.0, "floor", 1.0, at_most=1.5)


def _run(*measures: Measure, failed: tuple[str, ...] = (), is_short: bool = False) -> BenchRun:
    return BenchRun(measures, failed, is_short)


def _load(value: float, beside_value: float = 1.0, *, unit: str = "CPU s", name: str = "load") -> Measure:
    return Measure(name, unit, value, "floor", beside_value)


@pytest.mark.parametrize(
    ("now", "is_worse", "is_better"),
    [
        (_load(2.0), False, False),
        (_load(200.0, 100.0), False, False),  # a machine a hundred times slower: the ratio is the same
        (_load(2.0 * (1 + TOLERANCE) - 0.001), False, False),
        (_load(2.0 * (1 + TOLERANCE) + 0.001), True, False),
        (_load(2.0, 0.5), True, False),  # the peer became faster, Sluice did not
        (_load(1.0), False, True),
        (_load(0.0), False, True),
    ],
)
def test_ratio_is_a_regression_when_it_grows_by_more_than_the_tolerance(
    now: Measure, is_worse: bool, is_better: bool
) -> None:
    comparison = compare(_run(BASE), _run(now))
    assert [change.is_worse for change in comparison.changes] == [is_worse]
    assert [change.is_better for change in comparison.changes] == [is_better]
    assert comparison.is_passed is not is_worse


def test_counts_have_a_tolerance_of_their_own() -> None:
    before, limit = _load(100, 100, unit=COUNTED), 100 * (1 + COUNT_TOLERANCE)
    assert compare(_run(before), _run(_load(limit, 100, unit=COUNTED))).is_passed
    assert not compare(_run(before), _run(_load(limit + 1, 100, unit=COUNTED))).is_passed
    assert not compare(_run(before), _run(_load(101, 100, unit=COUNTED)), tolerance=0).is_passed


def test_a_missed_target_is_no_regression_and_a_met_one_may_be() -> None:
    missed = _load(2.0)
    assert BASE.is_met is False
    assert compare(_run(BASE), _run(missed)).is_passed
    before, now = Measure("load", "CPU s", 1.0, "floor", 1.0, 10), Measure("load", "CPU s", 9.0, "floor", 1.0, 10)
    assert now.is_met
    assert not compare(_run(before), _run(now)).is_passed


def test_missing_measures_fail_a_full_run_and_not_a_short_one() -> None:
    other = _load(1.0, name="gate")
    full, short = compare(_run(BASE, other), _run(BASE)), compare(_run(BASE, other), _run(BASE, is_short=True))
    assert full.unmeasured == short.unmeasured == ("gate, to floor",)
    assert (full.is_passed, short.is_passed) == (False, True)


def test_same_work_beside_another_peer_is_another_measure() -> None:
    peer = Measure("load", "CPU s", 2.0, "dbt", 1.0)
    comparison = compare(_run(BASE), _run(BASE, peer))
    assert (comparison.new, comparison.is_passed) == (("load, to dbt",), True)


def test_failed_benchmark_and_empty_comparison_do_not_pass() -> None:
    assert not compare(_run(BASE), _run(BASE, failed=("gate",), is_short=True)).is_passed
    assert not compare(_run(), _run(BASE)).is_passed
    assert not compare(_run(BASE), _run(is_short=True)).is_passed


def test_measures_survive_their_document() -> None:
    for measure in (BASE, _load(0.0, 0.0), Measure("walk", COUNTED, 55, "before", 89, None)):
        (back,) = read_measures([measure.document()])
        assert (back.key, back.ratio, back.is_met) == (measure.key, measure.ratio, measure.is_met)


def test_baseline_keeps_what_a_short_run_has_not_and_drops_what_a_full_run_has_not() -> None:
    gate, changed = _load(1.0, name="gate"), _load(3.0)
    assert merge(_run(BASE, gate), _run(changed, is_short=True)).measures == (changed, gate)
    assert merge(_run(BASE, gate), _run(changed, failed=("gate",))).measures == (changed, gate)
    assert merge(_run(BASE, gate), _run(changed)).measures == (changed,)


_NOTHING = "2 ratios compared: 0 regressions; 0 of the baseline not measured (a short or partial run), 0 new.\n"


def _check(folder: Path, *arguments: str) -> tuple[int, str]:
    script = REPOSITORY / "benchmarks" / "check.py"
    files = ("--run", folder / "run.json", "--baseline", folder / "baseline.json")
    done = subprocess.run([sys.executable, script, *files, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.processes
def test_check_names_the_regression_and_ends_with_1_until_it_is_accepted(tmp_path: Path) -> None:
    assert _check(tmp_path)[0] == 2
    _run(BASE, _load(1.0, name="gate"), is_short=True).write(tmp_path / "run.json")
    assert _check(tmp_path)[0] == 1  # without a baseline nothing was compared
    assert _check(tmp_path, "--accept")[0] == 0
    assert _check(tmp_path) == (0, _NOTHING)

    _run(BASE, _load(1.5, name="gate"), is_short=True).write(tmp_path / "run.json")
    code, said = _check(tmp_path)
    assert code == 1
    assert "regression  gate, to floor: 1.50x, was 1.00x (at most 1.40x)" in said
    assert _check(tmp_path, "--tolerance", "0.6")[0] == 0

    _run(BASE, failed=("gate",), is_short=True).write(tmp_path / "run.json")
    code, said = _check(tmp_path)
    assert code == 1
    assert "failed      benchmarks/gate.py" in said


def test_committed_baseline_holds_ratios_of_every_benchmark_of_a_short_run() -> None:
    baseline = BenchRun.read(REPOSITORY / "benchmarks" / "baseline.json")
    assert baseline.failed == ()
    keys = [measure.key for measure in baseline.measures]
    assert len(set(keys)) == len(keys)
    for beginning in ("walk: ", "sluice ", "sync, ", "scd1 ", "scd2 ", "gate on ", "lake ", "dbt build "):
        assert any(key.startswith(beginning) for key in keys), beginning


def test_log_of_the_gates_workload_has_the_columns_of_the_macros() -> None:
    macro = (REPOSITORY / "macros" / "control" / "create_control_tables.sql").read_text()
    created = re.search(r"create table if not exists \{\{ load_log \}\} \((.*?)\{\{", macro, re.DOTALL)
    later = re.search(r"macro later_log_columns.*?return\(\[(.*?)\]\)", macro, re.DOTALL)
    assert created is not None
    assert later is not None
    wanted = {*re.findall(r"^ +(\w+) ", created[1], re.MULTILINE), *re.findall(r'"(\w+) ', later[1])}
    workload = (REPOSITORY / "benchmarks" / "gate_workload.py").read_text()
    made = re.search(r"create table sluice.load_log \((.*?)\);", workload, re.DOTALL)
    assert made is not None
    assert {column.split()[0] for column in re.split(r",\s+", made[1].strip())} >= wanted >= {"tie_count", "void_count"}


def test_seconds_that_are_noise_are_all_alike() -> None:
    before, now = _load(0.0005, 0.001), _load(0.009, 0.001)
    assert compare(_run(before), _run(now)).changes[0].now == 1
    assert compare(_run(before), _run(now)).is_passed
    assert Measure("memory", "MiB", 3, "floor", 2).ratio == 1.5
