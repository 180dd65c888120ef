"""Learning: calibrate a transformation's speed by its own runs, and compare a cluster with a cheaper one. Pure.

Seconds = fixed + MiB of a core ÷ speed. Medians of the last runs count, so that one slow or fast run does not change
the next cluster. Where runs of different sizes tell the two apart, the slope between pairs of them is the speed (the
estimator of Theil and Sen). Where all are small, time that the assumed speed does not explain is fixed, up to two
minutes: many runs of a few MiB say nothing about how fast terabytes are read. The prior replaces missing runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from flows.spark.sizing.prices import PriceList
from flows.spark.sizing.sizing import MIB, PRIOR, TASK_MIB, Bounds, Calibration, Sizing, Workload, size
from metadata_sync.database.journals.entries import LoadStatus, SparkEntry
from metadata_sync.errors import SluiceError

REMEMBERED: Final = 9
"""Number of newest runs that count."""

TRUSTED: Final = 3
"""Number of runs from which the prior no longer counts."""

_TELLING: Final = 4
"""Runs tell fixed time from speed when the largest read so many times what the smallest did."""

_SMALL_SECONDS: Final = 60.0
"""Runs that work less than this at the assumed speed say nothing about speed."""
_MOST_FIXED_SECONDS: Final = 120.0
"""Fixed time that small runs are given; what is beyond is slowness."""

_LEAST_MIB: Final = 8.0
"""What a run reads at least, as far as speed is concerned: a second of work at the assumed speed."""

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
    def core_mib(self) -> float:
        """MiB that each busy core read."""
        busy = min(self.task_cores, max(1, -(-self.scan_bytes // (TASK_MIB * MIB))))
        return self.scan_bytes / MIB / busy

    @property
    def mib_per_core_second(self) -> float:
        """Speed of one busy core, with everything that the step did."""
        return self.speed(0.0)

    def speed(self, fixed_seconds: float) -> float:
        """Return the speed of one busy core in the time beyond what is fixed; a few bytes count as some MiB."""
        return max(self.core_mib, _LEAST_MIB) / max(self.step_seconds - fixed_seconds, 1.0)


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
        fixed = f" after {self.calibration.fixed_seconds:.0f} s" if self.calibration.fixed_seconds >= 1 else ""
        runs = f"{self.sample_count} run{'' if self.sample_count == 1 else 's'}"
        return f"{speed:.2g} MiB/s per core{fixed} (from {runs}; assumed at first: {self.prior.mib_per_core_second:g})"


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
    fixed = _fixed_seconds(counted, prior)
    speeds = [sample.speed(fixed) for sample in counted] + [prior.mib_per_core_second] * missing
    startups = [sample.startup_seconds / 60 for sample in counted] + [prior.startup_minutes] * missing
    speed = _slope(counted) if _tells(counted) else None
    calibration = replace(
        prior,
        mib_per_core_second=median(speeds) if speed is None else speed,
        startup_minutes=median(startups),
        fixed_seconds=fixed,
    )
    return Learned(calibration, prior, len(counted))


def _tells(samples: Sequence[Sample]) -> bool:
    """Whether runs of different sizes tell fixed time from speed."""
    sizes = [sample.core_mib for sample in samples]
    return len(sizes) >= TRUSTED and max(sizes) >= _TELLING * min(sizes) and _slope(samples) is not None


def _slope(samples: Sequence[Sample]) -> float | None:
    """Return the speed between pairs of runs of different sizes; None when larger ones took no longer."""
    pairs = [(one, other) for one in samples for other in samples if other.core_mib >= 2 * one.core_mib]
    slopes = [(other.step_seconds - one.step_seconds) / (other.core_mib - one.core_mib) for one, other in pairs]
    found = median(slopes) if slopes else 0.0
    return 1 / found if found > 0 else None


def _fixed_seconds(samples: Sequence[Sample], prior: Calibration) -> float:
    """Return the seconds of a step that do not depend on what it reads."""
    if not samples:
        return prior.fixed_seconds
    tells = _tells(samples)
    speed = (_slope(samples) if tells else None) or prior.mib_per_core_second
    rest = median(max(0.0, sample.step_seconds - sample.core_mib / speed) for sample in samples)
    if tells:
        return rest
    is_small = median(sample.core_mib for sample in samples) / speed < _SMALL_SECONDS
    return min(rest, _MOST_FIXED_SECONDS) if is_small else 0.0


def combine(parts: Sequence[tuple[int, Calibration]]) -> Calibration:
    """Return the calibration of steps that run one after the other on one cluster.

    Args:
        parts: Bytes and calibration of each step; at least one.

    Returns:
        The speed weighted by the time of each step; the maximum of expansion and start-up; the sum of fixed times.
    """
    total = sum(scan_bytes for scan_bytes, _ in parts)
    effort = sum(scan_bytes / known.mib_per_core_second for scan_bytes, known in parts)
    return Calibration(
        mib_per_core_second=total / effort if effort else parts[0][1].mib_per_core_second,
        expansion=max(known.expansion for _, known in parts),
        startup_minutes=max(known.startup_minutes for _, known in parts),
        safety=min(known.safety for _, known in parts),
        fixed_seconds=sum(known.fixed_seconds for _, known in parts),
    )


def learn_from(entries: Sequence[SparkEntry], backend: str) -> Learned:
    """Calibrate by the successful entries of one target on one backend, newest first."""
    samples = [
        Sample(entry.scan_bytes, entry.step_seconds, entry.task_cores, entry.startup_seconds)
        for entry in entries
        if entry.status is LoadStatus.SUCCESS and entry.backend == backend
    ]
    return learn(samples, PRIOR)


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
