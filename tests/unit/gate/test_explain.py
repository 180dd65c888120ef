"""A decision told afterwards: from what the log keeps, in plain words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flows.gate.explain import explain, remedy
from flows.gate.facts import (
    EngineChoice,
    Probe,
    SourceFacts,
    SourceMode,
    TargetFacts,
    UpstreamFacts,
    UpstreamState,
    evidence_document,
)
from flows.gate.rules import decide
from metadata_sync.database.journals.entries import DecisionEntry
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Engine, Trigger

READ = Watermark("2013-01-02 00:00:00.000000")
NEWS = Probe(has_rows=True, newest="2013-01-03 00:00:00.000000")
OLD = Probe(has_rows=True, newest="2013-01-02 00:00:00.000000")
UPSTREAM = UpstreamFacts("dwh.up", UpstreamState.SETTLED, exists=True, age_minutes=90)


def recorded(choice: EngineChoice | None = None, **facts: Any) -> DecisionEntry:
    known = TargetFacts("dwh.t", "p", exists=True, has_log=True, **facts)
    decision = replace(decide(known), choice=choice)
    evidence = evidence_document(decision)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return DecisionEntry("r", at, "p", "dwh.t", decision.action, decision.reason, decision.message, evidence)


def keyed(probe: Probe, name: str = "lake.a") -> SourceFacts:
    return SourceFacts(name, SourceMode.KEYED, READ, probe)


def test_target_that_waits_for_its_other_source_says_so_and_for_how_long() -> None:
    sources = (keyed(NEWS), keyed(OLD, "lake.b"))

    entry = recorded(sources=sources, trigger=Trigger.ALL, max_wait_minutes=60, waited_minutes=12.0)

    assert explain(entry) == (
        "lake.a holds rows up to 2013-01-03 00:00:00, read up to 2013-01-02 00:00:00.",
        "lake.b holds nothing beyond 2013-01-02 00:00:00.",
        "Its trigger is `all`: it runs when every source is new.",
        "It waits for the others 60 minutes at most, 12 of them were over.",
    )
    assert remedy(entry) == "It would run with a row of lake.b beyond 2013-01-02 00:00:00.000000."


@pytest.mark.parametrize(
    ("upstream", "sentence"),
    [
        (
            replace(UPSTREAM, state=UpstreamState.RUNNING),
            "which was being loaded by another run, last loaded 1 h 30 min",
        ),
        (replace(UPSTREAM, state=UpstreamState.FAILED), "which had failed, last loaded 1 h 30 min before."),
        (replace(UPSTREAM, state=UpstreamState.OFF), "which was switched off, last loaded 1 h 30 min before."),
        (replace(UPSTREAM, exists=False, age_minutes=None), "which had nothing left to do, never loaded."),
    ],
)
def test_upstream_that_stood_in_the_way_is_named_with_its_age(upstream: UpstreamFacts, sentence: str) -> None:
    entry = recorded(sources=(keyed(NEWS),), upstreams=(upstream,))

    assert entry.action == "skip"
    assert sentence in explain(entry)[-1]
    assert remedy(entry) == "It would run once dwh.up has loaded."


def test_what_is_watched_and_the_engine_are_told_too() -> None:
    probe = replace(NEWS, future_count=3)
    failed = replace(UPSTREAM, has_failed_before=True)
    choice = EngineChoice(Engine.SPARK, "it would read 9 GB, the row's threshold is 5 GB")

    entry = recorded(choice, sources=(keyed(probe),), upstreams=(failed,), child_policy=ChildPolicy.STALE)

    said = explain(entry)
    assert "Note on lake.a: 3 of its rows lay in the future and were left out." in said
    assert (
        "It reads dwh.up, which had nothing left to do, last loaded 1 h 30 min before; its last load had failed."
        in said
    )
    assert "Its pipeline's child_policy is `stale`." in said
    assert said[-1] == "It went to the engine spark: it would read 9 GB, the row's threshold is 5 GB."
    assert remedy(entry) == ""
