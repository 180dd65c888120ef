"""A context that takes a given instant for the current one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flows.context import Context


def at(context: Context, instant: datetime) -> Context:
    """Return the context with its clock stopped at `instant`; it shares the control database of the given one."""
    stopped = replace(context, clock=lambda: instant)
    stopped.__dict__["store"] = context.store
    return stopped
