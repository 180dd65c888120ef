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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _project(Path(folder)) as (context, server):
        rows = [_task_runs(Path(folder), server, int(count), options.repeats) for count in options.models.split(",")]
        print_table(("models", "dbt CPU s", "in a flow", "with task runs", "to a flow", "to dbt", "target", ""), rows)
        if options.deployments:
            print()
            headers = ("deploy", "rows", "wall s", "CPU s", "server CPU s", "each s", "target", "")
            print_table(headers, [*_deploys(context, server, options.deployments)])


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


def _task_runs(folder: Path, server: LocalServer, count: int, repeats: int) -> Sequence[str]:
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
    is_small = count <= 20  # noqa: PLR2004 (where the flow's own cost hides nothing)
    target = f"<= {_FLOW_RATIO}x a flow" if is_small else f"<= {_BARE_RATIO}x dbt"
    is_met = tasks <= _FLOW_RATIO * flow if is_small else tasks <= _BARE_RATIO * bare
    numbers = (f"{bare:.2f}", f"{flow:.2f}", f"{tasks:.2f}", f"{tasks / flow:.2f}x", f"{tasks / bare:.2f}x")
    return (f"{count}", *numbers, target, "met" if is_met else "missed")


def _build(way: str, project: Path, server: LocalServer) -> float:
    script = Path(__file__).with_name("orchestrated.py")
    return float(run([sys.executable, script, way, project, server.api_url], folder=project)[1])


def _deploys(context: Context, server: LocalServer, count: int) -> Iterator[Sequence[str]]:
    """Let so many rows come, rest, change, go off and go away; each deploy is a process of its own."""
    rows = [_row(number) for number in range(count)]
    some = rows[: count // _CHANGED_SHARE]
    changed = [row.model_copy(update={"schedule": "30 7 * * *"}) for row in some]
    off = [row.model_copy(update={"is_active": False}) for row in changed]
    deploy = partial(_deploy, context, server)
    yield _line("created", count, deploy([RowChange(None, row) for row in rows]))
    unchanged = deploy([])
    verdict = "met" if unchanged.client.wall_seconds <= _UNCHANGED_SECONDS else "missed"
    yield _line("unchanged", count, unchanged, f"<= {_UNCHANGED_SECONDS:.0f} s", verdict)
    for work, pairs in (("changed", zip(some, changed, strict=True)), ("paused", zip(changed, off, strict=True))):
        yield _line(work, len(some), deploy([RowChange(*pair) for pair in pairs]))
    yield _line("removed", count, deploy([RowChange(row, None) for row in [*off, *rows[len(off) :]]]))


@dataclass(frozen=True, slots=True)
class _Deploy:
    """What a `sluice deploy` cost, and the processor seconds that it took of the server."""

    client: Cost
    server_seconds: float


def _deploy(context: Context, server: LocalServer, changes: Sequence[RowChange]) -> _Deploy:
    if changes:
        context.store.write(changes, "benchmark", Via.SET, None)
    before = _cpu_seconds(server)
    cost, _ = sluice(context.project.root, "deploy", "--json")
    return _Deploy(cost, _cpu_seconds(server) - before)


def _cpu_seconds(server: LocalServer) -> float:
    """Return what the server has used so far, from Linux's /proc."""
    record = server.running()
    assert record is not None, "the server runs"
    fields = Path(f"/proc/{record.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def _line(work: str, count: int, cost: _Deploy, target: str = "", verdict: str = "") -> Sequence[str]:
    seconds = (cost.client.wall_seconds, cost.client.cpu_seconds, cost.server_seconds)
    each = cost.client.wall_seconds / count
    return (work, f"{count}", *(f"{number:.1f}" for number in seconds), f"{each:.3f}", target, verdict)


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
