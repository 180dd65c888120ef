"""`sluice savings`: the runs and the cost that the gate avoided."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.console import out, print_json, print_table, say
from flows.cli.output.spans import since_when
from flows.context import load_context

if TYPE_CHECKING:
    from flows.context import Context
    from flows.reports.cost import Prices
    from flows.reports.savings import Saving, Savings
    from metadata_sync.database.journals.entries import LoadCost

_COSTS_OF: Final = timedelta(days=30)
HOW: Final = (
    "Runs avoided: decisions to skip because nothing was there to load. Being switched off, held or left to another "
    "run does not count.",
    "Warehouse minutes: those runs times the median duration of the target's own last loads, 20 at most. What dbt and "
    "the scheduler take beside the model is left out. On Redshift: the loads' shares of the warehouse's time, as "
    "`sluice cost` shows them, of the last 30 days.",
    "Cluster runs: those runs times the share of the same loads that ran on Spark; minutes and dollars are the medians "
    "of what those loads took of their clusters, start-up included, at the price list's prices.",
)
"""How each number is estimated."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("savings")(savings)


def savings(
    since: Annotated[
        str, typer.Option("--since", metavar="30d|DATE", help="A span up to now (12h, 30d, 2w), or a date (UTC).")
    ] = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Add up what was skipped because there was nothing to load: runs, warehouse minutes, cluster cost.

    Examples:
        sluice savings

        sluice savings --since 7d

        sluice savings --since 2013-01-01 --json
    """
    from flows.reports.savings import add_up, skipped_targets

    context = load_context()
    store = context.store
    now = store.now()
    begin = since_when(since, now)
    counts = store.count_decisions(begin)
    found = add_up(counts, store.past_loads(skipped_targets(counts)), *_costs(context, now))
    if as_json:
        print_json("savings", _document(found, begin, now))
    else:
        _print(found, begin)


def _costs(context: Context, now: datetime) -> tuple[tuple[LoadCost, ...], Prices]:
    """Return what loads took by the history that Redshift keeps; nothing on other warehouses."""
    from flows.upkeep.costs import has_history, prices_of, read_costs

    if not has_history(context):
        return (), prices_of(context)
    read_costs(context, now)
    return context.store.load_costs(now - _COSTS_OF), prices_of(context)


def _document(found: Savings, begin: datetime, now: datetime) -> dict[str, Any]:
    return {
        "since": begin.isoformat(),
        "until": now.isoformat(),
        "decided": found.decided,
        "ran": found.ran,
        "runs_avoided": found.runs,
        "warehouse_seconds_avoided": found.seconds,
        "warehouse_usd_avoided": found.warehouse_usd,
        "cluster_runs_avoided": found.cluster_runs,
        "cluster_seconds_avoided": found.cluster_seconds,
        "usd_avoided": found.usd,
        "unestimated": found.unestimated,
        "how": HOW,
        "targets": [asdict(item) for item in found.targets],
    }


def _print(found: Savings, begin: datetime) -> None:
    if not found.decided:
        say(f"Nothing was decided since {begin:%Y-%m-%d %H:%M} UTC.")
        return
    money = "no load on Spark had a price" if found.usd is None else f"${found.usd:,.2f}"
    warehouse = "" if found.warehouse_usd is None else f" (${found.warehouse_usd:,.2f})"
    out.print(
        f"Since {begin:%Y-%m-%d %H:%M} UTC: {found.decided:,} decisions, {found.ran:,} to run.\n"
        f"Avoided: {found.runs:,} runs, about {found.seconds / 60:,.1f} warehouse minutes{warehouse}; of them about "
        f"{found.cluster_runs:,.1f} on Spark, {found.cluster_seconds / 60:,.1f} cluster minutes ({money}).",
        highlight=False,
        markup=False,
    )
    if found.targets:
        headers = ("Target", "Pipeline", "Runs", "Warehouse min", "Cluster runs", "Cluster min", "USD", "From loads")
        print_table("", headers, map(_cells, found.targets))
    notes = list(HOW)
    if found.unestimated:
        notes.append(f"No load to estimate from, so only runs are counted: {', '.join(found.unestimated)}.")
    out.print("\n".join(notes), highlight=False, markup=False)


def _cells(item: Saving) -> tuple[object, ...]:
    return (
        item.target,
        item.pipeline_id,
        f"{item.runs:,}",
        None if item.seconds is None else f"{item.seconds / 60:,.1f}",
        f"{item.cluster_runs:,.1f}" if item.cluster_runs else None,
        f"{item.cluster_seconds / 60:,.1f}" if item.cluster_runs else None,
        None if item.usd is None else f"{item.usd:,.2f}",
        item.load_count or None,
    )
