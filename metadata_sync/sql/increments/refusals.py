"""Refusals: the construct, its line, why it does not suit the mode, and what to do."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.parse import ParsedSelect

CHECKED: Final = "or set increment_checked: true if you know that the result is right."
_REASON: Final = {
    Increment.ROWS: "increment: rows reads new rows only",
    Increment.GROUPS: "increment: groups reads the touched groups only",
}


class Refusals:
    """The problems of one SELECT, in the order in which they are found.

    Args:
        select: The SELECT.
        increment: Its mode.
    """

    def __init__(self, select: ParsedSelect, increment: Increment) -> None:
        self._lines = select.text.lower().splitlines()
        self._increment = increment
        self._found: dict[Problem, None] = {}
        self._muted = 0

    @property
    def problems(self) -> list[Problem]:
        """The problems, each once."""
        return list(self._found)

    def mute(self) -> None:
        """Keep nothing until `unmute`: a recursive query is looked at more than once."""
        self._muted += 1

    def unmute(self) -> None:
        """End `mute`."""
        self._muted -= 1

    def add(self, node: exp.Expr, what: str, *, needs_full: bool = False, word: str = "", why: str = "") -> None:
        """Refuse a construct.

        Args:
            node: The construct.
            what: What it does, after "The SELECT".
            needs_full: Whether `groups` would not do either.
            word: The keyword that it begins with, to find its line when it holds no name.
            why: The reason; by default that of the mode.
        """
        if self._muted:
            return
        modes = "full" if needs_full or self._increment is Increment.GROUPS else "groups or full"
        reason = why or _REASON[self._increment]
        message = f"Line {self._line(node, word.lower())}: the SELECT {what}, but {reason}."
        problem = Problem("increment_mode", message, f"Use increment: {modes}, {CHECKED}", self._increment.value)
        self._found.setdefault(problem)

    def _line(self, node: exp.Expr, word: str) -> int:
        own = _first_line(node)
        if own is not None and not word:
            return own
        around: exp.Expr | None = node
        while around is not None and _first_line(around) is None:
            around = around.parent
        start = (_first_line(around) if around is not None else None) or 1
        for number in range(start, len(self._lines) + 1):
            if word and word in self._lines[number - 1]:
                return number
        return own or start


def _first_line(node: exp.Expr) -> int | None:
    lines = [found.meta["line"] for found in node.walk() if "line" in found.meta]
    return min(lines) if lines else None
