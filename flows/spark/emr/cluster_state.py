"""What EMR says of a cluster and its steps, as values; and what follows for a job. Pure but for a job's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
class StepSeen:
    """One step.

    Attributes:
        state: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, INTERRUPTED.
        started_at: UTC; None: it never did.
        ended_at: UTC; None: it has not.
        reason: Why it failed, in EMR's words; empty when it did not.
    """

    state: str
    started_at: datetime | None
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """A cluster with its steps.

    Attributes:
        cluster_id: EMR's name.
        state: STARTING, BOOTSTRAPPING, RUNNING, WAITING, TERMINATING, TERMINATED, TERMINATED_WITH_ERRORS.
        reason: Why it is in that state: EMR's code and words.
        is_protected: Whether it must be unprotected before it can be ended; EMR does so with three primary nodes.
        steps: By id.
    """

    cluster_id: str
    state: str
    reason: str
    is_protected: bool
    steps: Mapping[str, StepSeen]

    @property
    def is_ready(self) -> bool:
        """Whether it takes steps."""
        return self.state in _READY_STATES

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.state in _ENDED_STATES

    def __str__(self) -> str:
        return f"EMR cluster {self.cluster_id} is {self.state}" + (f": {self.reason}" if self.reason else "")


def read_cluster(cluster: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> ClusterSeen:
    """Read what DescribeCluster and ListSteps answer."""
    status = cluster["Status"]
    return ClusterSeen(
        cluster_id=cluster["Id"],
        state=status["State"],
        reason=_reason(status),
        is_protected=bool(cluster.get("TerminationProtected")),
        steps={step["Id"]: _read_step(step["Status"]) for step in steps},
    )


def end_of(job: SparkJob, step: StepSeen, cluster: ClusterSeen, now: datetime) -> JobEnd | None:
    """Tell how a job ended; None: it has not.

    What the job left has the last word: a manifest is a whole result, whatever became of the cluster afterwards.

    Args:
        job: The job.
        step: Its step.
        cluster: The cluster.
        now: UTC.
    """
    if step.state not in (*_RAN, *_NEVER_RAN) and not cluster.has_ended:
        return None
    ended_at = step.ended_at or now
    told = read_end(job, ended_at) if step.started_at is not None else None
    if told is not None:
        return replace(told, started_at=step.started_at)
    if cluster.state == _ENDING_STATE:
        return None  # only at its end EMR says why
    if cluster.has_ended:
        return JobEnd(JobStatus.LOST, step.started_at, ended_at, error=str(cluster))
    if step.state in _NEVER_RAN:
        return JobEnd(
            JobStatus.LOST, step.started_at, ended_at, error=f"its step on {cluster.cluster_id} was cancelled"
        )
    silence = f"its step on {cluster.cluster_id} ended as {step.state} and left no result. {step.reason}"
    return JobEnd(JobStatus.FAILED, step.started_at, ended_at, error=silence.strip())


def _read_step(status: Mapping[str, Any]) -> StepSeen:
    timeline = status.get("Timeline", {})
    details = status.get("FailureDetails", {})
    words = (details.get("Reason"), details.get("Message"), details.get("LogFile"), _reason(status))
    return StepSeen(
        state=status["State"],
        started_at=timeline.get("StartDateTime"),
        ended_at=timeline.get("EndDateTime"),
        reason=" ".join(word for word in words if word),
    )


def _reason(status: Mapping[str, Any]) -> str:
    reason = status.get("StateChangeReason", {})
    return ": ".join(part for part in (reason.get("Code"), reason.get("Message")) if part)
