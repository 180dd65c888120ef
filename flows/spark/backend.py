"""The protocol of Spark backends, with the values that they exchange with the stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from flows.spark.jobs import Result, SparkJob
from flows.spark.sizing.sizing import Bounds, Sizing

Say = Callable[[str], None]
"""Prints a sentence for people; quick, never raises."""
OnStep = Callable[[str, datetime, str], None]
"""Called with a target, the start of its step (UTC) and links to its logs; quick, never raises."""


class JobStatus(StrEnum):
    """The result of a job."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    """The cluster could not be created, or was lost before the job ended."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of one job.

    Attributes:
        status: Its result.
        started_at: When its step started, UTC; None: it did not start.
        finished_at: When it ended, UTC.
        result: Its output; None unless it is done.
        error: The error message, from which the error is classified.
    """

    status: JobStatus
    started_at: datetime | None
    finished_at: datetime
    result: Result | None = None
    error: str | None = None

    @property
    def seconds(self) -> float:
        """How long its step took."""
        return 0.0 if self.started_at is None else max(0.0, (self.finished_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Order:
    """A request for a cluster.

    Attributes:
        run_id: The run.
        environment: Sluice's environment.
        job_group: The job group that uses it.
        owner: The person or schedule that requested the run.
        sizing: Its size; None on this machine.
        bounds: The bounds of managed scaling.
        place: One of the backend's places.
        most_seconds: How long it may live, by what it may cost; None: no cap is set.
        cap: The sentence that names the cap.
    """

    run_id: str
    environment: str
    job_group: str
    owner: str
    sizing: Sizing | None
    bounds: Bounds
    place: str | None = None
    most_seconds: float | None = None
    cap: str = ""


@dataclass(slots=True)
class Bill:
    """The size and the lifetime of a cluster.

    Attributes:
        backend: local or emr.
        cluster_id: EMR's id; None on this machine.
        sizing: Its size; None on this machine.
        task_cores: Tasks that run in parallel.
        requested_at: When it was requested, UTC.
        ready_at: When it accepted its first step, UTC; None: never.
        closed_at: When it was terminated, UTC; None: it is running.
    """

    backend: str
    cluster_id: str | None
    sizing: Sizing | None
    task_cores: int
    requested_at: datetime
    ready_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def startup_seconds(self) -> float:
        """From the request until the first step."""
        end = self.ready_at or self.closed_at
        return 0.0 if end is None else max(0.0, (end - self.requested_at).total_seconds())

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return 0.0 if self.closed_at is None else max(0.0, (self.closed_at - self.requested_at).total_seconds())


class Cluster(Protocol):
    """Something that runs jobs and costs money until it is closed."""

    @property
    def bill(self) -> Bill:
        """Its size and lifetime."""
        ...

    @property
    def links(self) -> str:
        """Links to its page and its logs."""
        ...

    def run(self, jobs: Sequence[SparkJob]) -> Mapping[str, JobEnd]:
        """Run jobs one after the other; a failed job does not stop the others.

        Returns:
            The end of each job, by target.
        """
        ...

    def close(self) -> None:
        """Terminate the cluster; a second call does nothing."""
        ...


class Backend(Protocol):
    """A source of clusters."""

    @property
    def name(self) -> str:
        """Its name in settings and logs."""
        ...

    @property
    def places(self) -> tuple[str | None, ...]:
        """The places (subnets) for clusters, preferred first; None: there is only one."""
        ...

    def obstacle(self, job: SparkJob) -> str | None:
        """Return why a job cannot run here, or None. It is called before a cluster is created."""
        ...

    def start(self, order: Order, say: Say, on_step: OnStep) -> Cluster:
        """Create a cluster.

        Args:
            order: The request.
            say: Prints progress.
            on_step: Called when a step starts.

        Raises:
            SluiceError: When the cluster cannot be created.
        """
        ...
