"""Clock differences between this machine, the control database, the warehouse and the Prefect server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from flows.context import Context
from flows.doctor.finding import CheckFinding, Level

SKEW_SECONDS: Final = 5.0
"""Tolerated difference: schedules, late runs and leases compare the clocks of several machines."""


def examine_clocks(context: Context, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[CheckFinding]:
    """Compare this machine's clock with those of a remote control database and a remote warehouse.

    Args:
        context: The project.
        now: This machine's clock, UTC.
    """
    if context.settings.control_url is not None:
        yield clock_finding("control database", (context.store.now() - now()).total_seconds())
    if not context.profile.is_embedded:
        yield clock_finding("warehouse", _warehouse_ahead(context, now))


def clock_finding(what: str, ahead_seconds: float) -> CheckFinding:
    """Return the finding for another machine's clock that is ahead of this one's; negative when it is behind."""
    if abs(ahead_seconds) <= SKEW_SECONDS:
        return CheckFinding(f"clock {what}", Level.OK, f"within {SKEW_SECONDS:.0f} s of this machine's")
    remedy = "Synchronize both by NTP: windows, schedules and leases compare them."
    return CheckFinding(f"clock {what}", Level.WARN, f"{ahead_seconds:+.0f} s from this machine's", remedy)


def _warehouse_ahead(context: Context, now: Callable[[], datetime]) -> float:
    from sqlglot import exp

    from flows.warehouse.connection import open_warehouse

    warehouse = open_warehouse(context.profile, wait_seconds=0)
    try:
        began = time.monotonic()
        epoch = exp.Extract(this=exp.var("epoch"), expression=exp.CurrentTimestamp())
        ((server_epoch,),) = warehouse.query(exp.select(epoch))
        latency = (time.monotonic() - began) / 2  # the server read its clock about half-way through the round trip
        return float(server_epoch) + latency - now().timestamp()
    finally:
        warehouse.close()
