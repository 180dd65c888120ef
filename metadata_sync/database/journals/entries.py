"""The entries of the journals: audit, decisions, loads, Spark, backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from metadata_sync.loads import ClusterCost, DrivingRows, Rejects, RowCounts, Window


class Via(StrEnum):
    """How a change was made."""

    APPLY = "apply"
    SET = "set"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    FORM = "form"
    FRAMEWORK = "framework"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


SELECT: Final = "select"
"""Column of the audit, and table of a proposal, for another SELECT of a transformation: the hashes of the texts."""


class LoadStatus(StrEnum):
    """The result of a load."""

    SUCCESS = "success"
    ERROR = "error"
    SKIPPED = "skipped"


class Lifecycle(StrEnum):
    """What happens to a target as a whole."""

    RENAME = "rename"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One changed column of one row.

    Attributes:
        change_id: The same for all entries of one transaction; sorts by time.
        changed_at: When, UTC.
        who: Person or role.
        via: How the change was made: one of `Via`.
        table: Control table.
        key: Key of the row, e.g. `dwh.dim_aircraft`.
        column: Changed column.
        old: Value before, JSON-ready; None when the row was added.
        new: Value after, JSON-ready; None when the row was removed.
        reason: Why, in the person's words.
        approved_by: The identity that approved it; None: it needed no approval.
        proposal: Number of the approved proposal.
    """

    change_id: str
    changed_at: datetime
    who: str
    via: str
    table: str
    key: str
    column: str
    old: Any
    new: Any
    reason: str | None
    approved_by: str | None = None
    proposal: int | None = None


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One decision of the gate.

    Attributes:
        run_id: The run.
        decided_at: When, UTC.
        pipeline_id: Pipeline of the transformation.
        target: `schema.table`.
        action: run, skip or hold.
        reason: Machine-readable reason.
        message: The reason for people.
        evidence: The evidence of the decision, JSON-ready.
    """

    run_id: str
    decided_at: datetime
    pipeline_id: str
    target: str
    action: str
    reason: str
    message: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoadEntry:
    """A copy of one load's summary, so that `sluice status` and `sluice why` do not need the warehouse.

    Attributes:
        run_id: The run.
        pipeline_id: Pipeline of the transformation.
        target: `schema.table`.
        load_id: The load's id in the warehouse; None when nothing was written.
        status: success, error or skipped.
        started_at: UTC.
        finished_at: UTC.
        seconds: Wall-clock duration.
        rows: Row counts; None when nothing was logged.
        windows: The window of each driving source.
        loaded_at: `_sluice_loaded_at` of the load's rows.
        error_message: The error, with secrets masked.
        cluster: Cost of Spark; None: it ran in the warehouse.
        rejects: The rejects table after the load; None: no rejects are known.
        definition: What derived its rows, `<number>:<hash>`; None: unknown.
        driving_rows: The rows read of its driving source; None: they were not counted.
    """

    run_id: str
    pipeline_id: str
    target: str
    load_id: str | None
    status: LoadStatus
    started_at: datetime
    finished_at: datetime
    seconds: float
    rows: RowCounts | None = None
    windows: tuple[Window, ...] = ()
    loaded_at: datetime | None = None
    error_message: str | None = None
    cluster: ClusterCost | None = None
    rejects: Rejects | None = None
    definition: str | None = None
    driving_rows: DrivingRows | None = None


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """A definition by which rows of a target were or will be derived, after its first.

    Attributes:
        target: `schema.table`.
        number: Its number in the target's ledger.
        definition: Its hash.
        noted_at: When the first load by it was recorded, or when it was accepted before, UTC.
        event_count: Events of the ledger when they were last counted; None: never counted.
        older_count: Those of them that an older definition derived.
        counted_at: When they were counted, UTC.
        accepted_by: Who accepted that older rows stay as they are; None: nobody did.
        reason: Why.
        accepted_at: UTC.
    """

    target: str
    number: int
    definition: str
    noted_at: datetime
    event_count: int | None = None
    older_count: int | None = None
    counted_at: datetime | None = None
    accepted_by: str | None = None
    reason: str | None = None
    accepted_at: datetime | None = None

    @property
    def has_older(self) -> bool:
        """Whether rows by an older definition stand that nobody accepted."""
        return self.accepted_by is None and self.older_count != 0


@dataclass(frozen=True, slots=True)
class LoadTotal:
    """What the successful loads of a target took together.

    Attributes:
        rows_read: Rows that they read.
        seconds: Wall-clock duration.
    """

    rows_read: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LatestLoads:
    """The last loads of every target that has a row, in the order in which they were written.

    Attributes:
        newest: The last load of each target, successful or not, by target.
        successful: The last successful load of each target, by target.
    """

    newest: tuple[LoadEntry, ...]
    successful: tuple[LoadEntry, ...]

    @property
    def rejecting(self) -> frozenset[str]:
        """Targets whose rejects table held rows after their last load."""
        return frozenset(entry.target for entry in self.successful if entry.rejects and entry.rejects.kept)


@dataclass(frozen=True, slots=True)
class SparkEntry:
    """One transformation on Spark in one run, with its share of the cluster.

    Attributes:
        run_id: The run.
        job_group: The job group that used the cluster.
        target: `schema.table`.
        status: success, error, or skipped: the cluster ended before its step started.
        backend: emr or local.
        cluster_id: EMR's id of the cluster; None on this machine.
        instance_type: Type of the core nodes; None on this machine.
        core_count: Core nodes.
        task_cores: Parallel tasks on all of them.
        started_at: When its step started, UTC.
        finished_at: When its step ended, UTC.
        scan_bytes: Estimated bytes to read.
        row_count: Rows of the result; None when there is none.
        predicted_minutes: Forecast of the whole cluster's duration.
        predicted_usd: Forecast of its cost.
        startup_seconds: From the request until the cluster accepted its first step.
        step_seconds: Duration of its step.
        cluster_seconds: Its share of the cluster's lifetime, start-up included.
        usd: Cost of that share at list prices.
        prices_as_of: Date of the price list.
        advice: Comparison with the best cluster for the measured speed.
        error_message: The error, with secrets masked.
    """

    run_id: str
    job_group: str
    target: str
    status: LoadStatus
    backend: str
    cluster_id: str | None
    instance_type: str | None
    core_count: int
    task_cores: int
    started_at: datetime
    finished_at: datetime
    scan_bytes: int
    row_count: int | None
    predicted_minutes: float | None
    predicted_usd: float | None
    startup_seconds: float
    step_seconds: float
    cluster_seconds: float
    usd: float
    prices_as_of: date | None
    advice: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class BackfillEntry:
    """A backfill: its request, and its chunks.

    Attributes:
        backfill_id: Also the run id of its loads in the warehouse's load log, which shows the chunks that are done.
        subject: The pipeline or target of the request.
        range_start: Least key of the request.
        range_end: Greatest key of the request; None: the watermark.
        chunk_size: Chunk size of the request; None: by the number of rows.
        chunks: Target → its chunks in order; a chunk is the window of one source that one load reads.
        requested_by: Person or deployment.
        started_at: UTC.
        finished_at: When its last chunk was loaded, UTC; None: it is not done.
        error_message: Why it stopped, with secrets masked.
        engine: Engine of the request; None: as in the rows.
        cluster: Cluster of the request, TYPE:N; None: not set.
        definition: What a restatement derives rows by, `<number>:<hash>`; None: it is a backfill.
        backfill_order: Of a first load in chunks: which chunk comes first; None: it is no first load.
        row_count: Of a first load in chunks: rows of all chunks when it was cut.
        done_count: Of a first load in chunks: chunks that were loaded when this was last written.
    """

    backfill_id: str
    subject: str
    range_start: str
    range_end: str | None
    chunk_size: str | None
    chunks: Mapping[str, Sequence[Window]]
    requested_by: str
    started_at: datetime
    finished_at: datetime | None = None
    error_message: str | None = None
    engine: str | None = None
    cluster: str | None = None
    definition: str | None = None
    backfill_order: str | None = None
    row_count: int | None = None
    done_count: int | None = None


@dataclass(frozen=True, slots=True)
class LifecycleEntry:
    """The renaming or the retirement of a target.

    Attributes:
        entry_id: Sorts by time.
        kind: Renaming or retirement.
        target: `schema.table`.
        new_target: Its new name; None: it is retired.
        involved: The targets that no run may load meanwhile: old and new name, and the targets whose rows name it.
        requested_by: Person or deployment.
        started_at: UTC.
        due_at: When a retired table is dropped, UTC; None: it is renamed.
        finished_at: When it was complete or given up, UTC; None: it is not finished.
        outcome: What was done, one sentence, or why it was given up; None: it is not finished.
    """

    entry_id: str
    kind: Lifecycle
    target: str
    new_target: str | None
    involved: tuple[str, ...]
    requested_by: str
    started_at: datetime
    due_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: str | None = None

    def __str__(self) -> str:
        what = f"{self.target} to {self.new_target}" if self.new_target else self.target
        return (
            f"the {_NOUNS[self.kind]} of {what}, begun by {self.requested_by} at {self.started_at:%Y-%m-%d %H:%M} UTC"
        )


_NOUNS: Final = {Lifecycle.RENAME: "renaming", Lifecycle.RETIRE: "retirement"}


@dataclass(frozen=True, slots=True)
class LoadCost:
    """What a load took of the warehouse, by the warehouse's own history of statements.

    Attributes:
        run_id: The run.
        target: `schema.table`.
        pipeline_id: Its pipeline; None: the label named none.
        began_at: When its first statement began to execute, UTC.
        statement_count: Number of its statements that took time.
        execution_seconds: Sum of their execution times, without queues.
        share_seconds: Its share of the warehouse's time: a second in which n statements execute counts 1/n for each.
        rpu_seconds: Its share of the RPU-seconds that a serverless workgroup charged; None: a cluster.
    """

    run_id: str
    target: str
    pipeline_id: str | None
    began_at: datetime
    statement_count: int
    execution_seconds: float
    share_seconds: float
    rpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SourceShape:
    """The columns of a lake source as runs have accepted them.

    Attributes:
        source: `schema.table`.
        columns: Name → type.
        noted_at: When they were accepted, UTC.
        change: What was new then, and who reads it; None: it was the first look.
        damaged: Files that a load found to be damaged behind a sound footer: name → version and error.
    """

    source: str
    columns: Mapping[str, str]
    noted_at: datetime
    change: str | None = None
    damaged: Mapping[str, tuple[str, str]] = field(default_factory=dict)
