"""Sizing: the case table of docs/operations/emr.md, single rules, and what must hold of any case."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.spark.sizing.prices import InstanceFile, PriceList, read_instances
from flows.spark.sizing.sizing import GIB, PRIOR, Bounds, Calibration, Rented, Sizing, Workload, rent_usd, size
from metadata_sync.errors import ConfigurationError, HardRunError

SHIPPED = Path(__file__).parents[4] / "metadata_sync/instances.yml"
FILE = read_instances(SHIPPED)
PRICES = FILE.in_region("us-east-1")
TIB = 1024 * GIB
M5 = ("m5.xlarge", "m5.2xlarge", "m5.4xlarge")
R5 = ("r5.xlarge", "r5.2xlarge", "r5.4xlarge")
C5 = ("c5.xlarge", "c5.2xlarge", "c5.4xlarge")
USUAL = Bounds(M5, 2, 20)
EXAMPLES = int(os.environ.get("SLUICE_SIZING_EXAMPLES", "300"))

CASES = [
    # bytes, minutes, bounds, calibration, type, nodes, estimated minutes, dollars, in time
    (1 * GIB, 30, USUAL, PRIOR, "m5.xlarge", 2, 8.7, 0.104, True),
    (10 * GIB, 30, USUAL, PRIOR, "m5.xlarge", 2, 12.7, 0.152, True),
    (50 * GIB, 60, USUAL, PRIOR, "m5.xlarge", 2, 30.3, 0.364, True),
    (100 * GIB, 60, USUAL, PRIOR, "m5.xlarge", 3, 37.7, 0.603, True),
    (100 * GIB, 15, USUAL, PRIOR, "m5.4xlarge", 3, 14.0, 0.728, True),
    (500 * GIB, 60, USUAL, PRIOR, "m5.4xlarge", 2, 52.7, 1.896, True),
    (500 * GIB, 60, replace(USUAL, core_max=4), PRIOR, "m5.4xlarge", 2, 52.7, 1.896, True),
    (1 * TIB, 120, USUAL, PRIOR, "m5.4xlarge", 2, 99.3, 3.576, True),
    (1 * TIB, 30, replace(USUAL, core_max=10), PRIOR, "m5.4xlarge", 9, 28.3, 4.193, True),
    (10 * GIB, 30, replace(USUAL, core_min=4), PRIOR, "m5.xlarge", 4, 10.3, 0.207, True),
    (1 * GIB, 5, USUAL, PRIOR, "m5.xlarge", 3, 8.3, 0.133, False),
    (50 * GIB, 60, USUAL, replace(PRIOR, mib_per_core_second=20), "m5.xlarge", 2, 16.9, 0.203, True),
    (50 * GIB, 60, Bounds(R5, 1, 20), PRIOR, "r5.4xlarge", 1, 17.0, 0.425, True),
    (50 * GIB, 60, Bounds(M5 + R5 + C5, 1, 20), replace(PRIOR, expansion=12), "m5.4xlarge", 1, 17.0, 0.340, True),
]


Case = tuple[int, float, Bounds, Calibration, str, int, float, float, bool]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0] // GIB} GiB in {case[1]}, {case[4]}")
def test_sizing_answers_the_case_table(case: Case) -> None:
    scan, sla, bounds, known, name, count, minutes, usd, in_time = case

    sizing = size(Workload(scan, sla), bounds, known, PRICES)

    assert (sizing.instance_type, sizing.core_count, sizing.is_feasible) == (name, count, in_time)
    assert sizing.minutes == pytest.approx(minutes, abs=0.06)
    assert sizing.usd == pytest.approx(usd, abs=0.0006)


@pytest.mark.parametrize(
    ("name", "executors", "cores"), [("m5.xlarge", 1, 3), ("m5.2xlarge", 2, 3), ("m5.4xlarge", 3, 5)]
)
def test_executors_use_every_core_but_one(name: str, executors: int, cores: int) -> None:
    layout = size(Workload(GIB), Bounds((name,), 2, 2), PRIOR, PRICES).layout

    assert (layout.executors, layout.cores) == (executors, cores)


def test_a_task_that_no_type_has_the_memory_for_is_an_error_with_both_numbers() -> None:
    with pytest.raises(HardRunError, match=r"needs 2,560 MB .*m5\.xlarge offers 2,069"):
        size(Workload(50 * GIB, 60), USUAL, replace(PRIOR, expansion=20), PRICES)


def test_a_fixed_row_is_taken_as_it_is_even_when_it_is_too_late_or_too_small() -> None:
    bounds = Bounds(("c5.xlarge",), 7, 7)

    sizing = size(Workload(10 * TIB, 5), bounds, replace(PRIOR, expansion=50), PRICES)

    assert (sizing.instance_type, sizing.core_count, sizing.is_fixed, sizing.is_feasible) == (
        "c5.xlarge",
        7,
        True,
        False,
    )
    assert "the row fixes it" in sizing.reason
    assert "not in time" in sizing.reason


def test_nothing_to_read_never_gets_a_cluster() -> None:
    with pytest.raises(ValueError, match="no cluster"):
        size(Workload(0, 60), USUAL, PRIOR, PRICES)


def test_an_unknown_type_is_an_error_and_not_free() -> None:
    with pytest.raises(ConfigurationError, match=r"m5\.xlarg has no price in us-east-1 \(prices as of 2026-01-19\)"):
        size(Workload(GIB), Bounds(("m5.xlarg",), 2, 4), PRIOR, PRICES)


def test_a_region_without_prices_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="mars-north-1"):
        FILE.in_region("mars-north-1")


def test_another_price_list_changes_dollars_alone() -> None:
    here = size(Workload(100 * GIB, 60), USUAL, PRIOR, PRICES)
    there = size(Workload(100 * GIB, 60), USUAL, PRIOR, FILE.in_region("ap-southeast-1"))

    assert there.usd > here.usd
    assert replace(there, usd=here.usd) == here


def test_the_same_question_gets_the_same_answer() -> None:
    asked = (Workload(321 * GIB, 45), Bounds(M5 + R5, 1, 30), PRIOR, PRICES)

    assert size(*asked) == size(*asked)


def test_arm_machines_are_left_out_for_jobs_that_need_x86() -> None:
    both = Bounds(("m6g.xlarge", "m5.xlarge"), 2, 4)

    assert size(Workload(GIB), both, PRIOR, PRICES).instance_type == "m6g.xlarge"
    assert size(Workload(GIB), replace(both, architecture="x86_64"), PRIOR, PRICES).instance_type == "m5.xlarge"
    with pytest.raises(HardRunError, match=r"m6g\.xlarge is arm64"):
        size(Workload(GIB), Bounds(("m6g.xlarge",), 2, 2, architecture="x86_64"), PRIOR, PRICES)


def test_ten_spot_nodes_beside_ten_others_cost_what_aws_says() -> None:
    """AWS's example: 10 nodes at $1 for 14 hours are $140; with 10 spot nodes at half the price 7 hours, $105."""
    document = {
        "as_of": "2020-02-01",
        "spot_price_share": 0.5,
        "instances": {"x.large": {"vcpus": 4, "memory_gib": 16, "yarn_mb": 12288}},
        "prices": {"here": {"x.large": {"ec2": 1.0, "emr": 0.0}}},
    }
    prices = InstanceFile.model_validate(document).in_region("here")
    ten, ten_spot = Rented("x.large", 10), Rented("x.large", 10, is_spot=True)

    assert rent_usd([ten], 14 * 3600, prices) == pytest.approx(140)
    assert rent_usd([ten, ten_spot], 7 * 3600, prices) == pytest.approx(105)


def test_spot_is_for_work_without_a_deadline_and_never_below_two_core_nodes() -> None:
    calm = size(Workload(TIB), Bounds(("m5.4xlarge",), 1, 6), PRIOR, PRICES)
    urgent = size(Workload(TIB, 60), Bounds(("m5.4xlarge",), 6, 8), PRIOR, PRICES)

    assert calm.core_count - calm.spot_count <= 2
    assert urgent.spot_count == 0


def test_a_minute_is_billed_at_least() -> None:
    assert rent_usd([Rented("m5.xlarge", 1)], 1, PRICES) == rent_usd([Rented("m5.xlarge", 1)], 60, PRICES)


def _price_lists() -> st.SearchStrategy[PriceList]:
    return st.sampled_from([PRICES, FILE.in_region("ap-southeast-1")])


_TYPES = st.lists(st.sampled_from(M5 + R5 + C5), min_size=1, unique=True).map(tuple)
_BYTES = st.floats(0, 1).map(lambda share: int(10 ** (6 + 7.5 * share)))
_SLA = st.one_of(st.none(), st.floats(1, 600))
_CALIBRATIONS = st.builds(
    Calibration,
    mib_per_core_second=st.floats(0.5, 60),
    expansion=st.floats(1, 6),
    startup_minutes=st.floats(0, 20),
    safety=st.floats(0.3, 1),
)


@st.composite
def _bounds(draw: st.DrawFn) -> Bounds:
    low = draw(st.integers(1, 12))
    return Bounds(draw(_TYPES), low, low + draw(st.integers(0, 30)))


@dataclass(frozen=True)
class Question:
    scan: int
    sla: float | None
    bounds: Bounds
    known: Calibration
    prices: PriceList

    def answer(self) -> Sizing:
        return size(Workload(self.scan, self.sla), self.bounds, self.known, self.prices)


_QUESTIONS = st.builds(Question, scan=_BYTES, sla=_SLA, bounds=_bounds(), known=_CALIBRATIONS, prices=_price_lists())


@settings(max_examples=EXAMPLES, deadline=None)
@given(question=_QUESTIONS, more=_BYTES, share=st.floats(0.05, 1), types=_TYPES, by=st.integers(0, 5))
def test_what_one_would_expect_of_a_size_holds(
    *, question: Question, more: int, share: float, types: tuple[str, ...], by: int
) -> None:
    sizing, bounds, sla = question.answer(), question.bounds, question.sla
    assert sizing.instance_type in bounds.types
    assert bounds.core_min <= sizing.core_count <= bounds.core_max
    assert sizing.is_feasible == (sla is None or sizing.minutes <= sla)
    assert 0 <= sizing.spot_count < sizing.core_count
    assert sizing.partitions >= 2 * sizing.cores

    larger = replace(question, scan=question.scan + more).answer()
    assert larger.usd >= sizing.usd - 1e-9, "more bytes cost less"
    assert sizing.is_feasible or not larger.is_feasible, "more bytes are in time where fewer are not"

    tighter = replace(question, sla=(sla or 600) * share).answer()
    assert tighter.usd >= sizing.usd - 1e-9, "less time costs less"
    assert sizing.is_feasible or not tighter.is_feasible, "less time suffices where more does not"

    if not bounds.is_fixed:
        _check_wider(question, types, by)


def _check_wider(question: Question, types: tuple[str, ...], by: int) -> None:
    sizing, bounds = question.answer(), question.bounds
    wider = replace(
        bounds,
        types=tuple(dict.fromkeys(bounds.types + types)),
        core_min=max(1, bounds.core_min - by),
        core_max=bounds.core_max + by,
    )
    found = replace(question, bounds=wider).answer()
    if sizing.is_feasible:
        assert found.is_feasible, "wider bounds are too late"
        assert found.usd <= sizing.usd + 1e-9, "wider bounds cost more"
    elif not found.is_feasible:
        assert found.minutes <= sizing.minutes + 1e-9, "wider bounds are slower"
