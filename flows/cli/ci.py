"""`sluice ci`: what a pull request is checked for, in one command that needs no warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output.console import out, print_json, say
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ci")(ci)


def ci(
    *,
    against: Annotated[
        str | None, typer.Option("--against", metavar="REF", help="Compare with this commit or branch: origin/main.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Also write sluice.md, junit.xml and sluice.sarif there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a pull request: rows and SELECTs, SQL on Redshift, what the change reaches, tests of targets.

    Neither the warehouse nor the control database is asked, and no value of a row is written. Exit code 1: a check
    failed.

    Examples:
        sluice ci --against origin/main

        sluice ci --against origin/main --output reports
    """
    from flows.ci.checks import run_checks
    from flows.ci.report import document, write_reports

    checked = run_checks(load_context(), against, (lambda _: None) if as_json else say)
    if output is not None:
        for path in write_reports(output, checked):
            say(f"Wrote {path}.")
    if as_json:
        print_json("ci", document(checked))
    else:
        for check in checked.checks:
            out.print(f"{check.status.sign} {check.name}: {check.summary}", markup=False, highlight=False)
            for line in check.lines:
                out.print(f"    {line}", markup=False, highlight=False)
    if checked.has_failed:
        raise typer.Exit(1)
