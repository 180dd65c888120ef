"""Decisions as the decision log keeps them: with all the facts, so that anybody can decide again and get the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.gate.facts import Decision, EngineChoice, SourceEvidence, TargetFacts

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def evidence_document(decision: Decision) -> dict[str, Any]:
    """Return what a decision rests on, JSON-ready: what was found of each source, where it runs, every other fact.

    Args:
        decision: Of the gate; one that was made without facts keeps its sources only.
    """
    document: dict[str, Any] = {"sources": [_sources().dump_python(item, **_SHORT) for item in decision.evidence]}
    if decision.choice is not None:
        document["engine"] = _choice().dump_python(decision.choice, **_SHORT)
    if decision.facts is not None:
        document["facts"] = _facts().dump_python(decision.facts, **_SHORT)
    return document


def facts_of(evidence: Mapping[str, Any]) -> TargetFacts | None:
    """Return the facts that a recorded decision was made from; None when it was made without.

    Args:
        evidence: As the decision log keeps it.
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
