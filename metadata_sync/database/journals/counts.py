"""Counts of decisions in a period, and the last loads of targets, aggregated by the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.database.tables import decision_log, run_log
from metadata_sync.loads import ClusterCost

RECENT_LOADS: Final = 20
"""Number of a target's last loads from which durations are estimated."""


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """The number of decisions with the same target, action and reason.

    Attributes:
        target: `schema.table`.
        pipeline_id: Its pipeline.
        action: run, skip or hold.
        reason: Machine-readable reason.
        count: Number of decisions.
    """

    target: str
    pipeline_id: str
    action: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class PastLoad:
    """Duration and cost of one load.

    Attributes:
        target: `schema.table`.
        seconds: Seconds in the warehouse.
        cluster: Cost of Spark; None: it ran in the warehouse.
    """

    target: str
    seconds: float
    cluster: ClusterCost | None


def count_decisions(connection: Connection, environment: str, since: datetime) -> tuple[DecisionCount, ...]:
    """Return the number of decisions since an instant, by target, action and reason."""
    columns = decision_log.c
    query = (
        select(columns.target, func.max(columns.pipeline_id), columns.action, columns.reason, func.count())
        .where(columns.environment == environment, columns.decided_at >= to_utc(since))
        .group_by(columns.target, columns.action, columns.reason)
        .order_by(columns.target, columns.action, columns.reason)
    )
    return tuple(DecisionCount(*row) for row in connection.execute(query))


def past_loads(connection: Connection, environment: str, targets: Collection[str]) -> tuple[PastLoad, ...]:
    """Return the last successful loads of targets, at most `RECENT_LOADS` of each."""
    columns = run_log.c
    place = func.row_number().over(partition_by=columns.target, order_by=columns.position.desc()).label("place")
    ranked = (
        select(
            columns.target,
            columns.seconds,
            columns.cluster_seconds,
            columns.cluster_usd,
            columns.prices_as_of,
            place,
        )
        .where(
            columns.environment == environment,
            columns.target.in_(sorted(targets)),
            columns.status == LoadStatus.SUCCESS.value,
        )
        .subquery()
    )
    query = select(*list(ranked.c)[:-1]).where(ranked.c.place <= RECENT_LOADS).order_by(ranked.c.target)
    return tuple(
        PastLoad(target, seconds, None if cluster is None else ClusterCost(cluster, usd or 0.0, as_of))
        for target, seconds, cluster, usd, as_of in connection.execute(query)
    )
