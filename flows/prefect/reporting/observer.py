"""The observers of a flow run: they report decisions, waves, clusters and outcomes to Prefect."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from flows.gate.facts import Action, Decision, Reason
from flows.prefect.reporting.events import BLOCKED, COMPLETED, FAILED, HELD, NOT_DUE, TaskState
from flows.prefect.reporting.task_runs import DbtTaskRuns, Node
from flows.run.model import (
    OutcomeStatus,
    Retry,
    RunObserver,
    RunPlan,
    RunSummary,
    SparkMove,
    SparkState,
    TargetOutcome,
    Wave,
)
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName

GATE: Final = Node("step gate", "gate", ("step",))
"""The gate as a task run; dbt's names hold no blanks, so no model has the same key."""
_BLOCKED_BY_UPSTREAM: Final = frozenset({Reason.UPSTREAM_FAILED, Reason.UPSTREAM_HELD, Reason.UPSTREAM_OFF})
_HEALTHY: Final = frozenset({SparkState.STARTED, SparkState.DONE})


class PrefectObserver:
    """The engine's `RunObserver` inside a flow run.

    Args:
        plan: The run; its rows give the task runs their names and edges.
        task_runs: The flow run's task runs.
        now: The clock, UTC.
        announce: Called with the outcomes of each wave, to start the readers of its targets.
    """

    def __init__(
        self,
        plan: RunPlan,
        task_runs: DbtTaskRuns,
        now: Callable[[], datetime],
        announce: Callable[[Sequence[TargetOutcome]], None] = lambda _: None,
    ) -> None:
        self._announce = announce
        self._task_runs = task_runs
        self._now = now
        self._decided_at: dict[str, datetime] = {}
        task_runs.expect(nodes_of(plan.selected))

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """The callback that turns dbt's nodes into task runs."""
        return [self._task_runs.on_event]

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Log each decision with its reason, in the gate's task run."""
        now = self._now()
        for decision in decisions:
            self._decided_at[decision.target] = now
            level = logging.WARNING if decision.action is Action.HOLD else logging.INFO
            self._task_runs.say(GATE.key, now, f"{decision.target}: {decision.action}, {decision.message}", level)
        self._task_runs.end(GATE.key, COMPLETED, now, _count_text(decisions))

    def wave_started(self, wave: Wave) -> None:
        """Log what dbt will build."""
        self._task_runs.say(None, self._now(), f"Wave {wave.number}: dbt builds {', '.join(wave.targets)}")

    def say(self, sentence: str) -> None:
        """Log a sentence."""
        self._task_runs.say(None, self._now(), sentence)

    def spark_changed(self, move: SparkMove) -> None:
        """Show clusters and steps as task runs: a step waits for its cluster, a model for its step."""
        runs, key = self._task_runs, move.key
        runs.expect([Node(key, move.name, ("spark",), move.needs)])
        if move.feeds is not None:
            runs.link(TableName.parse(move.feeds).model_name, key)
        if move.state is SparkState.STARTED or move.began_at is not None:
            runs.start(key, move.began_at or move.at)
        if move.state is SparkState.WAITS:
            runs.await_retry(key, move.at, move.message)
        elif move.state is not SparkState.STARTED:
            runs.end(key, COMPLETED if move.state is SparkState.DONE else FAILED, move.at, move.message)
        if move.message:
            runs.say(key, move.at, move.message, logging.INFO if move.state in _HEALTHY else logging.WARNING)

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Log the outcome of each target, and fail the task runs whose data tests failed after the load."""
        for outcome in outcomes:
            key = TableName.parse(outcome.target).model_name
            if outcome.status is OutcomeStatus.FAILED:
                self._task_runs.fail(key, self._now(), outcome.error or "Failed.")
            else:
                self._task_runs.complete(key, self._now())
                self._task_runs.say(key, self._now(), _outcome_line(outcome))
        self._announce(outcomes)

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Show the targets as waiting for a retry, and why."""
        for retry in retries:
            key = TableName.parse(retry.target).model_name
            self._task_runs.await_retry(key, self._now(), retry.sentence)
            self._task_runs.say(key, self._now(), retry.sentence, logging.WARNING)

    def finished(self, summary: RunSummary) -> None:
        """Show the targets that did not run as skipped or held, with the gate's reason."""
        for outcome in summary.outcomes:
            key = TableName.parse(outcome.target).model_name
            when = self._decided_at.get(outcome.target, summary.finished_at)
            self._task_runs.finish(key, _state_of(outcome), when, outcome.decision.message)


class Observers:
    """Several observers of one run, called in order."""

    def __init__(self, *observers: RunObserver) -> None:
        self._observers = observers

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """The callbacks of all observers."""
        return [callback for observer in self._observers for callback in observer.dbt_callbacks]

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.decided(decisions)

    def wave_started(self, wave: Wave) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.wave_started(wave)

    def say(self, sentence: str) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.say(sentence)

    def spark_changed(self, move: SparkMove) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.spark_changed(move)

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.loaded(outcomes)

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.retrying(retries)

    def finished(self, summary: RunSummary) -> None:
        """Call each observer."""
        for observer in self._observers:
            observer.finished(summary)


def gate_begins(task_runs: DbtTaskRuns, when: datetime) -> None:
    """Start the gate's task run; it ends with the decisions."""
    task_runs.expect([GATE])
    task_runs.start(GATE.key, when)


def nodes_of(rows: Sequence[TransformationRow]) -> Iterator[Node]:
    """Yield the nodes of the rows' models, as known before dbt runs."""
    keys = {str(row.name): row.name.model_name for row in rows}
    for row in rows:
        yield Node(
            key=row.name.model_name,
            name=str(row.name),
            tags=(f"pipeline:{row.pipeline_id}", f"load_type:{row.load_type}"),
            upstream_keys=tuple(keys[item.table] for item in row.dependencies if item.table in keys),
        )


def _state_of(outcome: TargetOutcome) -> TaskState:
    if outcome.decision.action is Action.HOLD:
        return HELD
    return BLOCKED if outcome.decision.reason in _BLOCKED_BY_UPSTREAM else NOT_DUE


def _count_text(decisions: Sequence[Decision]) -> str:
    counts = Counter(str(decision.action) for decision in decisions)
    return ", ".join(f"{count} {action}" for action, count in sorted(counts.items())) or "nothing to decide"


def _outcome_line(outcome: TargetOutcome) -> str:
    windows = "; ".join(str(window) for window in outcome.windows)
    return " · ".join(part for part in (str(outcome.status), str(outcome.rows or ""), windows) if part)
