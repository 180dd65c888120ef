"""Learning: calibrate a transformation's speed by its own runs, and compare a cluster with a cheaper one. Pure.

The median of the last runs counts, so that one slow or fast run does not change the next cluster. The prior replaces
missing runs.
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
"""Number of newest runs that count."""

TRUSTED: Final = 3
"""Number of runs from which the prior no longer counts."""

_WORTH_SAYING: Final = 0.9
"""A cheaper cluster is reported when it costs less than this share."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished run of a transformation.

    Attributes:
        scan_bytes: Bytes that it read.
        step_seconds: Duration of its step.
        task_cores: Tasks that ran in parallel.
        startup_seconds: From the request until its cluster accepted steps.
    """

    scan_bytes: int
    step_seconds: float
    task_cores: int
    startup_seconds: float

    @property
    def mib_per_core_second(self) -> float:
        """Speed of one busy core."""
        busy = min(self.task_cores, max(1, math.ceil(self.scan_bytes / (TASK_MIB * MIB))))
        return self.scan_bytes / MIB / max(self.step_seconds, 1.0) / busy


@dataclass(frozen=True, slots=True)
class Learned:
    """The calibration of a transformation.

    Attributes:
        calibration: The calibration for sizing.
        prior: The calibration without any run.
        sample_count: Number of runs that it is based on.
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
    """Calibrate by the median of the newest runs.

    Args:
        samples: Runs, newest first; those that read nothing are ignored.
        prior: Replaces missing runs.

    Returns:
        Learned throughput and start-up; expansion and safety of the prior.
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
        parts: Bytes and calibration of each step; at least one.

    Returns:
        The speed weighted by the time of each step; the maximum of expansion and start-up.
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
class ClusterUse:
    """The use of a cluster that has ended.

    Attributes:
        sizing: The cluster.
        scan_bytes: Total bytes of its steps.
        step_seconds: Total duration of its steps.
        startup_seconds: Time before the first step.
        usd: Its cost.
        sla_minutes: The SLA; None: there was none.
    """

    sizing: Sizing
    scan_bytes: int
    step_seconds: float
    startup_seconds: float
    usd: float
    sla_minutes: float | None = None


def advise(use: ClusterUse, bounds: Bounds, prices: PriceList) -> str:
    """Compare a cluster with its forecast and with the best cluster for the measured speed.

    Args:
        use: The cluster's use.
        bounds: The row's bounds.
        prices: Prices of the region.
    """
    minutes = (use.startup_seconds + use.step_seconds) / 60
    comparison = (
        f"{minutes:.0f} minutes and ${use.usd:.2f} where {use.sizing.minutes:.0f} and ${use.sizing.usd:.2f} "
        "were expected"
    )
    sample = Sample(use.scan_bytes, use.step_seconds, use.sizing.cores, use.startup_seconds)
    measured = replace(
        PRIOR,
        mib_per_core_second=sample.mib_per_core_second,
        startup_minutes=use.startup_seconds / 60,
        safety=1.0,
    )
    try:
        better = size(Workload(use.scan_bytes, use.sla_minutes), bounds, measured, prices)
    except (SluiceError, ValueError):  # nothing was read, or no type fits
        return f"{comparison}."
    if bounds.is_fixed:
        return f"{comparison}."
    if use.sla_minutes is not None and minutes > use.sla_minutes and better.is_feasible:
        return f"{comparison}; too late: {better} would have been in time, for ${better.usd:.2f}."
    if better.usd >= use.usd * _WORTH_SAYING or str(better) == str(use.sizing):
        return f"{comparison}; no cheaper cluster within the row's bounds would have been in time."
    return f"{comparison}; {better} would have done it in {better.minutes:.0f} minutes for ${better.usd:.2f}."
