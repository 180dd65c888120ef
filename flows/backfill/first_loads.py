"""Go on with first loads in chunks, after the run that loaded the first or next chunk of each.

A run loads one chunk of each of these targets like any other load. The chunks that are left follow here, one after the
other, each under its own lease. Whatever ends this early, the next run goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from flows.context import reading
from flows.engine.first_loads import end_first_load, look_again
from flows.incidents.incident import is_healthy
from flows.run.selection import switched_off_since
from metadata_sync.errors import SluiceError
from metadata_sync.text import duration_text

if TYPE_CHECKING:
    from flows.backfill.model import ChunkLoaded
    from flows.context import Context
    from flows.gate.first_load import FirstLoad
    from flows.run.model import RunPlan, RunSummary

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContinuedLoad:
    """How far a first load came.

    Attributes:
        first: The first load, with the chunks that are loaded by now.
        error: Why it stopped, a sentence; None: it is done, or is to go on later.
        pause: Why it goes on later; None: it is done, or failed.
    """

    first: FirstLoad
    error: str | None = None
    pause: str | None = None


def continue_first_loads(
    context: Context,
    plan: RunPlan,
    summary: RunSummary,
    say: Callable[[str], None],
    *,
    on_progress: Callable[[FirstLoad], None] = lambda _: None,
    until: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[ContinuedLoad, ...]:
    """Load the chunks that are left, target after target.

    A target whose chunk failed in the run, or that the gate left alone, is not touched.

    Args:
        context: Project, settings, control database.
        plan: The plan of the run.
        summary: What the run did.
        say: Receives a sentence per chunk.
        on_progress: Receives each first load before it goes on, and after each of its chunks.
        until: Begin no chunk after this instant: the next run of the schedule goes on.
        sleep: Waits a number of seconds, between two chunks.
    """
    outcomes = {outcome.target: outcome for outcome in summary.outcomes}
    continued = []
    for first in plan.first_loads.values():
        if is_healthy(outcomes[first.target]):
            pace = _Pace(context, until, sleep)
            try:
                continued.append(_Continuation(context, plan, first, say, on_progress).run(pace))
            except SluiceError as error:
                continued.append(ContinuedLoad(first, f"{first.target} did not load all of its history: {error}"))
    for item in continued:
        if item.error:
            logger.error("first_load.failed %s", item.error)
            say(item.error)
        elif item.pause:
            say(f"{item.first.sentence}. {item.pause}: the next run goes on.")
    return tuple(continued)


class _Pace:
    """Decides between two chunks whether the next one may begin, and waits where chunks may not take all the time."""

    def __init__(self, context: Context, until: datetime | None, sleep: Callable[[float], None]) -> None:
        self._context = context
        self._until = until
        self._sleep = sleep
        self.reason: str | None = None

    def may_begin(self, seconds: float) -> bool:
        """Wait as long as the share of time demands, then tell whether the next chunk may begin.

        Args:
            seconds: What the last chunk took; 0 before the first.
        """
        share = self._context.settings.first_load_share
        if seconds and share < 1:
            self._sleep(seconds / share - seconds)
        now = self._context.now()
        hours = self._context.settings.first_load_hours
        if self._until is not None and now >= self._until:
            self.reason = "The next scheduled run is due"
        elif hours is not None and not _is_within(now.hour, hours):
            self.reason = f"Chunks load at {hours} o'clock UTC only (SLUICE_FIRST_LOAD_HOURS)"
        return self.reason is None


def _is_within(hour: int, hours: str) -> bool:
    """Whether an hour lies in FROM-TO; the range may pass midnight.

    >>> [_is_within(hour, "20-6") for hour in (19, 20, 0, 5, 6)]
    [False, True, True, True, False]
    """
    start, end = (int(part) for part in hours.split("-"))
    return start <= hour < end if start < end else hour >= start or hour < end


class _Continuation:
    """The chunks that are left of one first load."""

    def __init__(
        self,
        context: Context,
        plan: RunPlan,
        first: FirstLoad,
        say: Callable[[str], None],
        on_progress: Callable[[FirstLoad], None],
    ) -> None:
        self._context = context
        self._plan = plan
        self._first = first
        self._say = say
        self._on_progress = on_progress
        self._began_at = context.now()
        self._done_before = first.done
        self._pause: str | None = None

    def run(self, pace: _Pace) -> ContinuedLoad:
        """Load what is left, as long as chunks may begin."""
        with reading(self._context, self._context.profile) as warehouse:
            self._advance(look_again(self._context, warehouse, self._first).done)
        self._done_before = self._first.done
        if not self._first.is_done and not self._may_begin(pace, 0.0):
            return ContinuedLoad(self._first, pause=self._pause)
        error = None if self._first.is_done else self._load(pace)
        if error is not None:
            return ContinuedLoad(self._first, f"{self._first.target} did not load all of its history: {error}")
        if self._first.is_done:
            end_first_load(self._context, self._first)
        return ContinuedLoad(self._first, pause=None if self._first.is_done else self._pause)

    def _may_begin(self, pace: _Pace, seconds: float) -> bool:
        """Tell whether the next chunk may begin: not after somebody has switched the target off."""
        target = self._first.target
        if pace.may_begin(seconds):
            if target not in switched_off_since(self._plan.rows, self._context.store.usable_rows()):
                return True
            self._pause = f"It was switched off meanwhile; once `sluice activate {target}` has switched it on"
        else:
            self._pause = pace.reason
        return False

    def _load(self, pace: _Pace) -> str | None:
        """Load the chunks; return why that stopped early, None when nothing failed."""
        from flows.backfill.backfill import BackfillPlan, BackfillRequest, TargetChunks, run_backfill

        first, plan = self._first, self._plan
        row = next(row for row in plan.selected if str(row.name) == first.target)
        item = TargetChunks(first.target, row.name.model_name, row.pipeline_id, first.chunks, first.done)
        request = BackfillRequest(first.target, None, requested_by=f"{plan.request.requested_by} (first load)")
        run = replace(plan, absent=plan.absent - {row.name})
        rest = BackfillPlan(first.backfill_id, request, run, (item,), (), is_resumed=True, first_load=first)
        summary = run_backfill(
            self._context, rest, self._on_chunk, say=self._say, may_begin=partial(self._may_begin, pace)
        )
        (result,) = summary.targets
        self._first = replace(self._first, done=result.done)
        return result.error

    def _on_chunk(self, step: ChunkLoaded) -> None:
        head = f"{step.target} chunk {step.number:,} of {step.total:,} · {step.chunk}"
        if step.error is not None:
            self._say(f"✗ {head}: {step.error}")
            return
        self._advance(step.number)
        seconds = (self._context.now() - self._began_at).total_seconds() / max(1, step.number - self._done_before)
        left = step.total - step.number
        self._say(f"✓ {head}: {step.rows}{f', about {duration_text(seconds * left)} left' if left else ''}")

    def _advance(self, done: int) -> None:
        self._first = replace(self._first, done=done)
        self._context.store.note_chunks(self._first.backfill_id, done)
        self._on_progress(self._first)
