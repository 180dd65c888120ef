"""Which driving rows a lookup reaches: the joins that are found, those that are not, and lookups that drop rows."""

from __future__ import annotations

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.lookups import LookupJoins, lookup_joins

COLUMNS = {
    "items": ["id", "order_id", "amount", "landed_at"],
    "orders": ["id", "customer_id", "code"],
    "customers": ["customer_id", "city"],
}
ORDERS, CUSTOMERS = TableName("lake", "orders"), TableName("lake", "customers")
BY_ORDER = "lake.items (order_id) = lake.orders (id)"
BY_CUSTOMER = f"{BY_ORDER} (customer_id) = lake.customers (customer_id)"


def joins(sql: str, dialect: str = "duckdb") -> LookupJoins:
    select, problems = parse_select(sql, dialect)
    assert select is not None, problems
    tables = {TableName("lake", name): columns for name, columns in COLUMNS.items()}
    found = lookup_joins(select, [TableName("lake", "items")], tables)
    assert found is not None
    return found


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "redshift"])
@pytest.mark.parametrize(
    "sql",
    [
        "select i.id from lake.items i join lake.orders o on o.id = i.order_id",
        "select i.id from lake.items i left join lake.orders o on i.order_id = o.id and o.code = 'x'",
        "select i.id from lake.items i, lake.orders o where o.id = i.order_id and (o.code = 'a' or i.amount > 1)",
        "select id from lake.items where order_id in (select id from lake.orders where code = 'x')",
        "select id from lake.items i where not exists (select 1 from lake.orders o where o.id = i.order_id)",
        "select i.id, (select max(o.code) from lake.orders o where o.id = i.order_id) as code from lake.items i",
        "select i.id from lake.items i "
        "left join (select id, count(*) n from lake.orders group by id) o on o.id = i.order_id",
        "select i.id from lake.items i join (select distinct id as x from lake.orders) o on o.x = i.order_id",
        "with s as (select * from lake.items), o as (select id as nr, code from lake.orders) "
        "select s.id, o.code from s join o on o.nr = s.order_id",
        "select i.id from lake.items i left join (select id, row_number() over (partition by id order by code) r "
        "from lake.orders) o on o.id = i.order_id and o.r = 1",
    ],
)
def test_join_that_leads_to_the_driving_source_is_found(sql: str, dialect: str) -> None:
    assert [str(path) for path in joins(sql, dialect).paths[ORDERS]] == [BY_ORDER]


@pytest.mark.parametrize(
    "sql",
    [
        "select i.id from lake.items i cross join lake.orders o",
        "select i.id from lake.items i join lake.orders o on o.id >= i.order_id",
        "select i.id from lake.items i join lake.orders o on o.id = i.order_id or o.code = 'x'",
        "select i.id from lake.items i where i.order_id not in (select id from lake.orders)",
        "select i.id, (select count(*) from lake.orders) as n from lake.items i",
        # each of these yields for one order what depends on the others
        "select i.id from lake.items i join (select id from lake.orders limit 5) o on o.id = i.order_id",
        "select i.id from lake.items i join (select max(id) as id from lake.orders) o on o.id = i.order_id",
        "select i.id from lake.items i "
        "join (select max(id) as id from lake.orders group by code) o on o.id = i.order_id",
        "select i.id from lake.items i join (select id, row_number() over (order by code) as place from lake.orders) o "
        "on o.id = i.order_id",
        "select i.id from lake.items i join (select id from lake.orders union all select 1) o on o.id = i.order_id",
        # the equality belongs to the outer join of another table
        "select i.id from lake.items i left join lake.orders o on o.code = 'x' "
        "left join lake.customers c on c.city = o.code and o.id = i.order_id",
        # two places read the same orders, and only one of them is joined
        "with o as (select * from lake.orders) select i.id, (select max(code) from o) as most from lake.items i "
        "join o on o.id = i.order_id",
    ],
)
def test_lookup_whose_changes_may_touch_any_row_has_no_path(sql: str) -> None:
    assert ORDERS not in joins(sql).paths


def test_path_goes_through_other_lookups() -> None:
    sql = (
        "select i.id from lake.items i join lake.orders o on o.id = i.order_id "
        "left join lake.customers c using (customer_id)"
    )
    found = joins(sql)
    assert [str(path) for path in found.paths[CUSTOMERS]] == [BY_CUSTOMER]
    assert found.dropping == {ORDERS}


@pytest.mark.parametrize(
    ("condition", "is_found"),
    [
        ("coalesce(o.customer_id, 1) = c.customer_id", False),
        ("coalesce(o.customer_id, 1) = c.customer_id and o.code = c.city", True),
        ("coalesce(i.amount, 1) = c.customer_id", True),
        ("o.customer_id = coalesce(c.customer_id, 1)", True),
    ],
)
def test_path_does_not_lead_through_a_lookup_whose_missing_row_leads_on(condition: str, is_found: bool) -> None:
    """An item without an order is joined with customer 1: no order leads to it."""
    placed = "lake.items i left join lake.orders o on o.id = i.order_id"
    sql = f"select i.id from {placed} left join lake.customers c on {condition}"
    nested = (
        f"with x as (select i.*, o.customer_id, o.code from {placed}) "
        f"select x.id from x left join lake.customers c on {condition.replace('o.', 'x.').replace('i.', 'x.')}"
    )
    assert [CUSTOMERS in joins(text).paths for text in (sql, nested)] == [is_found] * 2


@pytest.mark.parametrize(
    ("rest", "drops"),
    [
        ("join lake.orders o on o.id = i.order_id", True),
        ("left join lake.orders o on o.id = i.order_id", False),
        ("left join lake.orders o on o.id = i.order_id where o.code = 'x'", True),
        ("left join lake.orders o on o.id = i.order_id where i.amount > 0", False),
        ("where exists (select 1 from lake.orders o where o.id = i.order_id)", True),
        (
            "left join (select o.id from lake.orders o join lake.customers c using (customer_id)) o "
            "on o.id = i.order_id",
            False,
        ),
    ],
)
def test_lookup_that_can_drop_rows_is_told(rest: str, drops: bool) -> None:
    assert (ORDERS in joins(f"select i.id from lake.items i {rest}").dropping) is drops


def test_columns_of_the_driving_source_are_traced() -> None:
    sql = (
        "with s as (select id, order_id, landed_at as at from lake.items) select s.id, upper(s.at) as at, o.code, "
        "s.order_id + 1 as next, random() as r from s join lake.orders o on o.id = s.order_id"
    )
    assert joins(sql).origins == {"id": '"id"', "at": 'UPPER("landed_at")', "next": '"order_id" + 1'}
