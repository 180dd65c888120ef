"""Gathers what the gate asks for and lets it decide: rows, the load log, a look at the sources, the run so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from flows.gate.facts import (
    Action,
    Decision,
    Probe,
    Reason,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
)
from flows.gate.probe import Prober, Question
from flows.gate.rules import decide
from flows.warehouse.bounds import parse_bound
from flows.warehouse.definition import tracking
from flows.warehouse.load_log import WarehouseState
from metadata_sync.analysis.blame import COLUMNS_UNKNOWN, Blame
from metadata_sync.loads import Watermark
from metadata_sync.redact import safe_text
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies, sequence_columns
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sync.render import fingerprint


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around the targets that a decision depends on, but for the sources themselves.

    Attributes:
        rows: The environment's rows.
        state: What the warehouse remembers.
        forced_by: Who insists; None: nobody.
        failed_before: Targets whose last recorded load failed.
        ages: Minutes since the last successful load, by target.
        waited: Minutes since a target with `trigger: all` first waited for a source, by target.
        settled: Where targets stand that this run has decided on for good.
        leases: Targets that other runs are at work on, and who that is.
        blame: What is wrong with rows and SELECTs.
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


@dataclass(frozen=True, slots=True)
class GateDecisions:
    """What was decided.

    Attributes:
        decisions: One per target, in the order asked.
        tokens: Change token of every source without an incremental key; None when it has none.
    """

    decisions: tuple[Decision, ...]
    tokens: Mapping[str, str | None]


def decide_targets(
    targets: Sequence[TransformationRow],
    around: Surroundings,
    prober: Prober,
    examine: Callable[[SourceRow], str | None],
) -> GateDecisions:
    """Decide on targets, each after the ones that it reads.

    Args:
        targets: Upstream before downstream.
        around: What else is known.
        prober: Asks the sources, all together.
        examine: Says what makes a source unreadable, or None; asked for what would be read, once per source.
    """
    reads = {row.name: resolve_dependencies(row, around.rows) for row in targets}
    questions = {
        (row.name, item.name): question
        for row in targets
        if _is_switched_on(row, around.rows) and not around.blame.stops(row, around.rows)
        for item in reads[row.name]
        if (question := _question(row, item, around)) is not None
    }
    asked = prober.ask(questions.values())
    trouble_of = _examiner(around.rows, examine)
    answers = {question: _explained(probe, question, trouble_of) for question, probe in asked.items()}
    renamed = _renamed(targets, reads, around)
    off = (str(row.name) for row in around.rows.transformations if not _is_switched_on(row, around.rows))
    states = dict.fromkeys(around.leases, UpstreamState.RUNNING) | dict.fromkeys(off, UpstreamState.OFF)
    states |= {str(row.name): UpstreamState.PENDING for row in targets} | dict(around.settled)
    decisions = []
    for row in targets:
        sources = tuple(
            SourceFacts(
                str(item.name),
                _mode(item),
                _watermark(row, item, around),
                probe,
                is_read_whole=row.increment is Increment.FULL,
            )
            for item in reads[row.name]
            if item.is_driving
            and (probe := _probe(item, around, answers, questions.get((row.name, item.name)))) is not None
        )
        former = renamed.get(row.name)
        facts = _facts(row, reads[row.name], sources=sources, around=around, states=states, renamed_from=former)
        decision = decide(facts)
        if decision.action is Action.RUN:
            troubles = ((item.name, trouble_of(item.name)) for item in reads[row.name])
            unreadable = tuple(f"{name} cannot be read: {trouble}" for name, trouble in troubles if trouble is not None)
            decision = decide(replace(facts, unreadable=unreadable)) if unreadable else decision
        states[str(row.name)] = state_after(decision)
        decisions.append(decision)
    tokens = {question.source.key: answers[question].newest for question in questions.values() if question.key is None}
    return GateDecisions(tuple(decisions), tokens)


def state_after(decision: Decision) -> UpstreamState:
    """Return where a target that did not run (yet) stands for its readers, by the newest decision on it."""
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
"""What has happened further up holds for readers further down, too."""


def hold_orphans(standing: Iterable[TableName]) -> tuple[Decision, ...]:
    """Return a HOLD for every loaded table that no row fills any more.

    Args:
        standing: Targets that the load log knows, that no row names, and whose table is in the warehouse.
    """
    return tuple(
        Decision(
            str(name),
            "",
            Action.HOLD,
            Reason.ROW_REMOVED,
            f"no row fills it any more, but the table and its load log stand. `sluice control history {name}` says who "
            "removed the row: apply it again, or drop the table",
        )
        for name in sorted(standing)
    )


def _examiner(rows: ControlRows, examine: Callable[[SourceRow], str | None]) -> Callable[[TableName], str | None]:
    """Return what examines a source by name, each only once; other targets are sound."""

    @cache
    def trouble(name: TableName) -> str | None:
        source = rows.source(name)
        return None if source is None else examine(source)

    return trouble


def _explained(probe: Probe, question: Question, trouble_of: Callable[[TableName], str | None]) -> Probe:
    """Say what is wrong with the source itself, where that is why it could not be asked."""
    if probe.error is None:
        return probe
    return replace(probe, error=trouble_of(question.source.name) or probe.error)


def _is_switched_on(row: TransformationRow, rows: ControlRows) -> bool:
    pipeline = rows.pipeline(row.pipeline_id)
    return row.is_active and pipeline is not None and pipeline.is_active


def _mode(item: ResolvedDependency) -> SourceMode:
    if item.is_managed:
        return SourceMode.MANAGED
    return SourceMode.TOKEN if item.incremental_key is None else SourceMode.KEYED


def _watermark(row: TransformationRow, item: ResolvedDependency, around: Surroundings) -> Watermark | None:
    return around.state.watermarks.get((str(row.name), str(item.name)))


def _question(row: TransformationRow, item: ResolvedDependency, around: Surroundings) -> Question | None:
    source = around.rows.source(item.name)
    if source is None or item.is_managed or not item.is_driving:
        return None
    return Question(source, item.incremental_key, item.lookback_minutes, _watermark(row, item, around))


def _probe(
    item: ResolvedDependency, around: Surroundings, answers: Mapping[Question, Probe], question: Question | None
) -> Probe | None:
    """Return what is known of a driving source; None when it was not asked because the row is switched off."""
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
        fingerprint=_fingerprint(row, around.rows),
        head_fingerprint=head.fingerprint if head else None,
        is_tracking_changed=head is not None
        and bool(head.tracks)
        and head.tracks != tracking(row.load_type, row.scd_columns),
        renamed_from=renamed_from,
        sources=sources,
        upstreams=upstreams,
        forced_by=around.forced_by,
    )
    facts = _with_faults(facts, row, around)
    return facts if pipeline is None else replace(facts, child_policy=pipeline.child_policy)


def _with_faults(facts: TargetFacts, row: TransformationRow, around: Surroundings) -> TargetFacts:
    """Add what is wrong with the row, its pipeline, its sources; that nobody can tell its columns is not its fault."""
    rows, blame = around.rows, around.blame
    own = blame.faults_of(row)
    unreadable = [
        f"{source.key} cannot be read: {safe_text(str(fault))}"
        for source in blame.sources_of(row, rows)
        for fault in blame.faults_of(source)
    ]
    unreadable += [safe_text(str(fault)) for fault in own if fault.rule == COLUMNS_UNKNOWN]
    return replace(
        facts,
        faults=tuple(safe_text(str(fault)) for fault in own if fault.rule != COLUMNS_UNKNOWN),
        pipeline_faults=tuple(safe_text(str(fault)) for fault in blame.faults_of(rows.pipeline(row.pipeline_id))),
        unreadable=tuple(unreadable),
    )


def _fingerprint(row: TransformationRow, rows: ControlRows) -> str | None:
    """Return the configuration that sync gives the model; None before the first sync has filled the columns in."""
    if not row.column_list:
        return None
    return fingerprint(row, sequence_columns(row, rows, [column.name for column in row.column_list]))


def _renamed(
    targets: Sequence[TransformationRow],
    reads: Mapping[TableName, Sequence[ResolvedDependency]],
    around: Surroundings,
) -> dict[TableName, str]:
    """Match new targets with logged ones that lost their row and were read from the same driving sources."""
    logged_sources: dict[str, set[str]] = {}
    for target, source in around.state.watermarks:
        logged_sources.setdefault(target, set()).add(source)
    filled = {str(row.name) for row in around.rows.transformations}
    orphans = {target: sources for target, sources in logged_sources.items() if target not in filled}
    found = {}
    for row in targets:
        if str(row.name) in logged_sources or not orphans:
            continue
        driving = {str(item.name) for item in reads[row.name] if item.is_driving}
        candidates = [target for target, sources in sorted(orphans.items()) if sources == driving]
        same_schema = [target for target in candidates if target.startswith(f"{row.target_schema}.")]
        if candidates:
            found[row.name] = (same_schema or candidates)[0]
    return found
