"""Request, plan and outcome of a run: shared by the engine, the command line and the Prefect flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from flows.gate.facts import Action, Decision, DefinitionChange
from metadata_sync.analysis.blame import Blame
from metadata_sync.loads import ClusterCost, DrivingRows, Rejects, RowCounts, Window, notes_on, total
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.errors.classify import Verdict
    from flows.gate.first_load import FirstLoad
    from flows.warehouse.lake.view import LakeView
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The request of a run.

    Attributes:
        pipelines: Pipelines to run; empty = every active one.
        job_group: Only pipelines of this group; None = all groups.
        is_forced: Run even if the sources hold no new rows.
        requested_by: Person or schedule that sent the request.
        wait_seconds: How long to wait, before the gate decides, for other runs that load the same targets.
        engine: Where SELECTs run in this run, instead of the engine of the row; None = the engine of the row.
        cluster: The cluster to rent for this run, TYPE:N; None = Sluice sizes it.
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
        run_id: Identity of the planned run.
        planned_at: When the gate decided, UTC.
        request: The request.
        rows: The environment's rows at that moment.
        selected: The selected transformations, upstream before downstream.
        decisions: One per selected target, in the same order; WAIT where an upstream loads first.
        orphans: Targets in the load log that no longer have a row.
        tokens: Change token of every probed source without an incremental key; None when the source offers none.
        absent: Targets of the environment, selected or not, whose table is missing from the warehouse.
        blame: Faults of rows and SELECTs.
        rejecting: Targets whose rejects table held rows after their last load.
        first_loads: Target → its first load in chunks, which begins in this run or is under way.
        lake: The files of lake sources that the gate saw; None: it looked at none.
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
    first_loads: Mapping[str, FirstLoad] = field(default_factory=dict)
    lake: LakeView | None = None

    @property
    def is_due(self) -> bool:
        """Whether any target runs."""
        return any(decision.action is Action.RUN for decision in self.decisions)


class OutcomeStatus(StrEnum):
    """How a target ended in a run."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    """It ran and found nothing new: another run had loaded it meanwhile."""
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """Outcome of one target.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        decision: The gate's final decision.
        status: How it ended.
        windows: The window that was read from each driving source.
        load_id: Id of the load in the warehouse; None when nothing was written.
        rows: Row counts of the load; None when nothing was logged.
        seconds: Wall-clock duration of the model.
        started_at: When dbt started it, UTC.
        finished_at: When dbt finished it, UTC.
        loaded_at: `_sluice_loaded_at` of the load's rows.
        error: Error message, without secrets; None without an error.
        verdict: Class of the error; None without an error.
        attempts: How often dbt built it in this run.
        is_shared: Whether the cause is shared by all targets of the wave: dbt or its hooks stopped.
        cluster: Cost of Spark for it in this run, earlier tries included; None: it ran in the warehouse.
        rejects: Contents of its rejects table; None: the load rejected no row, and no earlier rejects were known.
        definition: What derived its rows, `<number>:<hash>`; None when nothing was logged.
        driving_rows: The rows read of its driving source; None: they were not counted.
        definition_change: Its rows that an older SELECT derived, after the run; None: there are none.
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
    definition: str | None = None
    driving_rows: DrivingRows | None = None
    definition_change: DefinitionChange | None = None

    @property
    def is_redefined(self) -> bool:
        """Whether its load derived rows by another SELECT than the target's first."""
        from flows.warehouse.definition import is_redefined, numbered

        return self.definition is not None and is_redefined(numbered(self.definition)[0])

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody should look at, although the target loaded."""
        change = self.definition_change
        noted = notes_on(self.target, self.rows, self.rejects, self.driving_rows)
        files = [f"{item.source}: {item.left_out}" for item in self.decision.evidence if item.left_out]
        return (*noted, *files, *([change.sentence] if change is not None else []))

    @property
    def is_clean(self) -> bool:
        """Whether it did not fail, is not held, rejected no row, and read every file."""
        is_whole = self.rejects is None and not any(item.left_out for item in self.decision.evidence)
        return is_whole and self.status not in (OutcomeStatus.FAILED, OutcomeStatus.HELD)


@dataclass(frozen=True, slots=True)
class Retry:
    """A target that failed and will be tried again in the same run.

    Attributes:
        target: Its name, `schema.table`.
        number: Number of the next try: 2 for the first retry.
        tries: Greatest number of tries.
        pause_seconds: Pause before the next try.
        due_at: When the next try is due, UTC.
        failed: Outcome of the last try.
    """

    target: str
    number: int
    tries: int
    pause_seconds: float
    due_at: datetime
    failed: TargetOutcome

    @property
    def sentence(self) -> str:
        """What happens and why, as a sentence."""
        what = self.failed.verdict.failure_class if self.failed.verdict else "failed"
        return f"{what}: try {self.number} of at most {self.tries} in {self.pause_seconds:.1f} s. {self.failed.error}"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Result of a run.

    Attributes:
        run_id: Its identity, also in the load log.
        request: The request.
        started_at: UTC.
        finished_at: UTC.
        outcomes: One per selected target, upstream before downstream.
        orphans: Targets in the load log that no longer have a row.
    """

    run_id: str
    request: RunRequest
    started_at: datetime
    finished_at: datetime
    outcomes: tuple[TargetOutcome, ...]
    orphans: tuple[Decision, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether a target failed, or is held until a person repairs it: exit code 1."""
        return any(outcome.status in (OutcomeStatus.FAILED, OutcomeStatus.HELD) for outcome in self.outcomes)

    @property
    def cluster(self) -> ClusterCost | None:
        """Cost of Spark for all targets; None: no target ran on Spark."""
        return total(outcome.cluster for outcome in self.outcomes)

    def count(self, status: OutcomeStatus) -> int:
        """Return the number of targets with this status."""
        return sum(outcome.status is status for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Wave:
    """Targets that dbt builds together.

    Attributes:
        number: 1 for the first of the run.
        targets: The targets to build, `schema.table`.
        upstreams: For each of them, the other selected targets that it reads.
    """

    number: int
    targets: tuple[str, ...]
    upstreams: Mapping[str, tuple[str, ...]]


class SparkState(StrEnum):
    """State of a cluster or a step."""

    STARTED = "started"
    WAITS = "waits"
    """It was lost and will be tried again; the message says why."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SparkMove:
    """A change of state of a cluster of a run, or of a step on it.

    Attributes:
        key: Identifies the cluster or step within the run; a replacement cluster has the same key.
        name: Name for display.
        state: The new state.
        at: When the state changed, UTC.
        message: Details with links, or why it failed.
        began_at: When it started, UTC, if no earlier move reported it.
        needs: Keys of the clusters or steps that it needs.
        feeds: The target that waits for it, `schema.table`; None: no target waits for it directly.
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
    """Receives the events of a run. Methods must be quick and must not raise."""

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """Functions that are called on dbt's threads with each dbt event (`EventMsg`)."""
        ...

    def decided(self, decisions: Sequence[Decision]) -> None:
        """The gate has decided: on all targets at the start, later on those that waited."""
        ...

    def wave_started(self, wave: Wave) -> None:
        """These targets are the next that dbt builds."""
        ...

    def say(self, sentence: str) -> None:
        """Report progress outside dbt (of a cluster or a step) as a sentence."""
        ...

    def spark_changed(self, move: SparkMove) -> None:
        """A cluster or a step has changed its state."""
        ...

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """A wave has ended with these outcomes, as read from the load log."""
        ...

    def retrying(self, retries: Sequence[Retry]) -> None:
        """These targets failed and will be tried again in this run."""
        ...

    def finished(self, summary: RunSummary) -> None:
        """The run has ended and everything is recorded."""
        ...


class SilentObserver:
    """An observer that ignores all events."""

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """Return no callbacks."""
        return []

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Ignore the event."""

    def wave_started(self, wave: Wave) -> None:
        """Ignore the event."""

    def say(self, sentence: str) -> None:
        """Ignore the event."""

    def spark_changed(self, move: SparkMove) -> None:
        """Ignore the event."""

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Ignore the event."""

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Ignore the event."""

    def finished(self, summary: RunSummary) -> None:
        """Ignore the event."""


_ALARMING: Final = frozenset({OutcomeStatus.FAILED, OutcomeStatus.HELD})


_IN_ORDER: Final = (
    OutcomeStatus.FAILED,
    OutcomeStatus.HELD,
    OutcomeStatus.LOADED,
    OutcomeStatus.UNCHANGED,
    OutcomeStatus.SKIPPED,
)


def headline(outcomes: Sequence[TargetOutcome]) -> str:
    """Summarise outcomes in one line, with the names of the failed targets.

    Returns:
        For instance `3 loaded, 1 skipped` or `1 failed (mart.route_daily), 2 loaded`.
    """
    parts = []
    for status in _IN_ORDER:
        named = [outcome.target for outcome in outcomes if outcome.status is status]
        names = f" ({', '.join(named)})" if status in _ALARMING else ""
        parts += [f"{len(named)} {status}{names}"] if named else []
    return ", ".join(parts) or "nothing to do"
