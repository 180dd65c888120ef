"""Durations of a run's phases: dbt's start, its models, and what follows them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.run.model import SilentObserver, TargetOutcome, Wave


@dataclass
class PhaseClock(SilentObserver):
    """Adds up the phases over all waves of a run.

    Args:
        clock: Monotonic seconds.
    """

    clock: Callable[[], float]
    compile_seconds: float = field(default=0.0, init=False)
    execute_seconds: float = field(default=0.0, init=False)
    commit_seconds: float = field(default=0.0, init=False)
    _wave_at: float | None = field(default=None, init=False)
    _first_node_at: float | None = field(default=None, init=False)
    _last_node_at: float | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def dbt_callbacks(self) -> list[Callable[[Any], None]]:
        """The callback for dbt's node events, on dbt's threads."""
        return [self._on_event]

    def wave_started(self, wave: Wave) -> None:  # noqa: ARG002 (what is built does not matter here)
        """Record when dbt is called."""
        self._wave_at, self._first_node_at, self._last_node_at = self.clock(), None, None

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:  # noqa: ARG002 (the outcome does not matter here)
        """Add up the wave."""
        now = self.clock()
        began = self._wave_at if self._wave_at is not None else now
        first = self._first_node_at if self._first_node_at is not None else now
        last = self._last_node_at if self._last_node_at is not None else first
        self.compile_seconds += first - began
        self.execute_seconds += last - first
        self.commit_seconds += now - last

    def _on_event(self, event: Any) -> None:
        name = event.info.name
        if name not in ("NodeStart", "NodeFinished"):
            return
        now = self.clock()
        with self._lock:
            if self._first_node_at is None:
                self._first_node_at = now
            self._last_node_at = now
