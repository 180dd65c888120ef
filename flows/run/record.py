"""Records of runs in the control database: every decision with its evidence, a copy of every load's summary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flows.gate.facts import Decision, evidence_document
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.database.journals.entries import DecisionEntry, LoadEntry, LoadStatus
from metadata_sync.loads import ClusterCost

if TYPE_CHECKING:
    from flows.warehouse.load_log import LoggedLoad
    from metadata_sync.database import ControlStore


def record_decisions(store: ControlStore, run_id: str, decisions: Sequence[Decision], decided_at: datetime) -> None:
    """Record final decisions.

    Args:
        store: The control database.
        run_id: The run.
        decisions: Final decisions of the gate, without WAIT.
        decided_at: When the gate decided, UTC.
    """
    store.record_decisions(
        [
            DecisionEntry(
                run_id=run_id,
                decided_at=decided_at,
                pipeline_id=decision.pipeline_id,
                target=decision.target,
                action=decision.action.value,
                reason=decision.reason.value,
                message=decision.message,
                evidence=evidence_document(decision),
            )
            for decision in decisions
        ]
    )


def load_entries(
    run_id: str, outcomes: Sequence[TargetOutcome], now: datetime, correct: Callable[[datetime], datetime]
) -> list[LoadEntry]:
    """Return the run log's entries for targets that dbt built.

    Args:
        run_id: The run.
        outcomes: Outcomes of the targets.
        now: Replaces a time that dbt did not report, UTC.
        correct: Converts a time of this machine's clock to the clock of the control database.
    """
    statuses = {OutcomeStatus.LOADED: LoadStatus.SUCCESS, OutcomeStatus.FAILED: LoadStatus.ERROR}
    return [
        LoadEntry(
            run_id=run_id,
            pipeline_id=outcome.pipeline_id,
            target=outcome.target,
            load_id=outcome.load_id,
            status=statuses.get(outcome.status, LoadStatus.SKIPPED),
            started_at=correct(outcome.started_at) if outcome.started_at else now,
            finished_at=correct(outcome.finished_at) if outcome.finished_at else now,
            seconds=outcome.seconds or 0.0,
            rows=outcome.rows,
            windows=outcome.windows,
            loaded_at=outcome.loaded_at,
            error_message=outcome.error,
            cluster=outcome.cluster,
            rejects=outcome.rejects,
            definition=outcome.definition,
        )
        for outcome in outcomes
    ]


def adopted_entries(
    loads: Collection[LoggedLoad],
    pipelines: Mapping[str, str],
    now: datetime,
    costs: Mapping[str, ClusterCost] = {},
) -> list[LoadEntry]:
    """Return the run log's entries for loads that no run recorded: of a killed run, a manual dbt command, a backfill.

    Args:
        loads: The loads in the load log.
        pipelines: Target → its pipeline; loads of other targets are left out.
        now: Replaces a time that is missing from the load log, UTC.
        costs: Cost of Spark, by target.
    """
    return [
        LoadEntry(
            run_id=load.run_id,
            pipeline_id=pipelines[load.target],
            target=load.target,
            load_id=load.load_id,
            status=LoadStatus.SUCCESS,
            started_at=load.started_at or now,
            finished_at=load.finished_at or now,
            seconds=_seconds_between(load.started_at, load.finished_at),
            rows=load.rows,
            windows=load.windows,
            loaded_at=load.loaded_at,
            cluster=costs.get(load.target),
            rejects=load.rejects,
            definition=load.definition,
        )
        for load in loads
        if load.target in pipelines
    ]


def _seconds_between(start: datetime | None, end: datetime | None) -> float:
    return (end - start).total_seconds() if start is not None and end is not None else 0.0
