"""What a run would make of an error."""

from __future__ import annotations

from flows.errors.classify import FailureClass, classify, read_facts
from flows.errors.rules import DEFAULT_RULES


def is_soft(message: str) -> bool:
    """Whether a rule knows the message, and says that trying again makes sense."""
    verdict = classify(read_facts(message), DEFAULT_RULES)
    return verdict.failure_class is not FailureClass.UNKNOWN and verdict.is_soft()
