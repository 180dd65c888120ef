"""`sluice promote` and `sluice rollback`: bring rows and SELECTs of another environment, or of an earlier moment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import print_json, progress, say
from flows.cli.output.restoring import print_restoring, restoring_document
from flows.context import environment_home, load_context
from metadata_sync.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from flows.diff.model import TableDiff
    from flows.impact.plan import Impact
    from metadata_sync.control.apply import ChangeContext
    from metadata_sync.control.restoring import Restoring
    from metadata_sync.database import Via

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; kept in the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def promote(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Targets, with their pipelines and sources; all by default.",
            show_default=False,
            autocompletion=complete_targets,
        ),
    ] = None,
    *,
    source: Annotated[str, typer.Option("--from", help="The environment whose rows and SELECTs are promoted.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The environment that gets them: that of the process, to be sure of it.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take the other environment's value also where this one was changed.")
    ] = False,
    yes: Yes = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Bring rows and SELECTs of another environment here. Tables, watermarks and history stay as they are.

    Shows what changes in rows and SELECTs, what that does to rows that stand, what breaks, and how the data of the
    tables that it reaches differ between both; of a table of over 2 million rows it compares a sample. A value that
    was changed here since the last promotion is kept; one that both changed is a conflict. Values that files declare
    for one environment alone, and switches, stay each environment's own. In a protected environment the change waits
    as a proposal.

    Examples:
        SLUICE_ENVIRONMENT=prod sluice promote --from stage --to prod

        SLUICE_ENVIRONMENT=prod sluice promote dwh.fact_order --from stage --yes --reason "release 41"
    """
    from flows.cli.diff import diff_document
    from flows.impact.brought import compare_reached, impact_of_restoring
    from metadata_sync.control.promotion import plan_promotion
    from metadata_sync.database import ControlStore, Via

    context = load_context()
    here = context.settings.environment
    if to not in {None, here}:
        raise RequestError(
            f"This process works in {here}, not in {to}.",
            f"SLUICE_ENVIRONMENT={to} sluice promote --from {source} --to {to}",
        )
    if source == here:
        raise RequestError(f"{source} is promoted into itself.", "Name another environment: --from stage")
    if environment_home(context.project, source).exists():
        raise RequestError(
            f"{source} was made by `sluice env create`: it has the rows of a branch, without schedules and channels.",
            "Merge the branch, and apply its files here: sluice control apply",
        )
    with progress(f"Comparing {source} with {here}…", is_quiet=as_json):
        with ControlStore.open(context.control_url, source) as other:
            restoring = plan_promotion(context.change_context, other, tuple(targets or ()), overwrite=overwrite)
        impact = impact_of_restoring(context, restoring)
        data, notes = ((), ()) if impact is None else compare_reached(context, impact, source)
    restoring = replace(restoring, notes=(*restoring.notes, *notes))
    found = _carried_out(
        context.change_context,
        restoring,
        impact,
        Via.PROMOTE,
        data=data,
        reason=reason or f"promoted from {source}",
        yes=yes,
        as_json=as_json,
    )
    if as_json:
        compared = [diff_document(item, is_shown=False) for item in data]
        print_json("promote", {"from": source, "to": here, **found, "data": compared})
    _end(restoring, is_written=found["applied"])


def rollback(
    change: Annotated[str, typer.Argument(help="A change, as `sluice control history` shows it.")],
    *,
    yes: Yes = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Bring rows and SELECTs back to the moment before a change: it and all later ones are undone.

    What the framework alone wrote since then stays, such as a row that it switched off. Tables, watermarks and history
    stay too: the plan says which rows that stand would have to be restated. A rollback is a change itself, and can be
    rolled back.

    Examples:
        sluice control history --limit 5

        sluice rollback 20261201T004238884345-c58090c553b9c4b2 --yes --reason "wrong fares"
    """
    from flows.impact.brought import impact_of_restoring
    from metadata_sync.control.rollback import plan_rollback
    from metadata_sync.database import Via

    context = load_context()
    with progress("Looking for the rows and SELECTs of that moment…", is_quiet=as_json):
        restoring = plan_rollback(context.change_context, change)
        impact = impact_of_restoring(context, restoring)
    found = _carried_out(
        context.change_context,
        restoring,
        impact,
        Via.ROLLBACK,
        reason=reason or f"back to before {change}",
        yes=yes,
        as_json=as_json,
    )
    if as_json:
        print_json("rollback", {"before": change, "environment": context.settings.environment, **found})
    _end(restoring, is_written=found["applied"])


def _carried_out(
    context: ChangeContext,
    restoring: Restoring,
    impact: Impact | None,
    via: Via,
    *,
    reason: str,
    yes: bool,
    as_json: bool,
    data: Sequence[TableDiff] = (),
) -> dict[str, Any]:
    """Show the plan, ask, and write it; return it as a document."""
    from metadata_sync.control.restoring import carry_out

    may_write = not restoring.is_empty and yes
    if not as_json:
        print_restoring(restoring, impact, data)
        for note in restoring.notes:
            say(note)
        may_write = may_write or (
            not restoring.is_empty and sys.stdin.isatty() and typer.confirm("Write this?", err=True)
        )
    change_id = carry_out(context, restoring, via, reason) if may_write else None
    if change_id is not None and not as_json:
        say(f"Written as change {change_id}. `sluice rollback {change_id}` undoes it; the next run loads by it.")
    return restoring_document(restoring, impact) | {"applied": may_write, "change": change_id}


def _end(restoring: Restoring, *, is_written: bool) -> None:
    if not is_written and not restoring.is_empty:
        say("Nothing was changed. Pass --yes to write it.")
        raise typer.Exit(ConfigurationError.exit_code)
