# ruff: noqa: E501
"""Tables of well-known shapes with their known answers: what a person who knows them would write.

The rows are made up; names, types, ratios of distinct values and NULLs are those of the shapes: order processing,
TPC-H, music and film shops, flights, sensors, web logs, change feeds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """One table of the corpus.

    Attributes:
        name: Its name.
        select: Its rows over `range(n) AS t(i)`, `{n}` being the rows of a landing and `{k}` its number from 0.
        key: The key that a person would name; empty: there is none.
        incremental: The column that windows are to be cut by; None: none is right.
        rows: Rows of a landing.
        landings: How many landings there are.
        load_types: The load types that suit it.
        other_keys: Other keys that are right, too.
    """

    name: str
    select: str
    key: tuple[str, ...]
    incremental: str | None = None
    rows: int = 400
    landings: int = 1
    load_types: tuple[str, ...] = ("scd1", "scd2")
    other_keys: tuple[tuple[str, ...], ...] = ()


ARRIVED = "timestamp '2024-01-01' + interval (i + {k} * {n}) minute AS recorded_at"

CORPUS = (
    # order processing
    Known(
        "customers",
        "i AS customer_id, 'C' || i AS company_name, 'Berlin' AS city, 'a' || i || '@x.de' AS email",
        ("customer_id",),
    ),
    Known(
        "orders",
        "10000 + i AS order_id, i % 90 AS customer_id, date '2024-01-01' + (i // 3)::int AS order_date, i % 7 AS employee_id, (i * 3.5)::decimal(9,2) AS freight",
        ("order_id",),
        "order_date",
        rows=830,
    ),
    Known(
        "order_details",
        "10000 + i // 3 AS order_id, (i * 7) % 77 AS product_id, 1 + i % 20 AS quantity, (i % 5)::decimal(4,2) AS discount",
        ("order_id", "product_id"),
        rows=900,
    ),
    Known(
        "products",
        "i AS product_id, 'Chai ' || i AS product_name, i % 29 AS supplier_id, i % 8 AS category_id, (i * 1.25)::decimal(9,2) AS unit_price",
        ("product_id",),
        rows=77,
    ),
    Known(
        "categories",
        "i AS category_id, 'Beverages ' || i AS category_name, 'Soft drinks, coffees, teas' AS description",
        ("category_id",),
        rows=8,
    ),
    Known(
        "employees",
        "i AS employee_id, 'L' || i AS last_name, 'F' || i AS first_name, date '1960-01-01' + (i * 400)::int AS birth_date, nullif(i % 3, 0) AS reports_to",
        ("employee_id",),
        "birth_date",
        rows=30,
    ),
    Known("shippers", "i AS shipper_id, 'Speedy ' || i AS company_name, '555-' || i AS phone", ("shipper_id",), rows=3),
    Known(
        "employee_territories",
        "i // 6 AS employee_id, 1000 + (i * 13) % 53 AS territory_id",
        ("employee_id", "territory_id"),
        rows=49,
        other_keys=(("territory_id",),),
    ),
    # TPC-H
    Known(
        "customer",
        "i AS c_custkey, 'Customer#' || i AS c_name, i % 25 AS c_nationkey, (i * 7.1)::decimal(15,2) AS c_acctbal, 'AUTO' AS c_mktsegment",
        ("c_custkey",),
        rows=1500,
    ),
    Known(
        "lineitem",
        "i // 4 AS l_orderkey, (i * 7) % 2000 AS l_partkey, (i * 3) % 100 AS l_suppkey, i % 4 + 1 AS l_linenumber, (i % 50)::decimal(15,2) AS l_quantity, date '1995-01-01' + (i % 2000)::int AS l_shipdate",
        ("l_orderkey", "l_linenumber"),
        "l_shipdate",
        rows=4000,
    ),
    Known(
        "partsupp",
        "i // 4 AS ps_partkey, (i // 4 + (i % 4) * 25) % 100 AS ps_suppkey, i % 9999 AS ps_availqty, 'carefully regular requests wake furiously above the ironic' || i AS ps_comment",
        ("ps_partkey", "ps_suppkey"),
        rows=800,
    ),
    Known("nation", "i AS n_nationkey, 'NATION ' || i AS n_name, i % 5 AS n_regionkey", ("n_nationkey",), rows=25),
    # music and film shops
    Known(
        "invoice",
        "i AS InvoiceId, i % 59 AS CustomerId, timestamp '2021-01-01' + interval (i) hour AS InvoiceDate, (i % 20)::decimal(10,2) AS Total",
        ("InvoiceId",),
        "InvoiceDate",
    ),
    Known(
        "track",
        "i AS TrackId, 'Song ' || (i % 380) AS Name, i % 347 AS AlbumId, i % 5 AS MediaTypeId, 200000 + i AS Milliseconds",
        ("TrackId",),
    ),
    Known(
        "rental",
        "i AS rental_id, timestamp '2022-05-24' + interval (i * 7) minute AS rental_date, (i * 31) % 400 AS inventory_id, i % 60 AS customer_id, timestamp '2022-06-01' AS last_update",
        ("rental_id",),
        "last_update",
    ),
    Known(
        "film_category",
        "i AS film_id, i % 16 AS category_id, timestamp '2022-02-15' AS last_update",
        ("film_id",),
        "last_update",
        other_keys=(("film_id", "category_id"),),
    ),
    # flights and weather
    Known("airlines", "chr((65 + i)::int) || 'A' AS carrier, 'Air ' || i AS name", ("carrier",), rows=16),
    Known(
        "airports",
        "'A' || i AS faa, 'Airport ' || i AS name, i * 0.7 AS lat, i * 0.3 AS lon, (i % 900)::int AS alt",
        ("faa",),
        rows=1400,
    ),
    Known(
        "planes",
        "'N' || i AS tailnum, nullif(1990 + i % 20, 1990) AS year, 'BOEING' AS manufacturer, 2 AS engines, 150 AS seats",
        ("tailnum",),
        rows=900,
    ),
    Known(
        "weather",
        "['EWR', 'JFK', 'LGA'][(i % 3)::int + 1] AS origin, timestamp '2023-01-01' + interval (i // 3) hour AS time_hour, i * 0.31 AS temp, i * 0.2 AS humid",
        ("origin", "time_hour"),
        "time_hour",
        rows=900,
    ),
    # sensors, logs, change feeds, in landings
    Known(
        "readings",
        "i % 20 AS sensor_id, timestamp '2024-01-01' + interval (i // 20 + {k} * {n} // 20) minute AS measured_at, i * 0.5 AS value, "
        + ARRIVED,
        ("sensor_id", "measured_at"),
        "recorded_at",
        landings=4,
        load_types=("append",),
    ),
    Known(
        "page_views",
        "uuid() AS view_id, i % 50 AS user_id, '/p/' || i % 9 AS url, " + ARRIVED,
        ("view_id",),
        "recorded_at",
        landings=3,
        load_types=("append",),
    ),
    Known(
        "accounts",
        "i AS account_id, 'name ' || i AS name, (i + {k}) % 5 AS tier, timestamp '2024-01-01' + interval ({k}) day + interval (i) second AS updated_at",
        ("account_id",),
        "updated_at",
        landings=4,
    ),
    Known(
        "subscriptions",
        "'sub_' || (i * 2 + {k} % 2) AS subscription_id, 'active' AS status, timestamp '2024-01-01' AS created_at, timestamp '2024-02-01' + interval ({k}) day AS modified_at",
        ("subscription_id",),
        "modified_at",
        landings=4,
    ),
    Known(
        "prices",
        "'S' || i AS symbol, date '2024-01-01' + {k}::int AS trade_date, i * 1.1 AS close_price",
        ("symbol", "trade_date"),
        "trade_date",
        landings=5,
        load_types=("append",),
        other_keys=(("symbol",),),
    ),
    Known(
        "order_events",
        "i + {k} * {n} AS event_id, i % 77 AS order_id, 'paid' AS event, " + ARRIVED,
        ("event_id",),
        "recorded_at",
        landings=3,
        load_types=("append",),
    ),
    Known(
        "devices",
        "'00:0' || i AS serial_number, 'v' || {k} AS firmware, i % 4 AS model_id, timestamp '2024-03-01' + interval ({k}) hour AS synced_at",
        ("serial_number",),
        "synced_at",
        landings=3,
    ),
    Known(
        "users",
        "i AS id, 'u' || i AS username, 'u' || i || '@x.org' AS email, i % 2 = 0 AS is_admin, timestamp '2024-01-01' + interval (i) hour AS created_at",
        ("id",),
        "created_at",
    ),
    Known(
        "exchange_rates",
        "['EUR', 'USD', 'GBP', 'CHF'][(i % 4)::int + 1] AS currency, date '2024-01-01' + (i // 4)::int AS rate_date, 1 + i * 0.001 AS rate",
        ("currency", "rate_date"),
        "rate_date",
    ),
    Known(
        "dim_country",
        "'X' || i AS country_code, 'Country ' || i AS country_name, i % 7 AS continent_id",
        ("country_code",),
        rows=190,
    ),
    Known(
        "inventory",
        "i // 40 AS warehouse_id, i % 40 AS product_id, i % 300 AS stock, timestamp '2024-01-01' AS last_changed",
        ("warehouse_id", "product_id"),
        "last_changed",
    ),
    Known("remarks", "'x' AS author, 'same text' AS body", (), rows=60, load_types=("append",)),
)
