"""A run as it goes by on a terminal: a line per target, and what dbt is at while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.status import Status

from flows.cli.output.console import err, say
from flows.gate.facts import Action, Decision
from flows.run.model import OutcomeStatus, Retry, RunSummary, SparkMove, TargetOutcome, Wave

if TYPE_CHECKING:
    from rich.console import Console

_SIGNS = {
    OutcomeStatus.LOADED: "✓",
    OutcomeStatus.UNCHANGED: "=",
    OutcomeStatus.FAILED: "✗",
    OutcomeStatus.HELD: "!",
    OutcomeStatus.SKIPPED: "-",
}


class TerminalObserver:
    """Tells people on stderr what a run does; lines only when stderr is no terminal.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console = err) -> None:
        self._console = console
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._running: set[str] = set()

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """What follows dbt's nodes, to show which of them are at work."""
        return [self._on_event] if self._console.is_terminal else []

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Say which targets are held back, and why; the rest stands in the table at the end."""
        for decision in decisions:
            if decision.action is Action.HOLD:
                say(f"! {decision.target} is held: {decision.message}")

    def wave_started(self, wave: Wave) -> None:
        """Say what is being built."""
        say(f"Building {', '.join(wave.targets)}")
        if self._console.is_terminal:
            self._status = self._console.status("dbt is reading the project…")
            self._status.start()

    def said(self, sentence: str) -> None:
        """Say it on a line of its own."""
        say(sentence)

    def moved(self, move: SparkMove) -> None:
        """Nothing more: the sentences tell it."""

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Say how each target of the wave fared."""
        self._stop()
        for outcome in outcomes:
            seconds = "" if outcome.seconds is None else f" in {outcome.seconds:.1f} s"
            detail = outcome.error or (outcome.rows and str(outcome.rows)) or "nothing new when it ran"
            say(f"{_SIGNS[outcome.status]} {outcome.target} {outcome.status}{seconds}: {detail}")

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Say which targets are going to be tried again, and why."""
        self._stop()
        for retry in retries:
            say(f"↻ {retry.target} {retry.sentence}")

    def finished(self, summary: RunSummary) -> None:  # noqa: ARG002 - the command prints the summary on stdout
        """Put the terminal in order."""
        self._stop()

    def _on_event(self, event: Any) -> None:
        name = event.info.name
        if name not in ("NodeStart", "NodeFinished"):
            return
        node = event.data.node_info
        with self._lock:
            if name == "NodeStart":
                self._running.add(node.node_name)
            else:
                self._running.discard(node.node_name)
            if self._status is not None:
                self._status.update(escape(", ".join(sorted(self._running)) or "…"))

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
