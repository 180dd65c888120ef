"""Rejected rows: nothing stops for them, and nobody can overlook them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flows.backfill.backfill import BackfillRequest, plan_backfill, run_backfill
from flows.incidents.outbox import deliver
from flows.prefect.pages.summary import summary_pages
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.incident import IncidentKind, Severity
from metadata_sync.loads import Rejects
from tests.support.engine_project import TOTALS_BY_HAND, Workshop
from tests.support.instants import at
from tests.support.receiver import Receiver

TABLE = "sluice.dwh__fact_order__rejects"


def retype(workshop: Workshop, columns: str) -> None:
    for file in (workshop.lake / "orders").glob("*.parquet"):
        workshop.land(f"orders/{file.stem}", f"select {columns} from read_parquet('{file}')")


def test_retyped_column_is_told_once_shown_until_it_is_loaded_and_loads_again(
    told: Workshop, receiver: Receiver
) -> None:
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    retype(told, "* replace ('EUR ' || amount as amount)")

    first, _ = told.run()
    (opened,) = told.context.store.incidents()
    told.land_orders("day_3", range(30, 33), "2013-01-03 12:30:00")
    retype(told, "* replace ('EUR ' || ltrim(cast(amount as varchar), 'EUR ') as amount)")
    second, _ = told.run()
    (standing,) = told.context.store.incidents()
    status, _ = told.sluice("status").communicate()

    retype(told, "* replace (cast(substr(amount, 5) as decimal(8, 2)) as amount)")
    told.land_orders("day_4", range(40, 42), "2013-01-05 12:00:00")
    third, _ = told.run()
    closed = told.context.store.incidents()
    again = "sluice backfill dwh.fact_order --from '2013-01-01 12:00:00'"
    (rejects,) = [outcome.rejects for outcome in third.outcomes if outcome.target == "dwh.fact_order"]
    run_backfill(told.context, plan_backfill(told.context, BackfillRequest("dwh.fact_order", "2013-01-01 12:00:00")))
    told.execute(f"drop table {TABLE}")
    told.land_orders("day_5", range(50, 52), "2013-01-06 12:00:00")
    told.run()

    assert not first.has_failed, "a load goes on"
    assert (opened.kind, opened.subject, opened.severity) == (IncidentKind.REJECTS, "dwh.fact_order", Severity.ERROR)
    assert opened.message.startswith("All 25 rows that the load read were rejected, 25 of them for the first time: ")
    assert opened.message.endswith(f"25 rejected rows in {TABLE}. Once their cause is corrected, run: {again}")
    assert (standing.incident_id, standing.ticks) == (opened.incident_id, 2)
    assert f"28 rejected rows in {TABLE}" in status
    assert f"28 rejected rows in {TABLE}" in "".join(page.replace("\\", "") for _, page in summary_pages(second))
    assert closed == ()
    assert rejects == Rejects(TABLE, kept=28, added=0, reason=None, again=again)
    assert told.totals() == told.query(TOTALS_BY_HAND)
    assert told.context.store.latest_loads().rejecting == frozenset()
    assert [body["title"] for body in receiver.bodies] == [
        "[dev] dwh.fact_order rejected every row of a load",
        "[dev] dwh.fact_order rejects no new rows; the rows that it rejected are not loaded yet",
    ]


def test_few_rejects_of_a_load_by_hand_are_a_warning_that_stays_one(told: Workshop, receiver: Receiver) -> None:
    for hour in range(3):
        told.land(
            f"orders/hour_{hour}",
            f"select {100 + hour}::bigint as order_id, 'c1' as customer, 'n' as region, 1::decimal(8, 2) as amount, "
            f"timestamp '2013-01-03 0{hour}:00:00' as landed_at union all "
            f"select null, 'c1', 'n', 1::decimal(8, 2), timestamp '2013-01-03 0{hour}:00:00'",
        )
        if hour:
            told.run()
        else:
            by_hand = told.sluice("dbt", "build", "--select", "dwh__fact_order")
            out, err = by_hand.communicate(timeout=120)
            assert "1 rejected" in out, err
            told.plan()
            (adopted,) = [item for item in told.context.store.latest_loads().newest if item.target == "dwh.fact_order"]
            assert (adopted.status, adopted.rows and adopted.rows.inserted) == (LoadStatus.SUCCESS, 1)

    deliver(at(told.context, datetime.now(UTC) + timedelta(minutes=1)))
    (incident,) = told.context.store.incidents()
    assert (incident.kind, incident.severity, incident.ticks) == (IncidentKind.REJECTS, Severity.WARNING, 3)
    assert "order_id is NULL" in incident.message
    assert receiver.told() == ["[dev] dwh.fact_order rejected rows"]
