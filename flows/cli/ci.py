"""`sluice ci`: what a pull request is checked for, in one command; only `--build` needs a warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output.console import out, print_json, say
from flows.context import load_context
from metadata_sync.errors import RequestError


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
    build: Annotated[
        bool,
        typer.Option("--build", help="Also load what changed, before and after, in schemas of its own, and compare."),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="ENVIRONMENT", help="Read the rest from it; this environment by default."),
    ] = None,
    readers: Annotated[
        str, typer.Option("--readers", metavar="N|all", help="Levels of readers that are built, too.")
    ] = "0",
    since: Annotated[
        str | None, typer.Option("--since", metavar="KEY", help="Read rows whose incremental key is at least that.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Read at most so many rows of a table.")] = 10_000,
    values: Annotated[bool, typer.Option("--values", help="Show values of rows in what --build reports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a pull request: rows and SELECTs, SQL on Redshift, what the change reaches, tests of targets.

    Neither the warehouse nor the control database is asked, and no value of a row is written. With --build what
    changed is loaded twice from the same sample of the base environment, which is only read, and compared; its schemas
    are dropped again. Exit code 1: a check failed. That rows differ fails nothing.

    Examples:
        sluice ci --against origin/main

        sluice ci --against origin/main --output reports

        sluice ci --against origin/main --build --from prod --readers 1 --since 2026-11-01
    """
    from flows.ci.checks import run_checks
    from flows.ci.report import document, write_reports

    context = load_context()
    request = None
    if build:
        from flows.ci.build import BuildRequest
        from flows.ci.choose import levels_of
        from flows.environments.samples import Cut, checked_since

        if against is None:
            raise RequestError("--build needs something to compare with.", "Name it: --against origin/main.")
        cut = Cut(sample, checked_since(since))
        request = BuildRequest(base or context.settings.environment, levels_of(readers), cut, values)
    checked = run_checks(context, against, (lambda _: None) if as_json else say, request)
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
