"""Groups: which transformations of a run share a cluster, and its size. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from flows.spark.sizing.learning import Learned, combine
from flows.spark.sizing.prices import PriceList
from flows.spark.sizing.sizing import (
    ARM_PRIMARY_TYPE,
    ARM_TYPES,
    DEFAULT_CORE_MAX,
    DEFAULT_CORE_MIN,
    DEFAULT_TYPES,
    PRIMARY_TYPE,
    Bounds,
    Sizing,
    Workload,
    size,
)
from metadata_sync.errors import ConfigurationError, SluiceError
from metadata_sync.rows.model import PipelineRow, TransformationRow

ARM: Final = "arm64"
_CLUSTER: Final = re.compile(r"(?P<type>[a-z][a-z0-9-]*\.[a-z0-9-]+):(?P<count>[1-9]\d{0,3})")


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One transformation that runs on Spark.

    Attributes:
        row: The transformation.
        pipeline: Its pipeline.
        scan_bytes: Estimated bytes that it reads.
        learned: Its calibration.
    """

    row: TransformationRow
    pipeline: PipelineRow
    scan_bytes: int
    learned: Learned


@dataclass(frozen=True, slots=True)
class Group:
    """Transformations that share one cluster.

    Attributes:
        job_group: Their job group.
        bounds: The bounds of their pipelines.
        sla_minutes: The shortest of their SLAs; None: none has an SLA.
        items: The transformations, in the order in which they run.
    """

    job_group: str
    bounds: Bounds
    sla_minutes: float | None
    items: tuple[GroupMember, ...]

    @property
    def workload(self) -> Workload:
        """Their total bytes and the SLA."""
        return Workload(max(1, sum(item.scan_bytes for item in self.items)), self.sla_minutes)

    def sized(self, prices: PriceList, types: Sequence[str] | None = None) -> Sizing:
        """Size the cluster, by all allowed types or some of them.

        Raises:
            HardRunError: When no type fits.
            ConfigurationError: When a type has no price.
        """
        bounds = self.bounds if types is None else replace(self.bounds, types=tuple(types))
        calibration = combine([(max(1, item.scan_bytes), item.learned.calibration) for item in self.items])
        return size(self.workload, bounds, calibration, prices)

    def alternatives(self, chosen: Sizing, prices: PriceList) -> tuple[Sizing, ...]:
        """Return the best sizing of each other type, in the row's order."""
        found = []
        for name in self.bounds.types:
            if name == chosen.instance_type:
                continue
            try:
                found.append(self.sized(prices, [name]))
            except SluiceError:  # this type does not fit
                continue
        return tuple(found)


def make_groups(
    items: Sequence[GroupMember], cluster: Bounds | None, architecture: str | None, primary_type: str | None = None
) -> tuple[Group, ...]:
    """Group by job group and bounds.

    A pipeline without bounds uses those of the first pipeline in its group that has some.

    Args:
        items: The transformations that run on Spark.
        cluster: The cluster of the request, which replaces the rows' bounds; None: not set.
        architecture: The CPU architecture that jars and bootstrap actions need.
        primary_type: Instance type of the primary nodes; None: the usual one of the architecture.
    """
    primary = primary_type or (ARM_PRIMARY_TYPE if architecture == ARM else PRIMARY_TYPE)
    members: dict[tuple[str, Bounds], list[GroupMember]] = {}
    declared: dict[str, Bounds] = {}
    for item in items:
        bounds = bounds_of(item.pipeline, architecture)
        if bounds is not None:
            declared.setdefault(item.pipeline.job_group, bounds)
    for item in items:
        name = item.pipeline.job_group
        usual = declared.get(name, Bounds(default_types(architecture), architecture=architecture))
        bounds = cluster or bounds_of(item.pipeline, architecture) or usual
        bounds = replace(bounds, architecture=architecture, primary_type=primary)
        members.setdefault((name, bounds), []).append(item)
    return tuple(Group(name, bounds, _tightest(shared), tuple(shared)) for (name, bounds), shared in members.items())


def default_types(architecture: str | None) -> tuple[str, ...]:
    """Return the instance types of a row that names none."""
    return ARM_TYPES if architecture == ARM else DEFAULT_TYPES


def bounds_of(pipeline: PipelineRow, architecture: str | None) -> Bounds | None:
    """Return the bounds of a row; None when it sets none."""
    if not pipeline.emr_instance_types and pipeline.emr_core_min is None and pipeline.emr_core_max is None:
        return None
    most = pipeline.emr_core_max
    least = pipeline.emr_core_min or min(DEFAULT_CORE_MIN, most or DEFAULT_CORE_MIN)
    return Bounds(
        types=pipeline.emr_instance_types or default_types(architecture),
        core_min=least,
        core_max=most or max(DEFAULT_CORE_MAX, least),
        master_count=pipeline.emr_master_count,
        architecture=architecture,
    )


def parse_cluster(text: str) -> Bounds:
    """Parse a cluster in the notation of commands.

    >>> parse_cluster("r5.4xlarge:8").core_max
    8

    Raises:
        ConfigurationError: When it is not TYPE:N.
    """
    match = _CLUSTER.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"cluster {text!r} is not TYPE:N.", "Write for example r5.4xlarge:8.")
    count = int(match["count"])
    return Bounds((match["type"],), count, count)


def _tightest(items: Sequence[GroupMember]) -> int | None:
    return min((item.pipeline.sla_minutes for item in items if item.pipeline.sla_minutes is not None), default=None)
