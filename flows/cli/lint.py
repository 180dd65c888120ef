"""`sluice lint`: find SQL that Redshift would refuse, from the text alone, without a cluster."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.cli.output.console import out, print_json, progress, say, write_json

if TYPE_CHECKING:
    from flows.lint.checks import LintResult

_FAULTS_EXIT_CODE: Final = 3


class Format(StrEnum):
    """The output format of findings."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("lint")(lint)


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="SQL files, or folders with SQL files; by default the project's.", show_default=False),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="text, json, sarif (code scanning) or github (annotations).")
    ] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Find SQL that Redshift would refuse, or would run differently from PostgreSQL and DuckDB.

    Reads the team's SELECTs and all models, or the files and folders given; needs no warehouse. Exit code 3: Redshift
    would refuse something. Warnings do not change the exit code.

    Examples:
        sluice lint

        sluice lint dbt_project/transformations/dim_aircraft.sql

        sluice lint dbt_project/target --format github
    """
    from flows.lint.checks import lint as lint_files
    from flows.lint.files import find_files
    from flows.lint.reports import github_lines, json_document, sarif_document, text_lines
    from metadata_sync.project import find_project

    form = Format.JSON if as_json else form
    with progress("Reading SQL…", is_quiet=form is not Format.TEXT):
        result = lint_files(find_files(find_project(), paths or ()))
    if form is Format.JSON:
        print_json("lint", json_document(result))
    elif form is Format.SARIF:
        write_json(sarif_document(result))
    else:
        for line in github_lines(result) if form is Format.GITHUB else text_lines(result):
            out.print(line, highlight=False, markup=False)
        _say_summary(result)
    if result.error_count:
        raise typer.Exit(_FAULTS_EXIT_CODE)


def _say_summary(result: LintResult) -> None:
    warning_count = len(result.findings) - result.error_count
    checked = f"{result.file_count} files with {result.statement_count} statements"
    say(f"{checked}: {result.error_count} errors, {warning_count} warnings (read by {' and '.join(result.parsers)}).")
    if result.unread:
        say(f"{len(result.unread)} files hold Jinja statements and were not read: {', '.join(result.unread)}.")
        say(
            "Compile them for Redshift (`sluice dbt compile --target redshift`), then `sluice lint dbt_project/target`."
        )
    if "sqlfluff" not in result.parsers:
        say("Install sqlfluff (pip install sqlfluff) to check them with a second parser.")
