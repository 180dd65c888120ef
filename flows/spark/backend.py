"""What the stage asks of a place where Spark runs: this machine, EMR on EC2, whatever comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from flows.spark.jobs import Result, SparkJob
from flows.spark.sizing.sizing import Bounds, Sizing

Say = Callable[[str], None]
"""Tells people one sentence; quick, never raises."""
OnStep = Callable[[str, datetime, str], None]
"""Told that a target's step has begun: when, UTC, and where its logs will lie; quick, never raises."""


class JobStatus(StrEnum):
    """How a job ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    """Its cluster was not to be had, or was lost before its turn or under it."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How one job ended.

    Attributes:
        status: In one word.
        started_at: When its step began, UTC; None: it never did.
        finished_at: When it ended, UTC.
        result: What it left; None unless it is done.
        error: What went wrong, with the words that tell its class.
    """

    status: JobStatus
    started_at: datetime | None
    finished_at: datetime
    result: Result | None = None
    error: str | None = None

    @property
    def seconds(self) -> float:
        """How long its step took."""
        return 0.0 if self.started_at is None else (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Order:
    """What a cluster is wanted for.

    Attributes:
        run_id: The run.
        environment: Sluice's environment.
        job_group: The pipelines that share it.
        owner: The person or schedule that asked for the run.
        sizing: How large; None on this machine.
        bounds: Within which it may scale.
        place: Where, one of the backend's places.
    """

    run_id: str
    environment: str
    job_group: str
    owner: str
    sizing: Sizing | None
    bounds: Bounds
    place: str | None = None


@dataclass(slots=True)
class Bill:
    """What a cluster was, and how long it was ours.

    Attributes:
        backend: local or emr.
        cluster_id: EMR's name; None on this machine.
        sizing: What was rented in the end; None on this machine.
        task_cores: Tasks that ran at once.
        requested_at: When it was asked for, UTC.
        ready_at: When it took its first step, UTC; None: it never did.
        closed_at: When it was ended, UTC; None: it is not.
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
        return 0.0 if end is None else (end - self.requested_at).total_seconds()

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return 0.0 if self.closed_at is None else (self.closed_at - self.requested_at).total_seconds()


class Cluster(Protocol):
    """Something that runs jobs and costs money until it is closed."""

    @property
    def bill(self) -> Bill:
        """What it is and how long it was ours."""
        ...

    @property
    def links(self) -> str:
        """Where people look at it: its page, its logs."""
        ...

    def run(self, jobs: Sequence[SparkJob]) -> Mapping[str, JobEnd]:
        """Run jobs one after the other; one that fails does not hinder the others.

        Returns:
            How each ended, by target.

        Raises:
            RunError: When it cannot be told how they ended.
        """
        ...

    def close(self) -> None:
        """End it. Called again it does nothing."""
        ...


class Backend(Protocol):
    """A place where clusters come from."""

    @property
    def name(self) -> str:
        """Its word in settings and logs."""
        ...

    @property
    def places(self) -> tuple[str | None, ...]:
        """Where clusters can be had, the preferred place first; None: there is but one."""
        ...

    def obstacle(self, job: SparkJob) -> str | None:
        """Say what keeps a job from running there; None: nothing does. Asked before anything is rented."""
        ...

    def start(self, order: Order, say: Say, on_step: OnStep) -> Cluster:
        """Get a cluster.

        Args:
            order: What for.
            say: Told how far it is.
            on_step: Told of each step that begins.

        Raises:
            SluiceError: When none can be had now, or none can be had this way.
        """
        ...
