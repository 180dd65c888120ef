"""Learning: what a transformation's own runs say about its speed, and what would have been cheaper. Pure.

One slow or lucky run must not move the next cluster, so the middle of the last runs counts, and the prior stands in for
runs that there have not been yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from flows.spark.sizing.prices import PriceList
from flows.spark.sizing.sizing import MIB, PRIOR, TASK_MIB, Bounds, Calibration, Sizing, Workload, size
from metadata_sync.errors import SluiceError

REMEMBERED: Final = 9
"""So many of the newest runs count."""

TRUSTED: Final = 3
"""From so many runs on the prior no longer counts."""

_WORTH_SAYING: Final = 0.9
"""A cheaper cluster is worth a sentence when it costs less than this share."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished run of a transformation.

    Attributes:
        scan_bytes: What it read.
        step_seconds: How long its step took.
        task_cores: Tasks that ran at once.
        startup_seconds: From the request until its cluster took steps.
    """

    scan_bytes: int
    step_seconds: float
    task_cores: int
    startup_seconds: float

    @property
    def mib_per_core_second(self) -> float:
        """Speed of one core: of those that had a task."""
        busy = min(self.task_cores, max(1, math.ceil(self.scan_bytes / (TASK_MIB * MIB))))
        return self.scan_bytes / MIB / max(self.step_seconds, 1.0) / busy


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of a transformation, and how well.

    Attributes:
        calibration: To size with.
        prior: What it would be without any run.
        sample_count: Runs that it rests on.
    """

    calibration: Calibration
    prior: Calibration
    sample_count: int

    def __str__(self) -> str:
        speed = self.calibration.mib_per_core_second
        if self.sample_count == 0:
            return f"{speed:g} MiB/s per core (assumed: it has not run yet)"
        runs = f"{self.sample_count} run{'' if self.sample_count == 1 else 's'}"
        return f"{speed:.2g} MiB/s per core (from {runs}; assumed at first: {self.prior.mib_per_core_second:g})"


def learn(samples: Sequence[Sample], prior: Calibration = PRIOR) -> Learned:
    """Take the middle of the newest runs.

    Args:
        samples: Runs, the newest first; those that read nothing are left out.
        prior: Stands in for runs that are missing.

    Returns:
        Throughput and start-up learned; expansion and safety are the prior's.
    """
    counted = [sample for sample in samples if sample.scan_bytes > 0][:REMEMBERED]
    missing = max(0, TRUSTED - len(counted))
    speeds = [sample.mib_per_core_second for sample in counted] + [prior.mib_per_core_second] * missing
    startups = [sample.startup_seconds / 60 for sample in counted] + [prior.startup_minutes] * missing
    calibration = replace(prior, mib_per_core_second=median(speeds), startup_minutes=median(startups))
    return Learned(calibration, prior, len(counted))


def combine(parts: Sequence[tuple[int, Calibration]]) -> Calibration:
    """Return the calibration of steps that run one after the other on one cluster.

    Args:
        parts: Bytes of each step with what is known of it; at least one.

    Returns:
        Speeds weighed by the time that each step takes; of memory and start-up the greatest.
    """
    total = sum(scan_bytes for scan_bytes, _ in parts)
    effort = sum(scan_bytes / known.mib_per_core_second for scan_bytes, known in parts)
    return Calibration(
        mib_per_core_second=total / effort if effort else parts[0][1].mib_per_core_second,
        expansion=max(known.expansion for _, known in parts),
        startup_minutes=max(known.startup_minutes for _, known in parts),
        safety=min(known.safety for _, known in parts),
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a cluster fared.

    Attributes:
        sizing: What was rented.
        scan_bytes: What its steps read together.
        step_seconds: What they took together.
        startup_seconds: Before the first of them.
        usd: What it cost.
        sla_minutes: The deadline; None: there was none.
    """

    sizing: Sizing
    scan_bytes: int
    step_seconds: float
    startup_seconds: float
    usd: float
    sla_minutes: float | None = None


def look_back(ended: Ended, bounds: Bounds, prices: PriceList) -> str:
    """Say what would have been cheaper and still in time, now that the speed is known.

    Args:
        ended: What happened.
        bounds: What the row allows.
        prices: Of the region.
    """
    took = (ended.startup_seconds + ended.step_seconds) / 60
    said = (
        f"{took:.0f} minutes and ${ended.usd:.2f} where {ended.sizing.minutes:.0f} and ${ended.sizing.usd:.2f} "
        "were expected"
    )
    sample = Sample(ended.scan_bytes, ended.step_seconds, ended.sizing.cores, ended.startup_seconds)
    seen = replace(
        PRIOR,
        mib_per_core_second=sample.mib_per_core_second,
        startup_minutes=ended.startup_seconds / 60,
        safety=1.0,
    )
    try:
        better = size(Workload(ended.scan_bytes, ended.sla_minutes), bounds, seen, prices)
    except (SluiceError, ValueError):  # nothing was read, or nothing fits: there is nothing to compare with
        return f"{said}."
    if bounds.is_fixed:
        return f"{said}."
    if ended.sla_minutes is not None and took > ended.sla_minutes and better.is_feasible:
        return f"{said}; too late: {better} would have been in time, for ${better.usd:.2f}."
    if better.usd >= ended.usd * _WORTH_SAYING or str(better) == str(ended.sizing):
        return f"{said}; no cheaper cluster within the row's bounds would have been in time."
    return f"{said}; {better} would have done it in {better.minutes:.0f} minutes for ${better.usd:.2f}."
