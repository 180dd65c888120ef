"""Groups that are named by an output column: a load recomputes the days that new rows touch, and no other."""

from __future__ import annotations

from tests.support.engine_project import Workshop, control_rows, transformation

BY_DAY = (
    "with o as (select date_trunc('day', landed_at) as day, amount from lake.orders) "
    "select day, count(*) as order_count, sum(amount) as amount from o group by 1"
)
RENAMED = "select o.region as area, count(*) as order_count, sum(o.amount) as amount from lake.orders as o group by 1"
BY_HAND = "select {of} as g, count(*), sum(amount) from read_parquet('{{lake}}/orders/*.parquet') group by g order by g"


def test_alias_of_the_output_is_a_group(workshop: Workshop) -> None:
    rows = control_rows()
    for name, select, alias in (("by_day", BY_DAY, "day"), ("by_area", RENAMED, "area")):
        workshop.write_select(name, select)
        by = {"table": "lake.orders", "driving": True, "recompute_by": [alias]}
        settings = {"load_type": "scd1", "increment": "groups", "business_key": [alias], "dependencies": [by]}
        rows["transformations"].append(transformation("mart", name, "orders", "lake.orders") | settings)
    workshop.apply(rows)
    workshop.run()
    assert '"sql": "DATE_TRUNC(' in (workshop.root / "dbt_project/models/generated/orders/mart__by_day.sql").read_text()
    workshop.land_orders("late", range(40, 47), "2013-01-02 18:00:00")

    summary, _ = workshop.run()

    assert not summary.has_failed
    loaded = "select distinct _sluice_run_id from mart.by_day where day {} timestamp '2013-01-02'"
    assert workshop.query(loaded.format("=")) == [(summary.run_id,)]
    assert workshop.query(loaded.format("<>")) != [(summary.run_id,)]
    for name, alias, of in (("by_day", "day", "date_trunc('day', landed_at)"), ("by_area", "area", "region")):
        stored = workshop.query(f"select {alias}, order_count, amount from mart.{name} order by 1")
        assert stored == workshop.query(BY_HAND.format(of=of))
