"""Which runs and slots have not moved for too long. Pure, but for what it remembers of earlier looks.

The age is the time over which *this* process saw no change. So neither a wrong clock nor an outage of the server makes
a living run look dead: after an outage each run gets its full time again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from flows.prefect.watchdog.facts import PROCESS_POOL, HeldSlot, Holdings, LiveRun


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a run or a slot may stay unchanged.

    Attributes:
        pending: A run that a worker took and whose process has not started.
        cancelling: A run whose process should end.
        silent: A run without a new heartbeat.
        slot: A slot that no run holds.
        gone: A run whose process is gone.
    """

    pending: float
    cancelling: float
    silent: float
    slot: float
    gone: float = 10.0


ON_PROCESSES: Final = Patience(pending=90.0, cancelling=60.0, silent=120.0, slot=20.0)
"""For a pool whose workers start a process: it starts within seconds, within a minute on a busy machine."""
ON_MACHINES: Final = Patience(pending=900.0, cancelling=300.0, silent=300.0, slot=60.0)
"""For any other pool: its runs may wait for a machine first."""


def patience_for(pool_type: str | None) -> Patience:
    """Return the patience with runs of a work pool."""
    return ON_PROCESSES if pool_type == PROCESS_POOL else ON_MACHINES


@dataclass(slots=True)
class Watch:
    """Remembers since when runs and slots have been as they are."""

    _seen: dict[Hashable, float] = field(default_factory=dict)

    def forget(self) -> None:
        """Start again: the server did not answer, so nothing is known of the time since the last look."""
        self._seen.clear()

    def stuck(
        self, holdings: Holdings, patience: Patience, at: float, gone: frozenset[str] = frozenset()
    ) -> tuple[tuple[LiveRun, ...], tuple[HeldSlot, ...]]:
        """Return the runs and slots that have not changed for too long.

        Args:
            holdings: What the server says now.
            patience: How long is too long.
            at: Monotonic seconds.
            gone: Ids of the runs whose process was looked for and is gone.
        """
        idle = list(_idle_slots(holdings))
        keys = {_run_key(run) for run in holdings.runs} | {_slot_key(slot) for slot in idle} | gone
        self._seen = {key: self._seen.get(key, at) for key in keys}
        limits = {"PENDING": patience.pending, "CANCELLING": patience.cancelling, "RUNNING": patience.silent}
        runs = tuple(
            run
            for run in holdings.runs
            if at - self._seen[_run_key(run)] >= limits[run.state]
            or (run.id in gone and at - self._seen[run.id] >= patience.gone)
        )
        return runs, tuple(slot for slot in idle if at - self._seen[_slot_key(slot)] >= patience.slot)


def _idle_slots(holdings: Holdings) -> Iterator[HeldSlot]:
    """Yield the slots that are taken although no run of their deployment is live."""
    busy = {run.deployment_id for run in holdings.runs}
    for slot in holdings.slots:
        if slot.active > 0 and slot.deployment_id not in busy:
            yield slot


def _run_key(run: LiveRun) -> Hashable:
    return run.id, run.state_id, run.heartbeat_at


def _slot_key(slot: HeldSlot) -> Hashable:
    return slot.limit_name, slot.active, slot.changed_at
