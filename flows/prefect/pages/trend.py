"""The page on trends: durations of a pipeline's runs by phase; slower runs are flagged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from flows.prefect.pages.markdown import table
from flows.prefect.pages.summary import escape

KEPT_RUNS: Final = 100
"""Number of runs that a trend keeps."""
ENOUGH_RUNS: Final = 8
"""Minimum number of earlier runs to compare with."""
_SLOWER: Final = 1.5
"""A regression exceeds the median by this factor and by `_SECONDS`, and exceeds the 95th percentile."""
_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RunTimes:
    """The durations of one run that loaded something.

    Attributes:
        run_id: Identity of the run.
        when: Its start, UTC, for people.
        outcome: Its headline.
        queue: Seconds from the scheduled or requested time to the start.
        gate: Seconds of sync and gate; None when the caller did both before the flow started.
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
        """Seconds from the start to the end, without the queue."""
        return (self.gate or 0.0) + self.compile + self.execute + self.commit

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> RunTimes | None:
        """Read a row of the artifact; None when another version of Sluice wrote it."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: document[name] for name in names}) if names <= document.keys() else None

    def document(self, *, is_slow: bool) -> dict[str, Any]:
        """Return the row as the artifact shows it."""
        rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return {**rounded, "total": round(self.total, 2), "slower": "slower" if is_slow else ""}


PHASES: Final = ("queue", "gate", "compile", "execute", "commit", "total")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by the nearest-rank method.

    >>> percentile([3, 1, 2, 4], 50), percentile([3, 1, 2, 4], 95)
    (2, 4)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def regressions(latest: RunTimes, earlier: Sequence[RunTimes]) -> tuple[str, ...]:
    """Return the phases in which a run was significantly slower than the runs before.

    Args:
        latest: The run.
        earlier: The runs before.
    """
    if len(earlier) < ENOUGH_RUNS:
        return ()
    return tuple(phase for phase in PHASES if _is_slower(_seconds(latest, phase), _known(earlier, phase)))


def trend_page(pipeline_id: str, runs: Sequence[RunTimes]) -> str:
    """Return the text above the table of runs: median and 95th percentile of each phase, and regressions.

    Args:
        pipeline_id: The pipeline.
        runs: Its runs, newest first.
    """
    latest, earlier = runs[0], runs[1:]
    slow = regressions(latest, earlier)
    comparison = f"slower than usual: {', '.join(slow)}" if slow else "as usual"
    if len(earlier) < ENOUGH_RUNS:
        comparison = f"{len(runs)} runs so far; from {ENOUGH_RUNS + 1} on, slower ones are flagged"
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
    lines = [f"**{escape(pipeline_id)}**: {escape(comparison)}", ""]
    return "\n".join([*lines, *table(headers, rows, frozenset(headers[1:]))]) + "\n"


def trend_rows(runs: Sequence[RunTimes]) -> list[dict[str, Any]]:
    """Return the table of runs, newest first; each run is compared with the runs before it."""
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
