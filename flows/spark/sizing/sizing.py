"""Sizing: the cheapest cluster that reads a number of bytes within an SLA, with its duration and cost. Pure.

    size(Workload(500 * GIB, sla_minutes=60), Bounds(("m5.xlarge", "m5.4xlarge"), 2, 20), PRIOR, prices)
    → 2 × m5.4xlarge, 53 minutes, $1.90, in time

The duration of a job is not known in advance. The estimate is the start-up time plus waves of 128 MiB tasks at a number
of MiB per second and core, which is calibrated by the transformation's own runs (`learning.py`). Every allowed type
with every allowed number of nodes is compared. So a sizing is never outside the bounds, more bytes or a shorter SLA
never cost less, and wider bounds are never worse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flows.spark.sizing.prices import Machine, PriceList
from metadata_sync.errors import HardRunError

MIB: Final = 2**20
GIB: Final = 2**30

TASK_MIB: Final = 128
"""spark.sql.files.maxPartitionBytes: the input of one task."""

MOST_BYTES: Final = 10**15
"""A petabyte: a window of more is a mistake, or needs slices."""
MOST_PARTITIONS: Final = 50_000
"""Of a shuffle: beyond, the driver spends its time on their states."""

MOST_NODES: Final = 2000
"""Nodes beyond which no size is tried, whatever the row allows: a fixed cluster is taken as it is."""

PRIMARY_TYPE: Final = "m5.xlarge"
"""A small primary node suffices up to fifty nodes: https://aws.github.io/aws-emr-best-practices/."""

DEFAULT_TYPES: Final = ("m5.xlarge", "m5.2xlarge", "m5.4xlarge")
"""General-purpose types, for rows that name no type."""

ARM_PRIMARY_TYPE: Final = "m6g.xlarge"
ARM_TYPES: Final = ("m6g.xlarge", "m6g.2xlarge", "m6g.4xlarge")
"""The same for clusters of arm64 throughout."""

DEFAULT_CORE_MIN: Final = 2
DEFAULT_CORE_MAX: Final = 10

_OVERHEAD: Final = 1.1875
"""A YARN container is the heap plus 18.75 %: EMR's spark.executor.memoryOverheadFactor."""
_USABLE: Final = 0.6
"""spark.memory.fraction: the share of the heap that tasks use."""
_CORES_PER_EXECUTOR: Final = range(2, 6)
_BILLED_SECONDS: Final = 60
"""Billing is by the second, with a minimum of one minute."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of a cluster.

    Attributes:
        scan_bytes: Compressed bytes to read.
        sla_minutes: The time limit; None: no limit.
    """

    scan_bytes: int
    sla_minutes: float | None = None

    def __post_init__(self) -> None:
        if self.scan_bytes > MOST_BYTES:
            digits = len(str(self.scan_bytes)) if self.scan_bytes < 10**18 else "19 or more"
            raise HardRunError(
                f"A window of a number of bytes with {digits} digits is more than any cluster reads.",
                f"Backfill it in slices of at most {MOST_BYTES // 10**12:,} TB.",
            )
        if self.sla_minutes is not None and not 0 < self.sla_minutes < math.inf:
            raise HardRunError(f"An SLA of {self.sla_minutes:g} minutes cannot be met.", "Set sla_minutes above 0.")

    @property
    def tasks(self) -> int:
        """Number of tasks that read it."""
        return -(-self.scan_bytes // (TASK_MIB * MIB))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a row.

    Attributes:
        types: Instance types of the core nodes, preferred first.
        core_min: Minimum of core nodes.
        core_max: Maximum of core nodes.
        master_count: Primary nodes: 1 or 3.
        architecture: CPU architecture that bootstrap actions and jars need; None: any.
        primary_type: Instance type of the primary nodes.
    """

    types: tuple[str, ...] = DEFAULT_TYPES
    core_min: int = DEFAULT_CORE_MIN
    core_max: int = DEFAULT_CORE_MAX
    master_count: int = 1
    architecture: str | None = None
    primary_type: str = PRIMARY_TYPE

    @property
    def is_fixed(self) -> bool:
        """Whether the bounds allow one cluster only."""
        return len(self.types) == 1 and self.core_min == self.core_max


@dataclass(frozen=True, slots=True)
class Calibration:
    """The performance of a transformation on Spark.

    Attributes:
        mib_per_core_second: Compressed MiB that one core processes per second.
        expansion: Ratio of the data's size in memory to its size in the lake.
        startup_minutes: From the request until the first step runs.
        safety: Divisor of the run's time, as a safety margin.
        fixed_seconds: What a step takes whatever it reads: Spark's start, listing, committing.
    """

    mib_per_core_second: float = 8.0
    expansion: float = 3.0
    startup_minutes: float = 8.0
    safety: float = 0.8
    fixed_seconds: float = 0.0


PRIOR: Final = Calibration()
"""Assumption for a transformation without runs of its own; reports say that it is assumed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The executors of a node.

    Attributes:
        executors: Executors per node.
        cores: Cores per executor.
        heap_mb: Heap per executor.
        task_mb: Memory of one task.
    """

    executors: int
    cores: int
    heap_mb: int
    task_mb: float

    @property
    def node_cores(self) -> int:
        """Parallel tasks on a node."""
        return self.executors * self.cores


@dataclass(frozen=True, slots=True)
class Sizing:
    """A cluster with its forecast.

    Attributes:
        instance_type: Type of the core nodes.
        core_count: Core nodes, on demand and spot together.
        spot_count: Spot nodes among them (as task nodes); none with an SLA.
        master_type: Type of the primary nodes.
        master_count: Primary nodes.
        layout: Executors on each node.
        partitions: spark.sql.shuffle.partitions.
        minutes: Estimated minutes from the request to the end.
        usd: Estimated cost at list prices.
        is_feasible: Whether it meets the SLA.
        is_fixed: Whether the bounds allow one cluster only.
        reason: Why it was chosen, for people.
    """

    instance_type: str
    core_count: int
    spot_count: int
    master_type: str
    master_count: int
    layout: Layout
    partitions: int
    minutes: float
    usd: float
    is_feasible: bool
    is_fixed: bool
    reason: str

    @property
    def executors(self) -> int:
        """Executors on all nodes."""
        return self.layout.executors * self.core_count

    @property
    def cores(self) -> int:
        """Parallel tasks on all nodes."""
        return self.layout.node_cores * self.core_count

    @property
    def spot_share(self) -> float:
        """Share of the core nodes that may be spot."""
        return self.spot_count / self.core_count

    def __str__(self) -> str:
        return f"{self.core_count} × {self.instance_type}"


def size(workload: Workload, bounds: Bounds, calibration: Calibration, prices: PriceList) -> Sizing:
    """Choose the cheapest cluster that meets the SLA; if none does, the fastest.

    Args:
        workload: Bytes (more than zero) and SLA.
        bounds: The row's bounds.
        calibration: The calibration by earlier runs.
        prices: Machines and prices of the region.

    Returns:
        The cluster with its forecast.

    Raises:
        HardRunError: When no allowed type has enough memory for a task or the right architecture.
        ConfigurationError: When a type is not in the price list.
        ValueError: When there is nothing to read; the gate skips such a target.
    """
    if workload.scan_bytes <= 0:
        raise ValueError("nothing to read needs no cluster")
    fitting = _fitting(bounds, calibration, prices)
    if bounds.is_fixed:
        name = bounds.types[0]
        layout = fitting.get(name) or _layout(prices.machine(name))
        assert layout is not None
        return _forecast(workload, bounds, calibration, prices, _Candidate(name, bounds.core_min, layout))
    if not fitting:
        raise HardRunError(_no_memory(bounds, calibration, prices), "Allow types with more memory, or smaller windows.")
    candidates = [
        _forecast(workload, bounds, calibration, prices, candidate)
        for candidate in _candidates(workload, bounds, fitting)
    ]
    in_time = [sizing for sizing in candidates if sizing.is_feasible]
    if in_time:
        return min(in_time, key=lambda sizing: (sizing.usd, sizing.minutes, sizing.core_count, sizing.instance_type))
    # Of equally fast clusters prefer one with a core for every task: the number of waves is only an estimate.
    return min(candidates, key=lambda sizing: (sizing.minutes, -min(sizing.cores, workload.tasks), sizing.usd))


def cluster_usd(sizing: Sizing, seconds: float, prices: PriceList) -> float:
    """Return the cost of a cluster.

    Args:
        sizing: The cluster.
        seconds: Its lifetime; at least a minute is billed.
        prices: Prices of the region.
    """
    nodes = (
        Rented(sizing.instance_type, sizing.core_count - sizing.spot_count),
        Rented(sizing.instance_type, sizing.spot_count, is_spot=True),
        Rented(sizing.master_type, sizing.master_count),
    )
    return rent_usd(nodes, seconds, prices)


@dataclass(frozen=True, slots=True)
class Rented:
    """A number of nodes of one type."""

    instance_type: str
    count: int
    is_spot: bool = False


def rent_usd(nodes: Sequence[Rented], seconds: float, prices: PriceList) -> float:
    """Return the total cost of nodes for a number of seconds. Spot lowers only EC2's part of the price."""
    hours = max(seconds, _BILLED_SECONDS) / 3600
    rate = 0.0
    for node in nodes:
        price = prices.price(node.instance_type)
        share = prices.spot_price_share if node.is_spot else 1.0
        rate += node.count * (price.ec2 * share + price.emr)
    return rate * hours


@dataclass(frozen=True, slots=True)
class _Candidate:
    instance_type: str
    core_count: int
    layout: Layout


def _candidates(workload: Workload, bounds: Bounds, fitting: dict[str, Layout]) -> Iterator[_Candidate]:
    """Yield every type with every number of nodes that tasks can use."""
    for name, layout in fitting.items():
        useful = math.ceil(workload.tasks / layout.node_cores)
        most = max(bounds.core_min, min(bounds.core_max, useful, MOST_NODES))
        for count in range(bounds.core_min, most + 1):
            yield _Candidate(name, count, layout)


def _forecast(
    workload: Workload, bounds: Bounds, calibration: Calibration, prices: PriceList, candidate: _Candidate
) -> Sizing:
    minutes = run_minutes(workload, candidate.layout.node_cores * candidate.core_count, calibration)
    sla = workload.sla_minutes
    on_demand = candidate.core_count if sla is not None else max(bounds.core_min, DEFAULT_CORE_MIN)
    spot_count = max(0, candidate.core_count - on_demand)
    nodes = (
        Rented(candidate.instance_type, candidate.core_count - spot_count),
        Rented(candidate.instance_type, spot_count, is_spot=True),
        Rented(bounds.primary_type, bounds.master_count),
    )
    is_feasible = sla is None or minutes <= sla
    return Sizing(
        instance_type=candidate.instance_type,
        core_count=candidate.core_count,
        spot_count=spot_count,
        master_type=bounds.primary_type,
        master_count=bounds.master_count,
        layout=candidate.layout,
        partitions=max(2 * candidate.layout.node_cores * candidate.core_count, min(workload.tasks, MOST_PARTITIONS)),
        minutes=minutes,
        usd=rent_usd(nodes, minutes * 60, prices),
        is_feasible=is_feasible,
        is_fixed=bounds.is_fixed,
        reason=_reason(bounds, sla, minutes, is_feasible=is_feasible),
    )


def run_minutes(workload: Workload, cores: int, calibration: Calibration) -> float:
    """Estimate minutes from the request to the end: start-up, then waves of tasks."""
    return calibration.startup_minutes + work_minutes(workload, cores, calibration)


def work_minutes(workload: Workload, cores: int, calibration: Calibration) -> float:
    """Estimate minutes of work without the cluster's start-up."""
    waves = math.ceil(workload.tasks / cores)
    working = waves * TASK_MIB / calibration.mib_per_core_second
    return (calibration.fixed_seconds + working) / calibration.safety / 60


def _reason(bounds: Bounds, sla: float | None, minutes: float, *, is_feasible: bool) -> str:
    if bounds.is_fixed:
        chosen = "the row fixes it"
    elif not is_feasible:
        chosen = "the fastest within the row's bounds"
    else:
        chosen = "the cheapest within the row's bounds"
    if sla is None:
        return chosen
    if is_feasible:
        return f"{chosen}, in time for {sla:g} minutes"
    return f"{chosen}, and not in time: {minutes:.0f} minutes where {sla:g} are allowed"


def _fitting(bounds: Bounds, calibration: Calibration, prices: PriceList) -> dict[str, Layout]:
    """Return the allowed types that can run a task, with their layouts."""
    fitting = {}
    primary = prices.machine(bounds.primary_type).architecture
    if bounds.architecture not in (None, primary):
        message = f"The primary node {bounds.primary_type} is {primary}; the job needs {bounds.architecture}."
        raise HardRunError(message, "Set SLUICE_EMR_PRIMARY_TYPE to a type of that architecture.")
    for name in bounds.types:
        machine = prices.machine(name)
        if bounds.architecture not in (None, machine.architecture):
            if bounds.is_fixed:
                raise HardRunError(f"{name} is {machine.architecture}; the job needs {bounds.architecture}.")
            continue
        layout = _layout(machine)
        if layout is not None and layout.task_mb >= TASK_MIB * calibration.expansion:
            fitting[name] = layout
    return fitting


@lru_cache(maxsize=64)
def _layout(machine: Machine) -> Layout | None:
    """Return the layout that uses the most cores, with one left for the system; None when the node is too small."""
    free = machine.vcpus - 1
    cores = max(_CORES_PER_EXECUTOR, key=lambda count: (count * (free // count), count))
    executors = free // cores
    if executors == 0:
        return None
    heap = machine.yarn_mb / executors / _OVERHEAD
    return Layout(executors, cores, int(heap), _USABLE * heap / cores)


def _no_memory(bounds: Bounds, calibration: Calibration, prices: PriceList) -> str:
    offers = []
    for name in bounds.types:
        machine = prices.machine(name)
        layout = _layout(machine)
        if bounds.architecture not in (None, machine.architecture):
            offers.append(f"{name} is {machine.architecture}, not {bounds.architecture}")
        else:
            offers.append(
                f"{name} offers {int(layout.task_mb):,}" if layout else f"{name} is too small for an executor"
            )
    needed = TASK_MIB * calibration.expansion
    return f"No allowed instance type fits: a task needs {needed:,.0f} MB ({'; '.join(offers)})."
