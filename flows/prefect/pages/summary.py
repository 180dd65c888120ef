"""The run summary in the Prefect UI: one Markdown page per pipeline, with its history under one artifact key.

Pure text from a `RunSummary`; names, messages and bounds are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from flows.run.model import _ALARMING, RunSummary, TargetOutcome, headline
from metadata_sync.loads import total
from metadata_sync.redact import redact_text

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>|#~!])")
_BACKTICKS: Final = re.compile(r"`+")
_HEADERS: Final = ("Target", "Outcome", "Why", "Window", "Rows", "Seconds")
_DASH: Final = "–"


def artifact_key(pipeline_id: str) -> str:
    """Return the artifact key of a pipeline's summaries; Prefect allows lower case and dashes only.

    >>> artifact_key("flights_hourly")
    'run-summary-flights-hourly'
    """
    return "run-summary-" + pipeline_id.replace("_", "-")


def summary_pages(summary: RunSummary) -> Iterator[tuple[str, str]]:
    """Yield (pipeline_id, Markdown) for every pipeline of the run, in the order of the run."""
    for pipeline_id in dict.fromkeys(outcome.pipeline_id for outcome in summary.outcomes):
        outcomes = [outcome for outcome in summary.outcomes if outcome.pipeline_id == pipeline_id]
        yield pipeline_id, _page(pipeline_id, outcomes, summary)


def escape(text: str) -> str:
    r"""Return text on one line, escaped for Markdown and its table cells.

    >>> print(escape("a|b *c*"))
    a\|b \*c\*
    """
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _page(pipeline_id: str, outcomes: Sequence[TargetOutcome], summary: RunSummary) -> str:
    seconds = (summary.finished_at - summary.started_at).total_seconds()
    cost = total(outcome.cluster for outcome in outcomes)
    facts = (
        f"{summary.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"{seconds:.1f} s",
        f"asked by {summary.request.requested_by}",
        f"run {summary.run_id}",
        *([str(cost)] if cost else []),
    )
    lines = [f"## {escape(pipeline_id)}: {escape(headline(outcomes))}", "", escape(" · ".join(facts)), ""]
    lines += [_row(_HEADERS), _row(["---", "---", "---", "---", "---", "---:"])]
    lines += [_row(_cells(outcome)) for outcome in outcomes]
    lines += _notes(outcomes)
    lines += _failures(outcomes)
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(outcome: TargetOutcome) -> tuple[str, ...]:
    return (
        escape(outcome.target),
        f"**{outcome.status}**" if outcome.status in _ALARMING else str(outcome.status),
        escape(outcome.decision.message),
        "<br>".join(escape(str(window)) for window in outcome.windows) or _DASH,
        _DASH if outcome.rows is None else str(outcome.rows),
        _DASH if outcome.seconds is None else f"{outcome.seconds:.1f}",
    )


def _notes(outcomes: Sequence[TargetOutcome]) -> Iterator[str]:
    for outcome in outcomes:
        for note in outcome.notes:
            yield from ("", f"**{escape(outcome.target)}**: {escape(redact_text(note))}")


def _failures(outcomes: Sequence[TargetOutcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.error:
            error = redact_text(outcome.error.strip())
            longest = max((len(run) for run in _BACKTICKS.findall(error)), default=0)
            fence = "`" * max(3, longest + 1)
            yield from ("", f"### {escape(outcome.target)}", "", fence, error, fence)
