"""Writes a run's pages as Prefect artifacts: summary, gate, freshness, lineage and trend, each under its own key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.gate.first_load import FirstLoad
from flows.prefect.pages.first_loads import first_loads_page
from flows.prefect.pages.freshness import freshness_page
from flows.prefect.pages.gate import gate_page
from flows.prefect.pages.lineage import lineage_page
from flows.prefect.pages.summary import artifact_key, summary_pages
from flows.prefect.pages.trend import RunTimes, trend_page, trend_rows
from flows.prefect.reporting.phases import PhaseClock
from flows.reports.freshness import measure_freshness
from flows.run.model import OutcomeStatus, RunPlan, RunSummary, TargetOutcome, headline
from flows.server.api import patiently

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore
    from metadata_sync.rows.model import ControlRows

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 10.0
"""How long a page is tried again while the server is busy."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A run that has ended, with its durations.

    Attributes:
        plan: What was decided.
        summary: What the run did.
        phases: The phases of dbt.
        queue_seconds: From the scheduled time to the start.
        gate_seconds: Sync and gate; None when the caller did both before the flow started.
    """

    plan: RunPlan
    summary: RunSummary
    phases: PhaseClock
    queue_seconds: float
    gate_seconds: float | None


def write_pages(executed: Executed, store: ControlStore) -> None:
    """Write every page of a run, each by itself. An error of the server is logged and does not fail the run."""
    summary, pages = executed.summary, _Pages(executed.summary.run_id)
    for pipeline_id, page in summary_pages(summary):
        description = f"What the last run of {pipeline_id} did."
        pages.write(partial(_write, artifact_key(pipeline_id), page, description))
    shown = list(_shown(summary))
    if shown:
        _write_details(executed, store, shown, pages)


class _Pages:
    """Writes pages, each by itself: tried again while the server is busy, and given up when it does not answer.

    Args:
        run_id: The run, for the log.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._is_hopeless = False

    def write(self, page: Callable[[], object]) -> None:
        """Write one page; once the server does not answer at all, no other one is tried."""
        if self._is_hopeless:
            return
        try:
            patiently(page, _BUSY_SECONDS)
        except httpx.HTTPError as error:
            self._is_hopeless = not isinstance(error, httpx.HTTPStatusError)
            log.warning("run_page written=false run_id=%s error=%r", self._run_id, error)


class FirstLoadPages:
    """The pages on first loads in chunks, one per pipeline, written again after each chunk.

    Args:
        plan: The run's plan.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._pipelines = {str(row.name): row.pipeline_id for row in plan.selected}
        self._first_loads = dict(plan.first_loads)

    def show(self, first: FirstLoad) -> None:
        """Write the page of a first load's pipeline. An error of the server is logged and stops nothing."""
        self._first_loads[first.target] = first
        pipeline_id = self._pipelines[first.target]
        shown = [item for item in self._first_loads.values() if self._pipelines[item.target] == pipeline_id]
        try:
            _write(
                _key("first-loads", pipeline_id),
                first_loads_page(pipeline_id, shown),
                f"How far the first loads of {pipeline_id} are.",
            )
        except httpx.HTTPError as error:
            log.warning("first_loads_page written=false target=%s error=%r", first.target, error)


def _shown(summary: RunSummary) -> Iterator[str]:
    """Yield the pipelines that get pages: those of the request, and those in which something ran or was held."""
    touched = {item.pipeline_id for item in summary.outcomes if item.status is not OutcomeStatus.SKIPPED}
    for pipeline_id in dict.fromkeys(item.pipeline_id for item in summary.outcomes):
        if pipeline_id in touched or pipeline_id in summary.request.pipelines:
            yield pipeline_id


def _write_details(executed: Executed, store: ControlStore, pipelines: list[str], pages: _Pages) -> None:
    now = store.now()
    rows = store.whole(executed.plan.rows)  # a source is read by pipelines that did not run
    freshness = measure_freshness(rows, store.latest_loads(), store.last_decisions(), now)
    with get_client(sync_client=True) as client:
        for pipeline_id in pipelines:
            outcomes = [item for item in executed.summary.outcomes if item.pipeline_id == pipeline_id]
            gate = gate_page(pipeline_id, [item.decision for item in outcomes])
            about_gate = f"The gate's decisions on {pipeline_id}, and why."
            pages.write(partial(_write, _key("gate-decisions", pipeline_id), gate, about_gate))
            page = freshness_page(pipeline_id, [item for item in freshness if pipeline_id in item.pipeline_ids], now)
            about_age = f"How old the tables of {pipeline_id} are."
            pages.write(partial(_write, _key("freshness", pipeline_id), page, about_age))
            pages.write(partial(_write_lineage, client, rows, pipeline_id))
            if any(item.load_id is not None for item in outcomes):
                pages.write(partial(_write_trend, client, executed, pipeline_id, outcomes))


def _write_lineage(client: SyncPrefectClient, rows: ControlRows, pipeline_id: str) -> None:
    """Write the page when it differs from the last one, so that its history shows changes of the pipeline."""
    key, page = _key("lineage", pipeline_id), lineage_page(rows, pipeline_id)
    if _latest(client, key) != page:
        _write(key, page, f"The sources and the readers of {pipeline_id}.")


def _write_trend(
    client: SyncPrefectClient, executed: Executed, pipeline_id: str, outcomes: list[TargetOutcome]
) -> None:
    """Write the trend: this run, followed by the rows of the last trend."""
    key = _key("run-trend", pipeline_id)
    held = _latest(client, key)
    documents: list[dict[str, Any]] = json.loads(held) if isinstance(held, str) else held or []
    earlier = [times for document in documents if (times := RunTimes.parse(document)) is not None]
    runs = [_times(executed, outcomes), *earlier]
    create_table_artifact(trend_rows(runs), key=key, description=trend_page(pipeline_id, runs))


def _times(executed: Executed, outcomes: list[TargetOutcome]) -> RunTimes:
    summary, phases = executed.summary, executed.phases
    return RunTimes(
        run_id=summary.run_id,
        when=f"{summary.started_at:%Y-%m-%d %H:%M:%S}",
        outcome=headline(outcomes),
        queue=executed.queue_seconds,
        gate=executed.gate_seconds,
        compile=phases.compile_seconds,
        execute=phases.execute_seconds,
        commit=phases.commit_seconds,
        rows=sum(item.rows.written for item in outcomes if item.rows is not None),
    )


def _latest(client: SyncPrefectClient, key: str) -> Any:
    found = client.request("POST", "/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return found[0]["data"] if found else None


def _write(key: str, page: str, description: str) -> None:
    create_markdown_artifact(page, key=key, description=description)


def _key(kind: str, pipeline_id: str) -> str:
    return f"{kind}-{pipeline_id.replace('_', '-')}"
