"""`sluice dbt`: run dbt from any folder, for the current environment."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from flows.cli.output.console import say
from flows.context import load_context

_LOADING: Final = frozenset({"build", "run", "retry", "test", "seed", "snapshot", "run-operation", "clone"})
"""Subcommands that open the warehouse: they hold the lock of the embedded warehouse, which allows one writer."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command("dbt", context_settings=settings)(dbt)


def dbt(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="dbt's command with its options.", show_default=False)
    ] = None,
) -> None:
    """Run dbt on this project and environment, from any folder.

    Sluice fills in project, profiles, target and the change tokens of sources without a key. Loads use windows, one
    transaction and the load log, as in `sluice run`; only the gate is skipped.

    Examples:
        sluice dbt build --select tag:pipeline:flights_hourly

        sluice dbt build --full-refresh --select dwh__dim_aircraft

        sluice dbt docs generate
    """
    from flows.dbt.passthrough import passthrough_variables, refuse_unfinished_renaming, run_dbt
    from flows.engine.engine import hold_warehouse

    context = load_context()
    given = arguments or ["--help"]
    if given[0] not in _LOADING:
        raise typer.Exit(run_dbt(context, given, {}))
    with hold_warehouse(context, f"sluice dbt {given[0]}", say):
        refuse_unfinished_renaming(context)
        raise typer.Exit(run_dbt(context, given, passthrough_variables(context)))
