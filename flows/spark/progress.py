"""Reports clusters and steps to a run's observer: starts, ends and retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from flows.run.model import SparkMove, SparkState
from flows.spark.backend import Bill, Cluster, JobEnd, JobStatus
from flows.spark.sizing.groups import Group

OnChange = Callable[[SparkMove], None]
"""Quick, never raises."""


class GroupProgress:
    """The progress of one group, on one cluster or several in sequence.

    Args:
        group: The group.
        on_change: Called with each change.
    """

    def __init__(self, group: Group, on_change: OnChange) -> None:
        bounds = group.bounds
        self._key = f"cluster:{group.job_group}:{'/'.join(bounds.types)}:{bounds.core_min}-{bounds.core_max}"
        self._name = f"Spark for {group.job_group}"
        self._on_change = on_change

    def cluster_started(self, cluster: Cluster) -> None:
        """Report a new cluster, with its size and links."""
        bill = cluster.bill
        size = f"{bill.sizing}. " if bill.sizing is not None else ""
        self._report_cluster(SparkState.STARTED, bill.requested_at, f"{size}{cluster.links}")

    def step_started(self, target: str, when: datetime, links: str) -> None:
        """Report that a step has started."""
        self._report_step(target, SparkState.STARTED, when, links)

    def cluster_ended(self, bill: Bill, ends: Mapping[str, JobEnd], *, goes_on: bool) -> None:
        """Report the end of a cluster and its steps.

        Args:
            bill: The cluster's size and lifetime.
            ends: The end of each step, by target.
            goes_on: Whether lost steps continue at once on another cluster.
        """
        lost = [end for end in ends.values() if end.status is JobStatus.LOST]
        if_lost = SparkState.WAITS if goes_on else SparkState.FAILED
        for target, end in ends.items():
            if end.status is JobStatus.DONE:
                rows = end.result.row_count if end.result else 0
                self._report_step(target, SparkState.DONE, end.finished_at, f"{rows:,} rows", end.started_at)
            else:
                state = SparkState.FAILED if end.status is JobStatus.FAILED else if_lost
                self._report_step(target, state, end.finished_at, end.error or "", end.started_at)
        closed_at = bill.closed_at or max(end.finished_at for end in ends.values())
        reason = lost[0].error or "" if lost else f"Ended after {bill.seconds / 60:.1f} minutes."
        self._report_cluster(if_lost if lost else SparkState.DONE, closed_at, reason)

    def cluster_failed(self, targets: Mapping[str, str], when: datetime) -> None:
        """Report that no cluster could be created.

        Args:
            targets: The error, by target.
            when: UTC.
        """
        for target, reason in targets.items():
            self._report_step(target, SparkState.FAILED, when, reason)
        self._report_cluster(SparkState.FAILED, when, next(iter(targets.values()), ""))

    def _report_cluster(self, state: SparkState, at: datetime, message: str) -> None:
        self._on_change(SparkMove(self._key, self._name, state, at, message))

    def _report_step(
        self, target: str, state: SparkState, at: datetime, message: str, began_at: datetime | None = None
    ) -> None:
        move = SparkMove(
            f"spark:{target}", f"{target} on Spark", state, at, message, began_at, needs=(self._key,), feeds=target
        )
        self._on_change(move)
