"""Tells a run's observer of clusters and steps: what starts, what ends how, what is tried again and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from flows.run.model import SparkMove, SparkState
from flows.spark.backend import Bill, Cluster, JobEnd, JobStatus
from flows.spark.sizing.groups import Group

Moved = Callable[[SparkMove], None]
"""Quick, never raises."""


class GroupProgress:
    """How far one group is, on one cluster or several, one after the other.

    Args:
        group: The group.
        moved: Told of each move.
    """

    def __init__(self, group: Group, moved: Moved) -> None:
        bounds = group.bounds
        self._key = f"cluster:{group.job_group}:{'/'.join(bounds.types)}:{bounds.core_min}-{bounds.core_max}"
        self._name = f"Spark for {group.job_group}"
        self._moved = moved

    def rented(self, cluster: Cluster) -> None:
        """Tell of a cluster, with its size and links."""
        bill = cluster.bill
        size = f"{bill.sizing}. " if bill.sizing is not None else ""
        self._tell_cluster(SparkState.STARTED, bill.requested_at, f"{size}{cluster.links}")

    def step_began(self, target: str, when: datetime, links: str) -> None:
        """Tell that a step is at work."""
        self._tell_step(target, SparkState.STARTED, when, links)

    def ended(self, bill: Bill, ends: Mapping[str, JobEnd], *, goes_on: bool) -> None:
        """Tell how a cluster and its steps ended.

        Args:
            bill: Of the cluster.
            ends: How each step ended, by target.
            goes_on: Whether what was lost goes on at once on another cluster.
        """
        lost = [end for end in ends.values() if end.status is JobStatus.LOST]
        if_lost = SparkState.WAITS if goes_on else SparkState.FAILED
        for target, end in ends.items():
            if end.status is JobStatus.DONE:
                rows = end.result.row_count if end.result else 0
                self._tell_step(target, SparkState.DONE, end.finished_at, f"{rows:,} rows", end.started_at)
            else:
                state = SparkState.FAILED if end.status is JobStatus.FAILED else if_lost
                self._tell_step(target, state, end.finished_at, end.error or "", end.started_at)
        closed_at = bill.closed_at or max(end.finished_at for end in ends.values())
        reason = lost[0].error or "" if lost else f"Ended after {bill.seconds / 60:.1f} minutes."
        self._tell_cluster(if_lost if lost else SparkState.DONE, closed_at, reason)

    def refused(self, targets: Mapping[str, str], when: datetime) -> None:
        """Tell that no cluster could be asked for.

        Args:
            targets: Why, by target.
            when: UTC.
        """
        for target, reason in targets.items():
            self._tell_step(target, SparkState.FAILED, when, reason)
        self._tell_cluster(SparkState.FAILED, when, next(iter(targets.values()), ""))

    def _tell_cluster(self, state: SparkState, at: datetime, message: str) -> None:
        self._moved(SparkMove(self._key, self._name, state, at, message))

    def _tell_step(
        self, target: str, state: SparkState, at: datetime, message: str, began_at: datetime | None = None
    ) -> None:
        move = SparkMove(
            f"spark:{target}", f"{target} on Spark", state, at, message, began_at, needs=(self._key,), feeds=target
        )
        self._moved(move)
