"""The gate's vocabulary (actions, reasons, guards) and the facts that it decides from, also as JSON. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.gate.file_counts import FileCounts
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Engine, OnDefinitionChange, Trigger

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Action(StrEnum):
    """What happens to a target in a run."""

    RUN = "run"
    SKIP = "skip"
    HOLD = "hold"
    WAIT = "wait"
    """Not decided yet: an upstream loads first. Never the final decision on a target."""


class Reason(StrEnum):
    """The reason of a decision."""

    FIRST_LOAD = "first_load"
    NEW_ROWS = "new_rows"
    LATE_ROWS = "late_rows"
    ROWS_VANISHED = "rows_vanished"
    NEW_FILES = "new_files"
    FILES_REMOVED = "files_removed"
    SOURCE_CHANGED = "source_changed"
    SOURCE_NOT_COMPARABLE = "source_not_comparable"
    UPSTREAM_LOADED = "upstream_loaded"
    UPSTREAM_REBUILT = "upstream_rebuilt"
    TRACKING_CHANGED = "tracking_changed"
    LOOKUP_CHANGED = "lookup_changed"
    MAX_WAIT_OVER = "max_wait_over"
    FORCED = "forced"

    NOTHING_NEW = "nothing_new"
    FILES_LEFT_OUT = "files_left_out"
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
    DEFINITION_CHANGED = "definition_changed"
    TARGET_DROPPED = "target_dropped"
    ROW_RENAMED = "row_renamed"
    RENAME_UNFINISHED = "rename_unfinished"
    ROW_REMOVED = "row_removed"
    NOT_ON_SPARK = "not_on_spark"
    COST_CAP = "cost_cap"
    ROW_AT_FAULT = "row_at_fault"
    PIPELINE_AT_FAULT = "pipeline_at_fault"

    UPSTREAM_FIRST = "upstream_first"


class Guard(StrEnum):
    """A condition of a source that is reported with every decision, whatever the action."""

    FUTURE_ROWS = "future_rows"
    """Some keys lie in the future: these rows are counted, left out, and never become a watermark."""
    NULL_KEYS = "null_keys"
    """Some keys are NULL: no window contains these rows."""
    KEY_WENT_BACKWARDS = "key_went_backwards"
    """All keys of the source lie below the window."""
    SOURCE_SHRANK = "source_shrank"
    """The source holds fewer rows than earlier loads read from it, or none."""
    PROBE_FAILED = "probe_failed"
    FILES_LEFT_OUT = "files_left_out"
    """Files of it cannot be read or do not fit the others: the target has not read them."""


class SourceMode(StrEnum):
    """How the gate checks a driving source for new rows."""

    KEYED = "keyed"
    """By the bounded maximum of its incremental key."""
    FILES = "files"
    """By the files of a lake folder that the target has not read."""
    TOKEN = "token"  # noqa: S105 - a kind of probe, not a secret
    """By a change token: it has no incremental key and is read in full."""
    MANAGED = "managed"
    """By the load log: it is another transformation's target."""


class UpstreamState(StrEnum):
    """State in the current run of another target that this one reads."""

    SETTLED = "settled"
    """Final: it loaded, was skipped, or is not part of the run."""
    PENDING = "pending"
    """It will load or may still load."""
    RUNNING = "running"
    """Another run is loading it, or an upstream that it waits for."""
    FAILED = "failed"
    HELD = "held"
    OFF = "off"
    """It, its pipeline, or an upstream that it waits for is switched off."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Result of probing one driving source.

    Attributes:
        has_rows: Whether the source holds a row that a load would accept.
        newest: Greatest accepted key, the change token, or the newest load of a managed source; None if there is none.
        band_count: Rows in the watermark's lookback band now; None when they were not counted.
        future_count: Rows beyond the skew guard. Loads leave them out until their time has come.
        null_count: Rows whose key is NULL; counted only when no row lies at or above the window's start.
        below: Greatest key, when all keys lie below the window; None when it was not queried or there is none.
        epoch: Epoch of a managed source now.
        files: The files of a lake source; None: they were not listed.
        error: Why the probe failed; None when it succeeded.
    """

    has_rows: bool = False
    newest: str | None = None
    band_count: int | None = None
    future_count: int = 0
    null_count: int = 0
    below: str | None = None
    epoch: int | None = None
    files: FileCounts | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source of a target that the gate asks for news: what was loaded from it, and what it holds now.

    That is a driving source, or a lookup whose changes derive rows again.

    Attributes:
        source: Its name, `schema.table`.
        mode: How it is probed.
        watermark: How far it was read; None before the first load.
        probe: Result of the probe.
        is_read_whole: Whether each load reads all of it (`increment: full`); then deleted rows count as a change.
        is_lookup: Whether it is a lookup: its news derive loaded rows again, and `trigger: all` does not wait for it.
        left_out: Files that the target does not read, one sentence each; the first ones of many.
        left_out_count: How many these are.
    """

    source: str
    mode: SourceMode
    watermark: Watermark | None
    probe: Probe
    is_read_whole: bool = False
    is_lookup: bool = False
    left_out: tuple[str, ...] = ()
    left_out_count: int = 0


@dataclass(frozen=True, slots=True)
class UpstreamFacts:
    """Another target that this one reads, driving or not.

    Attributes:
        target: Its name, `schema.table`.
        state: Its state in this run.
        exists: Whether its table is in the warehouse.
        has_failed_before: Whether its last recorded load failed.
        age_minutes: Minutes since its last successful load; None when no load is recorded.
        max_age_minutes: Greatest age that `child_policy: stale` accepts: its own `freshness_minutes`.
    """

    target: str
    state: UpstreamState
    exists: bool
    has_failed_before: bool = False
    age_minutes: float | None = None
    max_age_minutes: int | None = None

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than its limit; False without a limit."""
        if self.max_age_minutes is None:
            return False
        return self.age_minutes is None or self.age_minutes > self.max_age_minutes


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """Rows of a target that an older SELECT derived than today's, and that nobody accepted.

    Attributes:
        target: Its name, `schema.table`.
        number: Number of today's definition in the target's ledger.
        definition: Its hash.
        policy: What the row says about it.
        is_loaded: Whether a load by today's definition has ended; else every row is older.
        is_read_whole: Whether each load reads the sources in full, and so derives all rows again.
        since: When the first of these loads was recorded; None before.
        event_count: Events of the ledger when they were last counted; None: they were not counted.
        older_count: Those of them that an older definition derived.
    """

    target: str
    number: int
    definition: str
    policy: OnDefinitionChange = OnDefinitionChange.LOAD
    is_loaded: bool = False
    is_read_whole: bool = False
    since: datetime | None = None
    event_count: int | None = None
    older_count: int | None = None

    @property
    def sentence(self) -> str:
        """What it means, and what to do."""
        again = "a run with --force" if self.is_read_whole else f"`sluice restate {self.target}`"
        remedy = f"{again} derives them again; `sluice accept {self.target} --reason TEXT` keeps them"
        if not self.is_loaded:
            return f"its SELECT has changed since its last load; the rows that are there follow the older one: {remedy}"
        since = "" if self.since is None else f", which changed {self.since:%Y-%m-%d %H:%M} UTC"
        if self.older_count is None or self.event_count is None:
            return f"some of its rows may follow an older SELECT than today's{since}: {remedy}"
        share = f"{self.older_count:,} of {self.event_count:,}"
        return f"{share} events were derived by an older SELECT than today's{since}: {remedy}"


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """All facts that decide on one target.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        is_active: The row's own switch.
        is_pipeline_active: The pipeline's switch.
        deactivated_by: Who switched the row off, when known.
        leased_by: Holder of its lease in another run; None when the target is free.
        trigger: Whether any or all driving sources must hold something new.
        max_wait_minutes: How long `trigger: all` waits for the other sources; None: without limit.
        waited_minutes: Minutes since this wait began; None when it does not wait.
        child_policy: What to do when an upstream has failed.
        exists: Whether its table is in the warehouse.
        has_log: Whether it is in the load log.
        fingerprint: Fingerprint of the row's configuration now; None when unknown.
        head_fingerprint: Fingerprint of the configuration that the table was built with; None before the first load.
        is_tracking_changed: Whether the tracked columns changed; then the next load rebuilds the table from its ledger.
        is_time_changed: Whether its table is ordered by the time of its loads and the row now orders events by a column
            of the SELECT, or the other way round: a changed `increment`.
        definition_change: Rows that an older SELECT derived; None: there are none, or they were accepted.
        renamed_from: A target without a row that is probably this target's former name.
        unfinished_rename: An interrupted renaming that involves the target, and the command that finishes it.
        sources: Its driving sources, and the lookups whose changes derive rows again.
        upstreams: Every other target that it reads.
        unreadable: Faults of the sources that it would read, lookups included; checked only when it would run.
        faults: Faults of the row or its SELECT, for which sync left its model unchanged.
        pipeline_faults: Faults of its pipeline's row.
        forced_by: Who asked for a forced run; None when the run is not forced.
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
    is_time_changed: bool = False
    definition_change: DefinitionChange | None = None
    renamed_from: str | None = None
    unfinished_rename: str | None = None
    sources: tuple[SourceFacts, ...] = ()
    upstreams: tuple[UpstreamFacts, ...] = ()
    unreadable: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    pipeline_faults: tuple[str, ...] = ()
    forced_by: str | None = None


@dataclass(frozen=True, slots=True)
class SourceEvidence:
    """What one source contributed to a decision, for display; the rules need only the facts.

    Attributes:
        source: Its name.
        mode: How it was probed.
        is_new: Whether it holds data that the target has not read.
        reason: Why it counts as new or not.
        message: The reason as a sentence.
        watermark: Upper end of what was read from it; None before the first load.
        newest: What the probe found.
        band_expected: Rows of the lookback band at the last load.
        band_found: Rows of the lookback band now.
        future_count: Rows left out because they lie in the future.
        guards: Conditions to report.
        is_lookup: Whether it is a lookup whose changes derive rows again.
        begins_at: Least key that the next load reads, when unread files hold keys below the watermark.
        left_out: Files that the target does not read, as one sentence; empty: none.
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
    is_lookup: bool = False
    begins_at: str | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Where a target's SELECT runs, and the numbers behind that choice.

    Attributes:
        engine: warehouse or spark.
        message: Why, as a sentence.
        scan_bytes: Bytes that it would read from the lake; None when they were not estimated.
        threshold_bytes: Bytes from which Spark is chosen automatically; None: never.
        basis: How the bytes were estimated.
        cluster: The requested cluster, TYPE:N; None: Sluice sizes it.
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
        message: The reason as a sentence, with the next step if one is needed.
        evidence: One entry per driving source that was probed.
        choice: Where it runs; None when it does not run.
        facts: The facts behind the decision; None when the rules were not applied.
        is_large: Whether the message says how the large first load of the target is read.
        left_out: (source, file) of every file of the lake that a load leaves out.
    """

    target: str
    pipeline_id: str
    action: Action
    reason: Reason
    message: str
    evidence: tuple[SourceEvidence, ...] = ()
    choice: EngineChoice | None = None
    facts: TargetFacts | None = None
    is_large: bool = False
    left_out: frozenset[tuple[str, str]] = frozenset()

    @property
    def definition_change(self) -> DefinitionChange | None:
        """Rows of the target that an older SELECT derived; None: there are none, or they were accepted."""
        return None if self.facts is None else self.facts.definition_change


def evidence_document(decision: Decision) -> dict[str, Any]:
    """Return the evidence of a decision, ready for JSON: its sources, its engine and every other fact.

    Args:
        decision: A decision of the gate. If it has no facts, the document holds its sources only.
    """
    document: dict[str, Any] = {"sources": [_sources().dump_python(item, **_SHORT) for item in decision.evidence]}
    if decision.choice is not None:
        document["engine"] = _choice().dump_python(decision.choice, **_SHORT)
    if decision.facts is not None:
        document["facts"] = _facts().dump_python(decision.facts, **_SHORT)
    return document


def facts_of(evidence: Mapping[str, Any]) -> TargetFacts | None:
    """Return the facts of a recorded decision; None when it has none.

    Args:
        evidence: The evidence as the decision log stores it.
    """
    facts = evidence.get("facts")
    return None if facts is None else _facts().validate_python(facts)


_SHORT: Mapping[str, Any] = {"mode": "json", "exclude_defaults": True}


@cache
def _facts() -> TypeAdapter[TargetFacts]:
    from pydantic import TypeAdapter

    return TypeAdapter(TargetFacts)


@cache
def _sources() -> TypeAdapter[SourceEvidence]:
    from pydantic import TypeAdapter

    return TypeAdapter(SourceEvidence)


@cache
def _choice() -> TypeAdapter[EngineChoice]:
    from pydantic import TypeAdapter

    return TypeAdapter(EngineChoice)
