"""`sluice cost`: what loads took of a Redshift warehouse."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.console import out, print_json, print_table, say
from flows.cli.output.spans import since_when
from flows.context import load_context
from flows.reports.cost import By

if TYPE_CHECKING:
    from datetime import datetime

    from flows.reports.cost import Cost
    from flows.warehouse.query_history import History

HOW: Final = (
    "Share: while n statements execute, each takes one n-th of the time, those of other users and of no load as well; "
    "so all shares together are never more than the warehouse's own time. Queues cost nothing.",
    "Executing: the execution times of a load's statements, added up.",
    "The warehouse forgets its history after seven days; what `sluice cost` and `sluice savings` have read stays here.",
)
"""How the numbers come about."""
_NO_PRICE: Final = (
    "No dollars: set SLUICE_REDSHIFT_USD_PER_HOUR to the price of the cluster, or SLUICE_REDSHIFT_USD_PER_RPU_HOUR for "
    "a serverless workgroup."
)
_SEES_OWN: Final = (
    "The user of the profile is no superuser. Without the role sys:monitor it sees its own statements only, so time "
    "that others used at the same moment counts as its own."
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("cost")(cost)


def cost(
    since: Annotated[
        str, typer.Option("--since", metavar="7d|DATE", help="A span up to now (12h, 30d, 2w), or a date (UTC).")
    ] = "7d",
    by: Annotated[By, typer.Option("--by", help="What a line stands for.")] = By.TARGET,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show what loads took of a Redshift warehouse: seconds, RPU-seconds and dollars.

    Examples:
        sluice cost

        sluice cost --since 30d --by pipeline

        sluice cost --since 12h --by load --json
    """
    from flows.reports.cost import add_up, total
    from flows.upkeep.costs import prices_of, read_costs

    context = load_context()
    now = context.store.now()
    begin = since_when(since, now)
    history = read_costs(context, now)
    found = context.store.load_costs(begin)
    lines = add_up(found, by, prices_of(context))
    whole = total("all loads", found, prices_of(context)) if found else None
    if as_json:
        print_json("cost", _document(lines, whole, history, begin, now))
    else:
        _print(lines, whole, history, begin, by)


def _document(
    lines: tuple[Cost, ...], whole: Cost | None, history: History, begin: datetime, now: datetime
) -> dict[str, Any]:
    return {
        "since": begin.isoformat(),
        "until": now.isoformat(),
        "history_since": history.since.isoformat(),
        "sees_all_statements": history.sees_all,
        "other_share_seconds": history.other_seconds,
        "total": asdict(whole) if whole else None,
        "costs": [asdict(line) for line in lines],
        "how": HOW,
    }


def _print(lines: tuple[Cost, ...], whole: Cost | None, history: History, begin: datetime, by: By) -> None:
    if whole is None:
        say(f"The history has no statement of a load since {begin:%Y-%m-%d %H:%M} UTC.")
        return
    money = "" if whole.usd is None else f", ${whole.usd:,.2f}"
    charged = "" if whole.rpu_seconds is None else f", {whole.rpu_seconds:,.0f} RPU-seconds"
    loads = f"{whole.loads:,} {'load' if whole.loads == 1 else 'loads'}"
    out.print(
        f"Since {begin:%Y-%m-%d %H:%M} UTC: {loads} took {whole.share_seconds:,.1f} s of the warehouse's "
        f"time{charged}{money}.\nIn the last seven days, statements of no load took {history.other_seconds:,.1f} s.",
        highlight=False,
        markup=False,
    )
    headers = (by.capitalize(), "Loads", "Statements", "Executing s", "Share s", "RPU-s", "USD")
    print_table("", headers, map(_cells, lines))
    notes = [*HOW, *([] if history.sees_all else [_SEES_OWN]), *([] if whole.usd is not None else [_NO_PRICE])]
    out.print("\n".join(notes), highlight=False, markup=False)


def _cells(line: Cost) -> tuple[object, ...]:
    return (
        line.name,
        f"{line.loads:,}",
        f"{line.statement_count:,}",
        f"{line.execution_seconds:,.2f}",
        f"{line.share_seconds:,.2f}",
        None if line.rpu_seconds is None else f"{line.rpu_seconds:,.0f}",
        None if line.usd is None else f"{line.usd:,.4f}",
    )
