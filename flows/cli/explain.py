"""`sluice explain`: every setting of a target, and where its value comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import print_json, print_table
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("explain")(explain)


def explain(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The target, schema.table.", autocompletion=complete_targets)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show every setting of a target, its value, and where it comes from.

    A value comes from a file and line, from a command or a form, from the framework, from the row of its pipeline or
    source, or is the default. Changes nothing.

    Examples:
        sluice explain dwh.dim_aircraft

        sluice explain dwh.dim_aircraft --json
    """
    from metadata_sync.control.explain import explain_target

    context = load_context()
    settings = explain_target(context.store, context.project, target)
    if as_json:
        print_json("explain", {"target": target, "settings": [asdict(item) for item in settings]})
        return
    for row, items in groupby(settings, key=attrgetter("row")):
        rows = [(item.name, _shown(item.value), item.origin) for item in items]
        print_table(row, ("Setting", "Value", "From"), rows)


def _shown(value: Any) -> str | None:
    if value in (None, [], ""):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
