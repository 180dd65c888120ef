"""A lake source of many files, three of them new: listing, decision and load, beside a bare read of the three.

    PYTHONPATH=. python benchmarks/lake.py 100 10000 100000

Of large lakes, old files are made unreadable after the first load: a run that opened one of them would fail.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from measures import Measure, print_measures

from flows.warehouse.lake.folder import list_folder, resolve_folder
from tests.support.engine_project import Workshop, copy_project, transformation

SELECT = "select o.id, o.amount, o.sold_at from lake.sales as o"
ROWS_A_FILE = 200_000
RUNS = 3
_RUN_TARGET = 1.5
REMEMBERED = 1_000
"""From this number of files on the footers of old files are remembered, and not read again."""


@dataclass
class Cost:
    """Seconds of one piece of work: the wall's, and those of this process's CPU."""

    wall: float
    cpu: float


def main() -> int:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sizes", nargs="*", type=int, default=[100, 10_000, 100_000], help="numbers of files")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = ((size, _measured(size)) for size in options.sizes)
    if options.json:
        print_measures([measure for size, costs in found for measure in _measures(size, costs)])
    else:
        _print(found)
    return 0


def _measured(size: int) -> list[Cost]:
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder) / "project", size)


def _measures(size: int, costs: list[Cost]) -> Iterator[Measure]:
    """Yield each piece of work beside the bare read of the new files."""
    *works, bare = costs
    names, targets = ("listing", "decision", "whole run"), (None, None, _RUN_TARGET)
    for name, cost, at_most in zip(names, works, targets, strict=True):
        work = f"lake {name}, {size:,} files"
        yield Measure(work, "CPU s", cost.cpu, "a bare read of the new files", bare.cpu, at_most)


def _print(found: Iterable[tuple[int, list[Cost]]]) -> None:
    print("wall/CPU seconds, best of 3")
    print(f"{'files':>8} {'listing':>14} {'decision':>14} {'whole run':>14} {'bare read':>14}")
    for size, costs in found:
        print(f"{size:>8,} " + " ".join(f"{cost.wall:>6.2f}/{cost.cpu:<6.2f} " for cost in costs), flush=True)


def _measure(root: Path, size: int) -> list[Cost]:
    root.mkdir()
    copy_project(root, {"sale": SELECT})
    shop = Workshop(root)
    one = shop.land("sales/first", _sales(1, "2013-01-01")).read_bytes()
    for number in range(size - 1):
        (shop.lake / "sales" / f"{number:07}.parquet").write_bytes(one)
    shop.apply(_rows())
    shop.run()
    for path in (shop.lake / "sales").iterdir() if size >= REMEMBERED else ():
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    tries = [_one_increment(shop, number) for number in range(RUNS)]
    shop.close()
    return [min((costs[place] for costs in tries), key=lambda cost: cost.wall) for place in range(4)]


def _one_increment(shop: Workshop, number: int) -> list[Cost]:
    paths = [shop.land(f"sales/new_{number}_{part}", _sales(ROWS_A_FILE, "2012-06-01")) for part in range(3)]
    folder = resolve_folder(shop.project, "lake/sales")
    listing = _timed(lambda: list_folder(folder))
    decision = _timed(shop.plan)
    run = _timed(shop.run)
    expected = 1 + 3 * ROWS_A_FILE * (number + 1)
    found = shop.query("select count(*) from dwh.sale")
    assert found == [(expected,)], (found, expected)
    listed = ", ".join(f"'{path}'" for path in paths)
    with duckdb.connect(str(shop.root / "bare.duckdb")) as bare:
        statement = f"create or replace table sale as select * from read_parquet([{listed}])"
        read = _timed(lambda: bare.execute(statement))
    return [listing, decision, run, read]


def _timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _sales(count: int, day: str) -> str:
    columns = f"uuid() as id, range % 100 as amount, timestamp '{day}' + to_seconds(range) as sold_at"
    return f"select {columns} from range({count})"


def _rows() -> dict[str, object]:
    source = {"schema": "lake", "table": "sales", "kind": "lake", "format": "parquet"}
    sale = transformation("dwh", "sale", "sales", "lake.sales", load_type="append", business_key=["id"])
    return {
        "sources": [{**source, "location": "lake/sales", "incremental_key": "sold_at"}],
        "pipelines": [{"pipeline_id": "sales", "pipeline_name": "Sales", "template": "lake_to_warehouse"}],
        "transformations": [sale],
    }


if __name__ == "__main__":
    sys.exit(main())
