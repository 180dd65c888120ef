"""Leases on targets in the control database: renewed by a heartbeat, freed when their holder dies.

    with LeaseKeeper(store, run_id=…, held_by=…) as keeper:
        in_the_way = keeper.take(targets)        # leases of other runs; this run now has the rest
        …                                        # a thread renews the leases
        keeper.give_back(targets)

Leases keep two runs from doing the same work. They do not protect the data; the head row of the target does. It also
protects against a manual `dbt build`, which takes no lease, and against a holder that paused past the end of its lease.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from flows.process import ProcessIdentity, process_space
from metadata_sync.errors import StoreError

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore, Lease, LeaseHolder

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 120.0
"""Lifetime of a lease without renewal: a run that lost its machine blocks other runs for this time."""

_BEATS_PER_LEASE: Final = 4
_POLL_SECONDS: Final = 1.0


def foreign_leases(store: ControlStore, run_id: str | None = None) -> Mapping[str, Lease]:
    """Return the targets that other runs are loading, with their leases; leases of dead holders are left out.

    Args:
        store: The control database.
        run_id: The current run, whose own leases are left out.
    """
    return {
        lease.target: lease
        for lease in store.leases()
        if not lease.is_expired and lease.holder.run_id != run_id and not has_died(lease)
    }


def lease_texts(store: ControlStore, run_id: str | None = None) -> Mapping[str, str]:
    """Return the holders of the targets that other runs are loading, as text; see `foreign_leases`."""
    return {target: str(lease) for target, lease in foreign_leases(store, run_id).items()}


def renamed_since(store: ControlStore, planned_at: datetime) -> Mapping[str, str]:
    """Return the targets that are being renamed, or were since a run was planned: its rows and models are outdated.

    To be asked by the holder of the targets' leases: a renaming holds them, too.

    Args:
        store: The control database.
        planned_at: When the run read its rows.

    Returns:
        Target → a sentence that says what happened.
    """
    return {
        target: f"it waits for the next run: {entry}, came after this run was planned"
        for entry in store.lifecycle(since=planned_at)
        for target in entry.involved
    }


def has_died(lease: Lease) -> bool:
    """Return whether the holder's process is known to have ended; only a process of the same space can know."""
    holder = lease.holder
    return holder.machine == process_space() and not ProcessIdentity(holder.pid, holder.process).is_alive()


def wait_until_free(
    store: ControlStore,
    targets: Collection[str],
    wait_seconds: float,
    *,
    on_wait: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until no other run holds the targets, or the time is over. The gate then reports the targets still held.

    Args:
        store: The control database.
        targets: The targets that the caller wants to load.
        wait_seconds: Longest wait.
        on_wait: Called once with a sentence that names the holder.
        clock: Monotonic seconds.
        sleep: Waits a number of seconds.
    """
    deadline = clock() + wait_seconds
    is_announced = False
    while held := [lease for target, lease in foreign_leases(store).items() if target in targets]:
        left = deadline - clock()
        if left <= 0:
            return
        if not is_announced:
            on_wait(f"{held[0].target} is being loaded by {held[0]}; waiting up to {wait_seconds:g} s.")
            is_announced = True
        sleep(min(_POLL_SECONDS, left))


UPKEEP_LEASE: Final = "upkeep:"
"""Prefix of a lease that is no target's: of a command that must not run twice at the same time."""


@contextmanager
def upkeep_lease(
    store: ControlStore,
    name: str,
    held_by: str,
    wait_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lease | None]:
    """Hold the lease of a command that must not run twice at the same time; a lease of a dead process counts as free.

    Args:
        store: The control database.
        name: The command.
        held_by: Who started it.
        wait_seconds: Longest wait for another process.
        clock: Monotonic seconds.
        sleep: Waits a number of seconds.

    Yields:
        None: this process has the lease; otherwise the lease of the process that still has it.
    """
    deadline = clock() + wait_seconds
    with LeaseKeeper(store, run_id=f"{name}-{uuid4().hex[:8]}", held_by=held_by) as keeper:
        while in_the_way := keeper.take([UPKEEP_LEASE + name]):
            if clock() >= deadline:
                break
            sleep(_POLL_SECONDS)
        yield in_the_way[0] if in_the_way else None


class LeaseKeeper:
    """The leases of one run.

    Args:
        store: The control database.
        run_id: The run.
        held_by: Who started the run and what it does; shown to the runs that are refused.
        seconds: Lifetime of a lease without renewal.
    """

    def __init__(self, store: ControlStore, *, run_id: str, held_by: str, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._holder = _this_process(run_id, held_by)
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._heart: threading.Thread | None = None

    def take(self, targets: Collection[str]) -> tuple[Lease, ...]:
        """Take each lease separately, and return the leases of other runs that prevented one."""
        if not targets:
            return ()
        abandoned = {lease.holder.token for lease in self._store.leases() if has_died(lease)}
        with self._lock:
            in_the_way = self._store.take_leases(targets, self._holder, self._seconds, abandoned)
            self._held |= set(targets) - {lease.target for lease in in_the_way}
        if self._held and self._heart is None:
            self._heart = threading.Thread(target=self._beat, name="sluice-leases", daemon=True)
            self._heart.start()
        return in_the_way

    def give_back(self, targets: Collection[str]) -> None:
        """End leases of this run; leases of other runs stay."""
        with self._lock:
            mine = self._held & set(targets)
            if mine:
                self._store.give_back_leases(self._holder.token, mine)
            self._held -= mine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._heart is not None:
            self._heart.join()
        try:
            self.give_back(tuple(self._held))
        except StoreError as trouble:  # the work is done, and the leases expire soon
            logger.warning("leases.not_given_back run_id=%s error=%s", self._holder.run_id, trouble.message)

    def _beat(self) -> None:
        while not self._is_over.wait(self._seconds / _BEATS_PER_LEASE):
            try:
                with self._lock:
                    lost = self._held - self._store.renew_leases(self._holder.token, self._seconds)
                    self._held -= lost
            except StoreError as error:
                logger.warning("leases.not_renewed run_id=%s error=%s", self._holder.run_id, error.message)
                continue
            for target in sorted(lost):
                logger.warning("leases.lost run_id=%s target=%s", self._holder.run_id, target)


def _this_process(run_id: str, held_by: str) -> LeaseHolder:
    from metadata_sync.database import LeaseHolder

    identity = ProcessIdentity.of(os.getpid())
    return LeaseHolder(uuid4().hex, run_id, held_by, process_space(), identity.pid, identity.started)
