"""Starting: commands that only look, and a run with nothing to do. Floor: `python -c pass`.

python benchmarks/start.py [--sizes 10,100,1000] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import Cost, Result, make_project, report, run, sluice, typical

_REPEATS = 5
_TARGET_ROWS = 100
_COMMANDS = {
    ("--help",): 15,
    ("status",): 25,
    ("why", "dwh.target_00000"): 25,
    ("sync", "--check"): 25,
    ("run",): 40,
}
"""Command → how many times the floor's CPU seconds it may take at `_TARGET_ROWS`."""
_FORBIDDEN = ("dbt.cli", "prefect")


def main() -> None:
    """Measure every command at every size and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="10,100,1000", help="numbers of transformations")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    results = [result for size in options.sizes.split(",") for result in _measure(int(size))]
    report(results, as_json=options.json)


def _measure(size: int) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), size)
        sluice(project.root, "sync", "--json")
        sluice(project.root, "run")  # the sources are empty: recorded as not due, so that `why` has an answer
        for command, times in _COMMANDS.items():
            _refuse_imports(project.root, command)
            # In turns, so that what else the machine does hits both.
            pairs = [(_cost(project.root, command), _floor(project.root)) for _ in range(_REPEATS)]
            cost, floor = typical([cost for cost, _ in pairs]), typical([floor for _, floor in pairs])
            target = f"<= {times}x the floor" if size <= _TARGET_ROWS else "grows with the rows"
            at_most = times if size <= _TARGET_ROWS else None
            yield Result(f"sluice {' '.join(command)}", size, cost, floor, "python -c pass", at_most, target)


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
