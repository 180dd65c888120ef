"""How a target fared, told by two witnesses: dbt's results and the warehouse's load log, which has the last word."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from flows.dbt_runner import NodeResult
from flows.facts import Decision
from flows.runs import OutcomeStatus, TargetOutcome
from flows.state import LoggedLoad

_SHOWN_TESTS: Final = 3


def outcome_of(
    decision: Decision, model: str, results: Sequence[NodeResult], load: LoggedLoad | None, stop: str | None
) -> TargetOutcome:
    """Tell how a target fared.

    Args:
        decision: The gate's decision to run it.
        model: Name of its dbt model.
        results: What dbt says of the wave's nodes.
        load: What the load log holds of this run for the target; None when it holds nothing.
        stop: Why dbt stopped before its first node; None when it did not.

    Returns:
        LOADED when the log says so and no test failed; UNCHANGED when dbt is content and logged nothing; else FAILED.
    """
    node = next((item for item in results if item.kind == "model" and item.name == model), None)
    error = stop or _complaint(node, results)
    status = OutcomeStatus.LOADED if load is not None else OutcomeStatus.UNCHANGED
    outcome = TargetOutcome(
        target=decision.target,
        pipeline_id=decision.pipeline_id,
        decision=decision,
        status=OutcomeStatus.FAILED if error else status,
        seconds=node.seconds if node else None,
        started_at=node.started_at if node else None,
        finished_at=node.finished_at if node else None,
        error=error,
    )
    return outcome if load is None else with_load(outcome, load)


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


def _complaint(node: NodeResult | None, results: Sequence[NodeResult]) -> str | None:
    if node is None or node.is_skipped:
        hook = next((item.message for item in results if item.kind == "operation" and item.has_failed), None)
        return hook or "dbt did not run the model. Its generated file may be missing: `sluice sync` writes it."
    if node.has_failed:
        return node.message or f"dbt says {node.status}"
    failed = _failed_tests(node, results)
    if not failed:
        return None
    shown = "; ".join(f"{test.name}: {test.message or test.status}" for test in failed[:_SHOWN_TESTS])
    more = len(failed) - _SHOWN_TESTS
    return f"loaded, but {len(failed)} data test(s) failed: {shown}" + (f"; and {more} more" if more > 0 else "")


def _failed_tests(node: NodeResult, results: Sequence[NodeResult]) -> list[NodeResult]:
    return [item for item in results if item.kind != "model" and item.has_failed and node.unique_id in item.parents]
