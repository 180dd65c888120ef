"""A first load of many generated rows on DuckDB: by chunks, and at once; seconds, chunks and peak memory.

python benchmarks/first_load.py [--rows 50000000] [--chunk-rows 5000000] [--memory-limit 1GB] [--load-type scd1]
    [--json]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from measures import Measure, print_measures
from measuring import Cost, print_table, run, sluice

_REPOSITORY = Path(__file__).parents[1]
_PEAK_MIB = 2048
_FILES = 20
_ROWS = """
sources:
  - {{schema: lake, table: events, kind: lake, format: parquet, location: lake/events, incremental_key: landed_at}}
pipelines:
  - {{pipeline_id: history, pipeline_name: History, template: lake_to_warehouse}}
transformations:
  - target_schema: dwh
    target_table: event
    pipeline_id: history
    sql_path: transformations/event.sql
    load_type: {load_type}
    business_key: [event_id]
    dependencies: [{{table: lake.events, driving: true}}]
"""
_SELECT = "select e.event_id, e.customer, e.amount, e.landed_at from lake.events as e\n"
_GENERATE = """
import sys, duckdb
folder, rows, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = duckdb.connect(config={"memory_limit": "1GB"})
for number in range(files):
    first, last = rows * number // files, rows * (number + 1) // files
    connection.execute(
        f"copy (select i as event_id, i % 100000 as customer, cast(i % 977 as decimal(12, 2)) as amount, "
        f"timestamp '2014-01-01' + interval 1 second * (i * 5) as landed_at from range({first}, {last}) as t (i)) "
        f"to '{folder}/{number:03}.parquet' (format parquet)"
    )
"""
_COUNT = """
import duckdb
print(duckdb.connect(".sluice/dev.duckdb").execute("select count(*) from dwh.event").fetchone()[0])
"""


def main() -> None:
    """Make a project, load it by chunks and at once, print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--chunk-rows", type=int, default=5_000_000)
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--load-type", choices=("scd1", "scd2", "append"), default="scd1")
    parser.add_argument("--json", action="store_true", dest="as_json")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        lake.mkdir()
        run([sys.executable, "-c", _GENERATE, lake, str(asked.rows), str(_FILES)], folder=Path(folder))
        for name, budget in (("by chunks", asked.chunk_rows), ("at once", 0)):
            root = Path(folder) / name.replace(" ", "_")
            _make_project(root, asked.load_type, asked.memory_limit)
            lake.rename(root / "lake" / "events")
            os.environ["SLUICE_FIRST_LOAD_ROWS"] = str(budget)
            sluice(root, "control", "apply", "--yes")
            planned = sluice(root, "plan", "--json")[1]["run"]
            cost, _ = sluice(root, "run", "--json")
            found.append((name, _chunk_count(planned), cost, _row_count(root)))
            (root / "lake" / "events").rename(lake)
            shutil.rmtree(root)
    _report(found, asked.rows, as_json=asked.as_json)


def _make_project(root: Path, load_type: str, memory_limit: str) -> None:
    ignored = shutil.ignore_patterns("generated", "target", "logs", "transformations", "control", ".user.yml")
    shutil.copytree(_REPOSITORY / "dbt_project", root / "dbt_project", ignore=ignored)
    shutil.copytree(_REPOSITORY / "macros", root / "macros")
    profile = (_REPOSITORY / "profiles.yml").read_text(encoding="utf-8")
    limit = f"      schema: main\n      settings: {{memory_limit: {memory_limit}, preserve_insertion_order: false}}\n"
    (root / "profiles.yml").write_text(profile.replace("      schema: main\n", limit), encoding="utf-8")
    for part in ("transformations", "control"):
        (root / "dbt_project" / part).mkdir()
    (root / "dbt_project" / "transformations" / "event.sql").write_text(_SELECT, encoding="utf-8")
    rows = _ROWS.format(load_type=load_type)
    (root / "dbt_project" / "control" / "rows.yml").write_text(rows, encoding="utf-8")
    (root / "lake").mkdir()


def _chunk_count(planned: object) -> int:
    assert isinstance(planned, dict)
    return sum(first["chunk_count"] for first in planned["first_loads"]) or 1


def _row_count(root: Path) -> int:
    return int(run([sys.executable, "-c", _COUNT], folder=root)[1])


def _measures(found: list[tuple[str, int, Cost, int]], rows: int) -> list[Measure]:
    if wrong := [f"{name}: {count:,}" for name, _, _, count in found if count != rows]:
        raise RuntimeError(f"not all of {rows:,} rows were loaded: {', '.join(wrong)}")
    (_, _, by_chunks, _), (_, _, at_once, _) = found
    work = f"first load by chunks, {rows:,} rows"
    return [
        Measure(f"{work}: peak memory", "MiB", by_chunks.peak_mib, "2 GiB", _PEAK_MIB, 1),
        Measure(f"{work}: peak memory", "MiB", by_chunks.peak_mib, "at once", at_once.peak_mib),
        Measure(work, "CPU s", by_chunks.cpu_seconds, "at once", at_once.cpu_seconds),
    ]


def _report(found: list[tuple[str, int, Cost, int]], rows: int, *, as_json: bool) -> None:
    if as_json:
        print_measures(_measures(found, rows))
        return
    lines = [
        (
            name,
            f"{chunks:,}",
            f"{count:,}",
            f"{cost.wall_seconds:.1f}",
            f"{cost.cpu_seconds:.1f}",
            f"{cost.peak_mib:.0f}",
            "met" if cost.peak_mib <= _PEAK_MIB and count == rows else "missed",
        )
        for name, chunks, cost, count in found
    ]
    print_table(("load", "chunks", "rows", "wall s", "CPU s", "peak MiB", "at most 2 GiB, all rows"), lines)


if __name__ == "__main__":
    main()
