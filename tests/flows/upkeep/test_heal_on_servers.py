"""Healing on servers with rights: what the next load may not do keeps a row off, and a look leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.upkeep.heal import HealState, heal
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import redshift_standin
from tests.redshift_standin.server import Standin
from tests.support.engine_project import Workshop, copy_project, transformation

__all__ = ["redshift_standin"]

pytestmark = pytest.mark.postgres

SELECTS = {
    "fact_order": "select o.order_id, o.amount, o.landed_at from shop.orders as o",
    "order_copy": "select o.order_id, o.amount, o.landed_at from shop.orders as o",
    "visit_count": "select v.visitor, count(*) as visit_count from shop.visits as v group by v.visitor",
}
ROWS: dict[str, Any] = {
    "sources": [
        {"schema": "shop", "table": table, "kind": "warehouse", "incremental_key": "landed_at"}
        for table in ("orders", "visits")
    ],
    "pipelines": [
        {"pipeline_id": "orders", "pipeline_name": "Orders", "template": "presentation"},
        {"pipeline_id": "views", "pipeline_name": "Views", "template": "materialized_view"},
    ],
    "transformations": [
        transformation(
            *("dwh", "visit_count", "views", "shop.visits"),
            load_type="scd1",
            increment="full",
            business_key=["visitor"],
        ),
        *(
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
        ),
    ],
}
TABLES: LiteralString = """
    select table_schema || '.' || table_name || ' ' || string_agg(column_name, ',' order by ordinal_position)
    from information_schema.columns
    where table_schema not in ('pg_catalog', 'information_schema')
    group by table_schema, table_name
    order by 1
"""


ROLE = f"etl_{os.getpid()}"


@pytest.fixture(params=["postgres", pytest.param("redshift", marks=pytest.mark.redshift_standin)])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def login(environment: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of profiles.yml that lead to the server."""
    if environment == "redshift":
        standin: Standin = request.getfixturevalue("redshift_standin")
        values = standin.environment()
    else:
        parts = conninfo_to_dict(request.getfixturevalue("postgres_url"))
        values = {f"SLUICE_POSTGRES_{name.upper()}": str(parts[name]) for name in ("host", "port")}
        values["SLUICE_POSTGRES_DATABASE"] = str(parts["dbname"])
    prefix = f"SLUICE_{environment.upper()}"
    return values | {f"{prefix}_USER": ROLE, f"{prefix}_PASSWORD": "etl"}


@pytest.fixture
def admin(environment: str, login: dict[str, str], postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The server's owner; the role may read the source and create schemas of its own."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            f"""
            create role {ROLE} login password 'etl';
            create schema shop;
            create table shop.orders (order_id bigint, amount numeric(8, 2), landed_at timestamp);
            insert into shop.orders select i, i, timestamp '2013-01-01' + i * interval '1 hour'
            from generate_series(1, 9) as t (i);
            create table shop.visits (visitor bigint, landed_at timestamp);
            insert into shop.visits values (1, '2013-01-01');
            create schema {environment}_closed;
            grant usage on schema shop, {environment}_closed to {ROLE};
            grant select on shop.orders, shop.visits to {ROLE};
            do $$ begin execute format('grant create on database %I to {ROLE}', current_database()); end $$;
            """.encode()
        )
        if environment == "redshift":
            of_the_standin = (
                "grant usage on schema rs_catalog to {0}; grant all on all tables in schema rs_catalog to {0}"
            )
            connection.execute(of_the_standin.format(ROLE).encode())
        yield connection
        connection.execute(f"drop owned by {ROLE} cascade; drop role {ROLE}".encode())


@pytest.fixture
def shop(
    tmp_path: Path, environment: str, login: dict[str, str], admin: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    workshop = Workshop(root, Settings(environment=environment, tries=1))
    workshop.apply(ROWS)
    yield workshop
    workshop.close()


def test_look_asks_for_the_rights_to_create_and_to_write_and_leaves_nothing_behind(
    shop: Workshop, environment: str, admin: psycopg.Connection[Any]
) -> None:
    def do(statements: str) -> psycopg.Cursor[Any]:
        return admin.execute(statements.format(env=environment, role=ROLE).encode())

    def left() -> tuple[list[Any], list[Any]]:
        return do(TABLES).fetchall(), do("select * from {env}_sluice.load_log order by load_id").fetchall()

    first, _ = shop.run()
    do("revoke insert on {env}_dwh.fact_order from {role}; insert into shop.orders values (10, 10, '2013-01-02')")
    do("revoke select on shop.visits from {role}; grant select (landed_at) on shop.visits to {role}")
    do("insert into shop.visits values (1, '2013-01-02')")
    second, _ = shop.run()
    before = left()

    still = {item.target: item for item in heal(shop.context, is_forced=True)}
    do("grant create on schema {env}_closed to {role}; grant insert on {env}_dwh.fact_order to {role}")
    do("grant select on shop.visits to {role}")
    healed = {item.target: item for item in heal(shop.context, is_forced=True)}
    after = left()
    last, _ = shop.run()

    assert shop.statuses(first) == {
        "closed.order_copy": "failed",
        "dwh.fact_order": "loaded",
        "dwh.visit_count": "loaded",
    }
    assert shop.statuses(second) == {
        "closed.order_copy": "skipped",
        "dwh.fact_order": "failed",
        "dwh.visit_count": "failed",
    }
    assert {target: item.state for target, item in still.items()} == dict.fromkeys(still, HealState.BROKEN)
    assert still.keys() == shop.statuses(second).keys()
    assert "permission denied for schema " in still["closed.order_copy"].reason
    assert "permission denied for table fact_order" in still["dwh.fact_order"].reason
    assert "permission denied for table visits" in still["dwh.visit_count"].reason
    assert {target: item.state for target, item in healed.items()} == dict.fromkeys(still, HealState.HEALED)
    assert after == before
    assert not last.has_failed
    counts = """select (select count(*) from {env}_closed.order_copy), (select count(*) from {env}_dwh.fact_order),
        (select visit_count from {env}_dwh.visit_count)"""
    assert do(counts).fetchall() == [(10, 10, 2)]
