"""Plans and summaries of runs, as tables for people and as JSON documents for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from flows.artifacts import headline, rows_text, window_text
from flows.cli.console import print_table
from flows.facts import Action, Decision, SourceEvidence, SourceMode

if TYPE_CHECKING:
    from flows.runs import RunPlan, RunSummary, TargetOutcome

_COUNTS: Final = ("read", "inserted", "updated", "closed", "deleted", "rejected")
_TOKEN_LENGTH: Final = 12


def print_decisions(title: str, decisions: Iterable[Decision]) -> None:
    """Print decisions with the evidence of every source: what was read of it, what it holds now."""
    rows: list[Sequence[object]] = []
    for decision in decisions:
        evidence = decision.evidence
        rows.append(
            (
                decision.target,
                decision.action,
                decision.message,
                _lines(item.source for item in evidence),
                _lines(_bound(item, item.watermark) for item in evidence),
                _lines(_bound(item, item.newest) for item in evidence),
            )
        )
    print_table(title, ("Target", "Decision", "Why", "Source", "Read up to", "Holds up to"), rows)


def print_summary(summary: RunSummary) -> None:
    """Print what a run did, one line per target, and what is held although no row names it."""
    rows = [
        (
            outcome.target,
            outcome.decision.action,
            outcome.status,
            _lines(window_text(window) for window in outcome.windows),
            rows_text(outcome) or None,
            None if outcome.seconds is None else f"{outcome.seconds:.1f}",
            outcome.error or outcome.decision.message,
        )
        for outcome in summary.outcomes
    ]
    print_table(
        f"Run {summary.run_id}: {headline(summary.outcomes)}",
        ("Target", "Decision", "Outcome", "Window", "Rows", "Seconds", "Why"),
        rows,
    )


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return a decision, JSON-ready."""
    return {
        "target": decision.target,
        "pipeline_id": decision.pipeline_id,
        "decision": decision.action.value,
        "reason": decision.reason.value,
        "message": decision.message,
        "evidence": [asdict(item) for item in decision.evidence],
    }


def plan_document(plan: RunPlan) -> dict[str, Any]:
    """Return what a run would do, JSON-ready."""
    return {
        "planned_at": plan.planned_at.isoformat(),
        "is_due": plan.is_due,
        "targets": [{**decision_document(item), "windows": expected_windows(item)} for item in plan.decisions],
        "orphans": [decision_document(item) for item in plan.orphans],
    }


def summary_document(summary: RunSummary) -> dict[str, Any]:
    """Return what a run did, JSON-ready."""
    return {
        "run_id": summary.run_id,
        "started_at": summary.started_at.isoformat(),
        "finished_at": summary.finished_at.isoformat(),
        "has_failed": summary.has_failed,
        "targets": [_outcome_document(outcome) for outcome in summary.outcomes],
        "orphans": [decision_document(item) for item in summary.orphans],
    }


def expected_windows(decision: Decision) -> list[dict[str, str | None]]:
    """Return what a run would read of each source now; a source that lookbacks reach below is read from there."""
    if decision.action is not Action.RUN:
        return []
    return [
        {"source": item.source, "start": item.watermark, "end": item.newest}
        for item in decision.evidence
        if item.mode is not SourceMode.TOKEN
    ]


def _outcome_document(outcome: TargetOutcome) -> dict[str, Any]:
    return {
        **decision_document(outcome.decision),
        "status": outcome.status.value,
        "windows": [asdict(window) for window in outcome.windows],
        "rows": {name: getattr(outcome, f"rows_{name}") for name in _COUNTS},
        "seconds": outcome.seconds,
        "load_id": outcome.load_id,
        "loaded_at": outcome.loaded_at.isoformat() if outcome.loaded_at else None,
        "error": outcome.error,
    }


def _bound(evidence: SourceEvidence, bound: str | None) -> str:
    if bound is None:
        return "–"
    return f"{bound[:_TOKEN_LENGTH]}…" if evidence.mode is SourceMode.TOKEN else bound


def _lines(parts: Iterable[str]) -> str | None:
    return "\n".join(parts) or None
