"""What the control database remembers besides rows: changes, decisions, loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from metadata_sync.loads import ClusterCost, Rejects, RowCounts, Window


class Via(StrEnum):
    """The way by which a change came."""

    APPLY = "apply"
    SET = "set"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    FORM = "form"
    FRAMEWORK = "framework"


class LoadStatus(StrEnum):
    """How a load ended."""

    SUCCESS = "success"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One changed column of one row.

    Attributes:
        change_id: Shared by everything that was written in the same transaction; sorts by time.
        changed_at: When, UTC.
        who: Person or role.
        via: The way: one of `Via`.
        table: Control table.
        key: Key of the row, e.g. `dwh.dim_aircraft`.
        column: Changed column.
        old: Value before, JSON-ready; None when the row was added.
        new: Value after, JSON-ready; None when the row was removed.
        reason: Why, in the person's words.
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


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One decision of the gate.

    Attributes:
        run_id: The run that asked.
        decided_at: When, UTC.
        pipeline_id: Pipeline of the transformation.
        target: `schema.table`.
        action: run, skip or hold.
        reason: Machine-readable reason.
        message: The same for people.
        evidence: What the decision rests on, JSON-ready.
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
    """A copy of one load's summary, so that status and why never need the warehouse.

    Attributes:
        run_id: The run.
        pipeline_id: Pipeline of the transformation.
        target: `schema.table`.
        load_id: The warehouse's load; None when nothing was written.
        status: success, error or skipped.
        started_at: UTC.
        finished_at: UTC.
        seconds: Wall-clock duration.
        rows: How many rows moved; None when nothing was logged.
        windows: What was read of each driving source.
        loaded_at: `_sluice_loaded_at` of the load's rows.
        error_message: What went wrong, secrets masked.
        cluster: What Spark took for it; None: it ran in the warehouse.
        rejects: What lies in the rejects table; None: nothing was rejected, and nothing was known to lie there.
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


@dataclass(frozen=True, slots=True)
class LatestLoads:
    """The last loads of every target that has a row, in the order in which they were written.

    Attributes:
        newest: The last one of each target, however it ended, by target.
        successful: The last one of each target that succeeded, by target.
    """

    newest: tuple[LoadEntry, ...]
    successful: tuple[LoadEntry, ...]

    @property
    def rejecting(self) -> frozenset[str]:
        """Targets whose rejects table held rows after their last load."""
        return frozenset(entry.target for entry in self.successful if entry.rejects and entry.rejects.kept)


@dataclass(frozen=True, slots=True)
class SparkEntry:
    """What one transformation did on Spark in one run, and its share of the cluster.

    Attributes:
        run_id: The run.
        job_group: The pipelines that shared the cluster.
        target: `schema.table`.
        status: success, error, or skipped: the cluster ended before its step began.
        backend: emr or local.
        cluster_id: EMR's name of the cluster; None where there is none.
        instance_type: Of the core nodes; None on this machine.
        core_count: Core nodes.
        task_cores: Tasks that ran at once on all of them.
        started_at: When its step began, UTC.
        finished_at: When its step ended, UTC.
        scan_bytes: What it was expected to read.
        row_count: Rows of the result; None when there is none.
        predicted_minutes: The forecast for the whole cluster.
        predicted_usd: The same in money.
        startup_seconds: From the request until the cluster took its first step.
        step_seconds: Its step alone.
        cluster_seconds: Its share of the cluster's life, start-up included.
        usd: What that share cost at the price list's prices.
        prices_as_of: The day of the price list.
        advice: What would have been cheaper and still in time.
        error_message: What went wrong, secrets masked.
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
    """A backfill: what somebody asked for, and the chunks it was cut into when it began.

    Attributes:
        backfill_id: Also the run id of its loads in the warehouse's log, which tells the chunks that are done.
        subject: The pipeline or the target that was named.
        range_start: Least key, as asked.
        range_end: Greatest key, as asked; None: what normal runs have read.
        chunk_size: As asked; None: by the number of rows.
        chunks: Target → its chunks in order: what one load reads of one source.
        requested_by: Person or deployment.
        started_at: UTC.
        finished_at: When its last chunk was loaded, UTC; None: it is not done.
        error_message: Why it stopped, secrets masked.
        engine: Where its SELECTs run, as asked; None: as the rows say.
        cluster: The cluster that was asked for, TYPE:N; None: none was.
        definition: What a restatement derives rows by, `<number>:<hash>`; None: it is a backfill.
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
