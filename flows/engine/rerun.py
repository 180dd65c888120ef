"""Reruns for the runs that were refused because this run held the leases of their targets.

A refused run ends without loading. Its new rows would wait for the next scheduled run, or without limit when a person
started it. So the run that held the leases applies the gate again when it ends, and loads the rows that have arrived
since. flows/prefect/run_guards.py does the same for runs that Prefect refuses before they start; docs/decisions/0021
says why there are two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.engine.engine import execute, prepare
from flows.gate.facts import Reason, facts_of
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import ControlStore, DecisionEntry

_REFUSALS: Final = frozenset({Reason.LEASE_HELD, Reason.UPSTREAM_RUNNING})


def rerun_refused(
    context: Context,
    plan: RunPlan,
    observer: RunObserver | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[RunSummary, ...]:
    """Run the targets of refused runs again, until no run was refused in the meantime.

    Args:
        context: The project.
        plan: The plan of the run that has just ended.
        observer: Receives the events of the reruns; None: no observer.
        say: Called with a sentence that names the pipelines of each rerun.

    Returns:
        Summaries of the reruns; empty when no run was refused, or nothing was left to load.
    """
    mine, since = {plan.run_id}, plan.planned_at
    ended = []
    while refused := tuple(_refused(context.store, since, mine)):
        again = prepare(context, _request(plan.request, refused))
        mine.add(again.run_id)
        since = again.planned_at
        if again.is_due:
            say(f"Other runs were refused meanwhile; running {', '.join(again.request.pipelines)} in their place.")
            ended.append(execute(context, again, observer))
        else:
            execute(context, again)
    return tuple(ended)


def _refused(store: ControlStore, since: datetime, mine: Collection[str]) -> Iterator[DecisionEntry]:
    """Yield the targets whose last decision is that another run was refused.

    A refusal older than this run's own decision needs no rerun: this run's load read everything that the other run saw.
    """
    for decision in store.last_decisions():
        if decision.reason in _REFUSALS and decision.decided_at >= since and decision.run_id not in mine:
            yield decision


def _request(request: RunRequest, refused: Collection[DecisionEntry]) -> RunRequest:
    facts = [facts_of(decision.evidence) for decision in refused]
    return RunRequest(
        pipelines=tuple(sorted({decision.pipeline_id for decision in refused})),
        is_forced=any(known is not None and known.forced_by for known in facts),
        requested_by=f"{request.requested_by} (in place of refused runs)",
    )
