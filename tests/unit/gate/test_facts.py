"""Any facts whatever: the gate decides, by its stated reasons alone, and what it records suffices to decide again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.gate.facts import (
    Action,
    FileCounts,
    Probe,
    Reason,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
    evidence_document,
    facts_of,
)
from flows.gate.rules import decide
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Trigger

EXAMPLES = int(os.environ.get("SLUICE_TEST_EXAMPLES", "300"))

RUN_WITHOUT_NEWS = {Reason.FORCED, Reason.TRACKING_CHANGED}
RUN_FOR_NEWS = {
    *(Reason.FIRST_LOAD, Reason.NEW_ROWS, Reason.LATE_ROWS, Reason.ROWS_VANISHED, Reason.SOURCE_CHANGED),
    *(Reason.SOURCE_NOT_COMPARABLE, Reason.UPSTREAM_LOADED, Reason.UPSTREAM_REBUILT, Reason.MAX_WAIT_OVER),
    Reason.NEW_FILES,
}
LEFT_WITH_NEWS = {
    *(Reason.INACTIVE, Reason.PIPELINE_INACTIVE, Reason.LEASE_HELD, Reason.UPSTREAM_RUNNING, Reason.UPSTREAM_FAILED),
    *(Reason.UPSTREAM_HELD, Reason.UPSTREAM_TOO_OLD, Reason.UPSTREAM_NOT_LOADED, Reason.TRIGGER_WAITS),
    *(Reason.TARGET_DROPPED, Reason.ROW_RENAMED, Reason.CONFIG_CHANGED),
    *(Reason.PROBE_FAILED, Reason.KEY_WENT_BACKWARDS, Reason.KEY_IS_NULL, Reason.SOURCE_UNREADABLE),
    *(Reason.UPSTREAM_FIRST, Reason.UPSTREAM_OFF, Reason.SOURCE_EMPTIED),
}

bounds = st.sampled_from([None, "7", "8", "2013-01-01", "2013-01-01 12:00:00.000000", "2013-01-02 12:00:00+01"])
counts = st.none() | st.integers(0, 3)
watermarks = st.none() | st.builds(Watermark, bounds, counts, st.none() | st.integers(0, 1))
probes = st.builds(
    Probe,
    has_rows=st.booleans(),
    newest=bounds,
    band_count=counts,
    future_count=st.integers(0, 2),
    null_count=st.integers(0, 2),
    below=bounds,
    epoch=st.none() | st.integers(0, 1),
    files=st.none() | st.builds(FileCounts, *[st.integers(0, 2)] * 8),
    error=st.none() | st.just("no answer"),
)
sources = st.lists(
    st.builds(
        SourceFacts,
        st.sampled_from(["lake.a", "lake.b", "dwh.c"]),
        st.sampled_from(SourceMode),
        watermarks,
        probes,
        st.booleans(),
    ),
    max_size=3,
).map(tuple)
minutes = st.none() | st.floats(0, 100)
upstreams = st.lists(
    st.builds(
        UpstreamFacts,
        st.sampled_from(["dwh.x", "dwh.y"]),
        st.sampled_from(UpstreamState),
        st.booleans(),
        st.booleans(),
        minutes,
        st.none() | st.integers(1, 99),
    ),
    max_size=2,
).map(tuple)
rarely = st.sampled_from([False, False, False, False, True])
worlds = st.builds(
    TargetFacts,
    target=st.just("dwh.t"),
    pipeline_id=st.just("p"),
    is_active=rarely.map(lambda value: not value),
    is_pipeline_active=rarely.map(lambda value: not value),
    leased_by=st.sampled_from([None, None, None, "ben"]),
    trigger=st.sampled_from(Trigger),
    max_wait_minutes=st.none() | st.integers(0, 60),
    waited_minutes=minutes,
    child_policy=st.sampled_from(ChildPolicy),
    exists=st.booleans(),
    has_log=st.booleans(),
    fingerprint=st.sampled_from([None, "a", "b"]),
    head_fingerprint=st.sampled_from([None, "a", "b"]),
    is_tracking_changed=rarely,
    renamed_from=st.sampled_from([None, None, None, "dwh.old"]),
    sources=sources,
    upstreams=upstreams,
    unreadable=st.sampled_from([(), (), (), ("different file",)]),
    forced_by=st.sampled_from([None, None, None, "anna"]),
)


@settings(max_examples=EXAMPLES)
@given(worlds)
def test_recorded_evidence_suffices_to_decide_again(facts: TargetFacts) -> None:
    decision = decide(facts)
    recorded = json.loads(json.dumps(evidence_document(decision)))

    again = facts_of(recorded)

    assert again == facts
    assert decide(again) == decision
    assert [source["source"] for source in recorded["sources"]] == [source.source for source in facts.sources]


@settings(max_examples=EXAMPLES)
@given(worlds)
def test_it_runs_for_news_or_a_stated_reason_and_leaves_news_for_a_stated_reason(facts: TargetFacts) -> None:
    decision = decide(facts)
    has_news = any(item.is_new for item in decision.evidence)

    if decision.action is Action.RUN:
        assert decision.reason in RUN_WITHOUT_NEWS | RUN_FOR_NEWS
        assert has_news or decision.reason in RUN_WITHOUT_NEWS or not decision.evidence
    elif has_news:
        assert decision.reason in LEFT_WITH_NEWS
    assert decision.message


@settings(max_examples=EXAMPLES)
@given(worlds)
def test_nobody_who_insists_is_told_that_nothing_is_new(facts: TargetFacts) -> None:
    decision = decide(replace(facts, forced_by="anna"))

    assert decision.action is not Action.SKIP or decision.reason in LEFT_WITH_NEWS - {Reason.TRIGGER_WAITS}
    if decision.reason is Reason.FORCED:
        assert "anna" in decision.message
