"""A project of twelve targets, three deep, with the environments stage and prod, on any warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.init.scaffold import Warehouse, create_project

ORDERS = [(1, "n", "10.00", 1), (2, "s", "20.00", 1), (3, "n", "7.00", 2), (4, "e", "4.00", 2), (5, "s", "9.00", 3)]
COLUMNS = {"order_id": "bigint", "region": "varchar(5)", "amount": "decimal(10, 2)", "landed_at": "timestamp"}
CHAIN = {
    "fact_order": "select o.order_id, o.region, o.amount, o.landed_at from shop.orders as o",
    "dim_region": "select o.region, o.amount, o.landed_at from shop.orders as o",
    "order_value": "select f.order_id, f.region, f.amount as net, f.landed_at from dwh.fact_order as f",
    "region_total": "select v.region, sum(v.net) as total from dwh.order_value as v group by v.region",
}
BY_REGION = {
    "region_orders": "count(*)",
    "region_first": "min(f.landed_at)",
    "region_last": "max(f.landed_at)",
    "region_least": "min(f.amount)",
    "region_most": "max(f.amount)",
    "region_sum": "sum(f.amount)",
    "region_oldest": "min(f.order_id)",
    "region_newest": "max(f.order_id)",
}


def create_twelve(root: Path, warehouse: Warehouse) -> None:
    """Write the project; the orders of a server are a table that the caller makes."""
    create_project(root, warehouse)
    profiles = root / "profiles.yml"
    profiles.write_text(f"{profiles.read_text()}    stage: *{warehouse.value}\n")
    dbt = root / "dbt_project"
    for path in (dbt / "unit_tests", dbt / "transformations"):
        for file in path.iterdir():
            file.unlink()
    selects = CHAIN | {
        name: f"select f.region, {what} as value from dwh.fact_order as f group by f.region"
        for name, what in BY_REGION.items()
    }
    for name, text in selects.items():
        (dbt / "transformations" / f"{name}.sql").write_text(f"{text}\n")
    (dbt / "control" / "example.yml").write_text(yaml.safe_dump(rows(warehouse), sort_keys=False))
    if warehouse is Warehouse.DUCKDB:
        lines = [f"{key},{region},{amount},2013-01-0{day} 12:00:00" for key, region, amount, day in ORDERS]
        (root / "lake" / "orders").mkdir(parents=True)
        (root / "lake" / "orders" / "all.csv").write_text("\n".join([",".join(COLUMNS), *lines, ""]))


def rows(warehouse: Warehouse) -> dict[str, Any]:
    """Return the control rows."""
    lake = {"format": "csv", "location": "lake/orders", "columns": COLUMNS} if warehouse is Warehouse.DUCKDB else {}
    template = {} if warehouse is Warehouse.DUCKDB else {"template": "presentation"}
    orders = [
        {"table": "dwh.fact_order", "load_type": "append", "business_key": "order_id", "dependencies": "shop.orders"},
        {
            "table": "dwh.dim_region",
            "load_type": "scd2",
            "business_key": "region",
            "sequence_by": "landed_at",
            "scd_columns": "amount",
            "dependencies": "shop.orders",
        },
    ]
    marts: list[dict[str, Any]] = [
        {
            "table": "dwh.order_value",
            "load_type": "append",
            "business_key": "order_id",
            "sequence_by": "landed_at",
            "dependencies": "dwh.fact_order",
        },
        {
            "table": "mart.region_total",
            "load_type": "scd1",
            "increment": "groups",
            "business_key": "region",
            "dependencies": [{"table": "dwh.order_value", "driving": True, "recompute_by": ["region"]}],
        },
    ]
    marts += [
        {
            "table": f"mart.{name}",
            "load_type": "scd1",
            "increment": "full",
            "business_key": "region",
            "dependencies": "dwh.fact_order",
        }
        for name in BY_REGION
    ]
    return {
        "sources": [{"table": "shop.orders", "incremental_key": "landed_at", **lake}],
        "pipelines": [
            {"pipeline_id": "orders", **template, "transformations": orders},
            {"pipeline_id": "marts", "template": "presentation", "transformations": marts},
        ],
    }


def create_orders() -> list[str]:
    """Return the statements that make the orders of a server."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    values = ", ".join(
        f"({key}, '{region}', {amount}, timestamp '2013-01-0{day} 12:00:00')" for key, region, amount, day in ORDERS
    )
    return ["create schema shop", f"create table shop.orders ({columns})", f"insert into shop.orders values {values}"]
