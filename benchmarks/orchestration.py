"""Orchestration: what Prefect adds to a dbt build, and what it takes to keep deployments in step with rows.

python benchmarks/orchestration.py [--models 20,100] [--deployments 300] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from measures import Measure, print_measures
from measuring import Cost, print_table, run, sluice

from flows.context import Context
from flows.server.local import LocalServer, local_server, start, stop
from metadata_sync.database import Via
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow
from metadata_sync.settings import Settings

_PORT = 4299
_PROFILE = "shop: {{target: dev, outputs: {{dev: {{type: duckdb, path: '{file}', threads: 2}}}}}}\n"
_FLOW_RATIO, _BARE_RATIO = 1.25, 1.5
_UNCHANGED_SECONDS = 5.0
_CHANGED_SHARE = 10


def main() -> None:
    """Measure both, on one server of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", default="20,100", help="numbers of dbt models")
    parser.add_argument("--deployments", type=int, default=300, help="number of pipeline rows; 0: none")
    parser.add_argument("--repeats", type=int, default=3, help="builds of each kind; their median counts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _project(Path(folder)) as (context, server):
        builds = [_task_runs(Path(folder), server, int(count), options.repeats) for count in options.models.split(",")]
        deploys = [*_deploys(context, server, options.deployments)] if options.deployments else []
    if options.json:
        print_measures([*(measure for build in builds for measure in build.measures()), *_deploy_measures(deploys)])
        return
    headers = ("models", "dbt CPU s", "in a flow", "with task runs", "to a flow", "to dbt", "target", "")
    print_table(headers, [build.cells() for build in builds])
    if deploys:
        print()
        headers = ("deploy", "rows", "wall s", "CPU s", "server CPU s", "each s", "target", "")
        print_table(headers, [deploy.cells() for deploy in deploys])


@dataclass(frozen=True, slots=True)
class _Builds:
    """CPU seconds of a dbt build: bare, in a flow, and in a flow with a task run for each model."""

    count: int
    bare: float
    flow: float
    tasks: float

    @property
    def _is_small(self) -> bool:
        return self.count <= 20  # noqa: PLR2004 (where the flow's own cost hides nothing)

    def measures(self) -> Iterator[Measure]:
        """Yield task runs beside both others; small builds are held to the flow, larger ones to dbt."""
        name = f"dbt build with task runs, {self.count} models"
        yield Measure(name, "CPU s", self.tasks, "in a flow", self.flow, _FLOW_RATIO if self._is_small else None)
        yield Measure(name, "CPU s", self.tasks, "dbt alone", self.bare, None if self._is_small else _BARE_RATIO)

    def cells(self) -> Sequence[str]:
        """Return a line for people."""
        target = f"<= {_FLOW_RATIO}x a flow" if self._is_small else f"<= {_BARE_RATIO}x dbt"
        verdict = "met" if all(measure.is_met is not False for measure in self.measures()) else "missed"
        seconds = (f"{self.bare:.2f}", f"{self.flow:.2f}", f"{self.tasks:.2f}")
        ratios = (f"{self.tasks / self.flow:.2f}x", f"{self.tasks / self.bare:.2f}x")
        return (f"{self.count}", *seconds, *ratios, target, verdict)


@contextmanager
def _project(folder: Path) -> Iterator[tuple[Context, LocalServer]]:
    root = folder / "project"
    (root / "dbt_project" / "transformations").mkdir(parents=True)
    (root / "dbt_project" / "dbt_project.yml").write_text("name: sluice\n")
    (root / "profiles.yml").write_text("sluice: {}\n")
    (root / ".env").write_text(f"SLUICE_PREFECT_PORT={_PORT}\n")
    context = Context(Project(root.resolve()), Settings(prefect_port=_PORT), who="benchmark")
    server = local_server(context)
    start(server)
    try:
        yield context, server
    finally:
        context.store.close()
        stop(server)


def _task_runs(folder: Path, server: LocalServer, count: int, repeats: int) -> _Builds:
    """Build so many models bare, in a flow, and with a task run each; the ways take turns, so that load hits all."""
    project = folder / f"models_{count}"
    (project / "models").mkdir(parents=True)
    flags = "flags: {send_anonymous_usage_stats: false}"
    (project / "dbt_project.yml").write_text(f"name: shop\nprofile: shop\n{flags}\n")
    (project / "profiles.yml").write_text(_PROFILE.format(file=project / "shop.duckdb"))
    for number in range(count):
        (project / "models" / f"model_{number:03}.sql").write_text(f"select {number} as id")
    ways = ("bare", "flow", "tasks")
    _build("bare", project, server)  # parses the project
    seconds = {way: list[float]() for way in ways}
    for _ in range(repeats):
        for way in ways:
            seconds[way].append(_build(way, project, server))
    bare, flow, tasks = (median(seconds[way]) for way in ways)
    return _Builds(count, bare, flow, tasks)


def _build(way: str, project: Path, server: LocalServer) -> float:
    script = Path(__file__).with_name("orchestrated.py")
    return float(run([sys.executable, script, way, project, server.api_url], folder=project)[1])


def _deploys(context: Context, server: LocalServer, count: int) -> Iterator[_Deploy]:
    """Let so many rows come, rest, change, go off and go away; each deploy is a process of its own."""
    rows = [_row(number) for number in range(count)]
    some = rows[: count // _CHANGED_SHARE]
    changed = [row.model_copy(update={"schedule": "30 7 * * *"}) for row in some]
    off = [row.model_copy(update={"is_active": False}) for row in changed]
    deploy = partial(_deploy, context, server)
    yield deploy("created", [RowChange(None, row) for row in rows], count)
    yield deploy("unchanged", [], count)
    for work, pairs in (("changed", zip(some, changed, strict=True)), ("paused", zip(changed, off, strict=True))):
        yield deploy(work, [RowChange(*pair) for pair in pairs], len(some))
    yield deploy("removed", [RowChange(row, None) for row in [*off, *rows[len(off) :]]], count)


@dataclass(frozen=True, slots=True)
class _Deploy:
    """What a `sluice deploy` of so many changed rows cost, and the processor seconds that it took of the server."""

    work: str
    count: int
    client: Cost
    server_seconds: float

    def cells(self) -> Sequence[str]:
        """Return a line for people."""
        seconds = (self.client.wall_seconds, self.client.cpu_seconds, self.server_seconds)
        each = f"{self.client.wall_seconds / self.count:.3f}"
        target, verdict = "", ""
        if self.work == "unchanged":
            target = f"<= {_UNCHANGED_SECONDS:.0f} s"
            verdict = "met" if self.client.wall_seconds <= _UNCHANGED_SECONDS else "missed"
        return (self.work, f"{self.count}", *(f"{number:.1f}" for number in seconds), each, target, verdict)


def _deploy_measures(deploys: Sequence[_Deploy]) -> Iterator[Measure]:
    """Yield each deploy beside the one that created everything."""
    if not deploys:
        return
    created, *others = deploys
    seconds = created.client.wall_seconds
    for deploy in others:
        name = f"sluice deploy, {deploy.count} {deploy.work}"
        at_most = _UNCHANGED_SECONDS / seconds if deploy.work == "unchanged" else None
        beside = f"{created.count} created"
        yield Measure(name, "wall s", deploy.client.wall_seconds, beside, seconds, at_most)


def _deploy(context: Context, server: LocalServer, work: str, changes: Sequence[RowChange], count: int) -> _Deploy:
    if changes:
        context.store.write(changes, "benchmark", Via.SET, None)
    before = _cpu_seconds(server)
    cost, _ = sluice(context.project.root, "deploy", "--json")
    return _Deploy(work, count, cost, _cpu_seconds(server) - before)


def _cpu_seconds(server: LocalServer) -> float:
    """Return what the server has used so far, from Linux's /proc."""
    record = server.running()
    assert record is not None, "the server runs"
    fields = Path(f"/proc/{record.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def _row(number: int) -> PipelineRow:
    return PipelineRow.model_validate(
        {
            "pipeline_id": f"p{number:03}",
            "pipeline_name": f"Pipeline {number}",
            "template": "presentation",
            "schedule": "0 6 * * *",
        }
    )


if __name__ == "__main__":
    main()
