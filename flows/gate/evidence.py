"""Decisions as the decision log stores them: with all facts, so that the rules can be applied to them again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.gate.facts import Decision, EngineChoice, SourceEvidence, TargetFacts

if TYPE_CHECKING:
    from pydantic import TypeAdapter


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
