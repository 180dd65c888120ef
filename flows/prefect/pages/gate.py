"""The page on the gate: its decision on each target of a pipeline, with the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flows.gate.facts import Decision, SourceEvidence, SourceMode
from flows.prefect.pages.markdown import table
from flows.prefect.pages.summary import escape
from metadata_sync.loads import to_second

_HEADERS: Final = ("Target", "Decision", "Why", "Source", "New", "Read up to", "Holds up to", "In the future")
_TOKEN_LENGTH: Final = 12


def gate_page(pipeline_id: str, decisions: Sequence[Decision]) -> str:
    """Return the page.

    Args:
        pipeline_id: The pipeline.
        decisions: The gate's last decision on each of its targets.
    """
    counts: dict[str, int] = {}
    for decision in decisions:
        counts[decision.action] = counts.get(decision.action, 0) + 1
    summary = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
    lines = [f"## {escape(pipeline_id)}: {summary or 'no targets'}", ""]
    lines += table(_HEADERS, (_row(decision) for decision in decisions))
    lines += ["", "`sluice why <target> --at <time>` shows earlier decisions."]
    return "\n".join(lines) + "\n"


def _row(decision: Decision) -> tuple[object, ...]:
    sources = decision.evidence
    return (
        decision.target,
        decision.action,
        decision.message,
        tuple(item.source for item in sources),
        tuple("yes" if item.is_new else "no" for item in sources),
        tuple(_bound(item, item.watermark) for item in sources),
        tuple(_bound(item, item.newest) for item in sources),
        tuple(item.future_count or None for item in sources),
    )


def _bound(item: SourceEvidence, bound: str | None) -> str | None:
    if bound is None:
        return None
    return f"{bound[:_TOKEN_LENGTH]}…" if item.mode is SourceMode.TOKEN else to_second(bound)
