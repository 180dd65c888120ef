"""A run that was turned away while another one had its targets must not lose its reason to run.

Whoever was turned away goes home: its rows would wait for the next tick, or for ever when a person asked. So the run
that kept it out asks the gate again at its own end, and loads what has come meanwhile, if anything has.
Prefect's own refusals are made up for by flows/prefect/run_guards.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.engine.engine import execute, prepare
from flows.gate.evidence import facts_of
from flows.gate.facts import Reason
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import ControlStore, DecisionEntry

_TURNED_AWAY: Final = frozenset({Reason.LEASE_HELD, Reason.UPSTREAM_RUNNING})


def make_up(
    context: Context,
    plan: RunPlan,
    observer: RunObserver | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[RunSummary, ...]:
    """Run again for those who were turned away while a run was under way, until nobody was.

    Args:
        context: The project.
        plan: Of the run that has just ended.
        observer: Watches; nobody by default.
        say: Told for whom it runs again.

    Returns:
        What was run; empty when nobody was turned away, or nothing was left to load.
    """
    mine, since = {plan.run_id}, plan.planned_at
    ended = []
    while refused := tuple(_refused(context.store, since, mine)):
        again = prepare(context, _request(plan.request, refused))
        mine.add(again.run_id)
        since = again.planned_at
        if again.is_due:
            say(f"Other runs were turned away meanwhile; running {', '.join(again.request.pipelines)} in their place.")
            ended.append(execute(context, again, observer))
        else:
            execute(context, again)
    return tuple(ended)


def _refused(store: ControlStore, since: datetime, mine: Collection[str]) -> Iterator[DecisionEntry]:
    """Yield the targets on which the last word is that another run was turned away.

    One that was turned away before this run wrote its own decision down saw nothing that this run's load did not read.
    """
    for decision in store.last_decisions():
        if decision.reason in _TURNED_AWAY and decision.decided_at >= since and decision.run_id not in mine:
            yield decision


def _request(request: RunRequest, refused: Collection[DecisionEntry]) -> RunRequest:
    facts = [facts_of(decision.evidence) for decision in refused]
    return RunRequest(
        pipelines=tuple(sorted({decision.pipeline_id for decision in refused})),
        is_forced=any(known is not None and known.forced_by for known in facts),
        requested_by=f"{request.requested_by} (for runs that were turned away)",
    )
