"""The outcome of a target, from dbt's results and the warehouse's load log, and its entry in the control database.

If both differ, the load log decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Action, Decision, Reason, evidence_document
from flows.run.error_text import cause_of
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.database.journals.entries import DecisionEntry, LoadEntry, LoadStatus
from metadata_sync.loads import ClusterCost
from metadata_sync.redact import safe_text

if TYPE_CHECKING:
    from flows.errors.classify import Rule, Verdict
    from flows.warehouse.load_log import LoggedLoad
    from metadata_sync.database import ControlStore

_SHOWN_TESTS: Final = 3
_NOTHING_TO_DO: Final = "SKIP"
"""Start of a materialization's message when it had nothing to do and wrote nothing."""
_FOUND_SOMETHING: Final = "fail"
"""dbt's status of a test that ran and found wrong rows."""


@dataclass(frozen=True, slots=True)
class Build:
    """Result of one dbt command.

    Attributes:
        results: One per node that dbt started or skipped.
        stop: Why dbt stopped before its first node; None when it reached the nodes.
        stopped: Why a target was left out of the dbt command, by target.
    """

    results: Sequence[NodeResult] = ()
    stop: str | None = None
    stopped: Mapping[str, str] = field(default_factory=dict)


def outcome_of(
    decision: Decision,
    model: str,
    build: Build,
    load: LoggedLoad | None,
    *,
    rules: Iterable[Rule],
    before: TargetOutcome | None = None,
) -> TargetOutcome:
    """Return the outcome of a target that dbt was to build.

    Args:
        decision: The gate's decision to run it.
        model: Name of its dbt model.
        build: Result of the dbt command.
        load: This run's load of the target in the load log; None when there is none.
        rules: Classify the failure.
        before: Outcome of the previous try in this run. If that try loaded the target, only its tests ran now.

    Returns:
        LOADED when the load log holds the load and no test failed; UNCHANGED when dbt reports that there was nothing to
        load; else FAILED, also when dbt reports a load that the load log does not hold.
    """
    node = _node(model, build)
    error = build.stopped.get(decision.target) or complaint_of(
        model, build, is_test_only=before is not None and before.load_id is not None
    )
    if load is None and not error and node is not None:
        error = unlogged(decision.target, node)
    status = OutcomeStatus.LOADED if load is not None else OutcomeStatus.UNCHANGED
    outcome = TargetOutcome(
        target=decision.target,
        pipeline_id=decision.pipeline_id,
        decision=decision,
        status=OutcomeStatus.FAILED if error else status,
        seconds=node.seconds if node else before.seconds if before else None,
        started_at=node.started_at if node else None,
        finished_at=node.finished_at if node else None,
        error=safe_text(cause_of(error)) if error else None,
        verdict=_verdict_on(error, rules) if error else None,
        attempts=before.attempts + 1 if before else 1,
        is_shared=build.stop is not None or (bool(error) and error == _failed_hook(build)),
    )
    return outcome if load is None else with_load(outcome, load)


def unlogged(target: str, node: NodeResult) -> str | None:
    """Return an error if dbt reports a load that the load log does not hold; None if dbt reports a skip.

    Args:
        target: Its name, `schema.table`.
        node: dbt's result of its model.
    """
    if node.has_failed or node.message.startswith(_NOTHING_TO_DO):
        return None
    return (
        f"dbt says that {target} was loaded ({node.message or node.status}), and the load log holds no row of it: "
        "the rows are lost, or stand there without their watermark. Leave `retries` at 0 in profiles.yml and the log "
        "row in the load's own statement; then run it again."
    )


def outcome_without_run(decision: Decision, rules: Iterable[Rule]) -> TargetOutcome:
    """Return the outcome of a target that dbt does not build.

    Args:
        decision: The gate's final decision to skip or hold it.
        rules: Classify the failure when its row or SELECT is at fault. Such a failure is always hard.

    Returns:
        FAILED when its row or SELECT is at fault; else HELD or SKIPPED.
    """
    target, pipeline_id = decision.target, decision.pipeline_id
    if decision.reason is Reason.ROW_AT_FAULT:
        from flows.errors.classify import FailureClass, Verdict

        error = safe_text(decision.message)
        verdict = _verdict_on(error, rules)
        if verdict.advice.is_soft:
            verdict = Verdict(FailureClass.SETTINGS, None, None)
        return TargetOutcome(target, pipeline_id, decision, OutcomeStatus.FAILED, error=error, verdict=verdict)
    status = OutcomeStatus.HELD if decision.action is Action.HOLD else OutcomeStatus.SKIPPED
    return TargetOutcome(target, pipeline_id, decision, status)


def _verdict_on(error: str, rules: Iterable[Rule]) -> Verdict:
    from flows.errors.classify import classify, read_facts

    return classify(read_facts(error), rules)


def with_load(outcome: TargetOutcome, load: LoggedLoad) -> TargetOutcome:
    """Return the outcome with the figures of the load log."""
    return replace(
        outcome,
        windows=load.windows,
        load_id=load.load_id,
        rows=load.rows,
        started_at=outcome.started_at or load.started_at,
        finished_at=outcome.finished_at or load.finished_at,
        loaded_at=load.loaded_at,
        rejects=load.rejects,
        definition=load.definition,
        driving_rows=load.driving_rows,
    )


def load_variables(run_id: str, tokens: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment variables that the macros read while they execute.

    Args:
        run_id: Written on every row and log row of the run.
        tokens: Change tokens by source. Unknown tokens are left out; the macros then treat the source as changed.
    """
    return {"SLUICE_RUN_ID": run_id, **tokens_variable(tokens)}


def windows_variable(windows: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[str, str]:
    """Return the variable that gives targets the windows to read, by target and source."""
    return {"SLUICE_WINDOWS": json.dumps(windows)}


def tokens_variable(tokens: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variable that passes the change tokens to the macros."""
    known = {source: token for source, token in sorted(tokens.items()) if token is not None}
    return {"SLUICE_CHANGE_TOKENS": json.dumps(known)}


def complaint_of(model: str, build: Build, *, is_test_only: bool) -> str | None:
    """Return dbt's error on a model; None when dbt reports no error.

    Args:
        model: The model's name.
        build: Result of the dbt command.
        is_test_only: Whether only the data tests of the model ran.
    """
    if build.stop or is_test_only:
        return build.stop or _failed_hook(build) or _failed_tests(model, build)
    node = _node(model, build)
    if node is None or node.is_skipped:
        hint = "dbt did not run the model. Its generated file may be missing: `sluice sync` writes it."
        return _failed_hook(build) or hint
    if node.has_failed:
        return node.message or f"dbt says {node.status}"
    return _failed_tests(model, build)


def _node(model: str, build: Build) -> NodeResult | None:
    return next((item for item in build.results if item.kind == "model" and item.name == model), None)


def _failed_hook(build: Build) -> str | None:
    return next((item.message for item in build.results if item.kind == "operation" and item.has_failed), None)


def _failed_tests(model: str, build: Build) -> str | None:
    """Name the failed data tests of a model. Tests that could not run are named only if no test found wrong rows."""
    failed = [item for item in build.results if item.kind != "model" and item.has_failed and _reads(item, model)]
    if not failed:
        return None
    found = [test for test in failed if test.status == _FOUND_SOMETHING]
    named = found or failed
    what = "failed" if found else "could not be run"
    shown = "; ".join(f"{test.name}: {test.message or test.status}" for test in named[:_SHOWN_TESTS])
    more = len(named) - _SHOWN_TESTS
    return f"loaded, but {len(named)} data test(s) {what}: {shown}" + (f"; and {more} more" if more > 0 else "")


def _reads(test: NodeResult, model: str) -> bool:
    return any(parent.startswith("model.") and parent.rpartition(".")[2] == model for parent in test.parents)


FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """What dbt compiled.

    Attributes:
        sql: The compiled SELECT, by the model's name.
        errors: Why a model cannot be compiled, by its name.
    """

    sql: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeResult:
    """Result of one dbt node.

    Attributes:
        unique_id: dbt's name of the node.
        kind: model, test, unit_test, …
        name: The node's short name; of a generated model `dwh__dim_aircraft`.
        status: dbt's status: success, error, pass, fail, warn, skipped.
        message: Message of dbt or the warehouse.
        seconds: Wall-clock duration.
        started_at: When its SQL began, UTC; None when it did not begin.
        finished_at: When its SQL ended, UTC.
        parents: unique_ids of the nodes that it reads.
    """

    unique_id: str
    kind: str
    name: str
    status: str
    message: str
    seconds: float
    started_at: datetime | None
    finished_at: datetime | None
    parents: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        """Whether dbt counts it as an error."""
        return self.status in FAILED

    @property
    def is_skipped(self) -> bool:
        """Whether dbt skipped it because an earlier node failed."""
        return self.status == "skipped"


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
            driving_rows=outcome.driving_rows,
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
            driving_rows=load.driving_rows,
        )
        for load in loads
        if load.target in pipelines
    ]


def _seconds_between(start: datetime | None, end: datetime | None) -> float:
    return (end - start).total_seconds() if start is not None and end is not None else 0.0
