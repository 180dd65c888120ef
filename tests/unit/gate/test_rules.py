"""Each rule of the gate, by the facts that trigger it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.gate.facts import (
    Action,
    Guard,
    Probe,
    Reason,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
)
from flows.gate.rules import decide
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Trigger

NOON = "2013-01-01 12:00:00.000000"
LATER = "2013-01-01 12:00:00.000001"


def keyed(
    end: str | None = NOON, newest: str | None = NOON, *, band: tuple[int, int] = (3, 3), **probe: int
) -> SourceFacts:
    watermark = Watermark(end, band[0]) if end is not None else None
    answer = Probe(newest is not None, newest, band[1], **probe)
    return SourceFacts("lake.flights", SourceMode.KEYED, watermark, answer)


def token(read: str | None, found: str | None, *, has_rows: bool = True, is_first: bool = False) -> SourceFacts:
    watermark = None if is_first else Watermark(read)
    return SourceFacts("lake.airports", SourceMode.TOKEN, watermark, Probe(has_rows, found))


def managed(read: str | None, loaded: str | None, *, epochs: tuple[int, int] = (0, 0)) -> SourceFacts:
    watermark = None if read is None else Watermark(read, None, epochs[0])
    return SourceFacts("dwh.fact", SourceMode.MANAGED, watermark, Probe(loaded is not None, loaded, epoch=epochs[1]))


def broken() -> SourceFacts:
    return SourceFacts("lake.planes", SourceMode.KEYED, Watermark(NOON, 1), Probe(error="no such folder"))


BACKWARDS = replace(keyed(band=(3, 0)), probe=Probe(band_count=0, below="2012-12-31 00:00:00.000000"))
LOADED = TargetFacts("dwh.fact", "flights", exists=True, has_log=True, sources=(keyed(),))
NEW_SOURCE = (keyed(newest=LATER),)
NEVER_LOADED = TargetFacts("dwh.fact", "flights", sources=(keyed(None),))


def upstream(state: UpstreamState = UpstreamState.SETTLED, **facts: bool) -> tuple[UpstreamFacts, ...]:
    return (UpstreamFacts("dwh.base", state, **{"exists": True, **facts}),)


@pytest.mark.parametrize(
    ("facts", "action", "reason"),
    [
        pytest.param(LOADED, Action.SKIP, Reason.NOTHING_NEW, id="watermark reached"),
        pytest.param(NEVER_LOADED, Action.RUN, Reason.FIRST_LOAD, id="never loaded"),
        pytest.param(replace(LOADED, sources=NEW_SOURCE), Action.RUN, Reason.NEW_ROWS, id="one microsecond beyond"),
        pytest.param(replace(LOADED, sources=(keyed(band=(3, 4)),)), Action.RUN, Reason.LATE_ROWS, id="late row"),
        pytest.param(
            replace(LOADED, sources=(keyed(band=(3, 2)),)),
            Action.RUN,
            Reason.ROWS_VANISHED,
            id="row gone from the band",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed(newest=None, band=(3, 0)),)),
            Action.SKIP,
            Reason.SOURCE_EMPTIED,
            id="emptied table",
        ),
        pytest.param(
            replace(LOADED, sources=(BACKWARDS,)), Action.HOLD, Reason.KEY_WENT_BACKWARDS, id="key went backwards"
        ),
        pytest.param(
            replace(LOADED, sources=(replace(BACKWARDS, is_read_whole=True),)),
            Action.RUN,
            Reason.ROWS_VANISHED,
            id="key went backwards in a source that is read whole",
        ),
        pytest.param(
            replace(LOADED, sources=(BACKWARDS,), forced_by="anna"),
            Action.RUN,
            Reason.FORCED,
            id="somebody knows better",
        ),
        pytest.param(
            replace(NEVER_LOADED, sources=(keyed(None, None, null_count=4),)),
            Action.HOLD,
            Reason.KEY_IS_NULL,
            id="rows without a key alone",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed("9", "10", band=(1, 1)),)),
            Action.RUN,
            Reason.NEW_ROWS,
            id="10 lies beyond 9",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed("2013-01-01 12:00:00+00", "2013-01-01 13:00:00+01"),)),
            Action.SKIP,
            Reason.NOTHING_NEW,
            id="one instant in two zones",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed("2013-01-01", NOON),)),
            Action.RUN,
            Reason.NEW_ROWS,
            id="a date is its midnight",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed("7", NOON),)), Action.HOLD, Reason.PROBE_FAILED, id="key changed its kind"
        ),
        pytest.param(
            replace(NEVER_LOADED, sources=(keyed(None, None),)), Action.SKIP, Reason.SOURCE_EMPTY, id="empty source"
        ),
        pytest.param(
            replace(NEVER_LOADED, sources=(keyed(None, None, future_count=2),)),
            Action.SKIP,
            Reason.ONLY_FUTURE_ROWS,
            id="future rows alone do not start a target",
        ),
        pytest.param(
            replace(LOADED, sources=(keyed(future_count=5),)),
            Action.SKIP,
            Reason.NOTHING_NEW,
            id="future rows do not run",
        ),
        pytest.param(
            replace(LOADED, sources=(token("a", "b"),)), Action.RUN, Reason.SOURCE_CHANGED, id="another change token"
        ),
        pytest.param(replace(LOADED, sources=(token("a", "a"),)), Action.SKIP, Reason.NOTHING_NEW, id="same token"),
        pytest.param(
            replace(LOADED, sources=(token("a", None),)),
            Action.RUN,
            Reason.SOURCE_NOT_COMPARABLE,
            id="no token to be had",
        ),
        pytest.param(
            replace(LOADED, sources=(token(None, "a"),)),
            Action.RUN,
            Reason.SOURCE_NOT_COMPARABLE,
            id="token unknown then",
        ),
        pytest.param(
            replace(LOADED, sources=(token("a", "b", has_rows=False),)),
            Action.HOLD,
            Reason.SOURCE_EMPTIED,
            id="emptied folder",
        ),
        pytest.param(
            replace(NEVER_LOADED, sources=(token(None, "a", is_first=True),)),
            Action.RUN,
            Reason.FIRST_LOAD,
            id="first token",
        ),
        pytest.param(
            replace(LOADED, sources=(managed(NOON, NOON),)), Action.SKIP, Reason.NOTHING_NEW, id="upstream idle"
        ),
        pytest.param(
            replace(LOADED, sources=(managed(NOON, LATER),)), Action.RUN, Reason.UPSTREAM_LOADED, id="upstream loaded"
        ),
        pytest.param(
            replace(LOADED, sources=(managed(NOON, NOON, epochs=(1, 2)),)),
            Action.RUN,
            Reason.UPSTREAM_REBUILT,
            id="upstream rebuilt",
        ),
        pytest.param(
            replace(NEVER_LOADED, sources=(managed(None, None),)),
            Action.SKIP,
            Reason.SOURCE_EMPTY,
            id="upstream has no row",
        ),
        pytest.param(replace(LOADED, sources=()), Action.SKIP, Reason.NO_DRIVING_SOURCE, id="nothing drives it"),
        pytest.param(
            replace(NEVER_LOADED, sources=()), Action.RUN, Reason.FIRST_LOAD, id="nothing drives its first load"
        ),
        pytest.param(replace(LOADED, forced_by="anna"), Action.RUN, Reason.FORCED, id="forced"),
        pytest.param(
            replace(LOADED, is_active=False, forced_by="anna"),
            Action.SKIP,
            Reason.INACTIVE,
            id="force leaves the switch alone",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, leased_by="ben"),
            Action.SKIP,
            Reason.LEASE_HELD,
            id="another run's",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, upstreams=upstream(UpstreamState.RUNNING)),
            Action.SKIP,
            Reason.UPSTREAM_RUNNING,
            id="another run has its upstream",
        ),
        pytest.param(
            replace(
                LOADED,
                sources=NEW_SOURCE,
                upstreams=upstream(UpstreamState.RUNNING),
                child_policy=ChildPolicy.STALE,
            ),
            Action.RUN,
            Reason.NEW_ROWS,
            id="stale does not wait for another run",
        ),
        pytest.param(
            replace(LOADED, is_pipeline_active=False), Action.SKIP, Reason.PIPELINE_INACTIVE, id="pipeline off"
        ),
        pytest.param(
            replace(LOADED, sources=(keyed(newest=LATER), broken())),
            Action.HOLD,
            Reason.PROBE_FAILED,
            id="one probe failed",
        ),
        pytest.param(
            replace(LOADED, sources=(broken(),), forced_by="anna"),
            Action.HOLD,
            Reason.PROBE_FAILED,
            id="force is not blind",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, unreadable=("mixed files",)),
            Action.HOLD,
            Reason.SOURCE_UNREADABLE,
            id="mixed files",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, unfinished_rename="finish it", faults=("bad",), forced_by="anna"),
            Action.HOLD,
            Reason.RENAME_UNFINISHED,
            id="interrupted renaming",
        ),
        pytest.param(replace(LOADED, exists=False), Action.HOLD, Reason.TARGET_DROPPED, id="dropped by hand"),
        pytest.param(
            replace(LOADED, exists=False, forced_by="anna"),
            Action.HOLD,
            Reason.TARGET_DROPPED,
            id="force does not refill it",
        ),
        pytest.param(
            replace(LOADED, fingerprint="new", head_fingerprint="old"),
            Action.HOLD,
            Reason.CONFIG_CHANGED,
            id="keys changed",
        ),
        pytest.param(
            replace(LOADED, fingerprint="new", head_fingerprint="old", is_tracking_changed=True),
            Action.RUN,
            Reason.TRACKING_CHANGED,
            id="tracked columns changed",
        ),
        pytest.param(
            replace(NEVER_LOADED, renamed_from="dwh.facts"), Action.HOLD, Reason.ROW_RENAMED, id="renamed row"
        ),
        pytest.param(
            replace(NEVER_LOADED, renamed_from="dwh.facts", forced_by="anna"),
            Action.RUN,
            Reason.FORCED,
            id="renamed and forced",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, upstreams=upstream(UpstreamState.PENDING)),
            Action.WAIT,
            Reason.UPSTREAM_FIRST,
            id="upstream loads first",
        ),
        pytest.param(
            replace(LOADED, upstreams=upstream(UpstreamState.PENDING), forced_by="anna"),
            Action.WAIT,
            Reason.UPSTREAM_FIRST,
            id="force waits too",
        ),
        pytest.param(
            replace(LOADED, sources=NEW_SOURCE, upstreams=upstream(exists=False)),
            Action.SKIP,
            Reason.UPSTREAM_NOT_LOADED,
            id="upstream never loaded",
        ),
    ],
)
def test_gate_decides(facts: TargetFacts, action: Action, reason: Reason) -> None:
    decision = decide(facts)

    assert (decision.action, decision.reason) == (action, reason)
    assert decision.message
    assert [item.source for item in decision.evidence] == [source.source for source in facts.sources]


NOT_RENEWED = {
    UpstreamState.FAILED: Reason.UPSTREAM_FAILED,
    UpstreamState.HELD: Reason.UPSTREAM_HELD,
    UpstreamState.OFF: Reason.UPSTREAM_OFF,
}


@pytest.mark.parametrize("state", NOT_RENEWED)
@pytest.mark.parametrize(
    ("policy", "action"),
    [(ChildPolicy.SKIP, Action.SKIP), (ChildPolicy.BLOCK, Action.HOLD), (ChildPolicy.STALE, Action.RUN)],
)
def test_child_policy_decides_when_upstream_did_not_load(
    state: UpstreamState, policy: ChildPolicy, action: Action
) -> None:
    decision = decide(replace(LOADED, sources=NEW_SOURCE, upstreams=upstream(state), child_policy=policy))

    assert decision.action is action
    if action is not Action.RUN:
        assert decision.reason is NOT_RENEWED[state]


def test_what_is_at_fault_is_held_even_by_force_unless_it_is_off() -> None:
    facts = replace(LOADED, sources=NEW_SOURCE, faults=("no such column",), forced_by="anna")

    assert (decide(facts).action, decide(facts).reason) == (Action.HOLD, Reason.ROW_AT_FAULT)
    assert decide(replace(facts, is_active=False)).reason is Reason.INACTIVE
    assert decide(replace(facts, pipeline_faults=("no such cron",))).reason is Reason.PIPELINE_AT_FAULT


@pytest.mark.parametrize(("policy", "action"), [(ChildPolicy.SKIP, Action.RUN), (ChildPolicy.BLOCK, Action.HOLD)])
def test_failure_of_an_earlier_run_holds_only_blocked_children(policy: ChildPolicy, action: Action) -> None:
    facts = replace(LOADED, sources=NEW_SOURCE, upstreams=upstream(has_failed_before=True), child_policy=policy)

    assert decide(facts).action is action


@pytest.mark.parametrize(("trigger", "action"), [(Trigger.ANY, Action.RUN), (Trigger.ALL, Action.SKIP)])
def test_trigger_says_how_many_sources_must_be_new(trigger: Trigger, action: Action) -> None:
    half_new = replace(LOADED, sources=(keyed(newest=LATER), token("a", "a")), trigger=trigger)
    all_new = replace(LOADED, sources=(keyed(newest=LATER), token("a", "b")), trigger=trigger)

    assert decide(half_new).action is action
    assert decide(all_new).action is Action.RUN
    if action is Action.SKIP:
        assert decide(half_new).reason is Reason.TRIGGER_WAITS
        assert "lake.airports" in decide(half_new).message


@pytest.mark.parametrize(
    ("waited", "limit", "action"),
    [(None, 30, Action.SKIP), (29.9, 30, Action.SKIP), (30.0, 30, Action.RUN), (900.0, None, Action.SKIP)],
)
def test_trigger_all_runs_with_what_is_there_after_its_time(
    waited: float | None, limit: int | None, action: Action
) -> None:
    sources = (keyed(newest=LATER), token("a", "a"))
    facts = replace(LOADED, sources=sources, trigger=Trigger.ALL, max_wait_minutes=limit, waited_minutes=waited)

    decision = decide(facts)

    assert decision.action is action
    assert decision.reason is (Reason.MAX_WAIT_OVER if action is Action.RUN else Reason.TRIGGER_WAITS)
    assert "lake.airports" in decision.message


def test_waiting_alone_is_no_increment() -> None:
    facts = replace(LOADED, sources=(token("a", "a"),), trigger=Trigger.ALL, max_wait_minutes=0, waited_minutes=900.0)

    assert decide(facts).action is Action.SKIP


@pytest.mark.parametrize(
    ("age", "limit", "action"),
    [(59.0, 60, Action.RUN), (61.0, 60, Action.SKIP), (None, 60, Action.SKIP), (9000.0, None, Action.RUN)],
)
def test_stale_is_good_enough_up_to_the_upstreams_own_freshness(
    age: float | None, limit: int | None, action: Action
) -> None:
    old = UpstreamFacts("dwh.base", UpstreamState.FAILED, exists=True, age_minutes=age, max_age_minutes=limit)
    facts = replace(LOADED, sources=NEW_SOURCE, upstreams=(old,), child_policy=ChildPolicy.STALE)

    assert decide(facts).action is action
    assert decide(replace(facts, upstreams=(replace(old, state=UpstreamState.SETTLED),))).action is Action.RUN


@pytest.mark.parametrize(
    ("source", "guards"),
    [
        (keyed(), ()),
        (keyed(future_count=2), (Guard.FUTURE_ROWS,)),
        (BACKWARDS, (Guard.KEY_WENT_BACKWARDS,)),
        (keyed(newest=None, band=(3, 0)), (Guard.SOURCE_SHRANK,)),
        (keyed(None, None, null_count=4), (Guard.NULL_KEYS,)),
        (broken(), (Guard.PROBE_FAILED,)),
    ],
)
def test_evidence_names_what_somebody_should_hear_of(source: SourceFacts, guards: tuple[Guard, ...]) -> None:
    (evidence,) = decide(replace(LOADED, sources=(source,))).evidence

    assert evidence.guards == guards


def test_evidence_holds_what_the_source_was_judged_by() -> None:
    (evidence,) = decide(replace(LOADED, sources=(keyed(newest=LATER, band=(3, 5), future_count=2),))).evidence

    assert (evidence.watermark, evidence.newest) == (NOON, LATER)
    assert (evidence.band_expected, evidence.band_found, evidence.future_count) == (3, 5, 2)
    assert evidence.is_new
    assert "2 of its rows lie in the future" in evidence.message


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        (replace(LOADED, exists=False), "--full-refresh --select dwh__fact"),
        (replace(LOADED, fingerprint="a", head_fingerprint="b"), "sluice rebuild dwh.fact"),
        (replace(NEVER_LOADED, renamed_from="dwh.facts"), "--force"),
        (replace(LOADED, is_active=False), "sluice activate dwh.fact"),
        (replace(LOADED, is_pipeline_active=False), "sluice activate flights"),
    ],
)
def test_what_a_person_must_do_stands_in_the_message(facts: TargetFacts, remedy: str) -> None:
    assert remedy in decide(facts).message


def test_changed_lookup_runs_a_target_whatever_its_trigger_and_a_lookup_alone_drives_nothing() -> None:
    lookup = replace(keyed(newest=LATER), source="lake.planes", is_lookup=True)
    changed = replace(LOADED, sources=(keyed(), lookup))
    decision = decide(changed)
    assert (decision.action, decision.reason) == (Action.RUN, Reason.LOOKUP_CHANGED)
    assert "lake.planes holds rows up to" in decision.message
    assert decision.message.endswith("the rows that this touches are derived again")
    assert decide(replace(changed, trigger=Trigger.ALL)).reason is Reason.LOOKUP_CHANGED

    unchanged = replace(lookup, probe=keyed().probe)
    both = replace(LOADED, sources=(keyed(newest=LATER), unchanged), trigger=Trigger.ALL)
    assert decide(both).reason is Reason.NEW_ROWS, "`all` does not wait for a lookup"
    assert decide(replace(LOADED, sources=(keyed(), unchanged))).reason is Reason.NOTHING_NEW
    assert decide(replace(LOADED, sources=(lookup,))).reason is Reason.NO_DRIVING_SOURCE
    first = replace(NEVER_LOADED, sources=(keyed(None), replace(lookup, watermark=None)))
    assert decide(first).reason is Reason.FIRST_LOAD
    empty = replace(NEVER_LOADED, sources=(keyed(None, None), replace(lookup, watermark=None)))
    assert decide(empty).action is Action.SKIP, "a lookup without driving rows starts no first load"
