"""How long a pipeline's runs take, phase by phase, run after run; what has become slower is flagged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from flows.prefect.pages.markdown import table
from flows.prefect.pages.summary import escape

KEPT_RUNS: Final = 100
"""So many runs stand in a trend."""
ENOUGH_RUNS: Final = 8
"""Fewer earlier runs say nothing about the next one."""
_SLOWER: Final = 1.5
"""Slower than the median by this factor, than nineteen runs of twenty, and by `_SECONDS` at least: a regression."""
_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RunTimes:
    """One run that loaded something.

    Attributes:
        run_id: Identity of the run.
        when: Its beginning, UTC, for people.
        outcome: Its headline.
        queue: Seconds from when it was scheduled or asked for to when it began.
        gate: Seconds of syncing and deciding; None when that was done before the flow began.
        compile: Seconds from the call of dbt to the first model: parsing and compiling.
        execute: Seconds from the first model to the last, data tests included.
        commit: Seconds from dbt's end to the last record of the run.
        rows: Rows written.
    """

    run_id: str
    when: str
    outcome: str
    queue: float
    gate: float | None
    compile: float
    execute: float
    commit: float
    rows: int

    @property
    def total(self) -> float:
        """Seconds from the beginning to the end, without the queue."""
        return (self.gate or 0.0) + self.compile + self.execute + self.commit

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> RunTimes | None:
        """Read a row of the artifact; None when it is not one of this version."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: document[name] for name in names}) if names <= document.keys() else None

    def document(self, *, is_slow: bool) -> dict[str, Any]:
        """Return the row as the artifact shows it."""
        rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return {**rounded, "total": round(self.total, 2), "slower": "slower" if is_slow else ""}


PHASES: Final = ("queue", "gate", "compile", "execute", "commit", "total")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of them do not exceed (nearest rank).

    >>> percentile([3, 1, 2, 4], 50), percentile([3, 1, 2, 4], 95)
    (2, 4)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def regressions(latest: RunTimes, earlier: Sequence[RunTimes]) -> tuple[str, ...]:
    """Return the phases in which a run was conspicuously slower than those before it.

    Args:
        latest: The run.
        earlier: Runs before it.
    """
    if len(earlier) < ENOUGH_RUNS:
        return ()
    return tuple(phase for phase in PHASES if _is_slower(_seconds(latest, phase), _known(earlier, phase)))


def trend_page(pipeline_id: str, runs: Sequence[RunTimes]) -> str:
    """Return what is said above the table of runs: median and 95th percentile of each phase, and what became slower.

    Args:
        pipeline_id: The pipeline.
        runs: Its runs, the newest first.
    """
    latest, earlier = runs[0], runs[1:]
    slow = regressions(latest, earlier)
    verdict = f"slower than usual: {', '.join(slow)}" if slow else "as usual"
    if len(earlier) < ENOUGH_RUNS:
        verdict = f"{len(runs)} runs so far; from {ENOUGH_RUNS + 1} on, slower ones are flagged"
    rows = [
        (
            phase,
            None if _seconds(latest, phase) is None else f"{_seconds(latest, phase):.1f}",
            *(f"{percentile(values, percent):.1f}" if values else None for percent in (50, 95)),
        )
        for phase in PHASES
        for values in [_known(runs, phase)]
    ]
    rows.append(("rows", str(latest.rows), *(f"{percentile([run.rows for run in runs], p):.0f}" for p in (50, 95))))
    headers = ("Seconds", "This run", "p50", "p95")
    lines = [f"**{escape(pipeline_id)}**: {escape(verdict)}", ""]
    return "\n".join([*lines, *table(headers, rows, frozenset(headers[1:]))]) + "\n"


def trend_rows(runs: Sequence[RunTimes]) -> list[dict[str, Any]]:
    """Return the table of runs, the newest first; each is flagged by the runs before it."""
    return [
        run.document(is_slow=bool(regressions(run, runs[place + 1 :]))) for place, run in enumerate(runs[:KEPT_RUNS])
    ]


def _is_slower(seconds: float | None, earlier: Sequence[float]) -> bool:
    if seconds is None or len(earlier) < ENOUGH_RUNS:
        return False
    median = percentile(earlier, 50)
    return seconds > max(percentile(earlier, 95), median * _SLOWER, median + _SECONDS)


def _known(runs: Sequence[RunTimes], phase: str) -> list[float]:
    return [value for run in runs if (value := _seconds(run, phase)) is not None]


def _seconds(run: RunTimes, phase: str) -> float | None:
    value: float | None = getattr(run, phase)
    return value
