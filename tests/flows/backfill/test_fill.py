"""`sluice restate --fill`: old rows take a new column from today's SELECT, and keep all others."""

from __future__ import annotations

import pytest

from flows.backfill.backfill import BackfillRequest, BackfillSummary, plan_backfill, run_backfill
from flows.gate.definitions import known_definitions
from metadata_sync.errors import ConfigurationError
from tests.support.engine_project import SELECTS, Workshop, finish

FACT, CUSTOMER = SELECTS["fact_order"], SELECTS["customer"]
NEW_COLUMN = ", o.order_id * 2 as twice"


def with_column(select: str, column: str = NEW_COLUMN) -> str:
    return select.replace(" from ", f"{column} from ", 1)


def fill(workshop: Workshop, target: str, *columns: str, chunk: str | None = "1d") -> BackfillSummary:
    request = BackfillRequest(target, None, chunk_size=chunk, restates=True, fill=columns)
    summary = run_backfill(workshop.context, plan_backfill(workshop.context, request))
    assert not summary.has_failed, summary.targets
    return summary


def test_old_rows_take_the_new_column_and_keep_every_other(workshop: Workshop) -> None:
    others = "select order_id, customer, region, amount, landed_at from dwh.fact_order order by order_id"
    before = workshop.query(others)
    changed = with_column(FACT).replace("o.amount", "o.amount * 100 as amount") + " where o.order_id <> 3"
    workshop.write_select("fact_order", changed)

    summary = fill(workshop, "dwh.fact_order", "twice")

    assert workshop.query(others) == before, "neither the new formula nor the new filter touches them"
    twice = workshop.query("select twice from dwh.fact_order order by order_id")
    assert twice == [(None if order_id == 3 else order_id * 2,) for order_id, *_ in before]
    (target,) = summary.targets
    assert target.rows.read < 2 * len(before), "each chunk reads its window only"
    assert summary.kept_count == 1, "the SELECT does not yield order 3, so nothing fills it"
    assert workshop.query("select count(*) from dwh.fact_order where _sluice_definition = 1") == [(1,)]


def test_filled_target_is_accepted_and_says_what_was_filled(workshop: Workshop) -> None:
    workshop.write_select("fact_order", with_column(FACT))
    summary = fill(workshop, "dwh.fact_order", "twice")
    assert summary.kept_count == 0
    (entry,) = known_definitions(workshop.context, ["dwh.fact_order"]).values()
    assert (entry.reason, entry.older_count) == ("filled twice; other columns stay as they were", 0)
    with pytest.raises(ConfigurationError, match="nothing to fill"):
        fill(workshop, "dwh.fact_order", "twice")


def test_history_takes_an_untracked_column_and_keeps_its_versions(workshop: Workshop) -> None:
    history = "select customer, region, landed_at, valid_from, valid_to, is_current from dwh.customer order by all"
    before = workshop.query(history)
    workshop.write_select("customer", with_column(CUSTOMER))
    fill(workshop, "dwh.customer", "twice")
    assert workshop.query(history) == before
    orders = f"read_parquet('{workshop.lake}/orders/*.parquet')"
    expected = f"select customer, landed_at, max(order_id) * 2 from {orders} group by all"
    found = workshop.query("select customer, landed_at, twice from dwh.customer order by all")
    assert set(found) <= set(workshop.query(expected))
    side = "select count(*), count(twice) from sluice.dwh__customer__side"
    ((events, filled),) = workshop.query(side)
    assert events == filled


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("order_id", "part of its key"),
        ("nothing", "yields no column 'nothing'"),
    ],
)
def test_columns_that_cannot_be_filled_are_refused_before_anything_is_loaded(
    workshop: Workshop, column: str, reason: str
) -> None:
    workshop.write_select("fact_order", with_column(FACT))
    with pytest.raises(ConfigurationError, match=reason):
        fill(workshop, "dwh.fact_order", column)
    assert workshop.query("select max(_sluice_definition) from dwh.fact_order") == [(1,)]


def test_command_fills_and_tells(workshop: Workshop) -> None:
    workshop.write_select("fact_order", with_column(FACT))
    code, out, err = finish(workshop.sluice("restate", "dwh.fact_order", "--fill", "twice", "--yes"))
    assert code == 0, out + err
    assert workshop.query("select count(*) from dwh.fact_order where twice is null") == [(0,)]
    code, out, err = finish(workshop.sluice("why", "dwh.fact_order"))
    assert "filled twice" in out + err
