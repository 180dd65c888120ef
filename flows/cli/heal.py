"""`sluice heal`: reactivate the rows that the framework deactivated, when their cause is gone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import print_json, print_table, progress, say
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("heal")(heal)


def heal(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Targets, schema.table; by default all that the framework deactivated.",
            show_default=False,
            autocompletion=complete_targets,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Check now, even when nothing changed and the last check was recent.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check the rows that the framework deactivated after a failure, and reactivate those whose cause is gone.

    A row is checked when its SELECT, the row, its sources or its target changed, otherwise every SLUICE_HEAL_MINUTES.
    Nothing is loaded: the next run does that. Rows that a person deactivated stay as they are.

    Examples:
        sluice heal

        sluice heal dwh.dim_aircraft --force

        sluice heal --json
    """
    from flows.upkeep.heal import heal as heal_rows
    from metadata_sync.text import duration_text

    context = load_context()
    with progress("Checking deactivated rows…", is_quiet=as_json):
        found = heal_rows(context, tuple(targets or ()), is_forced=force)
    if as_json:
        print_json("heal", {"targets": [asdict(item) for item in found]})
    elif found:
        rows = [(item.target, item.state, duration_text(item.seconds_off or 0.0), item.reason) for item in found]
        print_table("", ("Target", "State", "Off for", "Why"), rows)
    else:
        say("The framework has deactivated no row.")
