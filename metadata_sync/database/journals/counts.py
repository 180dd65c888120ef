"""What decisions and loads of a period add up to: counted by the database, a row per target."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from metadata_sync.database.clock import to_utc
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.database.tables import decision_log, run_log
from metadata_sync.loads import ClusterCost

RECENT_LOADS: Final = 20
"""So many of a target's last loads tell how long the next one would take."""


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """How often the gate decided in one way on one target.

    Attributes:
        target: `schema.table`.
        pipeline_id: Its pipeline at the newest of them.
        action: run, skip or hold.
        reason: Machine-readable reason.
        count: How often.
    """

    target: str
    pipeline_id: str
    action: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class PastLoad:
    """What one load took.

    Attributes:
        target: `schema.table`.
        seconds: Of the warehouse.
        cluster: Of Spark; None: it ran in the warehouse.
    """

    target: str
    seconds: float
    cluster: ClusterCost | None


def count_decisions(connection: Connection, environment: str, since: datetime) -> tuple[DecisionCount, ...]:
    """Return how often was decided what since an instant, by target."""
    columns = decision_log.c
    query = (
        select(columns.target, func.max(columns.pipeline_id), columns.action, columns.reason, func.count())
        .where(columns.environment == environment, columns.decided_at >= to_utc(since))
        .group_by(columns.target, columns.action, columns.reason)
        .order_by(columns.target, columns.action, columns.reason)
    )
    return tuple(DecisionCount(*row) for row in connection.execute(query))


def past_loads(connection: Connection, environment: str, targets: Collection[str]) -> tuple[PastLoad, ...]:
    """Return what the last loads of targets took, at most `RECENT_LOADS` of each."""
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
