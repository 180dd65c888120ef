"""What a flow run ends as."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.prefect.run_flow import final_state
from flows.run.model import RunRequest, RunSummary

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def test_failed_restatement_fails_the_flow_run_although_every_load_succeeded() -> None:
    summary = RunSummary("r1", RunRequest(), NOON, NOON, ())
    assert final_state(summary).is_completed()

    failed = final_state(summary, failed=["dwh.t was not restated: no sources"])

    assert failed.is_failed()
    assert "dwh.t was not restated" in (failed.message or "")
