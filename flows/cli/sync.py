"""`sluice sync` and `sluice validate`: write dbt models from rows; check rows and report all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.cli.output.console import out, print_json, progress, say
from flows.context import Context, load_context
from metadata_sync.errors import MetadataError

if TYPE_CHECKING:
    from metadata_sync.errors import Fault
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.sync.sync import SyncReport

_DRIFT_EXIT_CODE: Final = 3

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("sync")(sync)
    app.command("validate")(validate)


def sync(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with code 3 when files differ from the rows.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace generated files that were edited by hand.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the control rows as dbt models to dbt_project/models/generated/.

    Files of unchanged rows and SELECTs are not touched. Inactive rows are written too: their models do nothing, but
    other models may refer to them. A column list that a row omits is taken from its SELECT.

    Examples:
        sluice sync

        sluice sync --check

        sluice sync --overwrite
    """
    from metadata_sync.sync.sync import sync_store

    context = load_context()
    with progress("Writing models…", is_quiet=as_json):
        stored = context.store.read_stored()
        report = sync_store(context.store, stored, context.project, context.columns, check=check, overwrite=overwrite)
    if as_json:
        print_json(_document(report))
    else:
        _print(report, context, check=check)
    if report.drifted:
        raise typer.Exit(_DRIFT_EXIT_CODE)


def validate(
    database: Annotated[
        bool, typer.Option("--database", help="Check the rows of the control database instead of the files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check rows and SELECTs, and report all faults.

    Reads the files of dbt_project/control/ like `sluice control apply` and changes nothing. Checks that need the
    warehouse are skipped when it cannot be reached.

    Examples:
        sluice validate

        sluice validate --database --json
    """
    from flows.cli.output.tables import print_notes
    from metadata_sync.validation import find_warnings

    context = load_context()
    with progress("Checking rows and SELECTs…", is_quiet=as_json):
        rows, faults = _database_faults(context) if database else _file_faults(context)
        warnings = () if faults else find_warnings(rows, context.project, context.columns)
    if faults:
        raise MetadataError(faults, f"{len(faults)} fault{'' if len(faults) == 1 else 's'} found.")
    count = len(rows.sources) + len(rows.pipelines) + len(rows.transformations)
    if as_json:
        listed = [{"target": str(target), "message": sentence} for target, sentence in warnings]
        print_json({"rows": count, "faults": [], "warnings": listed})
        return
    print_notes((str(target), [sentence]) for target, sentence in warnings)
    out.print(f"{count} rows and their SELECTs are in order.", highlight=False)


def _file_faults(context: Context) -> tuple[ControlRows, tuple[Fault, ...]]:
    from metadata_sync.control.bundle import bundle_files, read_bundle
    from metadata_sync.validation import find_faults

    project = context.project
    bundle = read_bundle(bundle_files(project.control_dir, project.root), context.settings.environment, project.root)
    rows = bundle.rows
    return rows, (*bundle.faults, *find_faults(rows, project, context.columns))


def _database_faults(context: Context) -> tuple[ControlRows, tuple[Fault, ...]]:
    from metadata_sync.sync.column_lists import follow_selects
    from metadata_sync.sync.sync import sync_store
    from metadata_sync.validation import find_faults

    state = context.store.read_state()
    rows = state.rows
    checked = follow_selects(rows, state.framework_written, state.declared)
    found = find_faults(checked, context.project, context.columns)
    stored = context.store.read_stored()
    report = sync_store(context.store, stored, context.project, context.columns, check=True, keep_going=True)
    return rows, tuple(dict.fromkeys((*found, *report.faults)))  # sync knows the types of the lists so far


def _print(report: SyncReport, context: Context, *, check: bool) -> None:
    folder = context.project.generated_dir.relative_to(context.project.root)
    for verb, paths in (("wrote", report.written), ("removed", report.removed), ("out of step", report.drifted)):
        for path in paths:
            out.print(f"{verb:<11} {folder / path}", highlight=False, markup=False)
    for target, change in report.filled.items():
        if change.sentence:
            say(f"{target}: {change.sentence}")
        elif not check:
            say(f"{target}: column list taken from its SELECT ({len(change.after)} columns).")
    if check:
        summary = f"{len(report.drifted)} out of step, {len(report.unchanged)} in step"
    else:
        summary = f"{len(report.written)} written, {len(report.removed)} removed, {len(report.unchanged)} unchanged"
    out.print(f"{summary}.", highlight=False)
    if report.drifted:
        say("Run `sluice sync` to write the files again.")


def _document(report: SyncReport) -> dict[str, object]:
    return {
        "written": report.written,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "drifted": report.drifted,
        "filled": {
            str(target): [{"name": column.name, "type": column.type} for column in change.after]
            for target, change in report.filled.items()
        },
    }
