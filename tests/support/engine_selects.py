"""Rows and SELECTs of a project of several targets, as PostgreSQL and DuckDB both take them."""

from __future__ import annotations

ROWS = {
    "sources": [
        {
            "schema": "shop",
            "table": "orders",
            "kind": "warehouse",
            "incremental_key": "landed_at",
            "lookback_minutes": 60,
        },
        {"schema": "shop", "table": "regions", "kind": "warehouse", "probe": "select max(version) from shop.regions"},
    ],
    "pipelines": [{"pipeline_id": "orders", "pipeline_name": "Orders", "template": "presentation"}],
    "transformations": [
        {
            "target_schema": "dwh",
            "target_table": "fact_order",
            "pipeline_id": "orders",
            "sql_path": "transformations/fact_order.sql",
            "load_type": "append",
            "business_key": ["order_id"],
            "dependencies": [{"table": "shop.orders", "driving": True}],
        },
        {
            "target_schema": "dwh",
            "target_table": "dim_region",
            "pipeline_id": "orders",
            "sql_path": "transformations/dim_region.sql",
            "load_type": "scd1",
            "increment": "full",
            "business_key": ["region"],
            "dependencies": [{"table": "shop.regions", "driving": True}],
        },
        {
            "target_schema": "mart",
            "target_table": "region_total",
            "pipeline_id": "orders",
            "sql_path": "transformations/region_total.sql",
            "load_type": "scd1",
            "increment": "groups",
            "business_key": ["region"],
            "dependencies": [{"table": "dwh.fact_order", "driving": True, "recompute_by": ["region"]}],
        },
    ],
}


SELECTS = {
    "fact_order": "select o.order_id, o.region, o.amount, o.landed_at from shop.orders as o",
    "dim_region": "select r.region, r.label from shop.regions as r",
    "region_total": "select f.region, sum(f.amount) as amount from dwh.fact_order as f group by f.region",
}
