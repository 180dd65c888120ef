"""What every benchmark shares: run a process and see what it cost, and print what was found beside its target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from measures import Measure, print_measures

from metadata_sync.project import Project


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost: seconds by the clock and of the processor, and its largest resident memory in MiB."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a benchmark.

    Attributes:
        work: What was done.
        size: To how many rows.
        cost: What it cost.
        floor: What the least that could do the same cost, or a peer, in the same run.
        beside: What that is.
        at_most: How many times its cost may be the floor's; None: there is no target.
        target: What is to be reached, in words.
        by_clock: Whether seconds by the clock are compared, not those of the processor.
    """

    work: str
    size: int
    cost: Cost
    floor: Cost
    beside: str
    at_most: float | None
    target: str
    by_clock: bool = False

    @property
    def measure(self) -> Measure:
        """Return it in the format of all benchmarks."""
        unit = "wall s" if self.by_clock else "CPU s"
        value, floor = (
            (self.cost.wall_seconds, self.floor.wall_seconds)
            if self.by_clock
            else (self.cost.cpu_seconds, self.floor.cpu_seconds)
        )
        return Measure(f"{self.work}, {self.size:,} rows", unit, value, self.beside, floor, self.at_most)


def run(command: Sequence[str | Path], *, folder: Path, exit_code: int = 0) -> tuple[Cost, str]:
    """Run a process to its end.

    Args:
        command: Program and arguments.
        folder: Where it is started.
        exit_code: How it is expected to end.

    Returns:
        Its cost, and what it wrote to stdout.

    Raises:
        RuntimeError: When it ends otherwise.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the commands are ours
        [str(part) for part in command], cwd=folder, env=environ, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    output = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != exit_code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {output}")
    kib = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Cost(wall, usage.ru_utime + usage.ru_stime, kib / 1024), output


def typical(costs: Sequence[Cost]) -> Cost:
    """Return the median of each number."""
    return Cost(
        wall_seconds=median(cost.wall_seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_mib=median(cost.peak_mib for cost in costs),
    )


def report(results: Sequence[Result], *, as_json: bool) -> None:
    """Print results: a table for people, or one JSON document."""
    if as_json:
        print_measures([result.measure for result in results])
        return
    headers = ("work", "rows", "wall s", "CPU s", "peak MiB", "floor CPU s", "ratio", "target", "")
    print_table(headers, [_cells(result) for result in results])


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their headers, column under column."""
    table = [headers, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(headers))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(result: Result) -> Sequence[str]:
    cost, floor = result.cost, result.floor
    return (
        result.work,
        f"{result.size:,}",
        f"{cost.wall_seconds:.2f}",
        f"{cost.cpu_seconds:.2f}",
        f"{cost.peak_mib:.0f}",
        f"{floor.cpu_seconds:.2f}",
        f"{result.measure.ratio:.1f}x",
        result.target,
        {None: "", True: "met", False: "missed"}[result.measure.is_met],
    )


def sluice(folder: Path, *arguments: str, exit_code: int = 0) -> tuple[Cost, Mapping[str, object]]:
    """Run a `sluice` command of this interpreter's environment in a project; see `run`."""
    program = Path(sys.executable).with_name("sluice")
    cost, output = run([program, *arguments], folder=folder, exit_code=exit_code)
    return cost, json.loads(output) if "--json" in arguments else {}


def make_project(folder: Path, size: int) -> Project:
    """Create a project of so many transformations, in a process of its own.

    A child's peak memory begins at that of its parent, so a benchmark must stay small itself.
    """
    project = Project(folder.resolve() / "project")
    run([sys.executable, Path(__file__).with_name("workload.py"), project.root, str(size)], folder=folder)
    return project
