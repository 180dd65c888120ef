"""Soft failures within a run: only what failed is tried again, others go on, what reads it waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.engine.engine import execute
from flows.run.model import Retry, TargetOutcome
from metadata_sync.settings import Settings
from tests.support.engine_project import TOTALS_BY_HAND, Recorder, Workshop, control_rows

BROKEN = "select o.order_id, o.customer, o.region, o.amount, o.landed_at from lake.orders as o where {}"
STUMBLES = BROKEN.format("case when o.amount = 666 then error('deadlock detected') is null else true end")


class Mender(Recorder):
    """Mends what is broken when the first retry is announced."""

    def __init__(self, broken: Path) -> None:
        super().__init__()
        self._broken = broken

    def retrying(self, retries: Sequence[Retry]) -> None:
        super().retrying(retries)
        self._broken.unlink(missing_ok=True)


def run(workshop: Workshop, recorder: Recorder) -> dict[str, TargetOutcome]:
    summary = execute(workshop.context, workshop.plan(), recorder, sleep=lambda _: None)
    return {outcome.target: outcome for outcome in summary.outcomes}


def land_trouble(workshop: Workshop) -> Path:
    """Land an order over which `STUMBLES` falls, until its file is gone."""
    return workshop.land(
        "orders/trouble",
        "select 98::bigint as order_id, 'c1' as customer, 'n' as region, 666::decimal(8, 2) as amount, "
        "timestamp '2013-01-03 12:00:00' as landed_at",
    )


@pytest.fixture
def patient(workshop: Workshop) -> Workshop:
    workshop.settings = Settings(lock_wait_seconds=30, retry_pause_seconds=0)
    workshop.close()
    return workshop


def test_only_the_soft_failed_target_is_tried_again_and_its_reader_waits(patient: Workshop) -> None:
    patient.write_select("fact_order", STUMBLES)
    trouble = land_trouble(patient)
    patient.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    recorder = Mender(trouble)

    outcomes = run(patient, recorder)

    assert {name: str(outcome.status) for name, outcome in outcomes.items()} == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "loaded",
        "mart.region_total": "loaded",
    }
    assert [sorted(wave.targets) for wave in recorder.waves] == [
        ["dwh.customer", "dwh.fact_order"],
        ["dwh.fact_order"],
        ["mart.region_total"],
    ]
    (retry,) = recorder.retries
    assert (retry.target, retry.number) == ("dwh.fact_order", 2)
    assert retry.sentence.startswith("serialization: try 2 of at most 5 in 0.0 s.")
    assert outcomes["dwh.fact_order"].attempts == 2
    assert patient.totals() == patient.query(TOTALS_BY_HAND)
    loads = patient.query("select target, count(*) from sluice.load_log group by 1 order by 1")
    assert loads == [("dwh.customer", 2), ("dwh.dim_region", 1), ("dwh.fact_order", 2), ("mart.region_total", 2)]


def test_hard_failure_is_given_to_dbt_once(patient: Workshop) -> None:
    patient.write_select("fact_order", BROKEN.format("cast(o.customer as integer) > 0"))
    patient.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    recorder = Recorder()

    outcomes = run(patient, recorder)

    failed = outcomes["dwh.fact_order"]
    assert (failed.status, failed.attempts) == ("failed", 1)
    assert failed.verdict is not None
    assert failed.verdict.failure_class == "value"
    assert recorder.retries == []


TROUBLED = """
{% test troubled(model, column_name, files) %}
    select {{ column_name }} from {{ model }}
    where exists (select 1 from read_text({{ files }}) where error('connection was lost') is null)
{% endtest %}
"""
"""A data test of the project that cannot be asked while there is such a file."""


def test_data_test_that_could_not_be_asked_is_asked_again_without_a_load(patient: Workshop, tmp_path: Path) -> None:
    trouble = patient.lake / "orders" / "_trouble"
    trouble.write_text("x")
    dbt_dir = patient.root / "dbt_project"
    (dbt_dir / "macros" / "troubled.sql").write_text(TROUBLED)
    (dbt_dir / "data_tests.yml").write_text("data_tests: {troubled: {files: text}}\n")
    rows = control_rows()
    rows["transformations"][0]["column_list"] = [
        {
            "name": "order_id",
            "type": "bigint",
            "tests": [{"troubled": {"files": f"{trouble.parent}/_troubl*"}}],
        },
        {"name": "customer", "type": "varchar"},
        {"name": "region", "type": "varchar"},
        {"name": "amount", "type": "decimal(8,2)"},
        {"name": "landed_at", "type": "timestamp"},
    ]
    patient.apply(rows)
    patient.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    recorder = Mender(trouble)

    outcomes = run(patient, recorder)

    outcome = outcomes["dwh.fact_order"]
    assert (outcome.status, outcome.attempts, outcome.error) == ("loaded", 2, None)
    assert "data test(s) could not be run" in (recorder.retries[0].failed.error or "")
    assert patient.query("select count(*) from sluice.load_log where target = 'dwh.fact_order'") == [(2,)]
    assert outcomes["mart.region_total"].status == "loaded"


def test_tries_end_and_the_next_run_goes_on(patient: Workshop) -> None:
    patient.settings = patient.settings.model_copy(update={"tries": 3})
    patient.close()
    patient.write_select("fact_order", STUMBLES)
    trouble = land_trouble(patient)
    patient.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    recorder = Recorder()

    outcomes = run(patient, recorder)
    trouble.unlink()
    healed = run(patient, Recorder())

    assert (outcomes["dwh.fact_order"].status, outcomes["dwh.fact_order"].attempts) == ("failed", 3)
    assert [retry.number for retry in recorder.retries] == [2, 3]
    assert outcomes["mart.region_total"].status == "skipped"
    assert healed["dwh.fact_order"].status == "loaded"
    assert patient.totals() == patient.query(TOTALS_BY_HAND)
