"""Starting: commands that only look, and a run with nothing to do. Floors: `python -c pass`, and 100 rows.

python benchmarks/start.py [--sizes 100,1000,5000] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from measuring import Cost, Result, make_project, report, run, sluice, typical

_REPEATS = 5
_TARGET_ROWS = 100
_PIPELINE = "orders_000"
_COMMANDS = {
    ("--help",): 15,
    ("status",): 25,
    ("status", _PIPELINE): 25,
    ("why", "dwh.target_00000"): 25,
    ("sync", "--check"): 25,
    ("run",): 40,
    ("run", _PIPELINE): 40,
}
"""Command → how many times the floor's CPU seconds it may take at `_TARGET_ROWS`."""
_KEYED = frozenset({("status", _PIPELINE), ("why", "dwh.target_00000"), ("run", _PIPELINE)})
"""Commands that are asked for one pipeline or target."""
_GROWTH = {1_000: (1.2, 1.05), 5_000: (None, 1.3)}
"""Rows → how many times the cost at `_TARGET_ROWS` a command may take, asked for everything and for one pipeline."""
_FORBIDDEN = ("dbt.cli", "prefect")


def main() -> None:
    """Measure every command at every size and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="100,1000,5000", help="numbers of transformations")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    results: list[Result] = []
    for size in sorted(map(int, options.sizes.split(","))):
        results += _measure(size, {result.work: result for result in results if result.size == _TARGET_ROWS})
    report(results, as_json=options.json)


def _measure(size: int, small: Mapping[str, Result]) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), size)
        sluice(project.root, "sync", "--json")
        for _ in range(2):  # the sources are empty: recorded as not due, so that `why` has an answer
            sluice(project.root, "run")
            sluice(project.root, "run", _PIPELINE)
        for command, times in _COMMANDS.items():
            _refuse_imports(project.root, command)
            # In turns, so that what else the machine does hits both.
            pairs = [(_cost(project.root, command), _floor(project.root)) for _ in range(_REPEATS)]
            cost, floor = typical([cost for cost, _ in pairs]), typical([floor for _, floor in pairs])
            work = f"sluice {' '.join(command)}"
            at_most = times if size == _TARGET_ROWS else None
            yield Result(work, size, cost, floor, "python -c pass", at_most, f"<= {times}x" if at_most else "")
            if work in small and size > _TARGET_ROWS:
                limit = _GROWTH.get(size, (None, None))[command in _KEYED]
                beside = f"{_TARGET_ROWS} rows"
                words = f"<= {limit}x {beside}" if limit else ""
                yield Result(work, size, cost, small[work].cost, beside, limit, words)


def _floor(folder: Path) -> Cost:
    return run([sys.executable, "-c", "pass"], folder=folder)[0]


def _cost(folder: Path, command: tuple[str, ...]) -> Cost:
    return sluice(folder, *command)[0]


def _refuse_imports(folder: Path, command: tuple[str, ...]) -> None:
    """Run the command in an interpreter that then says what it has imported."""
    script = (
        "import atexit, sys; from flows.cli import main\n"
        f"atexit.register(lambda: print(*(name for name in {_FORBIDDEN!r} if name in sys.modules)))\n"
        "sys.argv[0] = 'sluice'; main()"
    )
    _, output = run([sys.executable, "-c", script, *command], folder=folder)
    if output.splitlines()[-1].strip():
        raise RuntimeError(f"sluice {' '.join(command)} imports {output.splitlines()[-1]}")


if __name__ == "__main__":
    main()
