"""Mistakes that people make in rows and SELECTs: what is written in place of what, and the rule that finds it.

The mistakes are in tests/unit/validation/mistakes.yml. `python -m tests.support.mistakes` writes messages.txt beside
it: each mistake with its message, and an example of every other rule, for a reader to judge.
"""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import yaml

from flows.warehouse.columns import DuckDBColumns
from flows.warehouse.connection import DuckDBWarehouse
from metadata_sync.control.bundle import bundle_files, read_bundle
from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.validation import find_faults
from metadata_sync.validation.consequences import without_consequences

_FOLDER: Final = Path(__file__).parents[1] / "unit" / "validation"
GOLDEN: Final = _FOLDER / "messages.txt"
MISTAKES: Final = _FOLDER / "mistakes.yml"
ROWS: Final = """\
sources:
  - schema: shop
    table: orders
    kind: warehouse
    incremental_key: landed_at
    owner: sales
  - schema: shop
    table: customers
    kind: warehouse
    incremental_key: landed_at
  - schema: lake
    table: flights
    kind: lake
    format: parquet
    location: lake/flights
    incremental_key: recorded_at

pipelines:
  - pipeline_id: shop_daily
    pipeline_name: Shop
    template: presentation
    schedule: "30 6 * * *"
    timezone: Europe/Berlin
    alert_channel: data-ops
    is_active: true
  - pipeline_id: shop_views
    pipeline_name: Views of the shop
    template: materialized_view

transformations:
  - target_schema: dwh
    target_table: fact_order
    pipeline_id: shop_daily
    sql_path: transformations/fact_order.sql
    load_type: append
    business_key: [order_id]
    incremental_key: landed_at
    dependencies:
      - {table: shop.orders, driving: true}
  - target_schema: dwh
    target_table: dim_customer
    pipeline_id: shop_daily
    sql_path: transformations/dim_customer.sql
    load_type: scd2
    business_key: [customer_id]
    sequence_by: [changed_at]
    scd_columns: [city]
    delete_when: is_gone
    dependencies:
      - {table: shop.customers, driving: true}
    column_list:
      - {name: customer_id, type: integer, tests: [not_null]}
      - {name: city, type: varchar}
      - {name: is_gone, type: boolean}
      - {name: changed_at, type: timestamp}
  - target_schema: mart
    target_table: city_total
    pipeline_id: shop_daily
    sql_path: transformations/city_total.sql
    load_type: scd1
    increment: groups
    business_key: [city]
    dependencies:
      - {table: shop.customers, driving: true, recompute_by: [city]}
"""
SELECTS: Final = {
    "fact_order": "select o.order_id, o.customer_id, o.amount, o.landed_at\nfrom shop.orders as o\n",
    "dim_customer": "select c.customer_id, c.city, c.is_gone, c.changed_at\nfrom shop.customers as c\n",
    "city_total": "select c.city, count(*) as customer_count\nfrom shop.customers as c\ngroup by c.city\n",
}
_TABLES: Final = (
    "create schema shop",
    "create table shop.orders (order_id bigint, customer_id integer, amount decimal(9, 2), landed_at timestamp)",
    "create table shop.customers (customer_id integer, city varchar, is_gone boolean, changed_at timestamp, "
    "landed_at timestamp)",
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake.

    Attributes:
        title: What somebody did.
        old: What stood there, in the rows or in the SELECT.
        new: What was written instead.
        rule: The rule that finds it.
        select: The SELECT that is changed; None: the rows are.
    """

    title: str
    old: str
    new: str
    rule: str
    select: str | None = None


def read_mistakes() -> tuple[Mistake, ...]:
    """Return the mistakes of mistakes.yml."""
    return tuple(Mistake(**item) for item in yaml.safe_load(MISTAKES.read_text(encoding="utf-8")))


def faults_of(mistake: Mistake | None, root: Path) -> list[Fault]:
    """Return the faults of the project with one mistake in it, or with none."""
    rows, selects = ROWS, dict(SELECTS)
    if mistake is not None:
        before = rows if mistake.select is None else selects[mistake.select]
        assert before.count(mistake.old) >= 1, mistake.title
        after = before.replace(mistake.old, mistake.new, 1)
        if mistake.select is None:
            rows = after
        else:
            selects[mistake.select] = after
    project = _write(root, rows, selects)
    bundle = read_bundle(bundle_files(project.control_dir, root), "dev", root)
    columns = DuckDBColumns(project, partial(_warehouse))
    found = without_consequences(
        find_faults(bundle.rows, project, columns),
        bundle.faults,
        bundle.unreadable,
        has_unread_files=bundle.has_unread_files,
    )
    return bundle.located([*bundle.faults, *found])


def _warehouse() -> DuckDBWarehouse:
    connection = duckdb.connect(":memory:")
    for statement in _TABLES:
        connection.execute(statement)
    return DuckDBWarehouse(connection)


def _write(root: Path, rows: str, selects: dict[str, str]) -> Project:
    shutil.rmtree(root / "dbt_project", ignore_errors=True)
    for folder in ("control", "transformations"):
        (root / "dbt_project" / folder).mkdir(parents=True)
    (root / "lake" / "flights").mkdir(parents=True, exist_ok=True)
    if not (root / "lake" / "flights" / "a.parquet").exists():
        with duckdb.connect() as connection:
            connection.execute(
                f"copy (select 1 as flight, timestamp '2024-01-01' as recorded_at) to '{root}/lake/flights/a.parquet'"
            )
    (root / "dbt_project" / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (root / "profiles.yml").write_text("shop: {}\n")
    (root / "dbt_project" / "control" / "shop.yml").write_text(rows)
    for name, text in selects.items():
        (root / "dbt_project" / "transformations" / f"{name}.sql").write_text(text)
    return Project(root)


def messages(root: Path) -> str:
    """Return the text of the golden file."""
    parts = [
        "What Sluice says to mistakes in rows and SELECTs. Written by `python -m tests.support.mistakes`.\n"
        "Of each: what was done, what was written, and the message.\n"
    ]
    said: set[str] = set()
    for number, mistake in enumerate(read_mistakes(), 1):
        place = "" if mistake.select is None else f" (transformations/{mistake.select}.sql)"
        found = faults_of(mistake, root)
        said |= {fault.rule for fault in found}
        parts.append(
            f"{number}. {mistake.title}{place}\n"
            + textwrap.indent(_written(mistake), "    ")
            + "".join(f"  {fault}\n" for fault in found)
        )
    parts.append("Examples of the other rules about rows, as rows that stand in no file.\n")
    parts += [f"  {fault}\n" for fault in _examples(said)]
    return "\n".join(parts)


def _examples(said: set[str]) -> Iterator[Fault]:
    """Yield an example of each rule about rows that none of the mistakes breaks."""
    from tests.unit.validation.test_row_rules import BAD, check

    seen = set(said)
    for rule, _, row in BAD:
        if rule not in seen:
            seen.add(rule)
            yield next(fault for fault in check(row) if fault.rule == rule)


def _written(mistake: Mistake) -> str:
    old, new = mistake.old.rstrip("\n").split("\n"), mistake.new.rstrip("\n").split("\n")
    same = [line for line in new if line in old]
    lines = [line for line in new if line not in same] or [f"(without: {mistake.old.strip()})"]
    return "".join(f"{line.strip()}\n" for line in lines)


def main() -> None:
    """Write the golden file."""
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(messages(Path(folder).resolve()), encoding="utf-8")


if __name__ == "__main__":
    main()
