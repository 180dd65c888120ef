"""What the gate has saved: the runs that it avoided, and an estimate of their time and cost. Pure.

A run counts as avoided when the gate found nothing to load. Time and cost are estimated from the target's last loads;
without any load there is no estimate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Action, Reason
from flows.reports.cost import Prices

if TYPE_CHECKING:
    from metadata_sync.database.journals.counts import DecisionCount, PastLoad
    from metadata_sync.database.journals.entries import LoadCost

NOTHING_TO_LOAD: Final = frozenset(
    {
        *(Reason.NOTHING_NEW, Reason.SOURCE_EMPTY, Reason.SOURCE_EMPTIED),
        *(Reason.ONLY_FUTURE_ROWS, Reason.TRIGGER_WAITS),
    }
)
"""Reasons to skip that count as savings: without a gate, the schedule would have run and loaded nothing."""
_NO_PRICES: Final = Prices()


@dataclass(frozen=True, slots=True)
class Saving:
    """What was saved for one target.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        runs: Number of avoided runs.
        load_count: Number of last loads that the estimates use.
        seconds: Warehouse time: runs times the median of those loads; None: there is no load to estimate from. On
            Redshift the median of their shares of the warehouse's time, once `costs` has any.
        warehouse_usd: Dollars of that time; None: the price is not known.
        cluster_runs: Runs on Spark: runs times the share of those loads that ran there.
        cluster_seconds: Cluster runs times the median of a load's share of its cluster.
        usd: Cluster runs times the median price of that share; None: none of the loads had a price.
    """

    target: str
    pipeline_id: str
    runs: int
    load_count: int
    seconds: float | None
    warehouse_usd: float | None
    cluster_runs: float
    cluster_seconds: float
    usd: float | None


@dataclass(frozen=True, slots=True)
class Savings:
    """The savings of all targets.

    Attributes:
        decided: Number of decisions of the gate.
        ran: Number of decisions to run.
        targets: The savings of each target, most runs first.
    """

    decided: int
    ran: int
    targets: tuple[Saving, ...]

    @property
    def runs(self) -> int:
        """Number of avoided runs."""
        return sum(item.runs for item in self.targets)

    @property
    def seconds(self) -> float:
        """Estimated warehouse seconds of the avoided runs."""
        return sum(item.seconds or 0.0 for item in self.targets)

    @property
    def warehouse_usd(self) -> float | None:
        """Estimated dollars of those seconds; None: no price is known."""
        prices = [item.warehouse_usd for item in self.targets if item.warehouse_usd is not None]
        return sum(prices) if prices else None

    @property
    def cluster_runs(self) -> float:
        """Estimated number of avoided runs on Spark."""
        return sum(item.cluster_runs for item in self.targets)

    @property
    def cluster_seconds(self) -> float:
        """Estimated cluster seconds of the avoided runs."""
        return sum(item.cluster_seconds for item in self.targets)

    @property
    def usd(self) -> float | None:
        """Estimated cluster cost of the avoided runs; None: no load had a price."""
        prices = [item.usd for item in self.targets if item.usd is not None]
        return sum(prices) if prices else None

    @property
    def unestimated(self) -> tuple[str, ...]:
        """Targets without a load to estimate from: their runs are counted, their time is not."""
        return tuple(item.target for item in self.targets if item.seconds is None)


def skipped_targets(counts: Iterable[DecisionCount]) -> frozenset[str]:
    """Return the targets with at least one avoided run."""
    return frozenset(item.target for item in counts if _is_avoided(item))


def add_up(
    counts: Collection[DecisionCount],
    loads: Iterable[PastLoad],
    costs: Iterable[LoadCost] = (),
    prices: Prices = _NO_PRICES,
) -> Savings:
    """Add up what was saved.

    Args:
        counts: The gate's decisions in the period, counted by target, action and reason.
        loads: The last loads of the targets, of any time.
        costs: What loads took by the warehouse's own history.
        prices: What the warehouse costs.
    """
    by_target: dict[str, list[PastLoad]] = {}
    for load in loads:
        by_target.setdefault(load.target, []).append(load)
    costs_of: dict[str, list[LoadCost]] = {}
    for cost in costs:
        costs_of.setdefault(cost.target, []).append(cost)
    avoided: dict[str, tuple[str, int]] = {}
    for item in filter(_is_avoided, counts):
        avoided[item.target] = (item.pipeline_id, avoided.get(item.target, ("", 0))[1] + item.count)
    savings = (
        _saving(
            *(target, pipeline_id, runs),
            loads=by_target.get(target, ()),
            costs=costs_of.get(target, ()),
            prices=prices,
        )
        for target, (pipeline_id, runs) in avoided.items()
    )
    return Savings(
        decided=sum(item.count for item in counts),
        ran=sum(item.count for item in counts if item.action == Action.RUN),
        targets=tuple(sorted(savings, key=lambda item: (-item.runs, item.target))),
    )


def _is_avoided(item: DecisionCount) -> bool:
    return item.action == Action.SKIP and item.reason in NOTHING_TO_LOAD


def _saving(
    target: str,
    pipeline_id: str,
    runs: int,
    *,
    loads: Sequence[PastLoad],
    costs: Sequence[LoadCost],
    prices: Prices,
) -> Saving:
    clusters = [load.cluster for load in loads if load.cluster is not None]
    cluster_runs = runs * len(clusters) / len(loads) if loads else 0.0
    paid = [cluster.usd for cluster in clusters if cluster.prices_as_of is not None]
    seconds = [cost.share_seconds for cost in costs] or [load.seconds for load in loads]
    dollars = [usd for cost in costs if (usd := prices.of(cost)) is not None]
    return Saving(
        target=target,
        pipeline_id=pipeline_id,
        runs=runs,
        load_count=len(costs) or len(loads),
        seconds=runs * median(seconds) if seconds else None,
        warehouse_usd=runs * median(dollars) if dollars else None,
        cluster_runs=cluster_runs,
        cluster_seconds=cluster_runs * median(cluster.seconds for cluster in clusters) if clusters else 0.0,
        usd=cluster_runs * median(paid) if paid else None,
    )
