"""The Prefect flows `heal` and `monitor`: thin round the plain functions, for schedules and for the UI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import State, flow
from prefect.states import Completed

from flows.context import load_context
from flows.upkeep.heal import HealState
from flows.upkeep.heal import heal as heal_rows
from flows.upkeep.monitor import monitor as look


@flow(
    name="heal",
    persist_result=False,
    description="Switch on again what the framework switched off, where the cause is gone.",
)
def heal(targets: Sequence[str] = (), force: bool = False) -> State[Any]:
    """Look at rows that are off.

    Args:
        targets: Only these; none: all that the framework switched off.
        force: Look now, whatever has changed and however lately it was looked at.

    Returns:
        Completed, with one line that says what became of them.
    """
    found = heal_rows(load_context(), tuple(targets), is_forced=force)
    parts = [
        f"{state}: {', '.join(item.target for item in found if item.state is state)}"
        for state in HealState
        if any(item.state is state for item in found)
    ]
    return Completed(message="; ".join(parts) or "No row is off.")


@flow(
    name="monitor",
    persist_result=False,
    description="Find runs that died or hang and pipelines that are late; send the alerts that wait.",
)
def monitor() -> State[Any]:
    """Look for what no run can say of itself.

    Returns:
        Completed, with one line that says what was found.
    """
    watch = look(load_context())
    parts = [
        *(f"run {run_id} crashed" for run_id in watch.crashed),
        *(f"{subject} is late" for subject in watch.late),
        *(f"{subject} does not end" for subject in watch.hanging),
        *(f"{subject} is older than it may be" for subject in watch.stale),
        *(f"cluster {cluster_id} was ended: no run waited for it" for cluster_id in watch.swept),
        f"{len(watch.open)} open incidents",
    ]
    return Completed(message="; ".join(parts))
