"""One dbt build in a process of its own, reported to Prefect or not; prints the processor seconds after the imports.

python benchmarks/orchestrated.py bare|flow|tasks FOLDER API_URL
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID


def main() -> None:
    """Build the project the way that was asked for."""
    way, folder, api_url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    os.environ |= {"PREFECT_API_URL": api_url, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    with redirect_stdout(sys.stderr):
        work = {"bare": _bare, "flow": _flow, "tasks": _tasks}[way](folder, api_url)
        began = time.process_time()
        work()
        seconds = time.process_time() - began
    print(seconds, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # DuckDB reports at the end what it did not free


def _bare(folder: Path, _api_url: str) -> Callable[[], Any]:
    from dbt.cli.main import dbtRunner

    return lambda: _build(dbtRunner(), folder)


def _flow(folder: Path, _api_url: str) -> Callable[[], Any]:
    from dbt.cli.main import dbtRunner
    from prefect import flow

    logging.disable(logging.INFO)
    return flow(name="benchmark", persist_result=False)(lambda: _build(dbtRunner(), folder))


def _tasks(folder: Path, api_url: str) -> Callable[[], Any]:
    from dbt.cli.main import dbtRunner
    from prefect import flow
    from prefect.runtime import flow_run

    from flows.prefect.reporting.api import open_report_api
    from flows.prefect.reporting.fallback import ensure_task_runs
    from flows.prefect.reporting.pump import ReportPump
    from flows.prefect.reporting.task_runs import DbtTaskRuns, Node

    logging.disable(logging.INFO)
    nodes = tuple(Node(path.stem, f"main.{path.stem}") for path in sorted((folder / "models").glob("*.sql")))

    def build() -> None:
        pump = ReportPump(partial(open_report_api, api_url))
        runs = DbtTaskRuns(UUID(flow_run.id), pump, nodes)
        _build(dbtRunner(callbacks=[runs.on_event]), folder)
        runs.close(datetime.now(UTC))
        lost = pump.close()
        if lost or ensure_task_runs(runs.reported):
            raise RuntimeError(f"{lost} reports were lost, or made no task runs")

    return flow(name="benchmark", persist_result=False)(build)


def _build(runner: Any, folder: Path) -> None:
    where = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    result = runner.invoke(["run", *where, "--log-level", "none"])
    if not result.success:
        raise RuntimeError(f"dbt failed: {result.exception}")


if __name__ == "__main__":
    main()
