"""`sluice heal`: switch on again what the framework switched off, when its cause is gone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.output.console import print_json, print_table, progress, say
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("heal")(heal)


def heal(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Targets, schema.table; all that are off by default.", show_default=False)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Look now, whatever has changed and however lately it was looked at.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Look at rows that the framework switched off after a failure, and switch on those whose cause is gone.

    A row is looked at when its SELECT, the row, its sources or its target have changed, else every
    SLUICE_HEAL_MINUTES. Nothing is loaded: the next run does that. Rows that a person switched off are left alone.

    Examples:
        sluice heal

        sluice heal dwh.dim_aircraft --force

        sluice heal --json
    """
    from flows.upkeep.heal import heal as heal_rows
    from metadata_sync.text import duration_text

    context = load_context()
    with progress("Looking at rows that are off…", is_quiet=as_json):
        found = heal_rows(context, tuple(targets or ()), is_forced=force)
    if as_json:
        print_json({"targets": [asdict(item) for item in found]})
    elif found:
        rows = [(item.target, item.state, duration_text(item.seconds_off or 0.0), item.reason) for item in found]
        print_table("", ("Target", "State", "Off for", "Why"), rows)
    else:
        say("No row is switched off by the framework.")
