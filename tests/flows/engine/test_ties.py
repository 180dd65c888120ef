"""`sluice ties`: the events behind the number that a run warns of."""

from __future__ import annotations

import pytest

from flows.ledger.ties import find_ties
from metadata_sync.errors import HardRunError
from tests.support.engine_project import Workshop, finish, run_json


def _land_tied(workshop: Workshop) -> None:
    """Two rows of order 99 at one time."""
    order = "select cast(99 as bigint) as order_id, 'c0' as customer, 'n' as region"
    rest = "cast({} as decimal(8, 2)) as amount, timestamp '2013-01-02 15:00:00' as landed_at"
    workshop.land("orders/tied", f"{order}, {rest.format(5)} union all {order}, {rest.format(7)}")


def test_run_names_the_command_and_the_command_shows_the_events(workshop: Workshop) -> None:
    _land_tied(workshop)
    code, out, err = finish(workshop.sluice("run", "orders"))
    assert code == 0, out + err
    said = " ".join((out + err).split())
    assert "1 events of one key and time differ in content" in said
    assert "sluice ties dwh.fact_order" in said

    found = find_ties(workshop.context, "dwh.fact_order")

    assert found.tie_count == 1
    kept, lost = found.events
    assert (kept.is_kept, kept.is_stored, lost.is_kept, lost.is_stored) == (True, True, False, False)
    assert "order_id=99" in kept.event
    assert "amount=7.00" in kept.content
    assert "amount=5.00" in lost.content
    assert find_ties(workshop.context, "dwh.fact_order", end="2013-01-02 12:00:00").tie_count == 0


def test_stored_event_ties_with_one_that_the_source_holds_now(workshop: Workshop) -> None:
    workshop.land(
        "orders/day_0",
        "select order_id, customer, region, cast(amount / 2 as decimal(8, 2)) as amount, landed_at "
        f"from read_parquet('{workshop.lake}/orders/day_0.parquet') where order_id = 3",
    )
    found = find_ties(workshop.context, "dwh.fact_order", "2013-01-01", "2013-01-01 23:59:59")
    assert [(item.is_kept, item.is_stored) for item in found.events] == [(True, True), (False, False)]


def test_exit_code_says_whether_there_are_ties(workshop: Workshop) -> None:
    code, document = run_json(workshop, "ties", "dwh.fact_order")
    assert (code, document["tie_count"], document["events"]) == (0, 0, [])


def test_target_that_was_never_loaded_is_refused(workshop: Workshop) -> None:
    workshop.execute(
        "delete from sluice.load_log", "drop table dwh.fact_order", "drop table sluice.dwh__fact_order__head"
    )
    with pytest.raises(HardRunError, match="never loaded"):
        find_ties(workshop.context, "dwh.fact_order")
