"""Explains a recorded decision: its evidence, and what would make the target run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from flows.gate.facts import Action, Guard, Reason, TargetFacts, UpstreamFacts, UpstreamState, facts_of
from metadata_sync.rows.vocabulary import ChildPolicy, Trigger
from metadata_sync.text import duration_text

if TYPE_CHECKING:
    from metadata_sync.database.journals.entries import DecisionEntry


def explain(decision: DecisionEntry) -> tuple[str, ...]:
    """Return sentences on the evidence of a decision beyond its own message: sources, upstreams, rules, engine.

    Args:
        decision: The decision as the decision log stores it.
    """
    facts = facts_of(decision.evidence)
    return tuple(_sentences(decision, facts))


def remedy(decision: DecisionEntry) -> str:
    """Say what would make a target run that was skipped or held.

    Args:
        decision: The decision, as recorded.

    Returns:
        One sentence; empty when it ran, or when the decision's own message says it.
    """
    if decision.action != Action.SKIP or decision.reason in _SAID_BY_MESSAGE:
        return ""
    if decision.reason in _UP_TO_UPSTREAMS:
        facts = facts_of(decision.evidence)
        in_the_way = [up.target for up in facts.upstreams if _is_in_the_way(up)] if facts else []
        return f"It would run once {' and '.join(in_the_way)} has loaded." if in_the_way else ""
    wishes = [_wish(source) for source in decision.evidence.get("sources", ()) if not source.get("is_new")]
    joint = " and " if decision.reason == Reason.TRIGGER_WAITS else ", or "
    return f"It would run with {joint.join(wishes)}." if wishes else ""


_SAID_BY_MESSAGE: Final = frozenset(
    {Reason.INACTIVE, Reason.PIPELINE_INACTIVE, Reason.LEASE_HELD, Reason.NO_DRIVING_SOURCE}
)
_UP_TO_UPSTREAMS: Final = frozenset(
    {
        *(Reason.UPSTREAM_RUNNING, Reason.UPSTREAM_FAILED, Reason.UPSTREAM_HELD),
        *(Reason.UPSTREAM_OFF, Reason.UPSTREAM_TOO_OLD, Reason.UPSTREAM_NOT_LOADED),
    }
)
_NOT_RENEWED: Final = frozenset({UpstreamState.RUNNING, UpstreamState.FAILED, UpstreamState.HELD, UpstreamState.OFF})
_OF_UPSTREAMS: Final = {
    UpstreamState.SETTLED: "had nothing left to do",
    UpstreamState.PENDING: "was still to be loaded",
    UpstreamState.RUNNING: "was being loaded by another run",
    UpstreamState.FAILED: "had failed",
    UpstreamState.HELD: "was held",
    UpstreamState.OFF: "was switched off",
}
_OF_GUARDS: Final = {
    Guard.FUTURE_ROWS: "{future_count} of its rows lay in the future and were left out",
    Guard.NULL_KEYS: "rows of it had no key",
    Guard.KEY_WENT_BACKWARDS: "its key had gone backwards",
    Guard.SOURCE_SHRANK: "it held fewer rows than when it was read",
    Guard.PROBE_FAILED: "it could not be probed",
    Guard.FILES_LEFT_OUT: "{left_out}",
}


def _sentences(decision: DecisionEntry, facts: TargetFacts | None) -> Iterator[str]:
    for source in decision.evidence.get("sources", ()):
        if source["message"] not in decision.message:
            yield f"{source['message']}."
        for guard in source.get("guards", ()):
            sentence = _OF_GUARDS[Guard(guard)].format_map({"future_count": 0, **source})
            yield f"Note on {source['source']}: {sentence}."
    if facts is not None:
        yield from map(_upstream, facts.upstreams)
        yield from _rules(facts)
    choice = decision.evidence.get("engine")
    if choice is not None:
        yield f"It went to the engine {choice['engine']}: {choice['message']}."


def _upstream(upstream: UpstreamFacts) -> str:
    age = upstream.age_minutes
    loaded = "never loaded" if age is None else f"last loaded {duration_text(age * 60)} before"
    failed = "; its last load had failed" if upstream.has_failed_before else ""
    return f"It reads {upstream.target}, which {_OF_UPSTREAMS[upstream.state]}, {loaded}{failed}."


def _rules(facts: TargetFacts) -> Iterator[str]:
    if sum(not source.is_lookup for source in facts.sources) > 1:
        how_many = "every source is" if facts.trigger is Trigger.ALL else "any of its sources is"
        yield f"Its trigger is `{facts.trigger}`: it runs when {how_many} new."
    if facts.max_wait_minutes is not None:
        waited = f", {facts.waited_minutes:.0f} of them were over" if facts.waited_minutes is not None else ""
        yield f"It waits for the others {facts.max_wait_minutes} minutes at most{waited}."
    if facts.upstreams and facts.child_policy is not ChildPolicy.SKIP:
        yield f"Its pipeline's child_policy is `{facts.child_policy}`."


def _is_in_the_way(upstream: UpstreamFacts) -> bool:
    return upstream.state in _NOT_RENEWED or not upstream.exists


def _wish(source: Mapping[str, Any]) -> str:
    name, watermark = source["source"], source.get("watermark")
    if source["mode"] == "files":
        return f"a new or changed file of {name}"
    if source["mode"] == "token":
        return f"a changed file or value of {name}"
    if source["mode"] == "managed":
        return f"a load of {name} that changes rows" + (f" after {watermark}" if watermark else "")
    return f"a row of {name} beyond {watermark}" if watermark else f"a first row in {name}"
