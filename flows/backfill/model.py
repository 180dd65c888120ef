"""What a backfill is asked, plans and reports: shared by the engine's, the command line's and Prefect's sides of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from flows.backfill.slices import LeftOut
from flows.gate.facts import EngineChoice
from flows.run.model import RunPlan
from metadata_sync.loads import ClusterCost, RowCounts, Window, total
from metadata_sync.rows.vocabulary import Engine


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What somebody asked for.

    Attributes:
        subject: A pipeline, or one target as `schema.table`.
        start: Least incremental key to read: a date, a timestamp (UTC unless it has a zone) or an integer; None, of a
            restatement: from the beginning.
        end: Greatest key to read, itself included; None: up to what runs have read.
        chunk_size: 30min, 12h, 7d, 1w, or a number for an integer key; None: by the number of rows.
        requested_by: Person or deployment that asked.
        engine: Where SELECTs run, whatever the rows say; None = as they say.
        cluster: The cluster to rent, TYPE:N; None = it is sized.
        restates: Derive one target's rows again by today's SELECT, whatever their values.
    """

    subject: str
    start: str | None
    end: str | None = None
    chunk_size: str | None = None
    requested_by: str = "unknown"
    engine: Engine | None = None
    cluster: str | None = None
    restates: bool = False

    @property
    def restates_all(self) -> bool:
        """Whether every event is derived again, so that those that are not yielded any more can leave."""
        return self.restates and self.start is None and self.end is None


@dataclass(frozen=True, slots=True)
class TargetChunks:
    """What is loaded into one target.

    Attributes:
        target: `schema.table`.
        model: Name of its dbt model.
        pipeline_id: Its pipeline.
        chunks: Every chunk, in order: what one load reads of one source.
        done: How many of them an earlier attempt loaded already.
        choice: Where its SELECT runs.
    """

    target: str
    model: str
    pipeline_id: str
    chunks: tuple[Window, ...]
    done: int = 0
    choice: EngineChoice | None = None

    @property
    def is_on_spark(self) -> bool:
        """Whether its SELECT runs on Spark."""
        return self.choice is not None and self.choice.engine is Engine.SPARK


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What a backfill would load.

    Attributes:
        backfill_id: Its identity, and the run id of its loads.
        request: What was asked.
        run: Rows and decisions that it rests on.
        targets: What is loaded, upstream before downstream.
        left_out: Targets of the pipeline that are not, and why.
        is_resumed: An earlier attempt did not finish; this one goes on with it.
        definition: What a restatement derives rows by, `<number>:<hash>`; None: it is a backfill.
    """

    backfill_id: str
    request: BackfillRequest
    run: RunPlan
    targets: tuple[TargetChunks, ...]
    left_out: tuple[LeftOut, ...]
    is_resumed: bool
    definition: str | None = None

    @property
    def chunk_count(self) -> int:
        """Loads that are still to do."""
        return sum(len(target.chunks) - target.done for target in self.targets)


@dataclass(frozen=True, slots=True)
class ChunkLoaded:
    """One chunk of one target, loaded or failed.

    Attributes:
        target: `schema.table`.
        number: Which of its chunks, from 1.
        total: How many chunks it has.
        chunk: What it reads of which source.
        rows: What it moved; None when it failed.
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
    """How a target fared.

    Attributes:
        target: `schema.table`.
        chunk_count: How many chunks it has.
        done: How many of them are loaded, those of earlier attempts included.
        rows: What this attempt moved.
        error: Why it stopped, or which data tests failed; None: all is well.
        cluster: What Spark took for it in this attempt; None: it ran in the warehouse.
    """

    target: str
    chunk_count: int
    done: int
    rows: RowCounts = field(default_factory=RowCounts)
    error: str | None = None
    cluster: ClusterCost | None = None


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """How a backfill ended.

    Attributes:
        backfill_id: Its identity.
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
        """Whether anything is left to do or to mend: exit code 1."""
        return any(target.error is not None for target in self.targets)

    @property
    def cluster(self) -> ClusterCost | None:
        """What Spark took for all of them; None: nothing ran there."""
        return total(target.cluster for target in self.targets)
