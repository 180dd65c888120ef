"""The gate: decides what runs, from facts alone. No input, no output, no clock.

The rules apply to one target in this order; the first that returns an answer decides:

    inactive row or pipeline             SKIP
    another run is loading it            SKIP
    a renaming of it was interrupted     HOLD
    a fault in row, SELECT or pipeline   HOLD
    only a person can repair it          HOLD   dropped target, changed configuration, renamed row, changed SELECT
    an upstream loads in this run        WAIT   decided again after that load
    another run is loading an upstream   SKIP or go on, by the pipeline's child_policy
    an upstream failed, is held or off   SKIP, HOLD or go on, by the pipeline's child_policy
    an upstream was never loaded         SKIP
    a source cannot be probed or read    HOLD   no run without evidence
    a person forces the run              RUN
    the tracked columns have changed     RUN    the load rebuilds the table from its ledger
    the SELECT of a full read changed    RUN    the load derives all rows again
    the sources                          RUN when they hold something new, by the row's trigger
    a lookup changed                     RUN    the load derives the rows that it touches again; else SKIP

A source counts as new in these cases: its newest accepted key lies beyond the watermark; the number of its rows in the
lookback band differs from the logged number; it holds a file that the target has not read; its change token differs or
is unknown. A source that is another target counts as new when that target has changed rows since. A lookup with
`on_change: restate` is asked in the same ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, assert_never

from flows.gate.facts import (
    Action,
    Decision,
    Guard,
    Probe,
    Reason,
    SourceEvidence,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
)
from flows.warehouse.bounds import parse_bound
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, OnDefinitionChange, Trigger


def decide(facts: TargetFacts) -> Decision:
    """Decide on one target.

    Args:
        facts: The only input of the decision.

    Returns:
        The decision with the evidence of every driving source.
    """
    evidence = tuple(weigh(source) for source in facts.sources)
    action, reason, message = (
        _check_active(facts)
        or _check_lease(facts)
        or _check_renaming(facts)
        or _check_faults(facts)
        or _check_target(facts)
        or _check_upstreams(facts)
        or _check_sources(facts, evidence)
        or _check_request(facts)
        or _check_news(facts, evidence)
    )
    return Decision(facts.target, facts.pipeline_id, action, reason, message, evidence, facts=facts)


def weigh(source: SourceFacts) -> SourceEvidence:
    """Tell whether one driving source holds new data, and why."""
    is_new, reason, message = _judge(source)
    watermark, probe = source.watermark, source.probe
    guards = tuple(_guards(probe, reason))
    if Guard.FUTURE_ROWS in guards:
        message += f"; {probe.future_count} of its rows lie in the future and are left out until their time"
    left_out = _left_out(source)
    if left_out:
        guards = (*guards, Guard.FILES_LEFT_OUT)
        message += f"; {left_out}"
    return SourceEvidence(
        source=source.source,
        mode=source.mode,
        is_new=is_new,
        reason=reason,
        message=message,
        watermark=watermark.end if watermark else None,
        newest=probe.newest,
        band_expected=watermark.band_count if watermark else None,
        band_found=probe.band_count,
        future_count=probe.future_count,
        guards=guards,
        is_lookup=source.is_lookup,
        begins_at=probe.files.least_key if probe.files else None,
        left_out=left_out,
    )


def _left_out(source: SourceFacts) -> str:
    """Name the files that a target does not read; empty: it reads all."""
    count = source.left_out_count
    if not count:
        return ""
    files = "1 file is" if count == 1 else f"{count:,} files are"
    example = source.left_out[0] if count == 1 else f"e.g. {source.left_out[0]}"
    return f"{files} left out until written again: {example}"


def _guards(probe: Probe, reason: Reason) -> Iterator[Guard]:
    if probe.future_count:
        yield Guard.FUTURE_ROWS
    if probe.null_count:
        yield Guard.NULL_KEYS
    guard = _GUARDS.get(reason)
    if guard is not None:
        yield guard


_GUARDS: Final = {
    Reason.KEY_WENT_BACKWARDS: Guard.KEY_WENT_BACKWARDS,
    Reason.ROWS_VANISHED: Guard.SOURCE_SHRANK,
    Reason.SOURCE_EMPTIED: Guard.SOURCE_SHRANK,
    Reason.PROBE_FAILED: Guard.PROBE_FAILED,
}


def skip_leased(decision: Decision, holder: str) -> Decision:
    """Return the decision on a target whose lease another run took first."""
    return replace(decision, action=Action.SKIP, reason=Reason.LEASE_HELD, message=_held_by(holder))


def outdated(decision: Decision, message: str) -> Decision:
    """Return the decision on a target that was renamed, or whose sources were, after the run was planned."""
    if decision.action is not Action.RUN:
        return decision
    return replace(decision, action=Action.SKIP, reason=Reason.LEASE_HELD, message=message)


def switched_off(decision: Decision) -> Decision:
    """Return the decision on a target whose row or pipeline was switched off after the run was planned."""
    if decision.action is not Action.RUN:
        return decision
    message = f"switched off while this run was at work; `sluice activate {decision.target}` switches it on"
    return replace(decision, action=Action.SKIP, reason=Reason.INACTIVE, message=message)


_Answer = tuple[Action, Reason, str]
_Judgement = tuple[bool, Reason, str]


def _check_active(facts: TargetFacts) -> _Answer | None:
    if not facts.is_active:
        by = f" by {facts.deactivated_by}" if facts.deactivated_by else ""
        return Action.SKIP, Reason.INACTIVE, f"switched off{by}; `sluice activate {facts.target}` switches it on"
    if not facts.is_pipeline_active:
        name = facts.pipeline_id
        message = f"pipeline {name} is switched off; `sluice activate {name}` switches it on"
        return Action.SKIP, Reason.PIPELINE_INACTIVE, message
    return None


def _check_lease(facts: TargetFacts) -> _Answer | None:
    return (Action.SKIP, Reason.LEASE_HELD, _held_by(facts.leased_by)) if facts.leased_by else None


def _check_renaming(facts: TargetFacts) -> _Answer | None:
    return (Action.HOLD, Reason.RENAME_UNFINISHED, facts.unfinished_rename) if facts.unfinished_rename else None


def _held_by(holder: str) -> str:
    return f"it is being loaded by {holder}"


def _check_faults(facts: TargetFacts) -> _Answer | None:
    if facts.pipeline_faults:
        return Action.HOLD, Reason.PIPELINE_AT_FAULT, "; ".join(facts.pipeline_faults)
    if facts.faults:
        return Action.HOLD, Reason.ROW_AT_FAULT, "; ".join(facts.faults)
    return None


def _check_target(facts: TargetFacts) -> _Answer | None:
    if facts.has_log and not facts.exists:
        message = (
            f"the table is missing, but the load log holds loads of it: a load now would begin in the middle of its "
            f"history. Restore the table, or load it again in full: "
            f"`sluice dbt build --full-refresh --select {_model(facts.target)}`"
        )
        return Action.HOLD, Reason.TARGET_DROPPED, message
    if facts.renamed_from and not facts.has_log and not facts.forced_by:
        message = (
            f"it seems to be {facts.renamed_from} under a new name: that target has no row now, and this one would be "
            f"loaded in full. `sluice rename {facts.renamed_from} {facts.target}` takes that table over; or give the "
            f"row its old name; or load it from its sources: `sluice run {facts.pipeline_id} --force`"
        )
        return Action.HOLD, Reason.ROW_RENAMED, message
    is_known = facts.exists and bool(facts.head_fingerprint) and bool(facts.fingerprint)
    if is_known and facts.head_fingerprint != facts.fingerprint and not facts.is_tracking_changed:
        message = (
            f"its load type, keys or sequence differ from those that the table was built with. "
            f"Undo the change, or rebuild it from its ledger: `sluice rebuild {facts.target}` first says what is lost"
        )
        return Action.HOLD, Reason.CONFIG_CHANGED, message
    if facts.exists and facts.is_time_changed:
        message = (
            f"its increment differs from the one that the table was built with: events have another time now, which no "
            f"stored event has. Undo the change, or load it again in full: "
            f"`sluice dbt build --full-refresh --select {_model(facts.target)}`"
        )
        return Action.HOLD, Reason.CONFIG_CHANGED, message
    change = facts.definition_change
    is_held = change is not None and not change.is_loaded and change.policy is OnDefinitionChange.HOLD
    if change is not None and is_held and not facts.forced_by:
        return Action.HOLD, Reason.DEFINITION_CHANGED, change.sentence
    return None


def _check_upstreams(facts: TargetFacts) -> _Answer | None:
    pending = _names(facts, UpstreamState.PENDING)
    if pending:
        return Action.WAIT, Reason.UPSTREAM_FIRST, f"decided after {pending}"
    policy = facts.child_policy
    running = _names(facts, UpstreamState.RUNNING)
    if running and policy is not ChildPolicy.STALE:
        return Action.SKIP, Reason.UPSTREAM_RUNNING, f"not run this time: another run is loading {running}"
    not_renewed = _check_stale_upstreams(facts) if policy is ChildPolicy.STALE else _check_failed_upstreams(facts)
    if not_renewed is not None:
        return not_renewed
    missing = ", ".join(up.target for up in facts.upstreams if not up.exists)
    if missing:
        return Action.SKIP, Reason.UPSTREAM_NOT_LOADED, f"it reads {missing}, which has not been loaded yet"
    return None


def _check_failed_upstreams(facts: TargetFacts) -> _Answer | None:
    failed, held = _names(facts, UpstreamState.FAILED), _names(facts, UpstreamState.HELD)
    off = _names(facts, UpstreamState.OFF)
    is_blocked = facts.child_policy is ChildPolicy.BLOCK
    if is_blocked:
        before = ", ".join(up.target for up in facts.upstreams if up.has_failed_before)
        failed = ", ".join(filter(None, (failed, before if before != failed else "")))
    action, until = (Action.HOLD, "until it succeeds") if is_blocked else (Action.SKIP, "this time")
    rule = f"(child_policy {facts.child_policy})"
    if failed:
        return action, Reason.UPSTREAM_FAILED, f"not run {until}: {failed} failed {rule}"
    if held:
        return action, Reason.UPSTREAM_HELD, f"not run {until}: {held} is held {rule}"
    if off:
        return action, Reason.UPSTREAM_OFF, f"not run while {off} is switched off {rule}"
    return None


def _check_stale_upstreams(facts: TargetFacts) -> _Answer | None:
    not_renewed = (UpstreamState.FAILED, UpstreamState.HELD, UpstreamState.OFF)
    too_old = [_too_old(up) for up in facts.upstreams if up.state in not_renewed and up.is_too_old]
    return (Action.SKIP, Reason.UPSTREAM_TOO_OLD, "; ".join(too_old)) if too_old else None


def _too_old(upstream: UpstreamFacts) -> str:
    age = "was never loaded" if upstream.age_minutes is None else f"was loaded {upstream.age_minutes:.0f} minutes ago"
    return (
        f"{upstream.target} failed, is held or switched off, and {age}; its data may be at most "
        f"{upstream.max_age_minutes} minutes old (its freshness_minutes)"
    )


def _check_sources(facts: TargetFacts, evidence: tuple[SourceEvidence, ...]) -> _Answer | None:
    for reason in (Reason.PROBE_FAILED, Reason.KEY_WENT_BACKWARDS, Reason.KEY_IS_NULL):
        messages = [item.message for item in evidence if item.reason is reason]
        if messages and not (facts.forced_by and reason is not Reason.PROBE_FAILED):
            return Action.HOLD, reason, "; ".join(messages)
    emptied = [item.message for item in evidence if item.reason is Reason.SOURCE_EMPTIED and item.mode in _FOLDERS]
    if emptied and not facts.forced_by:
        return Action.HOLD, Reason.SOURCE_EMPTIED, f"{'; '.join(emptied)}. Land the files again, or switch the row off"
    if facts.unreadable:
        return Action.HOLD, Reason.SOURCE_UNREADABLE, "; ".join(facts.unreadable)
    return None


_FOLDERS: Final = frozenset({SourceMode.FILES, SourceMode.TOKEN})
"""How folders of the lake are probed. A table may be empty between two loads; a folder without files is an accident."""


def _check_request(facts: TargetFacts) -> _Answer | None:
    if facts.forced_by:
        return Action.RUN, Reason.FORCED, f"forced by {facts.forced_by}"
    change = facts.definition_change
    if change is not None and change.is_read_whole and not change.is_loaded:
        return Action.RUN, Reason.DEFINITION_CHANGED, "its SELECT has changed: all rows are derived again"
    if facts.exists and facts.is_tracking_changed:
        return Action.RUN, Reason.TRACKING_CHANGED, "its tracked columns have changed: it is rebuilt from its ledger"
    return None


def _check_news(facts: TargetFacts, evidence: tuple[SourceEvidence, ...]) -> _Answer:
    driving = [item for item in evidence if not item.is_lookup]
    if not driving and facts.exists:
        return Action.SKIP, Reason.NO_DRIVING_SOURCE, "it has no driving source: only --force runs it again"
    if not driving:
        return Action.RUN, Reason.FIRST_LOAD, "first load"
    fresh = [item for item in driving if item.is_new]
    stale = [item for item in driving if not item.is_new]
    changed = [item.message for item in evidence if item.is_lookup and item.is_new]
    if changed and not fresh and facts.has_log:
        return Action.RUN, Reason.LOOKUP_CHANGED, f"{'; '.join(changed)}: the rows that this touches are derived again"
    if fresh and (facts.trigger is Trigger.ANY or not stale):
        reason = fresh[0].reason if facts.has_log else Reason.FIRST_LOAD
        return Action.RUN, reason, "; ".join([*(item.message for item in fresh), *(changed if facts.has_log else ())])
    if fresh:
        return _wait_for_all(facts, fresh, stale)
    reasons = {item.reason for item in stale}
    reason = next(iter(reasons)) if len(reasons) == 1 else Reason.NOTHING_NEW
    return Action.SKIP, reason, "; ".join(item.message for item in stale)


def _wait_for_all(facts: TargetFacts, fresh: Sequence[SourceEvidence], stale: Sequence[SourceEvidence]) -> _Answer:
    names = ", ".join(item.source for item in stale)
    limit, waited = facts.max_wait_minutes, facts.waited_minutes or 0.0
    if limit is not None and waited >= limit:
        news = "; ".join(item.message for item in fresh)
        return Action.RUN, Reason.MAX_WAIT_OVER, f"{news}; {names} had nothing new within {limit} minutes"
    until = "" if limit is None else f", {limit - waited:.0f} minutes at most (max_wait_minutes)"
    return Action.SKIP, Reason.TRIGGER_WAITS, f"trigger `all` waits for {names}{until}"


def _judge(source: SourceFacts) -> _Judgement:
    if source.probe.error is not None:
        return False, Reason.PROBE_FAILED, f"{source.source} could not be probed: {source.probe.error}"
    if source.watermark is None:
        return _judge_first(source)
    match source.mode:
        case SourceMode.KEYED:
            return _judge_keyed(source, source.watermark)
        case SourceMode.FILES:
            return _judge_files(source)
        case SourceMode.TOKEN:
            return _judge_token(source, source.watermark)
        case SourceMode.MANAGED:
            return _judge_managed(source, source.watermark)
        case _:
            assert_never(source.mode)


def _judge_first(source: SourceFacts) -> _Judgement:
    probe, name = source.probe, source.source
    if probe.has_rows:
        return True, Reason.FIRST_LOAD, f"{name} holds rows and has never been read"
    if probe.future_count:
        return False, Reason.ONLY_FUTURE_ROWS, f"{name} holds only rows whose key lies in the future"
    if probe.null_count:
        message = f"{name} holds {probe.null_count} rows, and none of them has a key: name another incremental_key"
        return False, Reason.KEY_IS_NULL, message
    return False, Reason.SOURCE_EMPTY, f"{name} is empty"


def _judge_keyed(source: SourceFacts, watermark: Watermark) -> _Judgement:
    probe, name = source.probe, source.source
    if watermark.end is None:
        return _judge_first(source)
    try:
        is_beyond = probe.newest is not None and parse_bound(probe.newest).is_later_than(parse_bound(watermark.end))
    except ValueError as error:
        return False, Reason.PROBE_FAILED, f"{name}: {error}"
    if is_beyond:
        return (
            True,
            Reason.NEW_ROWS,
            f"{name} holds rows up to {_shown(probe.newest)}, read up to {_shown(watermark.end)}",
        )
    if probe.newest is None and not probe.future_count:
        return _judge_gone(source, watermark)
    expected, found = watermark.band_count, probe.band_count
    if expected is not None and found is not None and expected != found:
        message = f"{name} holds {found} rows in the band up to {_shown(watermark.end)}, {expected} when it was read"
        return True, Reason.LATE_ROWS if found > expected else Reason.ROWS_VANISHED, message
    return False, Reason.NOTHING_NEW, f"{name} holds nothing beyond {_shown(watermark.end)}"


def _judge_gone(source: SourceFacts, watermark: Watermark) -> _Judgement:
    """Judge a source without a row at or above the window's start: it has nothing to read, or its key is wrong."""
    probe, name = source.probe, source.source
    if probe.below is not None and source.is_read_whole:
        return True, Reason.ROWS_VANISHED, f"{name} holds rows up to {_shown(probe.below)} only, and held later ones"
    if probe.below is not None:
        message = (
            f"{name} holds rows up to {_shown(probe.below)} only, and was read up to {_shown(watermark.end)}. Either "
            "rows were deleted: then the next new row ends this; or its key started again from a low value: then new "
            "rows would never be read, and the target must be loaded again with --full-refresh"
        )
        return False, Reason.KEY_WENT_BACKWARDS, message
    if watermark.band_count:
        return False, Reason.SOURCE_EMPTIED, f"{name} is empty now; it was read up to {_shown(watermark.end)}"
    return False, Reason.SOURCE_EMPTY, f"{name} is empty"


def _judge_files(source: SourceFacts) -> _Judgement:
    name, files = source.source, source.probe.files
    if files is None or not files.listed:
        return False, Reason.SOURCE_EMPTIED, f"{name} is empty now; it held files when it was read"
    if files.can_remove:
        news = f"{files.news}{files.rest}" if files.unread else f"fewer files{files.rest}"
        return True, Reason.FILES_REMOVED, f"{name} holds {news}"
    if files.unread and not source.probe.has_rows:
        return False, Reason.ONLY_FUTURE_ROWS, f"{name} holds {files.news}, with rows whose key lies in the future only"
    if files.left_out and not files.unread:
        return False, Reason.FILES_LEFT_OUT, f"{name} holds nothing new that can be read{files.rest}"
    if files.unread:
        return True, Reason.NEW_FILES, f"{name} holds {files.news}{files.rest}"
    return False, Reason.NOTHING_NEW, f"{name} holds no file that was not read ({files.listed:,} listed{files.rest})"


def _judge_token(source: SourceFacts, watermark: Watermark) -> _Judgement:
    probe, name = source.probe, source.source
    if not probe.has_rows:
        return False, Reason.SOURCE_EMPTIED, f"{name} is empty now; it held rows when it was read"
    if probe.newest is None or watermark.end is None:
        return True, Reason.SOURCE_NOT_COMPARABLE, f"{name} has no change token, so it counts as changed"
    if probe.newest != watermark.end:
        return True, Reason.SOURCE_CHANGED, f"{name} has changed since it was read"
    return False, Reason.NOTHING_NEW, f"{name} has not changed since it was read"


def _judge_managed(source: SourceFacts, watermark: Watermark) -> _Judgement:
    probe, name = source.probe, source.source
    if probe.epoch is not None and watermark.source_epoch is not None and probe.epoch != watermark.source_epoch:
        return True, Reason.UPSTREAM_REBUILT, f"{name} was rebuilt and is read in full once"
    if probe.newest is None:
        return False, Reason.NOTHING_NEW, f"{name} has not loaded any row"
    if watermark.end is None:
        return True, Reason.UPSTREAM_LOADED, f"{name} loaded rows at {_shown(probe.newest)}"
    try:
        is_another = parse_bound(probe.newest).position != parse_bound(watermark.end).position
    except ValueError as error:
        return False, Reason.PROBE_FAILED, f"{name}: {error}"
    if is_another:
        return (
            True,
            Reason.UPSTREAM_LOADED,
            f"{name} loaded rows at {_shown(probe.newest)}, read up to {_shown(watermark.end)}",
        )
    return False, Reason.NOTHING_NEW, f"{name} has loaded nothing since {_shown(watermark.end)}"


def _shown(bound: str | None) -> str:
    """Write a bound for display, without microseconds that are zero."""
    return (bound or "").replace(".000000", "")


def _names(facts: TargetFacts, state: UpstreamState) -> str:
    return ", ".join(up.target for up in facts.upstreams if up.state is state)


def _model(target: str) -> str:
    return target.replace(".", "__", 1)
