"""Reports of one task run: the documented `prefect.task-run.<State>` events, built from plain values.

Prefect's own task engine changes the state of a task run locally and reports these events; the server creates task runs
from them. Sluice reports the same events, so it gets task runs with correct times even when reports arrive late.

Source: https://docs.prefect.io/v3/api-ref/events/task-run-events. The documentation does not promise that the server
creates task runs from events of other clients: tests/flows/prefect/test_task_runs.py checks it for the locked version,
and fallback.py handles servers that do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

ORCHESTRATION: Final = "client"
"""Marks a change that no server has recorded yet: only such events become task runs."""
_FOLLOWS_WITHIN: Final = timedelta(minutes=5)
"""Maximum distance of two events that the server orders by `follows`."""
_SHORT_MESSAGE: Final = 1_000
"""Characters of a message in the event's resource; the state holds the whole message."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A state of a task run: Prefect's type, and the name that the UI shows."""

    type: str
    name: str
    is_final: bool


RUNNING: Final = TaskState("RUNNING", "Running", is_final=False)
RETRYING: Final = TaskState("RUNNING", "Retrying", is_final=False)
AWAITING_RETRY: Final = TaskState("SCHEDULED", "AwaitingRetry", is_final=False)
COMPLETED: Final = TaskState("COMPLETED", "Completed", is_final=True)
FAILED: Final = TaskState("FAILED", "Failed", is_final=True)
CRASHED: Final = TaskState("CRASHED", "Crashed", is_final=True)
NOT_DUE: Final = TaskState("COMPLETED", "Skipped", is_final=True)
"""The gate found nothing to do."""
BLOCKED: Final = TaskState("CANCELLED", "Skipped", is_final=True)
"""The target was due, but something upstream failed."""
HELD: Final = TaskState("CANCELLED", "Held", is_final=True)
"""The target waits for a person."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task run in its current state; each change returns a new one, together with the event that reports it.

    Attributes:
        flow_run_id: The flow run that it is part of.
        key: Key of the node, unique within the flow run.
        name: The name in the UI.
        tags: Prefect tags.
        upstream_ids: Task runs that it waits for: the edges of the run's graph.
        id: Prefect's id.
        attempts: How often it was started.
        first_started_at: When it was started first, or None.
        started_at: When it was started last, or None.
        busy_seconds: Total duration of its attempts.
        state: The state last reported, or None.
        message: The message of that state.
        last_event_id: Id of the event last reported, or None.
        changed_at: When that event occurred, or None.
    """

    flow_run_id: UUID
    key: str
    name: str
    tags: tuple[str, ...] = ()
    upstream_ids: tuple[UUID, ...] = ()
    id: UUID = field(default_factory=uuid4)
    attempts: int = 0
    first_started_at: datetime | None = None
    started_at: datetime | None = None
    busy_seconds: float = 0.0
    state: TaskState | None = None
    message: str = ""
    last_event_id: UUID | None = None
    changed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has started and not ended."""
        return self.state is not None and not self.state.is_final

    @property
    def inputs(self) -> dict[str, list[dict[str, str]]]:
        """Its upstream task runs, in the API's format."""
        waits_for = [{"input_type": "task_run", "id": str(upstream)} for upstream in self.upstream_ids]
        return {"wait_for": waits_for} if waits_for else {}

    def start(self, when: datetime) -> tuple[TaskRun, TaskRunEvent]:
        """Start an attempt."""
        state = RETRYING if self.attempts else RUNNING
        run = replace(self, attempts=self.attempts + 1, first_started_at=self.first_started_at or when, started_at=when)
        return run.move(state, when)

    def finish(self, state: TaskState, when: datetime, message: str = "") -> tuple[TaskRun, TaskRunEvent]:
        """End it, whether it was started or not."""
        seconds = (when - self.started_at).total_seconds() if self.is_open and self.started_at else 0.0
        return replace(self, busy_seconds=self.busy_seconds + seconds).move(state, when, message)

    def await_retry(self, when: datetime, message: str) -> tuple[TaskRun, TaskRunEvent]:
        """Let it wait for a retry; the pause does not count as busy time."""
        return replace(self, started_at=None).move(AWAITING_RETRY, when, message)

    def move(self, state: TaskState, when: datetime, message: str = "") -> tuple[TaskRun, TaskRunEvent]:
        """Change the state and nothing else."""
        event = TaskRunEvent(uuid4(), self, state, when, message)
        return replace(self, state=state, message=message, last_event_id=event.id, changed_at=when), event


@dataclass(frozen=True, slots=True)
class TaskRunEvent:
    """A change of state, ready to be reported. The server ignores a second event with the same id.

    Attributes:
        id: Id of the event, and of the state that the server creates from it.
        run: The task run before the change.
        state: The new state.
        when: When it changed, in UTC.
        message: The state's message in the UI.
    """

    id: UUID
    run: TaskRun
    state: TaskState
    when: datetime
    message: str

    def body(self) -> Mapping[str, Any]:
        """Return the event in the API's format."""
        run, before, after = self.run, self.run.state, self.state
        body = {
            "id": str(self.id),
            "occurred": self.when.isoformat(),
            "event": f"prefect.task-run.{after.name}",
            "resource": {
                "prefect.resource.id": f"prefect.task-run.{run.id}",
                "prefect.resource.name": run.name,
                "prefect.run-count": str(run.attempts),
                "prefect.state-message": self.message[:_SHORT_MESSAGE],
                "prefect.state-name": after.name,
                "prefect.state-timestamp": self.when.isoformat(),
                "prefect.state-type": after.type,
                "prefect.orchestration": ORCHESTRATION,
            },
            "related": [
                {"prefect.resource.id": f"prefect.flow-run.{run.flow_run_id}", "prefect.resource.role": "flow-run"}
            ],
            "payload": {
                "intended": {"from": before and before.type, "to": after.type},
                "initial_state": before and _state(before, None),
                "validated_state": _state(after, self.message or None),
                "task_run": self._task_run(),
            },
        }
        if run.last_event_id and run.changed_at and self.when - run.changed_at < _FOLLOWS_WITHIN:
            body["follows"] = str(run.last_event_id)
        return body

    def _task_run(self) -> Mapping[str, Any]:
        run = self.run
        task_run = {
            "name": run.name,
            "task_key": run.key,
            "dynamic_key": "0",
            "tags": list(run.tags),
            "task_inputs": run.inputs,
            "run_count": run.attempts,
            "expected_start_time": (run.first_started_at or self.when).isoformat(),
            "total_run_time": run.busy_seconds,
        }
        if run.first_started_at:
            task_run["start_time"] = run.first_started_at.isoformat()
        if self.state.is_final:
            task_run["end_time"] = self.when.isoformat()
        return task_run


def _state(state: TaskState, message: str | None) -> Mapping[str, Any]:
    return {"type": state.type, "name": state.name, "message": message, "state_details": {}, "data": None}
