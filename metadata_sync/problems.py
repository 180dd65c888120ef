"""Problems of a SELECT, without the row that it belongs to; a `Fault` adds the row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a SELECT or an expression.

    Attributes:
        rule: Machine-readable name of the broken rule.
        message: What is wrong, one sentence.
        remedy: What to do about it, one sentence.
        value: The text with the problem, if it is short and more specific than the row's column.
    """

    rule: str
    message: str
    remedy: str
    value: str | None = None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the most similar known word, or an empty text.

    >>> did_you_mean("updatd_at", ["carrier", "updated_at"])
    "Did you mean 'updated_at'?"
    >>> did_you_mean("source_schema", ["schema", "on_source_change"])
    "Did you mean 'schema'?"
    """
    words = list(known)
    ends = [name for name in words if word.endswith(f"_{name}")]
    close = ends or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str], limit: int = 20) -> str:
    """Return a list of names for a message, cut off after limit.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b, … (3 in all)'
    """
    known = list(names)
    shown = ", ".join(known[:limit])
    return shown if len(known) <= limit else f"{shown}, … ({len(known)} in all)"
