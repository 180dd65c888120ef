"""A throw-away dbt project whose nodes fare in every way, and a bridge from it to a flow run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from flows.prefect.reporting.api import open_report_api
from flows.prefect.reporting.pump import ReportPump
from flows.prefect.reporting.task_runs import DbtTaskRuns, Node

MODELS = {
    "stg": "select 1 as id",
    "fct": "select id from {{ ref('stg') }}",
    "bad": "select nope from {{ ref('stg') }}",
    "after_bad": "select * from {{ ref('bad') }}",
    "inlined": "{{ config(materialized='ephemeral') }} select 1 as id",
    # Fails in the first invocation, when the table is not there yet, and works in the second.
    "flaky": "{{ config(materialized='table') }} select * from late",
}
NODES = (
    Node("stg", "dwh.stg", ("pipeline:shop",)),
    Node("fct", "dwh.fct", ("pipeline:shop",), ("stg", "unknown")),
    Node("bad", "dwh.bad", (), ("stg",)),
    Node("after_bad", "dwh.after_bad", (), ("bad",)),
    Node("flaky", "dwh.flaky"),
)
COUNTRIES = "code,name\nde,Germany\nid,Indonesia\n"


def write_shop(folder: Path) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "seeds").mkdir()
    (folder / "dbt_project.yml").write_text(
        "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false, use_colors: true}\n"
    )
    profile = f"{{type: duckdb, path: '{folder / 'shop.duckdb'}', threads: 2}}"
    (folder / "profiles.yml").write_text(f"shop: {{target: dev, outputs: {{dev: {profile}}}}}\n")
    for name, select in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(select)
    (folder / "seeds" / "countries.csv").write_text(COUNTRIES)
    return folder


@contextmanager
def bridged(api_url: str, flow_run_id: str) -> Iterator[DbtTaskRuns]:
    """Open a bridge that reports to a flow run, and close it with nothing lost."""
    pump = ReportPump(partial(open_report_api, api_url))
    runs = DbtTaskRuns(UUID(flow_run_id), pump, NODES)
    yield runs
    runs.close(datetime.now(UTC))
    assert pump.close() == 0


def build(folder: Path, runs: DbtTaskRuns, *select: str) -> dict[str, str]:
    """Run `dbt build` in this process; return the status by node."""
    from dbt.artifacts.schemas.run import RunExecutionResult
    from dbt.cli.main import dbtRunner

    arguments = ["build", "--project-dir", str(folder), "--profiles-dir", str(folder), "--log-level", "none"]
    arguments += ["--select", *select] if select else []
    before = Path.cwd()
    try:
        result = dbtRunner(callbacks=[runs.on_event]).invoke(arguments)
    finally:
        os.chdir(before)
    assert isinstance(result.result, RunExecutionResult)
    return {item.node.name: str(item.status) for item in result.result.results}
