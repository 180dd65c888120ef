"""`sluice sync` and `sluice validate`: write dbt models from rows; check rows and report all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.cli.output.console import out, print_json, progress, say
from flows.context import Context, load_context
from metadata_sync.errors import MetadataError

if TYPE_CHECKING:
    from flows.spark.analyzer import Asked
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.errors import Fault
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.rows.names import TableName
    from metadata_sync.sync.report import SyncReport

    _Checked = tuple[ControlRows, list[Fault], list[Fault], tuple[tuple[TableName, str], ...]]
    """The rows, their faults, their warnings, and notes on lookups: a target and a sentence each."""

_DRIFT_EXIT_CODE: Final = 3
_OFFLINE: Final = "Neither the warehouse nor the lake was asked: columns and types were not checked."
_ONLINE: Final = "What could not be reached was not checked."

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
    from flows.dbt.package import link_package
    from metadata_sync.sync.store import sync_store

    context = load_context()
    if not check:
        link_package(context.project)
    with progress("Writing models…", is_quiet=as_json):
        stored = context.store.read_stored()
        report = sync_store(context.store, stored, context.project, context.columns, check=check, overwrite=overwrite)
    if as_json:
        print_json("sync", _document(report))
    else:
        _print(report, context, check=check)
    if report.drifted:
        raise typer.Exit(_DRIFT_EXIT_CODE)


def validate(
    database: Annotated[
        bool, typer.Option("--database", help="Check the rows of the control database instead of the files.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask neither the warehouse nor the lake, as on a fresh checkout in CI.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check rows and SELECTs, and report all faults.

    Reads the files of dbt_project/control/ like `sluice control apply` and changes nothing. Checks that need the
    warehouse are skipped when it cannot be reached. A source whose data cannot be read now is a fault of new and
    changed rows, and a warning for all others.

    Examples:
        sluice validate

        sluice validate --offline

        sluice validate --database --json
    """
    from flows.cli.output.tables import print_notes
    from metadata_sync.analysis.offline import OfflineColumns

    context = load_context()
    columns = OfflineColumns(context.profile.dialect) if offline else context.columns
    with progress("Checking rows and SELECTs…", is_quiet=as_json):
        rows, faults, warnings, notes = (_database_faults if database else _file_faults)(context, columns)
        on_spark = None if faults else _ask_spark(context, rows, columns)
        faults += on_spark.faults if on_spark is not None else ()
    unanswered = on_spark.unanswered if on_spark is not None else ()
    for warning in () if as_json else warnings:
        say(f"Warning: {warning}")
    if faults:
        raise MetadataError(faults, f"{len(faults)} fault{'' if len(faults) == 1 else 's'} found.")
    count = len(rows.sources) + len(rows.pipelines) + len(rows.transformations)
    if as_json:
        listed = [{"target": str(target), "message": sentence} for target, sentence in notes]
        listed += [{"target": target, "message": _UNANSWERED} for target in unanswered]
        found = [*(item.as_dict() for item in warnings), *listed]
        print_json("validate", {"rows": count, "faults": [], "warnings": found})
        return
    print_notes((str(target), [sentence]) for target, sentence in notes)
    if unanswered:
        say(f"Warning: {', '.join(unanswered)}: {_UNANSWERED}")
    elif on_spark is not None and on_spark.count:
        what = "took" if on_spark.is_installed else "is not installed and did not see"
        say(f"Spark's analyzer {what} {on_spark.count} SELECTs.")
    out.print(
        f"{count} rows and their SELECTs: no fault found. {_OFFLINE if offline else _ONLINE}",
        highlight=False,
        markup=False,
    )


_UNANSWERED: Final = (
    "Spark's analyzer did not answer in its time and was ended (SLUICE_SPARK_CHECK_SECONDS); Sluice's own list of what "
    "Spark does alike, which takes the SELECT, alone has looked at it."
)


def _ask_spark(context: Context, rows: ControlRows, columns: WarehouseColumns) -> Asked:
    """Ask Spark's analyzer about the SELECTs that go to Spark."""
    from flows.spark.analyzer import analyzer_faults
    from flows.spark.settings import load_spark_settings
    from metadata_sync.analysis.catalog import Catalog

    return analyzer_faults(Catalog(rows, context.project, columns), lambda: load_spark_settings(context.project), say)


def _file_faults(context: Context, columns: WarehouseColumns) -> _Checked:
    from metadata_sync.control.check import check_files
    from metadata_sync.rows.merge import make_plan
    from metadata_sync.validation.consequences import DATA_RULES, split_data_faults

    checked = check_files(context.project, context.settings.environment, columns)
    bundle, found = checked.bundle, list(checked.found)
    warnings: list[Fault] = []
    if any(fault.rule in DATA_RULES for fault in found):
        plan = make_plan(bundle.rows, context.store.read_state(), is_complete=not bundle.faults)
        found, warnings = split_data_faults(found, bundle.rows, {change.id for change in plan.changes})
    return bundle.rows, bundle.located([*bundle.faults, *found]), bundle.located(warnings), checked.notes


def _database_faults(context: Context, columns: WarehouseColumns) -> _Checked:
    from metadata_sync.control.bundle import read_project
    from metadata_sync.sync.column_lists import follow_selects
    from metadata_sync.sync.store import sync_store
    from metadata_sync.validation import find_faults_and_notes
    from metadata_sync.validation.consequences import split_data_faults

    project = context.project
    state = context.store.read_state()
    rows = state.rows
    checked = follow_selects(rows, state.framework_written, state.declared)
    found, notes = find_faults_and_notes(checked, project, columns)
    stored = context.store.read_stored()
    report = sync_store(context.store, stored, project, columns, check=True, keep_going=True)
    all_found = tuple(dict.fromkeys((*found, *report.faults)))  # sync knows the types of the lists so far
    faults, warnings = split_data_faults(all_found, rows, ())
    bundle = read_project(project, context.settings.environment)
    return rows, bundle.located(faults), bundle.located(warnings), notes


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
    out.print(f"{summary}.", highlight=False, markup=False)
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
