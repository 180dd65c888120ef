"""Progress of a run on a terminal: a line per target, and the models that dbt is building."""

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
    """Prints the progress of a run on stderr; without a terminal it prints lines only.

    Args:
        console: Where to write; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or err.console
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._running: set[str] = set()

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """Callbacks for dbt's events; they show the nodes that are running."""
        return [self._on_event] if self._console.is_terminal else []

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Print which targets are held, and why; the table at the end shows the rest."""
        for decision in decisions:
            if decision.action is Action.HOLD:
                say(f"! {decision.target} is held: {decision.message}")

    def wave_started(self, wave: Wave) -> None:
        """Print what is being built."""
        say(f"Building {', '.join(wave.targets)}")
        if self._console.is_terminal:
            self._status = self._console.status("dbt is reading the project…")
            self._status.start()

    def say(self, sentence: str) -> None:
        """Print a sentence on its own line."""
        say(sentence)

    def spark_changed(self, move: SparkMove) -> None:
        """Do nothing: `say` prints these changes."""

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        """Print the outcome of each target of the wave."""
        self._stop()
        for outcome in outcomes:
            seconds = "" if outcome.seconds is None else f" in {outcome.seconds:.1f} s"
            detail = outcome.error or (outcome.rows and str(outcome.rows)) or "nothing new when it ran"
            say(f"{_SIGNS[outcome.status]} {outcome.target} {outcome.status}{seconds}: {detail}")

    def retrying(self, retries: Sequence[Retry]) -> None:
        """Print which targets will be retried, and why."""
        self._stop()
        for retry in retries:
            say(f"↻ {retry.target} {retry.sentence}")

    def finished(self, summary: RunSummary) -> None:  # noqa: ARG002 - the command prints the summary on stdout
        """Remove the spinner."""
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
