"""Sizing: how large a cluster for so many bytes in so many minutes, how long, how much money, and why. Pure.

    size(Workload(500 * GIB, sla_minutes=60), Bounds(("m5.xlarge", "m5.4xlarge"), 2, 20), PRIOR, prices)
    → 2 × m5.4xlarge, 53 minutes, $1.90, in time

Nobody can know beforehand how long a job takes; AWS says so itself. This is a bounded estimate that learns: the time is
start-up plus waves of 128 MiB tasks at so many MiB per second and core, and that number comes from the transformation's
own runs (`learning.py`). Every allowed type and every allowed number of nodes is tried, so that what one would expect
holds: never outside the bounds; more bytes or less time never cost less; wider bounds are never worse.
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
"""spark.sql.files.maxPartitionBytes: what one task reads."""

PRIMARY_TYPE: Final = "m5.xlarge"
"""A small primary node suffices up to fifty nodes: https://aws.github.io/aws-emr-best-practices/."""

DEFAULT_TYPES: Final = ("m5.xlarge", "m5.2xlarge", "m5.4xlarge")
"""General purpose, where a row names no type: memory-heavy types are for who has measured that they pay."""

DEFAULT_CORE_MIN: Final = 2
DEFAULT_CORE_MAX: Final = 10

_OVERHEAD: Final = 1.1875
"""A YARN container is the heap and 18.75 % on it: EMR's spark.executor.memoryOverheadFactor."""
_USABLE: Final = 0.6
"""spark.memory.fraction: the share of the heap that tasks work in."""
_CORES_PER_EXECUTOR: Final = range(2, 6)
_BILLED_SECONDS: Final = 60
"""Billing is by the second, a minute at least."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be done.

    Attributes:
        scan_bytes: What the window makes Spark read, compressed as it lies in the lake.
        sla_minutes: Within how many minutes; None: whenever.
    """

    scan_bytes: int
    sla_minutes: float | None = None

    @property
    def tasks(self) -> int:
        """How many tasks read it."""
        return math.ceil(self.scan_bytes / (TASK_MIB * MIB))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a row allows.

    Attributes:
        types: Instance types of the core nodes, the preferred first.
        core_min: Fewest core nodes.
        core_max: Most core nodes.
        master_count: Primary nodes: 1, or 3.
        architecture: What bootstrap actions and jars run on; None: on any.
    """

    types: tuple[str, ...] = DEFAULT_TYPES
    core_min: int = DEFAULT_CORE_MIN
    core_max: int = DEFAULT_CORE_MAX
    master_count: int = 1
    architecture: str | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.types) == 1 and self.core_min == self.core_max


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of a transformation on Spark.

    Attributes:
        mib_per_core_second: Compressed MiB that one core gets through in a second.
        expansion: How much larger data are in memory than in the lake.
        startup_minutes: From the request until the first step runs.
        safety: The run's time is divided by it.
    """

    mib_per_core_second: float = 8.0
    expansion: float = 3.0
    startup_minutes: float = 8.0
    safety: float = 0.8


PRIOR: Final = Calibration()
"""Assumed until a transformation has runs of its own: a guess, and shown as one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How executors lie on a node.

    Attributes:
        executors: Per node.
        cores: Per executor.
        heap_mb: Per executor.
        task_mb: Memory for one task.
    """

    executors: int
    cores: int
    heap_mb: int
    task_mb: float

    @property
    def node_cores(self) -> int:
        """Tasks that run at once on a node."""
        return self.executors * self.cores


@dataclass(frozen=True, slots=True)
class Sizing:
    """A cluster, and what is expected of it.

    Attributes:
        instance_type: Of the core nodes.
        core_count: Core nodes, on demand and spot together.
        spot_count: How many of them may be spot (as task nodes): none while a deadline must hold.
        master_type: Of the primary nodes.
        master_count: Primary nodes.
        layout: Executors on each node.
        partitions: spark.sql.shuffle.partitions.
        minutes: From the request to the end.
        usd: For that time, at the list's prices.
        is_feasible: Whether it ends in time.
        is_fixed: Whether the row left no choice.
        reason: Why this one, in plain words.
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
        """On all nodes."""
        return self.layout.executors * self.core_count

    @property
    def cores(self) -> int:
        """Tasks that run at once on all nodes."""
        return self.layout.node_cores * self.core_count

    @property
    def spot_share(self) -> float:
        """Share of the core nodes that may be spot."""
        return self.spot_count / self.core_count

    def __str__(self) -> str:
        return f"{self.core_count} × {self.instance_type}"


def size(workload: Workload, bounds: Bounds, calibration: Calibration, prices: PriceList) -> Sizing:
    """Choose the cheapest cluster that is in time; when none is, the fastest.

    Args:
        workload: Bytes and deadline; more than no bytes.
        bounds: What the row allows.
        calibration: What is known of its runs.
        prices: Machines and prices of the region.

    Returns:
        The cluster with its forecast.

    Raises:
        HardRunError: When no allowed type has the memory that a task needs, or runs what it must run.
        ConfigurationError: When a type is not in the price list.
        ValueError: When there is nothing to read: the gate answers that, without a cluster.
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
    # Of equally fast ones those with a core for every task: a wave more or less is an estimate, a core is not.
    return min(candidates, key=lambda sizing: (sizing.minutes, -min(sizing.cores, workload.tasks), sizing.usd))


def cluster_usd(sizing: Sizing, seconds: float, prices: PriceList) -> float:
    """Return what a cluster costs for so many seconds.

    Args:
        sizing: The cluster.
        seconds: From its first to its last; a minute is billed at least.
        prices: Of the region.
    """
    nodes = (
        Rented(sizing.instance_type, sizing.core_count - sizing.spot_count),
        Rented(sizing.instance_type, sizing.spot_count, is_spot=True),
        Rented(sizing.master_type, sizing.master_count),
    )
    return rent_usd(nodes, seconds, prices)


@dataclass(frozen=True, slots=True)
class Rented:
    """So many nodes of one kind."""

    instance_type: str
    count: int
    is_spot: bool = False


def rent_usd(nodes: Sequence[Rented], seconds: float, prices: PriceList) -> float:
    """Return what nodes cost together for so many seconds. Spot lowers EC2's part alone."""
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
    """Every type with every number of nodes that tasks can fill."""
    for name, layout in fitting.items():
        useful = math.ceil(workload.tasks / layout.node_cores)
        most = max(bounds.core_min, min(bounds.core_max, useful))
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
        Rented(PRIMARY_TYPE, bounds.master_count),
    )
    is_feasible = sla is None or minutes <= sla
    return Sizing(
        instance_type=candidate.instance_type,
        core_count=candidate.core_count,
        spot_count=spot_count,
        master_type=PRIMARY_TYPE,
        master_count=bounds.master_count,
        layout=candidate.layout,
        partitions=max(2 * candidate.layout.node_cores * candidate.core_count, workload.tasks),
        minutes=minutes,
        usd=rent_usd(nodes, minutes * 60, prices),
        is_feasible=is_feasible,
        is_fixed=bounds.is_fixed,
        reason=_reason(bounds, sla, minutes, is_feasible=is_feasible),
    )


def run_minutes(workload: Workload, cores: int, calibration: Calibration) -> float:
    """Estimate minutes from the request to the end: start-up, then waves of tasks."""
    waves = math.ceil(workload.tasks / cores)
    seconds = waves * TASK_MIB / calibration.mib_per_core_second / calibration.safety
    return calibration.startup_minutes + seconds / 60


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
    """Lay executors on a node: as many cores as possible in use, one left to the system; None on a node too small."""
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
