"""`sluice test`: run targets on a few frozen rows; `sluice test create`: freeze them."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import out, print_json, progress, say
from flows.context import Context, load_context

if TYPE_CHECKING:
    from flows.unit_tests.create import CreatedTest
    from flows.unit_tests.run import TestResult
    from metadata_sync.analysis.unit_tests import UnitTestFile
    from metadata_sync.rows.model import ControlRows

_FAILED_EXIT_CODE: Final = 1
_MARKS: Final = {"passed": "✓", "failed": "✗", "error": "!"}

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


class _RunByDefault(TyperGroup):
    """`sluice test [TARGET…]` is `sluice test run [TARGET…]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.completed(args))

    def completed(self, words: list[str]) -> list[str]:
        """Return the words of a call with the name of the command that may be left out."""
        first = words[0] if words else ""
        return words if first in self.commands or first in ("--help", "-h") else ["run", *words]


app = typer.Typer(
    cls=_RunByDefault,
    help="Run targets on a few frozen rows, in a scratch database; `create` freezes rows, `run` is the default.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="For example: sluice test create dwh.dim_customer && sluice test dwh.dim_customer",
)


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.add_typer(app, name="test")


@app.command("run")
def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Targets; by default all that have a test.", show_default=False, autocompletion=complete_targets
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write the results as JUnit XML.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the tests of targets: their SELECTs and their loads, on DuckDB, without the environment's warehouse.

    The word `run` may be left out. Tests are files in dbt_project/unit_tests/. Rows are those of control/; targets
    that no file declares are looked up in the control database. Exit code 1: a test failed or could not be run. Exit
    code 2: there is no such target, or no test.

    Examples:
        sluice test

        sluice test dwh.dim_aircraft mart.route_daily

        sluice test --junit test-results/sluice.xml
    """
    from flows.unit_tests.report import json_document, write_junit
    from flows.unit_tests.run import Status, run_tests

    context = load_context()
    files = _test_files(context, targets or [])
    rows = _rows(context, [file.target for file in files], must_exist=bool(targets))
    began = time.monotonic()
    quiet = (lambda _: None) if as_json else say
    with progress("Running tests…", is_quiet=as_json):
        results = run_tests(context, rows, files, say=quiet)
    seconds = time.monotonic() - began
    if junit is not None:
        write_junit(junit, results, seconds)
    if as_json:
        print_json("test", json_document(results, seconds))
    else:
        _print(results, seconds)
    if any(item.status is not Status.PASSED for item in results):
        raise typer.Exit(_FAILED_EXIT_CODE)


@app.command("create")
def create(
    target: Annotated[str, typer.Argument(help="The target, e.g. dwh.dim_aircraft.", autocompletion=complete_targets)],
    limit: Annotated[int, typer.Option("--rows", min=1, max=200, help="The most rows of a table.")] = 20,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a test file that a person has written or changed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Freeze a few rows that a target reads, and what its SELECT and its load make of them, into a test file.

    Reads the warehouse or the lake of the environment: rows of the driving source, and the rows of the other tables
    that join them. Columns with the tag `personal`, and those that they come from, are masked. The file is written
    whole, after its tests have passed once. Read it: it holds what the SELECT does today, right or wrong.

    Examples:
        sluice test create dwh.dim_aircraft

        sluice test create dwh.dim_aircraft --rows 8 --force
    """
    from flows.engine.definitions import find_target
    from flows.unit_tests.create import create_test

    context = load_context()
    rows = _rows(context, [target], must_exist=True)
    row = find_target(rows, target)
    with progress(f"Freezing rows of {target}…", is_quiet=as_json):
        created = create_test(context, rows, row, limit=limit, force=force)
    if as_json:
        print_json("test-create", asdict(created))
    else:
        _print_created(created)


def _test_files(context: Context, targets: list[str]) -> list[UnitTestFile]:
    """Return the test files of targets, or all.

    Raises:
        ConfigurationError: When a file is faulty, or there is none.
    """
    from metadata_sync.analysis.unit_tests import FOLDER, find_test_files, read_test_file
    from metadata_sync.errors import ConfigurationError

    project = context.project
    named = {path.stem: path for path in find_test_files(project)}
    chosen = {name: path for name, path in named.items() if not targets or name in targets}
    missing = [target for target in dict.fromkeys(targets) if target not in chosen]
    if missing:
        _rows(context, missing, must_exist=True)
        raise ConfigurationError(
            f"{missing[0]} has no test: {project.dbt_folder}{FOLDER}/{missing[0]}.yml does not exist.",
            f"Freeze some of its rows: sluice test create {missing[0]}",
        )
    return [_of_its_name(path, read_test_file(path, project)) for path in chosen.values()]


def _of_its_name(path: Path, file: UnitTestFile) -> UnitTestFile:
    from metadata_sync.errors import ConfigurationError

    if file.target != path.stem:
        raise ConfigurationError(
            f"{path.name} holds tests of {file.target}.", f"Name it {file.target}.yml, or correct `target:` in it."
        )
    return file


def _rows(context: Context, targets: list[str], *, must_exist: bool) -> ControlRows:
    """Return the rows of the files, or those of the control database when the files do not declare a target.

    Raises:
        ConfigurationError: When neither does.
    """
    from flows.engine.definitions import find_target
    from metadata_sync.control.bundle import read_project

    project = context.project
    bundle = read_project(project, context.settings.environment)
    declared = {str(row.name) for row in bundle.rows.transformations}
    if declared.issuperset(targets) or (declared and not must_exist):  # a test of a retired target fails by itself
        return bundle.rows
    stored = context.store.read_rows()
    for target in targets if must_exist else ():
        find_target(stored, target)
    return stored


def _print(results: tuple[TestResult, ...], seconds: float) -> None:
    for item in results:
        head = f"{_MARKS[item.status]} {item.target} {item.name} {item.seconds:.2f} s"
        out.print(head, highlight=False, markup=False)
        for line in item.lines:
            out.print(f"    {line}", highlight=False, markup=False)
        if item.hint:
            out.print(f"    {item.hint}", highlight=False, markup=False)
    if not results:
        say("No target has a test, so nothing was tested. Freeze some rows of one: sluice test create TARGET")
        return
    counts = {name: sum(item.status == name for item in results) for name in _MARKS}
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    tests = sum(item.seconds for item in results)
    out.print(f"{shown} in {seconds:.1f} s: {tests:.1f} s of tests, the rest is dbt's start.", highlight=False)


def _print_created(created: CreatedTest) -> None:
    given = ", ".join(f"{count} of {table}" for table, count in created.given.items())
    out.print(f"Wrote {created.path}: rows {given}.", highlight=False, markup=False)
    if created.batches:
        say(f"Its history has {len(created.batches)} batches: {'; '.join(created.batches)}.")
    if created.masked:
        say(f"Masked: {', '.join(created.masked)}.")
    else:
        say("Nothing was masked: no column that it reads comes from one with the tag `personal`.")
    for note in created.notes:
        say(f"Note: {note}.")
    say("It holds what the SELECT does today: read it, correct what is wrong, and commit it. Run it: sluice test")
