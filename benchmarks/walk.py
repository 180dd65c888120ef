"""The walk of one row: the files and macros that `sluice run` passes while it loads one new row of an SCD2 target.

python benchmarks/walk.py [--macros] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import yaml
from measures import COUNTED, Measure, print_measures
from measuring import print_table, run, sluice

from tests.support.project_copy import REPOSITORY, copy_project

_VALUES: Final = (
    ("python_files", "Python files in which a function ran", 90, 55),
    ("python_imports", "Python files imported", 121, None),
    ("python_arrows", "arrows between files that ran", 185, None),
    ("macro_files", "macro files entered", 55, 35),
    ("macros", "macros", 133, None),
    ("macro_calls", "macro calls", 1_026, 500),
)
"""Name, words, value of the tree before its packages were made, and target."""

_COLUMNS: Final = {
    "order_id": "0::bigint",
    "customer": "'somebody'",
    "status": "'placed'",
    "currency": "'EUR'",
    "amount": "12.5::decimal(12, 2)",
    "tax": "2.5::decimal(12, 2)",
    "quantity": "3::integer",
    "weight": "0.5::double",
    "is_paid": "true",
    "is_gift": "false",
    "channel": "'web'",
    "campaign": "null::varchar",
    "country": "'FR'",
    "city": "'Lyon'",
    "carrier": "'post'",
    "ordered_on": "date '2026-01-01'",
    "created_at": "timestamp '2026-01-01'",
    "updated_at": "timestamp '2026-01-01'",
}
"""The columns of the source, as wide as a dimension commonly is, and a value of each."""

_SELECT: Final = f"select {', '.join(f'orders.{name}' for name in _COLUMNS)}\nfrom lake.orders as orders"
_ROWS: Final = {
    "sources": [
        {
            "schema": "lake",
            "table": "orders",
            "kind": "lake",
            "format": "parquet",
            "location": ".sluice/lake/orders",
            "incremental_key": "updated_at",
        }
    ],
    "pipelines": [
        {"pipeline_id": "orders", "pipeline_name": "Orders", "template": "lake_to_warehouse", "schedule": "@daily"}
    ],
    "transformations": [
        {
            "target_schema": "dwh",
            "target_table": "dim_order",
            "pipeline_id": "orders",
            "sql_path": "transformations/dim_order.sql",
            "load_type": "scd2",
            "business_key": ["order_id"],
            "incremental_key": "updated_at",
            "scd_columns": ["status", "amount"],
            "dependencies": [{"table": "lake.orders", "driving": True}],
        }
    ],
}


def main() -> None:
    """Load one row under a profile hook and print what was passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--macros", action="store_true", help="list the macros with their calls as well")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    walk = _walk()
    if options.json:
        print_measures([_measure(words, before, walk[name], target) for name, words, before, target in _VALUES])
        return
    rows = [_cells(words, before, walk[name], target) for name, words, before, target in _VALUES]
    print_table(("value", "before", "now", "target", ""), rows)
    if options.macros:
        print_table(("macro", "calls"), [(name, str(count)) for name, count in walk["calls_by_macro"].items()])


def _walk() -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        copy_project(root, {"dim_order": _SELECT})
        (root / "dbt_project/control/orders.yml").write_text(yaml.safe_dump(_ROWS))
        _land(root, "first", (1, "placed"), (2, "placed"))
        sluice(root, "control", "apply", "--yes")
        sluice(root, "run")
        _land(root, "second", (1, "shipped"))
        record = root / "walk.json"
        run([sys.executable, Path(__file__).with_name("walked_run.py"), REPOSITORY, record], folder=root)
        _check(root)
        walk: Mapping[str, Any] = json.loads(record.read_text())
        return walk


def _land(root: Path, file: str, *orders: tuple[int, str]) -> None:
    """Let orders land in the lake, in a file of their own; a later file holds later orders."""
    folder = root / ".sluice/lake/orders"
    folder.mkdir(parents=True, exist_ok=True)
    hour = len(list(folder.iterdir()))
    values = ", ".join(f"{value} as {name}" for name, value in _COLUMNS.items())
    rows = " union all ".join(
        f"""
        select * replace (
            {number}::bigint as order_id, '{status}' as status, updated_at + interval ({hour}) hour as updated_at
        )
        from (select {values})
        """
        for number, status in orders
    )
    with duckdb.connect() as connection:
        connection.execute(f"copy ({rows}) to '{folder / file}.parquet' (format parquet)")


def _check(root: Path) -> None:
    """Stop unless the new row was loaded as a new version."""
    with duckdb.connect(str(root / ".sluice/dev.duckdb"), read_only=True) as connection:
        versions = connection.execute(
            "select order_id, status, is_current from dwh.dim_order order by order_id, valid_from"
        ).fetchall()
    expected = [(1, "placed", False), (1, "shipped", True), (2, "placed", True)]
    if versions != expected:
        raise RuntimeError(f"the run left {versions} instead of {expected}")


def _measure(words: str, before: int, now: int, target: int | None) -> Measure:
    at_most = None if target is None else target / before
    return Measure(f"walk: {words}", COUNTED, now, "the tree before its packages", before, at_most)


def _cells(words: str, before: int, now: int, target: int | None) -> Sequence[str]:
    reached = "" if target is None else "met" if now <= target else "missed"
    return (
        words,
        f"{before:,}",
        f"{now:,}",
        "" if target is None else f"<= {target}",
        reached,
    )


if __name__ == "__main__":
    main()
