"""Healing on a server with rights: what the next load may not do keeps a row off, and a look leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from engine_project import Workshop, copy_project
from psycopg.conninfo import conninfo_to_dict

from flows.heal import HealState, heal
from metadata_sync.settings import Settings

pytestmark = pytest.mark.postgres

SELECTS = {
    "fact_order": "select o.order_id, o.amount, o.landed_at from shop.orders as o",
    "order_copy": "select o.order_id, o.amount, o.landed_at from shop.orders as o",
}
ROWS: dict[str, Any] = {
    "sources": [{"schema": "shop", "table": "orders", "kind": "warehouse", "incremental_key": "landed_at"}],
    "pipelines": [{"pipeline_id": "orders", "pipeline_name": "Orders", "template": "presentation"}],
    "transformations": [
        {
            "target_schema": schema,
            "target_table": table,
            "pipeline_id": "orders",
            "sql_path": f"transformations/{table}.sql",
            "load_type": "append",
            "business_key": ["order_id"],
            "dependencies": [{"table": "shop.orders", "driving": True}],
        }
        for schema, table in (("dwh", "fact_order"), ("closed", "order_copy"))
    ],
}
TABLES: LiteralString = """
    select table_schema || '.' || table_name || ' ' || string_agg(column_name, ',' order by ordinal_position)
    from information_schema.columns
    where table_schema not in ('pg_catalog', 'information_schema')
    group by table_schema, table_name
    order by 1
"""


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The server's owner; the role `etl` may read the source and create schemas of its own."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(b"""
            create role etl login password 'etl';
            create schema shop;
            create table shop.orders (order_id bigint, amount numeric(8, 2), landed_at timestamp);
            insert into shop.orders select i, i, timestamp '2013-01-01' + i * interval '1 hour'
            from generate_series(1, 9) as t (i);
            create schema postgres_closed;
            grant usage on schema shop, postgres_closed to etl;
            grant select on shop.orders to etl;
            do $$ begin execute format('grant create on database %I to etl', current_database()); end $$;
        """)
        yield connection
        connection.execute(b"drop owned by etl cascade; drop role etl")


@pytest.fixture
def shop(
    tmp_path: Path, postgres_url: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    parts = conninfo_to_dict(postgres_url) | {"user": "etl", "password": "etl"}
    for name, value in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")):
        monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[value]))
    monkeypatch.setenv("SLUICE_POSTGRES_DATABASE", str(parts["dbname"]))
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    workshop = Workshop(root, Settings(environment="postgres", tries=1))
    workshop.apply(ROWS)
    yield workshop
    workshop.close()


def test_look_asks_for_the_rights_to_create_and_to_write_and_leaves_nothing_behind(
    shop: Workshop, admin: psycopg.Connection[Any]
) -> None:
    first, _ = shop.run()
    admin.execute(b"revoke insert on postgres_dwh.fact_order from etl")
    admin.execute(b"insert into shop.orders values (10, 10, timestamp '2013-01-02')")
    second, _ = shop.run()
    before = admin.execute(TABLES).fetchall(), admin.execute(b"select * from postgres_sluice.load_log").fetchall()

    still = {item.target: item for item in heal(shop.context, is_forced=True)}
    admin.execute(b"grant create on schema postgres_closed to etl; grant insert on postgres_dwh.fact_order to etl")
    healed = {item.target: item for item in heal(shop.context, is_forced=True)}
    after = admin.execute(TABLES).fetchall(), admin.execute(b"select * from postgres_sluice.load_log").fetchall()
    last, _ = shop.run()

    assert shop.statuses(first) == {"closed.order_copy": "failed", "dwh.fact_order": "loaded"}
    assert shop.statuses(second) == {"closed.order_copy": "skipped", "dwh.fact_order": "failed"}
    assert {target: item.state for target, item in still.items()} == dict.fromkeys(still, HealState.BROKEN)
    assert "permission denied for schema postgres_closed" in still["closed.order_copy"].reason
    assert "permission denied for table fact_order" in still["dwh.fact_order"].reason
    assert {target: item.state for target, item in healed.items()} == dict.fromkeys(still, HealState.HEALED)
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert shop.statuses(last) == {"closed.order_copy": "loaded", "dwh.fact_order": "loaded"}
    counts = b"select (select count(*) from postgres_closed.order_copy), (select count(*) from postgres_dwh.fact_order)"
    assert admin.execute(counts).fetchall() == [(10, 10)]
