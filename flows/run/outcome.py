"""How a target fared, told by two witnesses: dbt's results and the warehouse's load log, which has the last word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Action, Decision, Reason
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.warehouse.load_log import LoggedLoad
from metadata_sync.redact import safe_text

if TYPE_CHECKING:
    from flows.errors.classify import Rule, Verdict

_SHOWN_TESTS: Final = 3
_NOTHING_TO_DO: Final = "SKIP"
"""How the message of a materialization begins that had nothing to do and wrote nothing."""
_FOUND_SOMETHING: Final = "fail"
"""dbt's word for a test that ran and found wrong rows."""


@dataclass(frozen=True, slots=True)
class Build:
    """What dbt says of the nodes that it was given together.

    Attributes:
        results: One per node that it took up.
        stop: Why it stopped before its first node; None when it did not.
        stopped: Why a target was not given to it at all, by target.
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
    """Tell how a target fared.

    Args:
        decision: The gate's decision to run it.
        model: Name of its dbt model.
        build: What dbt says.
        load: What the load log holds of this run for the target; None when it holds nothing.
        rules: Say what kind of failure it is.
        before: How it fared when it was tried last in this run; what was loaded then was only tested now.

    Returns:
        LOADED when the log says so and no test failed; UNCHANGED when dbt says that there was nothing to load; else
        FAILED, also when dbt says that it loaded and the log knows nothing of it.
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
        error=safe_text(error) if error else None,
        verdict=_verdict_on(error, rules) if error else None,
        attempts=before.attempts + 1 if before else 1,
        is_shared=build.stop is not None or (bool(error) and error == _failed_hook(build)),
    )
    return outcome if load is None else with_load(outcome, load)


def unlogged(target: str, node: NodeResult) -> str | None:
    """Say that dbt claims a load that the load log does not have; None when it says that it skipped the target.

    Args:
        target: Its name, `schema.table`.
        node: How its model fared.
    """
    if node.has_failed or node.message.startswith(_NOTHING_TO_DO):
        return None
    return (
        f"dbt says that {target} was loaded ({node.message or node.status}), and the load log holds no row of it: "
        "the rows are lost, or stand there without their watermark. Leave `retries` at 0 in profiles.yml and the log "
        "row in the load's own statement; then run it again."
    )


def outcome_without_run(decision: Decision, rules: Iterable[Rule]) -> TargetOutcome:
    """Tell how a target fared that is not given to dbt.

    Args:
        decision: The gate's last word, which is not to run it.
        rules: Say what kind of failure it is when its row or SELECT is at fault; no rule makes that one that heals.

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
    """Return the outcome with what the load log says of it."""
    return replace(
        outcome,
        windows=load.windows,
        load_id=load.load_id,
        rows=load.rows,
        started_at=outcome.started_at or load.started_at,
        finished_at=outcome.finished_at or load.finished_at,
        loaded_at=load.loaded_at,
        rejects=load.rejects,
    )


def load_variables(run_id: str, tokens: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment variables that the macros read while they execute.

    Args:
        run_id: Written on every row and log row of the run.
        tokens: Change tokens by source; unknown ones are left out, which the macros take for changed.
    """
    return {"SLUICE_RUN_ID": run_id, **tokens_variable(tokens)}


def tokens_variable(tokens: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variable that tells the macros the change tokens."""
    known = {source: token for source, token in sorted(tokens.items()) if token is not None}
    return {"SLUICE_CHANGE_TOKENS": json.dumps(known)}


def complaint_of(model: str, build: Build, *, is_test_only: bool) -> str | None:
    """Return what dbt has to complain of a model; None when it is content.

    Args:
        model: The model's name.
        build: What dbt says.
        is_test_only: The model itself was not run, its data tests were.
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
    """Say which data tests of a model failed; those that could not even be asked say so, for that may heal."""
    failed = [item for item in build.results if item.kind != "model" and item.has_failed and _reads(item, model)]
    if not failed:
        return None
    found = [test for test in failed if test.status == _FOUND_SOMETHING]
    told = found or failed
    what = "failed" if found else "could not be run"
    shown = "; ".join(f"{test.name}: {test.message or test.status}" for test in told[:_SHOWN_TESTS])
    more = len(told) - _SHOWN_TESTS
    return f"loaded, but {len(told)} data test(s) {what}: {shown}" + (f"; and {more} more" if more > 0 else "")


def _reads(test: NodeResult, model: str) -> bool:
    return any(parent.startswith("model.") and parent.rpartition(".")[2] == model for parent in test.parents)


FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How one dbt node fared.

    Attributes:
        unique_id: dbt's name of the node.
        kind: model, test, unit_test, …
        name: The node's short name; of a generated model `dwh__dim_aircraft`.
        status: dbt's word: success, error, pass, fail, warn, skipped.
        message: What dbt or the warehouse said.
        seconds: Wall-clock duration.
        started_at: When its SQL began, UTC; None when it never did.
        finished_at: When its SQL ended, UTC.
        parents: unique_ids of what it reads.
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
        """Whether dbt left it out because something before it failed."""
        return self.status == "skipped"
