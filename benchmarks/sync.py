"""Sync: a cold one, one with nothing to do, one after a single SELECT changed. Floor: copying the same files.

python benchmarks/sync.py [--sizes 100,1000,5000] [--json]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import Cost, Result, make_project, report, run, sluice, typical

from metadata_sync.project import Project

_REPEATS = 3
_COLD_SECONDS = 10.0
_UNCHANGED_SECONDS = 0.5
_CHANGED_SECONDS = 1.2
_COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


def main() -> None:
    """Measure every size and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="100,1000,5000", help="numbers of transformations")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    results = [result for size in options.sizes.split(",") for result in _measure(int(size))]
    report(results, as_json=options.json)


def _measure(size: int) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), size)
        sluice(project.root, "--help")  # compiles the modules
        cold = _sync(project.root)
        files = _modified(project.generated_dir)
        _expect(sum(path.suffix == ".sql" for path in files) == size, "one model per row")
        floor = typical([_copy(project, number) for number in range(_REPEATS)])
        yield _result("cold", size, cold, floor, _COLD_SECONDS)

        unchanged = typical([_sync(project.root) for _ in range(_REPEATS)])
        _expect(_modified(project.generated_dir) == files, "no file touched")
        yield _result("nothing changed", size, unchanged, floor, _UNCHANGED_SECONDS, files=", 0 files")

        select = project.dbt_dir / "transformations" / "target_00000.sql"
        select.write_text(select.read_text().replace("lower(status)", "upper(status)"))
        changed = _sync(project.root)
        touched = {path.stem for path, time in _modified(project.generated_dir).items() if files.get(path) != time}
        _expect(touched == {"dwh__target_00000"}, "one model touched")
        yield _result("one changed", size, changed, floor, _CHANGED_SECONDS, files=", 1 pair")


def _result(work: str, size: int, cost: Cost, floor: Cost, seconds: float, *, files: str = "") -> Result:
    """Hold a cost to its seconds, and compare it with the floor."""
    words = f"<= {seconds:g} s CPU{files}"
    return Result(f"sync, {work}", size, cost, floor, "copying the files", seconds / floor.cpu_seconds, words)


def _copy(project: Project, number: int) -> Cost:
    copy = project.root / f"copy_{number}"
    cost, _ = run([sys.executable, "-c", _COPY, project.generated_dir, copy], folder=project.root)
    shutil.rmtree(copy)
    return cost


def _sync(folder: Path) -> Cost:
    cost, _ = sluice(folder, "sync", "--json")
    return cost


def _modified(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*") if path.is_file()}


def _expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise RuntimeError(f"the result is wrong: {what} was expected")


if __name__ == "__main__":
    main()
