"""Spark on this machine: how long it takes to start, and whether it overtakes the warehouse. Floor: the warehouse.

python benchmarks/spark.py [--sizes 1000,1000000] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import Cost, Result, report, run, sluice

_SELECTS = {
    "copy": "select e.id, e.account, e.amount, e.landed_at from lake.events as e",
    "window": """select
    e.id,
    e.account,
    e.amount,
    sum(e.amount) over (partition by e.account order by e.landed_at, e.id) as balance,
    e.landed_at
from lake.events as e""",
}
_EVENTS = """copy (
    select i as id, cast(hash(i) % 10000 as integer) as account, cast(i % 1000 as decimal(10, 2)) as amount,
        timestamp '2026-01-01' + to_seconds(i) as landed_at
    from range({size}) as t (i)
) to '{file}' (format parquet)"""
_ROWS = """
sources:
  - {schema: lake, table: events, kind: lake, format: parquet, location: lake/events, incremental_key: landed_at}
pipelines:
  - {pipeline_id: events, pipeline_name: Events, template: lake_to_warehouse}
transformations:
  - target_schema: dwh
    target_table: events
    pipeline_id: events
    sql_path: transformations/events.sql
    output_path: results
    load_type: append
    incremental_key: landed_at
    increment_checked: true
    dependencies: [{table: lake.events, driving: true}]
"""
_REPOSITORY = Path(__file__).parents[1]


def main() -> None:
    """Load the same rows through both engines, at every size, each into an empty warehouse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="1000,1000000", help="numbers of rows")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    report(list(_measure([int(size) for size in options.sizes.split(",")])), as_json=options.json)


def _measure(sizes: list[int]) -> Iterator[Result]:
    for name, select in _SELECTS.items():
        for size in sizes:
            warehouse, spark = (_load(select, size, engine) for engine in ("warehouse", "spark"))
            words = "less CPU than the warehouse"
            yield Result(f"{name} on Spark", size, spark, warehouse, "DuckDB", 1, words)


def _load(select: str, size: int, engine: str) -> Cost:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "lake" / "events").mkdir(parents=True)
        statement = _EVENTS.format(size=size, file=folder / "lake" / "events" / "events.parquet")
        run([sys.executable, "-c", f"import duckdb; duckdb.execute({statement!r})"], folder=folder)
        (folder / "dbt_project" / "transformations").mkdir(parents=True)
        (folder / "dbt_project" / "control").mkdir()
        (folder / "dbt_project" / "macros").mkdir()
        for file in ("profiles.yml", "dbt_project/dbt_project.yml", "dbt_project/macros/generate_schema_name.sql"):
            (folder / file).write_text((_REPOSITORY / file).read_text())
        (folder / "macros").symlink_to(_REPOSITORY / "macros")
        (folder / "dbt_project" / "transformations" / "events.sql").write_text(select)
        (folder / "dbt_project" / "control" / "events.yml").write_text(_ROWS)
        sluice(folder, "control", "apply", "--yes", "--json")
        return sluice(folder, "run", "--engine", engine, "--json")[0]


if __name__ == "__main__":
    main()
