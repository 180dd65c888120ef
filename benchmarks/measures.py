"""The one format of all benchmarks: what was measured beside a floor or a peer, and how two runs compare by ratios."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TOLERANCE: Final = 0.4
"""How much worse than in the baseline a ratio may be: two runs of the same tree on a shared machine differ by less."""
COUNT_TOLERANCE: Final = 0.05
"""The same for what is counted, which has no noise: a module more is no regression."""
COUNTED: Final = "count"
LEAST_SECONDS: Final = 0.01
"""Seconds below it count as so many: they are noise."""
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured, beside something else in the same run.

    Attributes:
        name: What was done, to how much, where; unique among all benchmarks.
        unit: Of both numbers: "CPU s", "wall s", "MiB" or "count".
        value: Sluice's.
        beside: The floor or peer.
        beside_value: The floor's or peer's.
        at_most: The largest ratio that meets the target; None: there is no target.
    """

    name: str
    unit: str
    value: float
    beside: str
    beside_value: float
    at_most: float | None = None

    @property
    def ratio(self) -> float:
        """What was measured: less is better."""
        least = LEAST_SECONDS if self.unit.endswith(" s") else 1
        return max(self.value, least) / max(self.beside_value, least)

    @property
    def is_met(self) -> bool | None:
        """Whether the target was met; None when there is none."""
        return None if self.at_most is None else self.ratio <= self.at_most

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.name}, to {self.beside}"

    def document(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "name": self.name,
            "beside": self.beside,
            "unit": self.unit,
            "value": round(self.value, _DIGITS),
            "beside_value": round(self.beside_value, _DIGITS),
            "ratio": round(self.ratio, _DIGITS),
            "target": None if self.at_most is None else round(self.at_most, _DIGITS),
            "is_met": self.is_met,
        }


def read_measures(documents: Sequence[Mapping[str, Any]]) -> tuple[Measure, ...]:
    """Return measures from what `Measure.document` made."""
    return tuple(
        Measure(item["name"], item["unit"], item["value"], item["beside"], item["beside_value"], item["target"])
        for item in documents
    )


def print_measures(measures: Sequence[Measure]) -> None:
    """Print the JSON document of one benchmark."""
    print(json.dumps([measure.document() for measure in measures], indent=2))


@dataclass(frozen=True, slots=True)
class BenchRun:
    """All benchmarks in one run.

    Attributes:
        measures: What they measured.
        failed: Benchmarks that ended with an error, so that their measures are missing.
        is_short: Whether only the smallest size of each was asked for.
    """

    measures: tuple[Measure, ...]
    failed: tuple[str, ...] = ()
    is_short: bool = False

    def write(self, path: Path) -> None:
        """Write it as JSON; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        documents = [measure.document() for measure in self.measures]
        document = {"is_short": self.is_short, "failed": list(self.failed), "measures": documents}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> BenchRun:
        """Read what `write` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(read_measures(found["measures"]), tuple(found["failed"]), found["is_short"])


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio then and now, and how much worse it might have become."""

    key: str
    before: float
    now: float
    tolerance: float

    @property
    def is_worse(self) -> bool:
        """Whether the ratio grew by more than its tolerance."""
        return self.now > self.before * (1 + self.tolerance)

    @property
    def is_better(self) -> bool:
        """Whether it shrank by more than that, so that the baseline is out of date."""
        return self.before > self.now * (1 + self.tolerance)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the baseline.

    Attributes:
        changes: Measures that both hold.
        unmeasured: Those of the baseline that the run has not: none may be missing unless the run is a short one.
        new: Those that the baseline has not.
        failed: Benchmarks that failed.
        is_short: Whether the run was a short one.
    """

    changes: tuple[Change, ...]
    unmeasured: tuple[str, ...]
    new: tuple[str, ...]
    failed: tuple[str, ...]
    is_short: bool

    @property
    def worse(self) -> tuple[Change, ...]:
        """The regressions."""
        return tuple(change for change in self.changes if change.is_worse)

    @property
    def is_passed(self) -> bool:
        """Whether nothing became worse, failed, or is missing; nor was there nothing to compare."""
        is_whole = self.is_short or not self.unmeasured
        return bool(self.changes) and is_whole and not self.worse and not self.failed


def compare(baseline: BenchRun, run: BenchRun, tolerance: float = TOLERANCE) -> Comparison:
    """Compare by ratios only: seconds of two machines say nothing about each other.

    Args:
        baseline: What is committed.
        run: What was measured now.
        tolerance: Share by which a ratio may grow; what is counted has `COUNT_TOLERANCE` at most.
    """
    before = {measure.key: measure for measure in baseline.measures}
    now = {measure.key: measure for measure in run.measures}
    changes = tuple(
        Change(key, before[key].ratio, found.ratio, _tolerance(found, tolerance))
        for key, found in now.items()
        if key in before
    )
    return Comparison(
        changes=changes,
        unmeasured=tuple(key for key in before if key not in now),
        new=tuple(key for key in now if key not in before),
        failed=run.failed,
        is_short=run.is_short,
    )


def merge(baseline: BenchRun, run: BenchRun) -> BenchRun:
    """Return the baseline with what a run measured in place of what stood there; measures that it lacks are kept.

    A full run without failures replaces the baseline, so that measures that no longer exist leave it.
    """
    if not run.is_short and not run.failed:
        return BenchRun(run.measures)
    merged = {measure.key: measure for measure in (*baseline.measures, *run.measures)}
    return BenchRun(tuple(merged.values()))


def _tolerance(measure: Measure, tolerance: float) -> float:
    return min(tolerance, COUNT_TOLERANCE) if measure.unit == COUNTED else tolerance
