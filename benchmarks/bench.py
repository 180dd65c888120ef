"""All benchmarks in one run: each target and peer beside what was measured, and one JSON file for `check.py`.

python benchmarks/bench.py [--short] [--only start,sync] [--output test-output/bench.json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from measures import BenchRun, Measure, read_measures
from measuring import print_table

_FOLDER: Final = Path(__file__).parent
OUTPUT: Final = _FOLDER.parent / "test-output" / "bench.json"
_FULL: Final[Mapping[str, Sequence[str]]] = {
    "walk": (),
    "start": (),
    "sync": (),
    "pipeline": (),
    "scd1": (),
    "scd2": (),
    "gate": (),
    "lake": ("100", "10000", "100000"),
    "first_load": ("--rows", "5000000", "--chunk-rows", "500000"),
    "orchestration": (),
    "spark": (),
}
"""Benchmark → its arguments in a full run; the order is that of the report."""
_SHORT: Final[Mapping[str, Sequence[str]]] = {
    "walk": (),
    "start": ("--sizes", "100"),
    "sync": ("--sizes", "100"),
    "scd1": ("--warehouses", "duckdb", "--sizes", "20000"),
    "scd2": ("--warehouses", "duckdb", "--sizes", "20000"),
    "gate": ("--warehouses", "duckdb", "--sizes", "200"),
    "lake": ("100",),
    "orchestration": ("--models", "20", "--deployments", "0"),
}
"""The same for a short run: the smallest sizes on DuckDB, without Spark and without large first loads."""


def main() -> int:
    """Run every benchmark in a process of its own; one that fails does not stop the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="the smallest size of each, on DuckDB")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(_FULL)}")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    options = parser.parse_args()
    chosen = _SHORT if options.short else _FULL
    asked = options.only.split(",") if options.only else list(chosen)
    if unknown := [name for name in asked if name not in chosen]:
        parser.error(f"--only {', '.join(unknown)}: this run has {', '.join(chosen)}")
    measures: list[Measure] = []
    failed: list[str] = []
    for name in asked:
        print(f"benchmarks/{name}.py {' '.join(chosen[name])}", file=sys.stderr, flush=True)
        found = _run(name, chosen[name])
        if found is None:
            failed.append(name)
        else:
            measures += found
    is_partial = options.short or bool(options.only)
    run = BenchRun(tuple(measures), tuple(failed), is_short=is_partial)
    run.write(options.output)
    _print(run, options.output)
    return 1 if failed else 0


def _run(name: str, arguments: Sequence[str]) -> Sequence[Measure] | None:
    """Return what a benchmark measured, or None when it failed; what it writes to stderr is shown."""
    path = os.pathsep.join(filter(None, (str(_FOLDER.parent), os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(  # noqa: S603 - our own scripts
        [sys.executable, str(_FOLDER / f"{name}.py"), *arguments, "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    return None if done.returncode else read_measures(json.loads(done.stdout))


def _print(run: BenchRun, output: Path) -> None:
    headers = ("work", "unit", "Sluice", "beside", "", "ratio", "target", "")
    print_table(headers, [_cells(measure) for measure in run.measures])
    verdicts = [measure.is_met for measure in run.measures]
    print()
    print(
        f"{len(verdicts)} measures: {verdicts.count(True)} targets met, {verdicts.count(False)} missed, "
        f"{verdicts.count(None)} without a target. Written to {output}."
    )
    for name in run.failed:
        print(f"benchmarks/{name}.py failed: its measures are missing. Its error stands above.")


def _cells(measure: Measure) -> Sequence[str]:
    target = "–" if measure.at_most is None else f"<= {measure.at_most:.2f}x"
    verdict = {None: "", True: "met", False: "missed"}[measure.is_met]
    values = (f"{measure.value:,.2f}", measure.beside, f"{measure.beside_value:,.2f}", f"{measure.ratio:.2f}x")
    return (measure.name, measure.unit, *values, target, verdict)


if __name__ == "__main__":
    sys.exit(main())
