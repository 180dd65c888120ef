"""Clocks of several machines beside one another: what is compared, and how far apart they may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from flows.context import Context
from flows.doctor.finding import Finding, Level

SKEW_SECONDS: Final = 5.0
"""Schedules, late runs and leases compare clocks of several machines; so much makes no difference."""


def examine_clocks(context: Context, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Finding]:
    """Compare this machine's clock with those of the control database and the warehouse, where they are elsewhere.

    Args:
        context: The project.
        now: This machine's clock, UTC.
    """
    if context.settings.control_url is not None:
        yield clock_finding("control database", (context.store.now() - now()).total_seconds())
    if not context.profile.is_embedded:
        yield clock_finding("warehouse", _warehouse_ahead(context, now))


def clock_finding(what: str, ahead_seconds: float) -> Finding:
    """Judge how far another machine's clock is ahead of this one's; behind is less than nothing."""
    if abs(ahead_seconds) <= SKEW_SECONDS:
        return Finding(f"clock {what}", Level.OK, f"within {SKEW_SECONDS:.0f} s of this machine's")
    remedy = "Let NTP set both: windows, schedules and leases compare them."
    return Finding(f"clock {what}", Level.WARN, f"{ahead_seconds:+.0f} s from this machine's", remedy)


def _warehouse_ahead(context: Context, now: Callable[[], datetime]) -> float:
    from sqlglot import exp

    from flows.warehouse.connection import open_warehouse

    warehouse = open_warehouse(context.profile, wait_seconds=0)
    try:
        began = time.monotonic()
        epoch = exp.Extract(this=exp.var("epoch"), expression=exp.CurrentTimestamp())
        ((told,),) = warehouse.query(exp.select(epoch))
        travel = (time.monotonic() - began) / 2  # it told half-way there and back
        return float(told) + travel - now().timestamp()
    finally:
        warehouse.close()
