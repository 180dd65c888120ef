"""Plans and summaries of runs, as tables for people and as JSON documents for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from flows.cli.output.console import out, print_table
from flows.gate.facts import Action, Decision, DefinitionChange, EngineChoice, Reason, SourceEvidence, SourceMode
from flows.run.model import headline
from metadata_sync.loads import ClusterCost, to_second
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.gate.first_load import FirstLoad
    from flows.run.model import RunPlan, RunSummary, TargetOutcome

_CELL_WIDTH: Final = 70
_TOKEN_LENGTH: Final = 12
_EXPLAINED_BY_EVIDENCE: Final = frozenset(
    {
        *(Reason.FIRST_LOAD, Reason.NEW_ROWS, Reason.SOURCE_CHANGED, Reason.UPSTREAM_LOADED),
        *(Reason.NOTHING_NEW, Reason.SOURCE_EMPTY),
    }
)


def print_decisions(title: str, decisions: Sequence[Decision]) -> None:
    """Print decisions with the evidence of every source: up to where it was read, and what it holds now."""
    rows = [
        (
            decision.target,
            decision.action,
            decision.choice and decision.choice.engine,
            _lines(item.source for item in decision.evidence),
            _lines(_bound(item, item.watermark) for item in decision.evidence),
            _lines(_bound(item, item.newest) for item in decision.evidence),
            _why(decision),
        )
        for decision in decisions
    ]
    print_table(title, ("Target", "Decision", "Engine", "Source", "Read up to", "Holds up to", "Why"), rows)
    _print_details((item.target, item.message) for item in decisions if not _is_explained_by_evidence(item))
    print_notes((item.target, [item.definition_change.sentence]) for item in decisions if item.definition_change)
    _print_details(
        (item.target, _engine_sentence(item.choice))
        for item in decisions
        if item.choice is not None and _is_noteworthy(item.choice)
    )


def print_summary(summary: RunSummary) -> None:
    """Print what a run did, one line per target."""
    rows = [
        (
            outcome.target,
            outcome.status,
            _lines(str(window) for window in outcome.windows),
            outcome.rows,
            None if outcome.seconds is None else f"{outcome.seconds:.1f}",
            _why(outcome.decision) if outcome.error is None else _short(outcome.error, "failed"),
        )
        for outcome in summary.outcomes
    ]
    title = f"Run {summary.run_id}: {headline(summary.outcomes)}"
    print_table(title, ("Target", "Outcome", "Window", "Rows", "Seconds", "Why"), rows)
    if summary.cluster is not None:
        out.print(f"Spark took {summary.cluster}.", highlight=False)
    _print_details(
        (outcome.target, outcome.error or outcome.decision.message)
        for outcome in summary.outcomes
        if outcome.error is not None or not _is_explained_by_evidence(outcome.decision)
    )
    print_notes((outcome.target, outcome.notes) for outcome in summary.outcomes)


def print_notes(found: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Print what somebody should look at, by target."""
    for target, notes in found:
        for note in notes:
            out.print(f"! {target}: {note}", highlight=False, markup=False, soft_wrap=True)


def _engine_sentence(choice: EngineChoice) -> str:
    return f"engine {choice.engine}: {choice.message}" + (f" ({choice.basis})" if choice.basis else "")


def _is_noteworthy(choice: EngineChoice) -> bool:
    """Tell whether Spark was chosen or considered; the warehouse without an alternative gets no line."""
    return choice.engine is Engine.SPARK or choice.threshold_bytes is not None


def short_bound(mode: SourceMode, bound: str) -> str:
    """Return a bound to the second, or the first characters of a change token."""
    return f"{bound[:_TOKEN_LENGTH]}…" if mode is SourceMode.TOKEN else to_second(bound)


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return a decision, JSON-ready."""
    return {
        "target": decision.target,
        "pipeline_id": decision.pipeline_id,
        "decision": decision.action.value,
        "reason": decision.reason.value,
        "message": decision.message,
        "evidence": [asdict(item) for item in decision.evidence],
        "engine": asdict(decision.choice) if decision.choice else None,
        "definition_change": change_document(decision.definition_change),
    }


def change_document(change: DefinitionChange | None) -> dict[str, Any] | None:
    """Return which rows of a target follow an older SELECT, JSON-ready."""
    if change is None:
        return None
    return {
        "is_loaded": change.is_loaded,
        "since": change.since.isoformat() if change.since else None,
        "event_count": change.event_count,
        "older_count": change.older_count,
        "message": change.sentence,
    }


def plan_document(plan: RunPlan) -> dict[str, Any]:
    """Return what a run would do, JSON-ready."""
    return {
        "planned_at": plan.planned_at.isoformat(),
        "is_due": plan.is_due,
        "targets": [{**decision_document(item), "windows": expected_windows(item)} for item in plan.decisions],
        "orphans": [decision_document(item) for item in plan.orphans],
        "first_loads": [first_load_document(first) for first in plan.first_loads.values()],
    }


def first_load_document(first: FirstLoad) -> dict[str, Any]:
    """Return how far a first load in chunks is, JSON-ready."""
    return {
        "target": first.target,
        "order": first.order.value,
        "row_count": first.row_count,
        "chunk_count": len(first.chunks),
        "done": first.done,
        "minutes_left": first.minutes_left,
        "history": first.history,
        "chunks": [asdict(chunk) for chunk in first.chunks],
    }


def summary_document(summary: RunSummary) -> dict[str, Any]:
    """Return what a run did, JSON-ready."""
    return {
        "run_id": summary.run_id,
        "started_at": summary.started_at.isoformat(),
        "finished_at": summary.finished_at.isoformat(),
        "has_failed": summary.has_failed,
        "cluster": cost_document(summary.cluster),
        "targets": [_outcome_document(outcome) for outcome in summary.outcomes],
        "orphans": [decision_document(item) for item in summary.orphans],
    }


def expected_windows(decision: Decision) -> list[dict[str, str | None]]:
    """Return what a run would read of each source now, before any lookback is subtracted."""
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
        "rows": asdict(outcome.rows) if outcome.rows else None,
        "seconds": outcome.seconds,
        "load_id": outcome.load_id,
        "loaded_at": outcome.loaded_at.isoformat() if outcome.loaded_at else None,
        "cluster": cost_document(outcome.cluster),
        "rejects": asdict(outcome.rejects) if outcome.rejects else None,
        "driving_rows": asdict(outcome.driving_rows) if outcome.driving_rows else None,
        "definition_change": change_document(outcome.definition_change),
        "error": outcome.error,
    }


def cost_document(cost: ClusterCost | None) -> dict[str, Any] | None:
    """Return the cost of a cluster, JSON-ready."""
    if cost is None:
        return None
    as_of = cost.prices_as_of.isoformat() if cost.prices_as_of else None
    return {"seconds": cost.seconds, "usd": cost.usd, "prices_as_of": as_of}


def _why(decision: Decision) -> str:
    """Return the reason in few words when the evidence in the same table explains it, otherwise the message."""
    in_words = decision.reason.value.replace("_", " ")
    return in_words if _is_explained_by_evidence(decision) else _short(decision.message, in_words)


def _is_explained_by_evidence(decision: Decision) -> bool:
    return bool(decision.evidence) and decision.reason in _EXPLAINED_BY_EVIDENCE and not decision.is_large


def _short(message: str, instead: str) -> str:
    return message if _fits(message) else f"{instead}, see below"


def _fits(message: str) -> bool:
    return len(message) <= _CELL_WIDTH and "\n" not in message


def _print_details(messages: Iterable[tuple[str, str]]) -> None:
    """Print the messages that are too long for a table."""
    for target, message in messages:
        if not _fits(message):
            out.print(f"{target}: {message}", highlight=False, markup=False)


def _bound(evidence: SourceEvidence, bound: str | None) -> str:
    return "–" if bound is None else short_bound(evidence.mode, bound)


def _lines(parts: Iterable[str]) -> str | None:
    return "\n".join(parts) or None
