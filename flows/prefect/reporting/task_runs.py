"""Reports every model, seed and snapshot of dbt invocations in this process as a task run of one Prefect flow run.

    pump = ReportPump(partial(open_report_api, api_url))
    runs = DbtTaskRuns(flow_run_id, pump)
    dbtRunner(callbacks=[runs.on_event]).invoke(["build", …])     # once per wave
    runs.close(); pump.close()

dbt calls `on_event` on its own threads; it takes microseconds, never waits for the API and never raises. With several
invocations, a node that runs again continues its task run as a retry.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from flows.prefect.reporting.events import AWAITING_RETRY, BLOCKED, COMPLETED, CRASHED, FAILED, TaskRun, TaskState
from flows.prefect.reporting.pump import LogLine, ReportPump
from metadata_sync.redact import safe_text

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg

log = logging.getLogger(__name__)

_KINDS: Final = frozenset({"model", "seed", "snapshot"})
_FAILED_STATUSES: Final = frozenset({"error", "fail", "runtime error", "partial success"})
_MESSAGE_LENGTH: Final = 20_000
_LEVELS: Final = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


@dataclass(frozen=True, slots=True)
class Node:
    """A dbt node, as known before it runs.

    Attributes:
        key: The node's name in dbt, e.g. `dwh__dim_aircraft`; unique among models, seeds and snapshots.
        name: The name in the UI, e.g. `dwh.dim_aircraft`.
        tags: Prefect tags.
        upstream_keys: Keys of the nodes that it reads; unknown keys are ignored.
    """

    key: str
    name: str
    tags: tuple[str, ...] = ()
    upstream_keys: tuple[str, ...] = ()


class DbtTaskRuns:
    """The task runs of one flow run.

    Args:
        flow_run_id: The flow run.
        pump: Sends the reports; the caller closes it.
        nodes: Nodes known beforehand; other nodes are shown under dbt's name and without edges.
    """

    def __init__(self, flow_run_id: UUID, pump: ReportPump, nodes: Iterable[Node] = ()) -> None:
        self._flow_run_id = flow_run_id
        self._pump = pump
        self._lock = threading.Lock()
        self._runs: dict[str, TaskRun] = {}
        self.expect(nodes)

    @property
    def reported(self) -> tuple[TaskRun, ...]:
        """The task runs that were reported, in their current states."""
        with self._lock:
            return tuple(run for run in self._runs.values() if run.state is not None)

    def expect(self, nodes: Iterable[Node]) -> None:
        """Add nodes, in any order; known nodes are not changed."""
        with self._lock:
            fresh = [node for node in nodes if node.key not in self._runs]
            for node in fresh:
                self._runs[node.key] = TaskRun(self._flow_run_id, node.key, node.name, node.tags)
            for node in fresh:
                upstream_ids = tuple(self._runs[key].id for key in node.upstream_keys if key in self._runs)
                self._runs[node.key] = replace(self._runs[node.key], upstream_ids=upstream_ids)

    def link(self, key: str, upstream_key: str) -> None:
        """Add an edge between two nodes for the graph in the UI; unknown nodes are ignored."""
        with self._lock:
            run, upstream = self._runs.get(key), self._runs.get(upstream_key)
            if run is not None and upstream is not None and upstream.id not in run.upstream_ids:
                self._runs[key] = replace(run, upstream_ids=(*run.upstream_ids, upstream.id))

    def start(self, key: str, when: datetime) -> None:
        """Start an attempt of a node outside dbt; a running node is not changed."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None and (not run.is_open or run.state is AWAITING_RETRY):
                self._runs[key] = self._report(run.start(_not_before(run, when)))

    def end(self, key: str, state: TaskState, when: datetime, message: str = "") -> None:
        """End a node outside dbt, started or not."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None and (run.state is None or run.is_open):
                self._runs[key] = self._report(run.finish(state, _not_before(run, when), _clean(message)))

    def on_event(self, event: EventMsg) -> None:
        """Process an event of dbt: the callback for `dbtRunner(callbacks=[…])`."""
        try:
            self._process(event)
        except Exception:  # an exception here would end dbt's run
            log.debug("dbt_event reported=false", exc_info=True)

    def finish(self, key: str, state: TaskState, when: datetime, message: str) -> None:
        """Set the final state of a node that dbt did not run; a node that ran keeps its state."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None and run.state is None:
                self._runs[key] = self._report(run.finish(state, when, _clean(message)))

    def fail(self, key: str, when: datetime, message: str) -> None:
        """Fail a node that dbt reported as built: one of its data tests failed, or its load was not recorded."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None and run.state not in {FAILED, BLOCKED}:
                self._runs[key] = self._report(run.finish(FAILED, when, _clean(message)))

    def await_retry(self, key: str, when: datetime, message: str) -> None:
        """Show a failed node as waiting for a retry."""
        with self._lock:
            if (run := self._runs.get(key)) is not None:
                self._runs[key] = self._report(run.await_retry(when, _clean(message)))

    def complete(self, key: str, when: datetime) -> None:
        """Complete a node whose retry ran only its data tests."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None and run.state is AWAITING_RETRY:
                self._runs[key] = self._report(run.finish(COMPLETED, when))

    def say(self, key: str | None, when: datetime, message: str, level: int = logging.INFO) -> None:
        """Add a line to a node's log, or to the flow run's when key is None."""
        with self._lock:
            run = self._runs.get(key) if key is not None else None
        self._pump.put_line(LogLine(self._flow_run_id, run.id if run else None, when, level, _clean(message)))

    def close(self, when: datetime, *, is_crash: bool = False) -> None:
        """End the nodes that dbt started and did not finish."""
        with self._lock:
            for key, run in self._runs.items():
                if run.is_open:
                    state = CRASHED if is_crash else FAILED
                    self._runs[key] = self._report(run.finish(state, when, "The run ended before this node."))

    def _process(self, event: Any) -> None:
        name, info = event.info.name, getattr(event.data, "node_info", None)
        when = event.info.ts.ToDatetime(tzinfo=UTC)
        # dbt sends NodeStart also for nodes that it then skips; NodeCompiling only for those that it runs.
        if name == "NodeCompiling":
            self._start(info, when)
        elif name == "NodeFinished":
            self._finish(info, event.data.run_result, when)
        elif event.info.level in _LEVELS and event.info.msg:
            self._say(event, info, when)

    def _start(self, info: Any, when: datetime) -> None:
        if info.resource_type not in _KINDS or info.materialized == "ephemeral":
            return
        with self._lock:
            self._runs[info.node_name] = self._report(self._of(info).start(when))

    def _finish(self, info: Any, result: Any, when: datetime) -> None:
        if info.resource_type not in _KINDS or info.materialized == "ephemeral":
            return
        status = (info.node_status or result.status).lower()
        message = _clean(result.message or "")
        with self._lock:
            run = self._of(info)
            if status == "skipped":
                ended = run.finish(BLOCKED, when, message or self._what_blocks(run))
            elif status in _FAILED_STATUSES:
                ended = run.finish(FAILED, when, message)
            else:
                ended = run.finish(COMPLETED, when, message)
            self._runs[info.node_name] = self._report(ended)

    def _say(self, event: Any, info: Any, when: datetime) -> None:
        with self._lock:
            run = self._runs.get(info.node_name) if info is not None and info.resource_type in _KINDS else None
        level, message = _LEVELS[event.info.level], _clean(event.info.msg)
        self._pump.put_line(LogLine(self._flow_run_id, run.id if run else None, when, level, message, "dbt"))

    def _what_blocks(self, run: TaskRun) -> str:
        upstreams = (other for other in self._runs.values() if other.id in run.upstream_ids)
        names = sorted(other.name for other in upstreams if other.state in {FAILED, BLOCKED, CRASHED})
        return f"Not run: {', '.join(names) or 'something upstream'} failed."

    def _of(self, info: Any) -> TaskRun:
        known = self._runs.get(info.node_name)
        return known or TaskRun(self._flow_run_id, info.node_name, info.node_name, (f"dbt:{info.resource_type}",))

    def _report(self, change: tuple[TaskRun, Any]) -> TaskRun:
        run, event = change
        self._pump.put_event(event)
        return run


def _not_before(run: TaskRun, when: datetime) -> datetime:
    """Return when a state began, but not before the last state: clocks differ, and the server sorts by time."""
    return when if run.changed_at is None else max(when, run.changed_at + timedelta(microseconds=1))


def _clean(text: str) -> str:
    """Remove terminal colours and secrets, and shorten a long text in the middle."""
    return safe_text(text, _MESSAGE_LENGTH)
