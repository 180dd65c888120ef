"""What loads took of a Redshift warehouse, added up by target, by pipeline or by load. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from metadata_sync.database.journals.entries import LoadCost

_HOUR: Final = 3600.0


class By(StrEnum):
    """What a line of the report stands for."""

    TARGET = "target"
    PIPELINE = "pipeline"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Prices:
    """What the warehouse costs.

    Attributes:
        usd_per_hour: A cluster, all its nodes; None: not known.
        usd_per_rpu_hour: An RPU of a serverless workgroup; None: not known.
    """

    usd_per_hour: float | None = None
    usd_per_rpu_hour: float | None = None

    def of(self, cost: LoadCost) -> float | None:
        """Return the dollars of a load; None: the price is not known."""
        if cost.rpu_seconds is not None:
            return None if self.usd_per_rpu_hour is None else cost.rpu_seconds / _HOUR * self.usd_per_rpu_hour
        return None if self.usd_per_hour is None else cost.share_seconds / _HOUR * self.usd_per_hour


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of the report.

    Attributes:
        name: The target, the pipeline, or the run and target.
        loads: Number of loads.
        statement_count: Number of their statements that took time.
        execution_seconds: Sum of their execution times.
        share_seconds: Their share of the time in which the warehouse was at work.
        rpu_seconds: Their share of what a serverless workgroup charged; None: a cluster.
        usd: Dollars; None: the price is not known.
        last_at: When the last of them began, UTC.
    """

    name: str
    loads: int
    statement_count: int
    execution_seconds: float
    share_seconds: float
    rpu_seconds: float | None
    usd: float | None
    last_at: datetime


def add_up(costs: Iterable[LoadCost], by: By, prices: Prices) -> tuple[Cost, ...]:
    """Add up what loads took, the most expensive line first.

    Args:
        costs: What each load took.
        by: What a line stands for.
        prices: What the warehouse costs.
    """
    groups: dict[str, list[LoadCost]] = {}
    for cost in costs:
        groups.setdefault(_name(cost, by), []).append(cost)
    return tuple(sorted((total(name, found, prices) for name, found in groups.items()), key=_rank))


def total(name: str, costs: Sequence[LoadCost], prices: Prices) -> Cost:
    """Add up at least one load."""
    charged = [cost.rpu_seconds for cost in costs if cost.rpu_seconds is not None]
    dollars = [usd for cost in costs if (usd := prices.of(cost)) is not None]
    return Cost(
        name=name,
        loads=len(costs),
        statement_count=sum(cost.statement_count for cost in costs),
        execution_seconds=sum(cost.execution_seconds for cost in costs),
        share_seconds=sum(cost.share_seconds for cost in costs),
        rpu_seconds=sum(charged) if charged else None,
        usd=sum(dollars) if len(dollars) == len(costs) else None,
        last_at=max(cost.began_at for cost in costs),
    )


def _name(cost: LoadCost, by: By) -> str:
    names = {
        By.TARGET: cost.target,
        By.PIPELINE: cost.pipeline_id or "no pipeline",
        By.LOAD: f"{cost.target} {cost.run_id}",
    }
    return names[by]


def _rank(cost: Cost) -> tuple[float, float, str]:
    return -(cost.usd or 0.0), -cost.share_seconds, cost.name
