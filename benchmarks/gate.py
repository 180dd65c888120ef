"""The gate with nothing new: its probe beside a bare UNION ALL, a run with nothing due beside dbt's two commands.

python benchmarks/gate.py [--warehouses duckdb,postgres] [--sizes 200,1000,5000] [--repeats 5] [--json]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gate_workload import ENVIRONMENT, LAST, LOOKBACK_MINUTES, bare_probe, control_rows, dbt_project, fill, make_project
from measuring import Cost, Result, report, run, sluice, typical
from warehouses import Warehouse, open_warehouse, peak_mib, settle

from flows.gate.decide import Surroundings, decide_targets
from flows.gate.facts import Reason
from flows.gate.probe import Prober, Question
from flows.warehouse.connection import open_warehouse as open_reader
from flows.warehouse.load_log import read_state
from flows.warehouse.profile import Profile, load_profile
from metadata_sync.loads import Watermark
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.settings import load_settings

_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_PROBE_TARGET = 1.5
_DECISIONS_PART, _RUNS_PART = 20, 5
_GROWTH_TARGET = 1.3
_SIZE_OF_CONTEST = 200
"""dbt asks each source by itself: more of them would take minutes, and change nothing."""


def main() -> None:
    """Measure every size on every warehouse and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--warehouses", default="duckdb,postgres", help="where")
    parser.add_argument("--sizes", default="200,1000,5000", help="numbers of sources")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured; the median counts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    results: list[Result] = []
    for name in options.warehouses.split(","):
        with tempfile.TemporaryDirectory() as folder, open_warehouse(name, Path(folder).resolve()) as warehouse:
            for size in options.sizes.split(","):
                results += _measure(Path(folder).resolve(), warehouse, int(size), options.repeats, results)
    report(results, as_json=options.json)


def _measure(folder: Path, warehouse: Warehouse, size: int, repeats: int, before: list[Result]) -> Iterator[Result]:
    rows = control_rows(size)
    project = make_project(folder / f"project_{size}", rows)
    fill(warehouse, rows)
    settle(warehouse)
    os.environ.update(warehouse.environ, SLUICE_ENVIRONMENT=ENVIRONMENT, SLUICE_DBT_TARGET=warehouse.name)
    if "BENCHMARK_DUCKDB" in warehouse.environ:
        os.environ["SLUICE_DUCKDB_PATH"] = warehouse.environ["BENCHMARK_DUCKDB"]
    profile = load_profile(project, load_settings(project))

    floor = typical([_timed(warehouse, lambda: _bare(warehouse, rows)) for _ in range(repeats)])
    probe = typical([_timed(warehouse, lambda: _probe(project, profile, rows)) for _ in range(repeats)])
    words = f"<= {_PROBE_TARGET} x UNION ALL by the clock"
    work = f"gate on {warehouse.name}: probe"
    yield Result(work, size, probe, floor, "UNION ALL", _PROBE_TARGET, words, by_clock=True)

    decision = typical([_timed(warehouse, lambda: _decide(project, profile, rows)) for _ in range(repeats)])
    yield _grown(f"gate on {warehouse.name}: decision", size, decision, floor, before)

    sluice(project.root, "run", "--json")  # writes the models, and notes loads that it has not made itself
    idle = typical([_idle(project) for _ in range(repeats)])
    if size == _SIZE_OF_CONTEST:
        dbt = _dbts_two_commands(folder / "dbt", warehouse, rows)
        for work, cost, part in (("decision", decision, _DECISIONS_PART), ("run, nothing due", idle, _RUNS_PART)):
            words, name = f"<= 1/{part} of dbt's CPU", f"gate on {warehouse.name}: {work}"
            yield Result(name, size, cost, dbt, "dbt source freshness and build", 1 / part, words)
    yield _grown(f"gate on {warehouse.name}: run, nothing due", size, idle, floor, before)


def _bare(warehouse: Warehouse, rows: ControlRows) -> None:
    with warehouse.connected() as execute:
        found = execute(bare_probe([source.name for source in rows.sources]))
    _expect(len(found) == len(rows.sources), "the floor did not find every source")


def _probe(project: Project, profile: Profile, rows: ControlRows) -> None:
    watermark = Watermark(LAST, LOOKBACK_MINUTES + 1)
    reader = open_reader(profile, wait_seconds=10)
    try:
        questions = [Question(source, "landed_at", LOOKBACK_MINUTES, watermark) for source in rows.sources]
        answers = Prober(project, reader, _NOW).ask(questions)
    finally:
        reader.close()
    _expect({answer.newest for answer in answers.values()} == {LAST}, f"wrong answers: {next(iter(answers.values()))}")


def _decide(project: Project, profile: Profile, rows: ControlRows) -> None:
    reader = open_reader(profile, wait_seconds=10)
    try:
        names = [row.name for row in rows.transformations]
        state = read_state(reader, profile, names, names)
        prober = Prober(project, reader, _NOW)
        verdicts = decide_targets(rows.transformations, Surroundings(rows, state), prober, lambda _: None)
    finally:
        reader.close()
    wrong = [item.message for item in verdicts.decisions if item.reason is not Reason.NOTHING_NEW]
    _expect(not wrong, f"something is due: {wrong[:1]}")


def _idle(project: Project) -> Cost:
    cost, found = sluice(project.root, "run", "--json")
    _expect(found["is_due"] is False, "something is due")
    return cost


def _dbts_two_commands(folder: Path, warehouse: Warehouse, rows: ControlRows) -> Cost:
    """Return what dbt takes to find out that nothing is new, its project parsed and its state written before."""
    dbt_project(folder, rows)
    program, target = Path(sys.executable).with_name("dbt"), ("--target", warehouse.name)
    freshness = [program, "--quiet", "source", "freshness", *target]
    run(freshness, folder=folder)
    shutil.copytree(folder / "target", folder / "state")
    look, _ = run(freshness, folder=folder)
    selected = ("--select", "source_status:fresher+", "--state", "state")
    build, _ = run([program, "--quiet", "build", *selected, *target], folder=folder)
    return Cost(
        look.wall_seconds + build.wall_seconds,
        look.cpu_seconds + build.cpu_seconds,
        max(look.peak_mib, build.peak_mib),
    )


def _grown(work: str, size: int, cost: Cost, floor: Cost, before: list[Result]) -> Result:
    """Hold a cost to that of the smallest size, source by source; the smallest size itself has no target."""
    smaller = next((result for result in before if result.work == work), None)
    if smaller is None:
        return Result(work, size, cost, floor, "UNION ALL", None, "the first size")
    words = f"<= {_GROWTH_TARGET} x a source's part at {smaller.size}"
    beside = f"as many parts of {smaller.size} rows"
    return Result(work, size, cost, _times(smaller.cost, size / smaller.size), beside, _GROWTH_TARGET, words)


def _times(cost: Cost, factor: float) -> Cost:
    return Cost(cost.wall_seconds * factor, cost.cpu_seconds * factor, cost.peak_mib)


def _timed(warehouse: Warehouse, work: Callable[[], None]) -> Cost:
    cpu, wall = warehouse.cpu_seconds(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - wall, warehouse.cpu_seconds() - cpu, peak_mib())


def _expect(is_right: bool, trouble: str) -> None:
    if not is_right:
        raise RuntimeError(trouble)


if __name__ == "__main__":
    main()
