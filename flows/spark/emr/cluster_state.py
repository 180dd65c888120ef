"""The state of a cluster and its steps, and the end of a job. Pure, except that it reads a job's result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from flows.spark.backend import JobEnd, JobStatus
from flows.spark.jobs import SparkJob
from flows.spark.results import read_end

LIVE_STATES: Final = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
_READY_STATES: Final = ("RUNNING", "WAITING")
_ENDING_STATE: Final = "TERMINATING"
_ENDED_STATES: Final = ("TERMINATED", "TERMINATED_WITH_ERRORS")
_RAN: Final = ("COMPLETED", "FAILED")
_NEVER_RAN: Final = ("CANCELLED", "INTERRUPTED")


@dataclass(frozen=True, slots=True)
class StepState:
    """The state of one step.

    Attributes:
        state: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, INTERRUPTED.
        started_at: UTC; None: it has not started.
        ended_at: UTC; None: it has not ended.
        reason: EMR's message when it failed, otherwise empty.
    """

    state: str
    started_at: datetime | None
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The state of a cluster and its steps.

    Attributes:
        cluster_id: EMR's id.
        state: STARTING, BOOTSTRAPPING, RUNNING, WAITING, TERMINATING, TERMINATED, TERMINATED_WITH_ERRORS.
        reason: EMR's code and message for the state.
        is_protected: Whether it has termination protection, which EMR sets for clusters with three primary nodes.
        steps: By id.
    """

    cluster_id: str
    state: str
    reason: str
    is_protected: bool
    steps: Mapping[str, StepState]

    @property
    def is_ready(self) -> bool:
        """Whether it accepts steps."""
        return self.state in _READY_STATES

    @property
    def has_ended(self) -> bool:
        """Whether it is terminated."""
        return self.state in _ENDED_STATES

    @property
    def is_terminating(self) -> bool:
        """Whether it is ending; EMR gives the reason only afterwards."""
        return self.state == _ENDING_STATE

    @property
    def is_ended_by_request(self) -> bool:
        """Whether somebody asked EMR to end it."""
        return self.has_ended and self.reason.startswith("USER_REQUEST")

    def __str__(self) -> str:
        if self.is_ended_by_request:
            return (
                f"EMR cluster {self.cluster_id} was ended by a person or a program other than this run: {self.reason}"
            )
        return f"EMR cluster {self.cluster_id} is {self.state}" + (f": {self.reason}" if self.reason else "")


def read_cluster(
    cluster: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], ahead: timedelta = timedelta(0)
) -> ClusterState:
    """Parse the responses of DescribeCluster and ListSteps.

    Args:
        cluster: EMR's document.
        steps: Of its steps.
        ahead: How far EMR's clock is ahead of this process's.

    Returns:
        The state, with instants on this process's clock.
    """
    status = cluster["Status"]
    return ClusterState(
        cluster_id=cluster["Id"],
        state=status["State"],
        reason=_reason(status),
        is_protected=bool(cluster.get("TerminationProtected")),
        steps={step["Id"]: _read_step(step["Status"], ahead) for step in steps},
    )


def end_of(job: SparkJob, step: StepState, cluster: ClusterState, now: datetime) -> JobEnd | None:
    """Return how a job ended; None: it has not ended.

    The job's files decide: a manifest means a complete result, even if the cluster failed afterwards.

    Args:
        job: The job.
        step: Its step.
        cluster: The cluster.
        now: UTC.
    """
    if step.state not in (*_RAN, *_NEVER_RAN) and not cluster.has_ended:
        return None
    ended_at = step.ended_at or now
    end = read_end(job, ended_at) if step.started_at is not None else None
    if end is not None:
        return replace(end, started_at=step.started_at)
    if cluster.is_terminating:
        return None  # EMR gives the reason only after the termination
    if cluster.has_ended:
        return JobEnd(JobStatus.LOST, step.started_at, ended_at, error=str(cluster))
    if step.state in _NEVER_RAN:
        return JobEnd(
            JobStatus.LOST, step.started_at, ended_at, error=f"its step on {cluster.cluster_id} was cancelled"
        )
    message = f"its step on {cluster.cluster_id} ended as {step.state} and left no result. {step.reason}"
    return JobEnd(JobStatus.FAILED, step.started_at, ended_at, error=message.strip())


def _read_step(status: Mapping[str, Any], ahead: timedelta) -> StepState:
    timeline = status.get("Timeline", {})
    details = status.get("FailureDetails", {})
    words = (details.get("Reason"), details.get("Message"), details.get("LogFile"), _reason(status))
    return StepState(
        state=status["State"],
        started_at=_moved(timeline.get("StartDateTime"), ahead),
        ended_at=_moved(timeline.get("EndDateTime"), ahead),
        reason=" ".join(word for word in words if word),
    )


def _moved(instant: datetime | None, ahead: timedelta) -> datetime | None:
    return None if instant is None else instant - ahead


def _reason(status: Mapping[str, Any]) -> str:
    reason = status.get("StateChangeReason", {})
    return ": ".join(part for part in (reason.get("Code"), reason.get("Message")) if part)
