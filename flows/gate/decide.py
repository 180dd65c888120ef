"""Collects the facts of each target (rows, load log, probes, the run so far) and applies the rules to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from flows.gate.facts import (
    Action,
    Decision,
    DefinitionChange,
    Probe,
    Reason,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
)
from flows.gate.left_out import LeftOut
from flows.gate.probe import Prober, Question
from flows.gate.rules import decide
from flows.warehouse.bounds import parse_bound
from flows.warehouse.definition import Definition, tracking
from flows.warehouse.load_log import Head, WarehouseState
from metadata_sync.analysis.blame import COLUMNS_UNKNOWN, Blame
from metadata_sync.errors import UNFINISHED_RENAME
from metadata_sync.loads import Watermark
from metadata_sync.redact import safe_text
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import (
    EFFECTIVE_AT,
    ResolvedDependency,
    file_identity,
    fingerprint,
    is_view,
    resolve_dependencies,
    sequence_columns,
)
from metadata_sync.rows.vocabulary import Increment

_NOT_THE_ROWS: Final = frozenset({COLUMNS_UNKNOWN, UNFINISHED_RENAME})
"""Rules of faults that no change of the row repairs."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a decision depends on, except the targets and the state of their sources.

    Attributes:
        rows: The environment's rows.
        state: What the load log and the tables in the warehouse say.
        forced_by: Who asked for a forced run; None when the run is not forced.
        failed_before: Targets whose last recorded load failed.
        ages: Minutes since the last successful load, by target.
        waited: Minutes since a target with `trigger: all` first waited for a source, by target.
        settled: State of the targets whose outcome in this run is final.
        leases: Targets that other runs are loading, each with a text that names the run.
        blame: Faults of rows and SELECTs.
        changes: Targets with rows that an older SELECT derived.
        filled: All targets that have a row, where `rows` are a part; None: those of `rows`.
    """

    rows: ControlRows
    state: WarehouseState
    forced_by: str | None = None
    failed_before: frozenset[str] = frozenset()
    ages: Mapping[str, float] = field(default_factory=dict)
    waited: Mapping[str, float] = field(default_factory=dict)
    settled: Mapping[str, UpstreamState] = field(default_factory=dict)
    leases: Mapping[str, str] = field(default_factory=dict)
    blame: Blame = field(default_factory=Blame)
    changes: Mapping[str, DefinitionChange] = field(default_factory=dict)
    filled: Set[str] | None = None


@dataclass(frozen=True, slots=True)
class GateDecisions:
    """The decisions on the targets of a run.

    Attributes:
        decisions: One per target, in the order of the request.
        tokens: Change token of every source without an incremental key; None when the source offers none.
    """

    decisions: tuple[Decision, ...]
    tokens: Mapping[str, str | None]


def decide_targets(
    targets: Sequence[TransformationRow],
    around: Surroundings,
    prober: Prober,
    examine: Callable[[SourceRow], str | None],
) -> GateDecisions:
    """Decide on each target after the targets that it reads.

    Args:
        targets: Upstream before downstream.
        around: Everything else that the decisions depend on.
        prober: Probes all sources together.
        examine: Returns why a source is unreadable, or None. Called once per source that a load would read.
    """
    reads = {row.name: resolve_dependencies(row, around.rows) for row in targets}
    stopped = around.blame.stopped(targets, around.rows) if around.blame.by_row else frozenset()
    questions = {
        (row.name, item.name): question
        for row in targets
        if _is_switched_on(row, around.rows) and row.name not in stopped
        for item in reads[row.name]
        if (question := _question(row, item, around)) is not None
    }
    asked = prober.ask(questions.values())
    trouble_of = _examiner(around.rows, examine)
    answers = {question: _explain(probe, question, trouble_of) for question, probe in asked.items()}
    renamed = _find_renamed(targets, reads, around)
    left_out = LeftOut(around.rows, around.state, prober.lake)
    off = (str(row.name) for row in around.rows.transformations if not _is_switched_on(row, around.rows))
    states = dict.fromkeys(around.leases, UpstreamState.RUNNING) | dict.fromkeys(off, UpstreamState.OFF)
    states |= {str(row.name): UpstreamState.PENDING for row in targets} | dict(around.settled)
    decisions = []
    for row in targets:
        sources = tuple(
            SourceFacts(
                str(item.name),
                _mode(row, item, around),
                _watermark(row, item, around),
                probe,
                is_read_whole=row.increment is Increment.FULL,
                is_lookup=item.restates,
            )
            for item in reads[row.name]
            if item.is_watched
            and (probe := _probe(item, around, answers, questions.get((row.name, item.name)))) is not None
        )
        former = renamed.get(row.name)
        facts = _facts(row, reads[row.name], sources=sources, around=around, states=states, renamed_from=former)
        decision = decide(facts)
        if decision.action is Action.RUN:
            troubles = {item.name: trouble_of(item.name) for item in reads[row.name]}
            unreadable = [f"{name} cannot be read: {trouble}" for name, trouble in troubles.items() if trouble]
            sound = [item for item in reads[row.name] if not troubles[item.name]]
            decision = left_out.decide(replace(facts, unreadable=tuple(unreadable)), row, sound)
        elif left_out.concerns(reads[row.name]):
            decision = left_out.decide(facts, row, reads[row.name])
        states[str(row.name)] = state_after(decision)
        decisions.append(decision)
    tokens = {question.source.key: answers[question].newest for question in questions.values() if question.key is None}
    return GateDecisions(tuple(decisions), tokens)


def state_after(decision: Decision) -> UpstreamState:
    """Return the state that readers see of a target that has not run, from its newest decision."""
    if decision.action in (Action.RUN, Action.WAIT):
        return UpstreamState.PENDING
    otherwise = UpstreamState.HELD if decision.action is Action.HOLD else UpstreamState.SETTLED
    return _STATE_FOR_READERS.get(decision.reason, otherwise)


_STATE_FOR_READERS: Final = {
    Reason.LEASE_HELD: UpstreamState.RUNNING,
    Reason.UPSTREAM_RUNNING: UpstreamState.RUNNING,
    Reason.UPSTREAM_FAILED: UpstreamState.FAILED,
    Reason.UPSTREAM_TOO_OLD: UpstreamState.FAILED,
    Reason.UPSTREAM_HELD: UpstreamState.HELD,
    Reason.ROW_AT_FAULT: UpstreamState.FAILED,
    Reason.INACTIVE: UpstreamState.OFF,
    Reason.PIPELINE_INACTIVE: UpstreamState.OFF,
    Reason.UPSTREAM_OFF: UpstreamState.OFF,
}
"""A reader passes the state of its upstream on to its own readers."""


def hold_orphans(standing: Iterable[TableName]) -> tuple[Decision, ...]:
    """Return a HOLD for every loaded table that no longer has a row.

    Args:
        standing: Targets in the load log that have a table in the warehouse and no row.
    """
    return tuple(
        Decision(
            str(name),
            "",
            Action.HOLD,
            Reason.ROW_REMOVED,
            f"no row fills it any more, but the table and its load log stand. `sluice control history {name}` says who "
            f"removed the row: apply it again, or drop the table: sluice retire {name}",
        )
        for name in sorted(standing)
    )


def _examiner(rows: ControlRows, examine: Callable[[SourceRow], str | None]) -> Callable[[TableName], str | None]:
    """Return a function that examines a source by name, each source once; it reports no trouble for other targets."""

    @cache
    def trouble(name: TableName) -> str | None:
        source = rows.source(name)
        return None if source is None else examine(source)

    return trouble


def _explain(probe: Probe, question: Question, trouble_of: Callable[[TableName], str | None]) -> Probe:
    """Replace a probe's error by the fault of the source, if the source has one."""
    if probe.error is None:
        return probe
    return replace(probe, error=trouble_of(question.source.name) or probe.error)


def _is_switched_on(row: TransformationRow, rows: ControlRows) -> bool:
    pipeline = rows.pipeline(row.pipeline_id)
    return row.is_active and pipeline is not None and pipeline.is_active


def _mode(row: TransformationRow, item: ResolvedDependency, around: Surroundings) -> SourceMode:
    if item.is_managed:
        return SourceMode.MANAGED
    is_by_file = item.incremental_key is not None or (item.is_driving and file_identity(row, around.rows) is not None)
    if is_by_file and (str(row.name), str(item.name)) in around.state.files:
        return SourceMode.FILES
    return SourceMode.TOKEN if item.incremental_key is None else SourceMode.KEYED


def _watermark(row: TransformationRow, item: ResolvedDependency, around: Surroundings) -> Watermark | None:
    return around.state.watermarks.get((str(row.name), str(item.name)))


def _question(row: TransformationRow, item: ResolvedDependency, around: Surroundings) -> Question | None:
    source = around.rows.source(item.name)
    if source is None or item.is_managed or not item.is_watched:
        return None
    reader = str(row.name) if _mode(row, item, around) is SourceMode.FILES else None
    return Question(source, item.incremental_key, item.lookback_minutes, _watermark(row, item, around), reader)


def _probe(
    item: ResolvedDependency, around: Surroundings, answers: Mapping[Question, Probe], question: Question | None
) -> Probe | None:
    """Return the facts of a driving source; None when the row is switched off and the source was not probed."""
    if not item.is_managed:
        return answers[question] if question is not None else None
    head = around.state.heads.get(str(item.name))
    if head is None:
        return Probe()
    newest = None if head.loaded_at is None else str(parse_bound(head.loaded_at))
    return Probe(has_rows=newest is not None, newest=newest, epoch=head.epoch)


def _facts(
    row: TransformationRow,
    reads: Sequence[ResolvedDependency],
    *,
    sources: tuple[SourceFacts, ...],
    around: Surroundings,
    states: Mapping[str, UpstreamState],
    renamed_from: str | None,
) -> TargetFacts:
    pipeline = around.rows.pipeline(row.pipeline_id)
    target = str(row.name)
    head = around.state.heads.get(target)
    order = sequence_columns(row, around.rows, [column.name for column in row.column_list])
    upstreams = tuple(
        UpstreamFacts(
            target=str(item.name),
            state=states.get(str(item.name), UpstreamState.SETTLED),
            exists=item.name in around.state.existing,
            has_failed_before=str(item.name) in around.failed_before,
            age_minutes=around.ages.get(str(item.name)),
            max_age_minutes=None
            if (row_above := around.rows.transformation(item.name)) is None
            else row_above.freshness_minutes,
        )
        for item in reads
        if item.is_managed
    )
    facts = TargetFacts(
        target=target,
        pipeline_id=row.pipeline_id,
        is_active=row.is_active,
        is_pipeline_active=pipeline is not None and pipeline.is_active,
        deactivated_by=row.deactivated_by,
        leased_by=around.leases.get(target),
        trigger=row.trigger,
        max_wait_minutes=row.max_wait_minutes,
        waited_minutes=around.waited.get(target),
        exists=row.name in around.state.existing,
        has_log=target in around.state.logged,
        fingerprint=fingerprint(row, order) if row.column_list else None,  # the first sync fills in the columns
        head_fingerprint=head.fingerprint if head else None,
        is_tracking_changed=head is not None and _only_tracks_differ(row, order, head),
        is_time_changed=head is not None and _is_time_changed(row, around.rows, order, head),
        definition_change=around.changes.get(target),
        renamed_from=renamed_from,
        sources=sources,
        upstreams=upstreams,
        forced_by=around.forced_by,
    )
    if around.blame.by_row:
        facts = _with_faults(facts, row, around)
    return facts if pipeline is None else replace(facts, child_policy=pipeline.child_policy)


def _only_tracks_differ(row: TransformationRow, order: Sequence[str], head: Head) -> bool:
    """Whether the tracked columns changed and nothing else did: the next load can rebuild the table."""
    if not head.tracks or not head.definition or head.tracks == tracking(row.load_type, row.scd_columns):
        return False
    built = Definition.parse(head.definition)
    return (
        built.load_type == row.load_type
        and _lower(built.key) == _lower(row.business_key)
        and (not order or _lower(built.order) == _lower(order))
    )


def _is_time_changed(row: TransformationRow, rows: ControlRows, order: Sequence[str], head: Head) -> bool:
    """Whether the time that orders events became that of the load, or was it before."""
    if not head.definition or not row.column_list or is_view(row, rows):
        return False
    is_load_timed = row.increment is not Increment.ROWS or not order
    return is_load_timed != (f" in order of ({EFFECTIVE_AT}" in head.definition)


def _lower(names: Iterable[str]) -> list[str]:
    return [name.lower() for name in names]


def _with_faults(facts: TargetFacts, row: TransformationRow, around: Surroundings) -> TargetFacts:
    """Add the faults of the row, its pipeline and its sources. Unknown columns count as a fault of the sources."""
    rows, blame = around.rows, around.blame
    own = blame.faults_of(row)
    unreadable = [
        f"{source.key} cannot be read: {safe_text(str(fault))}"
        for source in blame.sources_of(row, rows)
        for fault in blame.faults_of(source)
    ]
    unreadable += [safe_text(str(fault)) for fault in own if fault.rule == COLUMNS_UNKNOWN]
    renaming = [safe_text(f"{fault.message} {fault.remedy}") for fault in own if fault.rule == UNFINISHED_RENAME]
    return replace(
        facts,
        faults=tuple(safe_text(str(fault)) for fault in own if fault.rule not in _NOT_THE_ROWS),
        unfinished_rename=renaming[0] if renaming else None,
        pipeline_faults=tuple(safe_text(str(fault)) for fault in blame.faults_of(rows.pipeline(row.pipeline_id))),
        unreadable=tuple(unreadable),
    )


def _find_renamed(
    targets: Sequence[TransformationRow],
    reads: Mapping[TableName, Sequence[ResolvedDependency]],
    around: Surroundings,
) -> dict[TableName, str]:
    """Match new targets with logged targets that have no row now and had the same driving sources."""
    logged_sources: dict[str, set[str]] = {}
    for target, source in around.state.watermarks:
        logged_sources.setdefault(target, set()).add(source)
    filled = around.filled
    if filled is None:
        filled = {str(row.name) for row in around.rows.transformations}
    orphans = {target: sources for target, sources in logged_sources.items() if target not in filled}
    found = {}
    for row in targets:
        if str(row.name) in logged_sources or not orphans:
            continue
        driving = {str(item.name) for item in reads[row.name] if item.is_driving}
        every = {str(item.name) for item in reads[row.name]}
        candidates = [target for target, sources in sorted(orphans.items()) if driving <= sources <= every]
        same_schema = [target for target in candidates if target.startswith(f"{row.target_schema}.")]
        if candidates:
            found[row.name] = (same_schema or candidates)[0]
    return found
