"""What a decision is made of: the words of the gate, and the facts that it is given. Nothing here looks anything up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Engine, Trigger


class Action(StrEnum):
    """What happens to a target in a run."""

    RUN = "run"
    SKIP = "skip"
    HOLD = "hold"
    WAIT = "wait"
    """Not decided yet: an upstream loads first. Never the last word on a target."""


class Reason(StrEnum):
    """Why, in one word."""

    FIRST_LOAD = "first_load"
    NEW_ROWS = "new_rows"
    LATE_ROWS = "late_rows"
    ROWS_VANISHED = "rows_vanished"
    SOURCE_CHANGED = "source_changed"
    SOURCE_NOT_COMPARABLE = "source_not_comparable"
    UPSTREAM_LOADED = "upstream_loaded"
    UPSTREAM_REBUILT = "upstream_rebuilt"
    TRACKING_CHANGED = "tracking_changed"
    MAX_WAIT_OVER = "max_wait_over"
    FORCED = "forced"

    NOTHING_NEW = "nothing_new"
    SOURCE_EMPTY = "source_empty"
    SOURCE_EMPTIED = "source_emptied"
    ONLY_FUTURE_ROWS = "only_future_rows"
    TRIGGER_WAITS = "trigger_waits"
    NO_DRIVING_SOURCE = "no_driving_source"
    INACTIVE = "inactive"
    PIPELINE_INACTIVE = "pipeline_inactive"
    LEASE_HELD = "lease_held"
    UPSTREAM_RUNNING = "upstream_running"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_TOO_OLD = "upstream_too_old"
    UPSTREAM_HELD = "upstream_held"
    UPSTREAM_OFF = "upstream_off"
    UPSTREAM_NOT_LOADED = "upstream_not_loaded"

    PROBE_FAILED = "probe_failed"
    KEY_WENT_BACKWARDS = "key_went_backwards"
    KEY_IS_NULL = "key_is_null"
    SOURCE_UNREADABLE = "source_unreadable"
    CONFIG_CHANGED = "config_changed"
    TARGET_DROPPED = "target_dropped"
    ROW_RENAMED = "row_renamed"
    ROW_REMOVED = "row_removed"
    ROW_AT_FAULT = "row_at_fault"
    PIPELINE_AT_FAULT = "pipeline_at_fault"

    UPSTREAM_FIRST = "upstream_first"


class Guard(StrEnum):
    """Something about a source that somebody should hear of, whatever is decided."""

    FUTURE_ROWS = "future_rows"
    """Rows are dated in the future: counted, left out, and never a watermark."""
    NULL_KEYS = "null_keys"
    """Rows without a key lie in no window."""
    KEY_WENT_BACKWARDS = "key_went_backwards"
    """All that the source holds lies below what was read of it."""
    SOURCE_SHRANK = "source_shrank"
    """It holds fewer rows than were read of it, or none."""
    PROBE_FAILED = "probe_failed"


class SourceMode(StrEnum):
    """How a driving source is asked for news."""

    KEYED = "keyed"
    """By the bounded maximum of its incremental key."""
    TOKEN = "token"  # noqa: S105 - a kind of probe, not a secret
    """By a change token: it has no incremental key and is read in full."""
    MANAGED = "managed"
    """By the load log: it is another transformation's target."""


class UpstreamState(StrEnum):
    """Where another target that this one reads stands in the current run."""

    SETTLED = "settled"
    """Nothing more will happen to it: it loaded, was skipped, or is not part of the run."""
    PENDING = "pending"
    """It will load or may still load."""
    RUNNING = "running"
    """Another run is at work on it, or on something that it waits for."""
    FAILED = "failed"
    HELD = "held"
    OFF = "off"
    """It, its pipeline, or something that it waits for is switched off."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a look at one driving source found.

    Attributes:
        has_rows: Whether the source holds any row that a load would accept.
        newest: Greatest accepted key, the change token, or the newest load of a managed source; None: there is none.
        band_count: Source rows in the watermark's lookback band now; None when not asked.
        future_count: Rows beyond the skew guard: left out until their time has come.
        null_count: Rows whose key is NULL; counted only when no row at or above the window was found.
        below: Greatest key of all, when it lies below the window; None when not asked, or there is none.
        epoch: Epoch of a managed source now.
        error: Why the source could not be asked, in plain words; None when it could.
    """

    has_rows: bool = False
    newest: str | None = None
    band_count: int | None = None
    future_count: int = 0
    null_count: int = 0
    below: str | None = None
    epoch: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One driving source of a target: what was loaded of it, and what it holds now.

    Attributes:
        source: Its name, `schema.table`.
        mode: How it is asked.
        watermark: What was read of it; None when nothing was.
        probe: What it answered.
        is_read_whole: Each load reads all of it (`increment: full`), so that rows that are gone matter, too.
    """

    source: str
    mode: SourceMode
    watermark: Watermark | None
    probe: Probe
    is_read_whole: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamFacts:
    """Another target that this one reads, driving or not.

    Attributes:
        target: Its name, `schema.table`.
        state: Where it stands in this run.
        exists: Whether its table is in the warehouse.
        has_failed_before: Whether its last recorded load failed.
        age_minutes: Since its last successful load; None when there is none on record.
        max_age_minutes: How old it may be to be good enough for `child_policy: stale`: its own `freshness_minutes`.
    """

    target: str
    state: UpstreamState
    exists: bool
    has_failed_before: bool = False
    age_minutes: float | None = None
    max_age_minutes: int | None = None

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than it may be; one without a limit never is."""
        if self.max_age_minutes is None:
            return False
        return self.age_minutes is None or self.age_minutes > self.max_age_minutes


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """All that is known of one target when it is decided on.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        is_active: The row's own switch.
        is_pipeline_active: The pipeline's switch.
        deactivated_by: Who switched the row off, when known.
        leased_by: Who is at work on it in another run; None when nobody is.
        trigger: How many driving sources must hold something new.
        max_wait_minutes: How long `trigger: all` waits for the others; None: for ever.
        waited_minutes: Since it first waited for them; None when it has not.
        child_policy: What to do when an upstream failed.
        exists: Whether its table is in the warehouse.
        has_log: Whether the load log knows it.
        fingerprint: Configuration that the row asks for now; None when unknown.
        head_fingerprint: Configuration that the table was built with; None when it was never loaded.
        is_tracking_changed: The tracked columns are others now: the next load rebuilds the table from its ledger.
        renamed_from: A target without a row that looks like this one's former name.
        sources: Its driving sources.
        upstreams: Every other target that it reads.
        unreadable: What is wrong with sources that it would read, lookups included; looked into only when it would run.
        faults: What is wrong with the row or its SELECT, so that its model could not be brought in step.
        pipeline_faults: What is wrong with its pipeline's row.
        forced_by: Who asked for it, whatever the sources say; None when nobody did.
    """

    target: str
    pipeline_id: str
    is_active: bool = True
    is_pipeline_active: bool = True
    deactivated_by: str | None = None
    leased_by: str | None = None
    trigger: Trigger = Trigger.ANY
    max_wait_minutes: int | None = None
    waited_minutes: float | None = None
    child_policy: ChildPolicy = ChildPolicy.SKIP
    exists: bool = False
    has_log: bool = False
    fingerprint: str | None = None
    head_fingerprint: str | None = None
    is_tracking_changed: bool = False
    renamed_from: str | None = None
    sources: tuple[SourceFacts, ...] = ()
    upstreams: tuple[UpstreamFacts, ...] = ()
    unreadable: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    pipeline_faults: tuple[str, ...] = ()
    forced_by: str | None = None


@dataclass(frozen=True, slots=True)
class SourceEvidence:
    """What one driving source contributed to a decision, for people; the facts suffice to decide again.

    Attributes:
        source: Its name.
        mode: How it was asked.
        is_new: Whether it holds something that the target has not read.
        reason: Why it is new or is not.
        message: The same in plain words.
        watermark: Upper end of what was read of it; None before the first load.
        newest: What the probe found.
        band_expected: Rows of the lookback band at the last load.
        band_found: Rows of the lookback band now.
        future_count: Rows left out because they lie in the future.
        guards: What somebody should hear of.
    """

    source: str
    mode: SourceMode
    is_new: bool
    reason: Reason
    message: str
    watermark: str | None = None
    newest: str | None = None
    band_expected: int | None = None
    band_found: int | None = None
    future_count: int = 0
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Where a target's SELECT runs, and by which numbers that was decided.

    Attributes:
        engine: warehouse or spark.
        message: Why, in plain words.
        scan_bytes: What it would read of the lake; None when nobody asked.
        threshold_bytes: From so many bytes on it goes to Spark by itself; None: never.
        basis: How the bytes were found.
        cluster: The cluster that was asked for, TYPE:N; None: it is sized.
    """

    engine: Engine
    message: str
    scan_bytes: int | None = None
    threshold_bytes: int | None = None
    basis: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one target, and why.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        action: RUN, SKIP, HOLD or, while an upstream loads, WAIT.
        reason: The rule that decided.
        message: The reason in plain words, with what to do when there is something to do.
        evidence: One entry per driving source that was looked at.
        choice: Where it runs; None when it does not.
        facts: What it was decided from; None when it was not the rules that decided.
    """

    target: str
    pipeline_id: str
    action: Action
    reason: Reason
    message: str
    evidence: tuple[SourceEvidence, ...] = ()
    choice: EngineChoice | None = None
    facts: TargetFacts | None = None
