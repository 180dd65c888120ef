"""The request, plan, progress and summary of a backfill, shared with the command line and the Prefect flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from flows.backfill.slices import ExcludedTarget
from flows.gate.facts import EngineChoice
from flows.gate.first_load import FirstLoad, minutes_left
from flows.run.model import RunPlan
from metadata_sync.loads import ClusterCost, RowCounts, Window, total
from metadata_sync.rows.vocabulary import Engine


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A request for a backfill.

    Attributes:
        subject: A pipeline, or one target as `schema.table`.
        start: Least incremental key to read: a date, a timestamp (UTC unless it has a zone) or an integer; None, of a
            restatement: from the beginning.
        end: Greatest key to read, inclusive; None: the current watermark.
        chunk_size: 30min, 12h, 7d, 1w, or a number for an integer key; None: by the number of rows.
        requested_by: Person or deployment that made the request.
        engine: Where SELECTs run; overrides the rows; None = as in the rows.
        cluster: The cluster to create, TYPE:N; None = Sluice sizes it.
        restates: Derive one target's rows again by today's SELECT, whatever their values.
        fill: Of a restatement: the only columns that stored events take from today's SELECT; empty: all columns.
        is_of_row: Whether a row's own settings ask for it, and no person: then nobody needs the role `restate`.
    """

    subject: str
    start: str | None
    end: str | None = None
    chunk_size: str | None = None
    requested_by: str = "unknown"
    engine: Engine | None = None
    cluster: str | None = None
    restates: bool = False
    fill: tuple[str, ...] = ()
    is_of_row: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it reads everything again that was read."""
        return self.restates and self.start is None and self.end is None

    @property
    def restates_all(self) -> bool:
        """Whether every event is derived again, so that those that are not yielded any more can leave."""
        return self.is_whole and not self.fill


@dataclass(frozen=True, slots=True)
class TargetChunks:
    """The chunks of one target.

    Attributes:
        target: `schema.table`.
        model: Name of its dbt model.
        pipeline_id: Its pipeline.
        chunks: All chunks in order; a chunk is the window of one source that one load reads.
        done: Number of chunks that an earlier attempt loaded.
        choice: Where its SELECT runs.
        row_count: Rows of the sources in all chunks; None: unknown.
        rows_per_second: How fast its last large loads were; None: unknown.
    """

    target: str
    model: str
    pipeline_id: str
    chunks: tuple[Window, ...]
    done: int = 0
    choice: EngineChoice | None = None
    row_count: int | None = None
    rows_per_second: float | None = None

    @property
    def minutes_left(self) -> int | None:
        """Minutes that the chunks that are left may take; None: unknown."""
        return minutes_left(self.row_count, len(self.chunks), self.done, self.rows_per_second)

    @property
    def is_on_spark(self) -> bool:
        """Whether its SELECT runs on Spark."""
        return self.choice is not None and self.choice.engine is Engine.SPARK


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The plan of a backfill.

    Attributes:
        backfill_id: Its id, and the run id of its loads.
        request: The request.
        run: The rows and decisions that it is based on.
        targets: The targets to load, upstream before downstream.
        left_out: Targets of the pipeline that are not loaded, and why.
        is_resumed: Whether it resumes an earlier attempt.
        definition: What a restatement derives rows by, `<number>:<hash>`; None: it is a backfill.
        first_load: The first load whose chunks it loads; None: it is a backfill or a restatement.
        notes: What a restatement cannot do, a sentence each.
    """

    backfill_id: str
    request: BackfillRequest
    run: RunPlan
    targets: tuple[TargetChunks, ...]
    left_out: tuple[ExcludedTarget, ...]
    is_resumed: bool
    definition: str | None = None
    first_load: FirstLoad | None = None
    notes: tuple[str, ...] = ()

    @property
    def chunk_count(self) -> int:
        """Number of chunks that are left."""
        return sum(len(target.chunks) - target.done for target in self.targets)


@dataclass(frozen=True, slots=True)
class ChunkLoaded:
    """One chunk of one target, loaded or failed.

    Attributes:
        target: `schema.table`.
        number: Number of the chunk, from 1.
        total: Number of chunks of the target.
        chunk: Source and window.
        rows: Its row counts; None when it failed.
        error: Why it failed.
    """

    target: str
    number: int
    total: int
    chunk: Window
    rows: RowCounts | None
    error: str | None


@dataclass(slots=True)
class TargetBackfilled:
    """The result for one target.

    Attributes:
        target: `schema.table`.
        chunk_count: Number of its chunks.
        done: Number of loaded chunks, including those of earlier attempts.
        rows: Row counts of this attempt.
        error: Why it stopped, or which data tests failed; None: no error.
        cluster: Cost of Spark for it in this attempt; None: it ran in the warehouse.
    """

    target: str
    chunk_count: int
    done: int
    rows: RowCounts = field(default_factory=RowCounts)
    error: str | None = None
    cluster: ClusterCost | None = None


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """The result of a backfill.

    Attributes:
        backfill_id: Its id.
        started_at: UTC.
        finished_at: UTC.
        targets: One per target of the plan.
        pruned: Rows that a restatement removed because today's SELECT does not yield them; None: nothing was pruned.
        kept_count: Events of a restated target that keep their older derivation.
    """

    backfill_id: str
    started_at: datetime
    finished_at: datetime
    targets: tuple[TargetBackfilled, ...]
    pruned: RowCounts | None = None
    kept_count: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether any target has an error: exit code 1."""
        return any(target.error is not None for target in self.targets)

    @property
    def cluster(self) -> ClusterCost | None:
        """Total cost of Spark; None: nothing ran there."""
        return total(target.cluster for target in self.targets)
