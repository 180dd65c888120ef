"""One pipeline of ten targets with new rows, run in projects of any size. Floor: the same in the smallest project.

python benchmarks/pipeline.py [--sizes 10,500,5000] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
from measuring import Cost, Result, report, run, sluice, typical
from pipeline_workload import SOURCE_ROWS, TARGETS_PER_PIPELINE

from metadata_sync.project import Project

_REPEATS = 3
_MOST = 1.3
_PIPELINE = "orders_000"
_NEW_ROWS = 3


def main() -> None:
    """Measure every size and print the results; the first size is the floor of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="10,500,5000", help="numbers of transformations")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    results: list[Result] = []
    for size in options.sizes.split(","):
        results += _measure(int(size), results[1].cost if results else None)
    report(results, as_json=options.json)


def _measure(size: int, floor: Cost | None) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder).resolve() / "project")
        workload = Path(__file__).with_name("pipeline_workload.py")
        run([sys.executable, workload, project.root, str(size)], folder=project.root.parent)
        sluice(project.root, "sync", "--json")
        first = _load(project)
        again = typical([_load_new_rows(project) for _ in range(_REPEATS)])
        _expect_rows(project)
        floor = floor or again
        beside = "run of new rows in the smallest project"
        yield Result("one pipeline, first run: dbt parses", size, first, floor, beside, None, "none")
        yield Result("one pipeline, run of new rows", size, again, floor, beside, _MOST, f"<= {_MOST}x of the smallest")


def _load_new_rows(project: Project) -> Cost:
    _land(project)
    return _load(project)


def _load(project: Project) -> Cost:
    cost, found = sluice(project.root, "run", _PIPELINE, "--json")
    statuses = [item["status"] for item in found["targets"]]  # type: ignore[attr-defined]
    if statuses != ["loaded"] * TARGETS_PER_PIPELINE:
        raise RuntimeError(f"the result is wrong: {statuses}")
    return cost


def _land(project: Project) -> None:
    """Let orders change, later than all others."""
    with duckdb.connect(str(project.state_dir / "dev.duckdb")) as warehouse:
        warehouse.execute(
            f"insert into raw.{_PIPELINE} select * replace (amount + 1 as amount, "
            f"(select max(updated_at) from raw.{_PIPELINE}) + interval 1 minute as updated_at) "
            f"from raw.{_PIPELINE} where order_id < {_NEW_ROWS} qualify row_number() over "
            "(partition by order_id order by updated_at desc) = 1"
        )


def _expect_rows(project: Project) -> None:
    """Stop unless the first target has the newest state of every order."""
    with duckdb.connect(str(project.state_dir / "dev.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(f"select count(*), sum(amount) from dwh.{_PIPELINE}_0").fetchall()
    amount = sum(range(SOURCE_ROWS)) + _NEW_ROWS * _REPEATS
    if [tuple(map(int, row)) for row in found] != [(SOURCE_ROWS, amount)]:
        raise RuntimeError(f"the result is wrong: {found}")


if __name__ == "__main__":
    main()
