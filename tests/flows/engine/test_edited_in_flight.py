"""Rows that people edit, switch off or move while a run is at work: it ends by the rows it began with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from flows.engine.engine import execute, sync_rows
from flows.gate.facts import Reason
from flows.run.model import OutcomeStatus, Retry, RunPlan, TargetOutcome
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.vocabulary import DeactivatedBy
from metadata_sync.settings import Settings
from tests.support.engine_project import SELECTS, TOTALS_BY_HAND, Recorder, Workshop

STUMBLES = (
    f"{SELECTS['fact_order']} where case when o.amount = 666 then error('deadlock detected') is null else true end"
)
FACT, TOTAL = "dwh.fact_order", "mart.region_total"


class Editor(Recorder):
    """Edits something when a retry is announced, or when the first wave has ended."""

    def __init__(self, *, at_retry: Callable[[], None] | None = None, after_wave: Callable[[], None] | None = None):
        super().__init__()
        self._at_retry, self._after_wave = at_retry, after_wave

    def retrying(self, retries: Sequence[Retry]) -> None:
        super().retrying(retries)
        if self._at_retry is not None:
            self._at_retry()

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        super().loaded(outcomes)
        if self._after_wave is not None and len(self.waves) == 1:
            self._after_wave()


@pytest.fixture
def patient(workshop: Workshop) -> Workshop:
    workshop.settings = Settings(lock_wait_seconds=30, retry_pause_seconds=0)
    workshop.close()
    return workshop


def change(workshop: Workshop, target: str, **values: object) -> None:
    row = workshop.row_of(target)
    workshop.context.store.write([RowChange(row, row.model_copy(update=values))], "ann", "set", "edited in flight")


def switch_pipeline(workshop: Workshop, pipeline_id: str, *, is_active: bool) -> None:
    row = workshop.context.store.read_rows().pipeline(pipeline_id)
    assert row is not None
    workshop.context.store.write([RowChange(row, row.model_copy(update={"is_active": is_active}))], "ann", "set", None)


def stumble(workshop: Workshop) -> RunPlan:
    """Plan a run whose first target fails once by a soft error: in its retry an order is gone."""
    workshop.write_select("fact_order", STUMBLES)
    workshop.land(
        "orders/trouble",
        "select 98::bigint as order_id, 'c1' as customer, 'n' as region, 666::decimal(8, 2) as amount, "
        "timestamp '2013-01-03 12:00:00' as landed_at",
    )
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    return workshop.plan()


def finish(workshop: Workshop, plan: RunPlan, editor: Editor) -> dict[str, TargetOutcome]:
    summary = execute(workshop.context, plan, editor, sleep=lambda _: None)
    return {outcome.target: outcome for outcome in summary.outcomes}


def test_run_ends_by_the_rows_it_began_with_and_the_next_one_follows_the_new_ones(patient: Workshop) -> None:
    def edit() -> None:
        (patient.lake / "orders" / "trouble.parquet").unlink()
        patient.write_select("fact_order", SELECTS["fact_order"].replace("o.amount,", "o.amount * 100 as amount,"))
        patient.write_select("region_total", SELECTS["region_total"].replace("count(*)", "1000 + count(*)"))
        change(patient, FACT, description="edited")
        change(patient, TOTAL, description="edited")
        print(
            "SYNC",
            sync_rows(patient.context, print)[1],
            [p.read_text()[-300:] for p in patient.project.generated_dir.rglob("*fact_order.sql")],
        )  # as the next run of another pipeline does

    plan = stumble(patient)
    outcomes = finish(patient, plan, Editor(at_retry=edit))

    assert (outcomes[FACT].status, outcomes[FACT].attempts) == (OutcomeStatus.LOADED, 2)
    assert outcomes[TOTAL].status is OutcomeStatus.LOADED
    print(
        patient.totals(),
        patient.query("select amount from dwh.fact_order where order_id=20"),
        [p.read_text()[-300:] for p in patient.project.generated_dir.rglob("*fact_order.sql")],
    )
    assert patient.totals() == patient.query(TOTALS_BY_HAND), "both targets follow the SELECTs of the run's beginning"

    patient.land_orders("day_3", range(25, 26), "2013-01-04 12:00:00")
    summary, _ = patient.run()
    assert not summary.has_failed
    assert patient.query("select amount from dwh.fact_order where order_id = 25") == [(2600,)]
    ((count,),) = patient.query("select order_count from mart.region_total where region = 's'")
    assert count > 1000


@pytest.mark.parametrize("what", ["row", "pipeline"])
def test_target_that_is_switched_off_before_its_retry_is_left_alone(patient: Workshop, what: str) -> None:
    def switch_off() -> None:
        (patient.lake / "orders" / "trouble.parquet").unlink()
        if what == "row":
            change(patient, FACT, is_active=False, deactivated_by=DeactivatedBy.OPERATOR)
        else:
            switch_pipeline(patient, "orders", is_active=False)

    editor = Editor(at_retry=switch_off)
    outcomes = finish(patient, stumble(patient), editor)

    assert (outcomes[FACT].status, outcomes[FACT].decision.reason) == (OutcomeStatus.SKIPPED, Reason.INACTIVE)
    assert "while this run was at work" in outcomes[FACT].decision.message
    assert outcomes[TOTAL].status is OutcomeStatus.SKIPPED
    assert [sorted(wave.targets) for wave in editor.waves] == [["dwh.customer", FACT]]
    assert patient.query("select count(*) from dwh.fact_order") == [(20,)]
    assert patient.context.store.leases() == ()
    assert patient.context.store.incidents() == ()


def test_target_whose_row_moves_in_flight_is_loaded_and_belongs_to_its_new_pipeline_next(patient: Workshop) -> None:
    def move() -> None:
        change(patient, TOTAL, pipeline_id="orders")
        sync_rows(patient.context)

    patient.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    outcomes = finish(patient, patient.plan(), Editor(after_wave=move))

    assert (outcomes[TOTAL].status, outcomes[TOTAL].pipeline_id) == (OutcomeStatus.LOADED, "totals")
    assert patient.totals() == patient.query(TOTALS_BY_HAND)
    again, _ = patient.run("orders")
    assert not again.has_failed
    assert TOTAL in patient.statuses(again)
