"""`sluice doctor`: what is wrong with the installation, and how to fix it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from flows.cli.output.console import print_json, print_table, progress
from flows.context import load_context

_FAULTS_EXIT_CODE: Final = 3


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check Python, packages, project, profile, control database, warehouse, clocks, lake, EMR, models and Prefect.

    EMR is checked when a row can run there: the settings, and with AWS credentials region, roles, subnets and buckets.
    A Prefect server that answers is checked for credentials, version, task runs, clock, authentication, telemetry, work
    pool, workers, and deployments that differ from the rows.

    Nothing is changed. Exit code 3: something must be fixed before runs can work.

    Examples:
        sluice doctor

        sluice doctor --json
    """
    from flows.doctor.checks import examine
    from flows.doctor.finding import Level

    context = load_context()
    with progress("Checking…", is_quiet=as_json):
        findings = examine(context)
    if as_json:
        print_json("doctor", {"findings": [asdict(finding) for finding in findings]})
    else:
        rows = [(item.level, item.check, item.message, item.remedy or None) for item in findings]
        print_table("", ("", "Check", "Found", "Remedy"), rows)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(_FAULTS_EXIT_CODE)
