"""The time limit of a node's statement on DuckDB, where the warehouse has none of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from flows.run.outcome import NodeResult

_WATCH_SECONDS: Final = 0.5


class TimeLimit:
    """Cancels the statement of each node that runs for too long: on DuckDB it would hold the file for ever.

    Servers have limits of their own (`statement_timeout` of the role, docs/security.md).

    Args:
        seconds: How long one node may run; 0 = for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[str, float] = {}
        self._cancelled: set[str] = set()
        self._is_over = threading.Event()

    def hear(self, event: Any) -> None:
        """Take up one of dbt's events, on dbt's threads."""
        if event.info.name == "NodeStart":
            self._began[event.data.node_info.unique_id] = time.monotonic()
        elif event.info.name == "NodeFinished":
            self._began.pop(event.data.node_info.unique_id, None)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the nodes while dbt runs."""
        watcher = threading.Thread(target=self._watch, daemon=True, name="sluice-time-limit")
        if self._seconds:
            watcher.start()
        try:
            yield
        finally:
            self._is_over.set()
            if self._seconds:
                watcher.join()

    def explain(self, result: NodeResult) -> str:
        """Return a node's message, with the limit when that is what ended it."""
        if result.unique_id not in self._cancelled:
            return result.message
        remedy = "Let the SELECT read less, or set SLUICE_LOAD_TIMEOUT_SECONDS."
        return f"It ran into the time limit: statement timeout after {self._seconds:g} seconds. {remedy}"

    def _watch(self) -> None:
        while not self._is_over.wait(_WATCH_SECONDS):
            now = time.monotonic()
            late = {node for node, began in dict(self._began).items() if now - began > self._seconds}
            if late:
                self._cancel(late)

    def _cancel(self, nodes: set[str]) -> None:
        from dbt.adapters import factory

        adapters: Any = factory
        for adapter in adapters.FACTORY.adapters.values():
            for connection in tuple(adapter.connections.thread_connections.values()):
                if connection.name in nodes and connection.handle is not None:
                    self._cancelled.add(connection.name)
                    adapter.connections.cancel(connection)
