"""What a run is asked, plans and reports: shared by the engine, the command line and the Prefect flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from flows.gate.facts import Action, Decision
from metadata_sync.analysis.blame import Blame
from metadata_sync.loads import ClusterCost, Rejects, RowCounts, Window, total
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.errors.classify import Verdict


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asked for.

    Attributes:
        pipelines: Pipelines to run; empty = every active one.
        job_group: Only pipelines of this group; None = of any.
        is_forced: Run whatever the sources say.
        requested_by: Person or schedule that asked.
        wait_seconds: How long to wait for other runs that are at work on the same targets, before deciding.
        engine: Where SELECTs run this time, whatever the rows say; None = as they say.
        cluster: The cluster to rent this time, TYPE:N; None = it is sized.
    """

    pipelines: tuple[str, ...] = ()
    job_group: str | None = None
    is_forced: bool = False
    requested_by: str = "unknown"
    wait_seconds: float = 0.0
    engine: Engine | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do now.

    Attributes:
        run_id: Identity of the run that would do it.
        planned_at: When it was decided, UTC.
        request: What was asked.
        rows: The environment's rows at that moment.
        selected: The transformations concerned, upstream before downstream.
        decisions: One per selected target, in the same order; WAIT where an upstream loads first.
        orphans: Targets that the load log knows and no row does any more.
        tokens: Change token of every source without an incremental key that was looked at; None when it has none.
        absent: Targets of the environment, selected or not, whose table is not in the warehouse yet.
        blame: What is wrong with rows and SELECTs.
        rejecting: Targets whose rejects table held rows after their last load.
    """

    run_id: str
    planned_at: datetime
    request: RunRequest
    rows: ControlRows
    selected: tuple[TransformationRow, ...]
    decisions: tuple[Decision, ...]
    orphans: tuple[Decision, ...] = ()
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    absent: frozenset[TableName] = frozenset()
    blame: Blame = field(default_factory=Blame)
    rejecting: frozenset[str] = frozenset()

    @property
    def is_due(self) -> bool:
        """Whether anything runs."""
        return any(decision.action is Action.RUN for decision in self.decisions)


class OutcomeStatus(StrEnum):
    """How a target fared in a run."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    """It ran and found nothing new: somebody else had loaded it meanwhile."""
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """How one target fared.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        decision: The gate's last word.
        status: How it ended.
        windows: What was read of each driving source.
        load_id: The warehouse's load; None when nothing was written.
        rows: How many rows moved; None when nothing was logged.
        seconds: Wall-clock duration of the model.
        started_at: When dbt began with it, UTC.
        finished_at: When it was done, UTC.
        loaded_at: `_sluice_loaded_at` of the load's rows.
        error: What went wrong, fit to be shown; None when nothing did.
        verdict: What kind of failure that is; None when nothing went wrong.
        attempts: How often it was given to dbt in this run.
        is_shared: It failed for what is no fault of its own: dbt or its hooks stopped.
        cluster: What Spark took for it in this run, earlier tries included; None: it ran in the warehouse.
        rejects: What lies in its rejects table; None: nothing was rejected, and nothing was known to lie there.
    """

    target: str
    pipeline_id: str
    decision: Decision
    status: OutcomeStatus
    windows: tuple[Window, ...] = ()
    load_id: str | None = None
    rows: RowCounts | None = None
    seconds: float | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    loaded_at: datetime | None = None
    error: str | None = None
    verdict: Verdict | None = None
    attempts: int = 1
    is_shared: bool = False
    cluster: ClusterCost | None = None
    rejects: Rejects | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A target that has failed and is going to be tried again in the same run.

    Attributes:
        target: Its name, `schema.table`.
        number: Which try it will be: 2 for the first retry.
        tries: How many there may be.
        pause_seconds: How long it waits.
        due_at: When it is tried, UTC.
        failed: How it fared.
    """

    target: str
    number: int
    tries: int
    pause_seconds: float
    due_at: datetime
    failed: TargetOutcome

    @property
    def sentence(self) -> str:
        """What happens and why, for people."""
        what = self.failed.verdict.failure_class if self.failed.verdict else "failed"
        return f"{what}: try {self.number} of at most {self.tries} in {self.pause_seconds:.1f} s. {self.failed.error}"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    Attributes:
        run_id: Its identity, also in the load log.
        request: What was asked.
        started_at: UTC.
        finished_at: UTC.
        outcomes: One per selected target, upstream before downstream.
        orphans: Targets that the load log knows and no row does any more.
    """

    run_id: str
    request: RunRequest
    started_at: datetime
    finished_at: datetime
    outcomes: tuple[TargetOutcome, ...]
    orphans: tuple[Decision, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether something failed, or is held until a person mends it: exit code 1."""
        return any(outcome.status in (OutcomeStatus.FAILED, OutcomeStatus.HELD) for outcome in self.outcomes)

    @property
    def cluster(self) -> ClusterCost | None:
        """What Spark took for all of them; None: nothing ran there."""
        return total(outcome.cluster for outcome in self.outcomes)

    def count(self, status: OutcomeStatus) -> int:
        """Return how many targets ended that way."""
        return sum(outcome.status is status for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Wave:
    """Targets that dbt builds together.

    Attributes:
        number: 1 for the first of the run.
        targets: What is built, `schema.table`.
        upstreams: For each of them, the other selected targets that it reads.
    """

    number: int
    targets: tuple[str, ...]
    upstreams: Mapping[str, tuple[str, ...]]


class SparkState(StrEnum):
    """How far a cluster or a step is."""

    STARTED = "started"
    WAITS = "waits"
    """It was lost and is going to be tried again, for the reason that is told."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SparkMove:
    """A cluster of a run, or a step on it, has moved on.

    Attributes:
        key: Which one it is, unique within the run; the next cluster for the same work has the same.
        name: For people.
        state: How far it is.
        at: Since when, UTC.
        message: What is there to see, with its links, or why it failed.
        began_at: When it started, UTC, for one that was not told of before.
        needs: Keys of what it runs on.
        feeds: The target that waits for it, `schema.table`; None: none does directly.
    """

    key: str
    name: str
    state: SparkState
    at: datetime
    message: str = ""
    began_at: datetime | None = None
    needs: tuple[str, ...] = ()
    feeds: str | None = None


class RunObserver(Protocol):
    """Watches a run; it must be quick and must not raise."""

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """Called on dbt's threads with each of dbt's events (`EventMsg`)."""
        ...

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Targets were decided on: all of them at the start, then those that waited."""
        ...

    def wave_started(self, wave: Wave) -> None:
        """These are about to be built by dbt."""
        ...

    def say(self, sentence: str) -> None:
        """Progress outside dbt, as a sentence: of a cluster, a step."""
        ...

    def spark_changed(self, move: SparkMove) -> None:
        """A cluster or a step has changed its state."""
        ...

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """A wave has ended so, as its load log says."""
        ...

    def retrying(self, retries: Sequence[Retry]) -> None:
        """These targets have failed and are going to be tried again in this run."""
        ...

    def finished(self, summary: RunSummary) -> None:
        """The run has ended and everything is recorded."""
        ...


class SilentObserver:
    """Watches a run and says nothing."""

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """None."""
        return []

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Say nothing."""

    def wave_started(self, wave: Wave) -> None:
        """Say nothing."""

    def say(self, sentence: str) -> None:
        """Say nothing."""

    def spark_changed(self, move: SparkMove) -> None:
        """Say nothing."""

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Say nothing."""

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Say nothing."""

    def finished(self, summary: RunSummary) -> None:
        """Say nothing."""


_ALARMING: Final = frozenset({OutcomeStatus.FAILED, OutcomeStatus.HELD})


_IN_ORDER: Final = (
    OutcomeStatus.FAILED,
    OutcomeStatus.HELD,
    OutcomeStatus.LOADED,
    OutcomeStatus.UNCHANGED,
    OutcomeStatus.SKIPPED,
)


def headline(outcomes: Sequence[TargetOutcome]) -> str:
    """Say in one line what happened, what failed by name.

    Returns:
        For instance `3 loaded, 1 skipped` or `1 failed (mart.route_daily), 2 loaded`.
    """
    parts = []
    for status in _IN_ORDER:
        named = [outcome.target for outcome in outcomes if outcome.status is status]
        names = f" ({', '.join(named)})" if status in _ALARMING else ""
        parts += [f"{len(named)} {status}{names}"] if named else []
    return ", ".join(parts) or "nothing to do"
