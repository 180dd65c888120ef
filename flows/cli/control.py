"""`sluice control …`, `sluice activate`, `sluice deactivate`: show and change control rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.changes import brief, change_document, print_change
from flows.cli.output.completion import complete_subjects
from flows.cli.output.console import print_json, print_table, progress, say
from flows.context import load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from metadata_sync.rows.merge import KeptColumn, Plan, RowChange
    from metadata_sync.rows.model import ControlRow

app = typer.Typer(
    name="control",
    help="Show and change the control rows.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; kept in the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_LIST_COLUMNS: Final = {
    "source_control": ("kind", "format", "location", "incremental_key", "lookback_minutes", "freshness_minutes"),
    "pipeline_control": ("pipeline_name", "template", "schedule", "timezone", "job_group", "engine", "is_active"),
    "transformation_control": ("pipeline_id", "load_type", "increment", "business_key", "sql_path", "is_active"),
}


def register(root: typer.Typer) -> None:
    """Add the commands to `sluice`."""
    root.add_typer(app)
    root.command("activate")(activate)
    root.command("deactivate")(deactivate)


@app.command("apply")
def apply_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="YAML files or folders; everything in dbt_project/control/ by default.", show_default=False
        ),
    ] = None,
    yes: Yes = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove rows that the files no longer declare.")] = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Change the control tables to what the YAML files declare.

    The plan is shown first. A value that an operator or the framework changed in the tables is kept unless the file
    changed that value too. Without a terminal and without --yes the plan is printed, nothing changes and the exit code
    is 2.

    Examples:
        sluice control apply

        sluice control apply dbt_project/control/flights.yml --yes --reason "new SLA"

        sluice control apply --prune --json --yes
    """
    from metadata_sync.control.apply import apply_plan, plan_files

    change_context = load_context().change_context
    with progress("Checking files and rows", is_quiet=as_json):
        plan = plan_files(change_context, tuple(files or ()), prune=prune)
    for warning in plan.warnings:
        say(f"Warning: {warning}")
    may_write = plan.is_empty or yes
    if not as_json:
        _print_plan(plan)
        may_write = may_write or (sys.stdin.isatty() and typer.confirm("Apply?", err=True))
    if may_write:
        apply_plan(change_context, plan, reason)
    if as_json:
        print_json("control-apply", _plan_document(plan, is_applied=may_write and not plan.is_empty))
    if not may_write:
        if not sys.stdin.isatty() or as_json:
            raise typer.Exit(_refuse("Nothing was changed: no terminal to confirm on. Pass --yes to apply."))
        raise typer.Exit(_refuse("Nothing was changed."))
    if not as_json and not plan.is_empty:
        say(f"Applied: {_counts(plan)}.")


@app.command("export")
def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for one file per pipeline; printed as one document by default."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Write the control rows as YAML, so that applying them changes nothing.

    A row that the framework switched off is exported with the is_active that was declared. Existing files that differ
    are overwritten after a confirmation or with --yes; their comments and the overrides of other environments are lost.

    Examples:
        sluice control export

        sluice control export --output dbt_project/control
    """
    from metadata_sync.control.export import export_document, export_rows

    state = load_context().store.read_state()
    if output is None:
        sys.stdout.write(export_document(state))
        return
    files = {output / file.name: file.text for file in export_rows(state)}
    _check_output(output, files, yes=yes)
    output.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        say(f"Wrote {path}.")


@app.command("schema")
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; printed by default.", dir_okay=False)
    ] = None,
) -> None:
    """Write the JSON Schema of control files, by which editors complete and check keys and words.

    A file of rows names it in its first line: `# yaml-language-server: $schema=control.schema.json`. Write it again
    after an upgrade of Sluice.

    Examples:
        sluice control schema

        sluice control schema --output dbt_project/control/control.schema.json
    """
    from metadata_sync.control.json_schema import schema_text

    if output is None:
        sys.stdout.write(schema_text())
        return
    try:
        output.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{output} cannot be written: {reason}.", "Name a file in a folder that exists."
        ) from error
    say(f"Wrote {output}.")


@app.command("list")
def list_(
    table: Annotated[str | None, typer.Argument(help="source, pipeline or transformation; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the rows of the environment.

    Examples:
        sluice control list

        sluice control list transformation --json
    """
    from metadata_sync.rows.merge import all_rows, find_table

    context = load_context()
    chosen = find_table(table) if table else None
    rows = [row for row in all_rows(context.store.read_rows()) if chosen in {None, row.control_table}]
    if as_json:
        document: dict[str, Any] = {"environment": context.settings.environment}
        for name in [chosen] if chosen else _LIST_COLUMNS:
            found = [row.model_dump(mode="json", by_alias=True) for row in rows if row.control_table == name]
            document[name] = found
        print_json("control-list", document)
    elif not rows:
        say("There are no rows yet. Declare them in dbt_project/control/, then run `sluice control apply`.")
    else:
        for name, columns in _LIST_COLUMNS.items():
            _print_rows(name, columns, [row for row in rows if row.control_table == name])


@app.command("set")
def set_(
    table: Annotated[str, typer.Argument(help="source, pipeline or transformation.")],
    key: Annotated[str, typer.Argument(help="schema.table, or a pipeline's id.", autocompletion=complete_subjects)],
    assignments: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE…", help="Values are YAML.")],
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Change columns of one row. The new value is kept until a file changes the same column.

    Examples:
        sluice control set pipeline flights_hourly schedule="*/15 * * * *" --reason "peak season"

        sluice control set transformation dwh.dim_aircraft 'scd_columns=[carrier]' max_rejects=10

        sluice control set source lake.flights freshness_minutes=null
    """
    from metadata_sync.control.apply import Assignment, set_values
    from metadata_sync.rows.merge import RowId, find_table

    change = set_values(
        load_context().change_context,
        RowId(find_table(table), key),
        [Assignment.parse(item) for item in assignments],
        reason,
    )
    _report(change, as_json=as_json)


@app.command("history")
def history(
    key: Annotated[
        str | None,
        typer.Argument(help="schema.table or a pipeline's id; every row by default.", autocompletion=complete_subjects),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many entries.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, when and why, newest first.

    Examples:
        sluice control history dwh.dim_aircraft

        sluice control history --limit 500 --json
    """
    from dataclasses import fields

    from metadata_sync.database import AuditEntry

    entries = load_context().store.history(key, limit)
    if as_json:
        names = tuple(field.name for field in fields(AuditEntry))
        print_json(
            "control-history", {"entries": [{name: getattr(entry, name) for name in names} for entry in entries]}
        )
    elif not entries:
        say(f"No change is recorded{f' for {key}' if key else ''}.")
    else:
        headers = ("change", "when (UTC)", "who", "approved by", "via", "row", "column", "old", "new", "reason")
        print_table(
            "",
            headers,
            (
                (
                    entry.change_id,
                    f"{entry.changed_at:%Y-%m-%d %H:%M:%S}",
                    entry.who,
                    entry.approved_by,
                    entry.via,
                    entry.key,
                    entry.column,
                    brief(entry.old),
                    brief(entry.new),
                    entry.reason,
                )
                for entry in entries
            ),
        )


def activate(
    key: Annotated[
        str, typer.Argument(help="schema.table of a target, or a pipeline's id.", autocompletion=complete_subjects)
    ],
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Let a transformation or a pipeline run again.

    Examples:
        sluice activate dwh.dim_aircraft --reason "source repaired"
    """
    from metadata_sync.control.apply import switch

    _report(switch(load_context().change_context, key, reason, is_active=True), as_json=as_json)


def deactivate(
    key: Annotated[
        str, typer.Argument(help="schema.table of a target, or a pipeline's id.", autocompletion=complete_subjects)
    ],
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Stop a transformation or a pipeline from the next run on. Only `sluice activate` starts it again.

    Examples:
        sluice deactivate dwh.dim_aircraft --reason "wrong fares upstream"

        sluice deactivate flights_hourly
    """
    from metadata_sync.control.apply import switch

    _report(switch(load_context().change_context, key, reason, is_active=False), as_json=as_json)


def _refuse(message: str) -> int:
    say(message)
    return ConfigurationError.exit_code


def _print_plan(plan: Plan) -> None:
    if plan.is_empty:
        say("Nothing to change: the tables hold what the files declare.")
    for change in plan.changes:
        print_change(change)
    kept_by_people = [kept for kept in plan.kept if not kept.is_framework]
    if kept_by_people:
        rows = [
            (
                kept.id.row,
                kept.id.column,
                brief(kept.table),
                brief(kept.file),
                _writer(kept),
            )
            for kept in kept_by_people
        ]
        print_table(
            "Kept: changed in the tables, unchanged in the files", ("row", "column", "table", "file", "by"), rows
        )
    for orphan in plan.orphans:
        say(f"Kept: {orphan} is no longer declared. --prune removes it.")


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[ControlRow]) -> None:
    if rows:
        cells = ((row.key, *(brief(getattr(row, column)) for column in columns)) for row in rows)
        print_table(title, ("key", *columns), cells)


def _report(change: RowChange, *, as_json: bool) -> None:
    if as_json:
        print_json("control-set", {"changes": [change_document(change)] if change.columns else []})
    elif change.columns:
        print_change(change)
    else:
        say(f"{change.id} already holds these values.")


def _plan_document(plan: Plan, *, is_applied: bool) -> dict[str, Any]:
    return {
        "applied": is_applied,
        "changes": [change_document(change) for change in plan.changes],
        "kept": [
            {
                "table": kept.id.row.table,
                "key": kept.id.row.key,
                "column": kept.id.column,
                "value": kept.table,
                "file": kept.file,
                "by": _writer(kept),
            }
            for kept in plan.kept
        ],
        "orphans": [{"table": orphan.table, "key": orphan.key} for orphan in plan.orphans],
    }


def _counts(plan: Plan) -> str:
    kinds = [change.kind.value for change in plan.changes]
    words = {"add": "added", "change": "changed", "adopt": "adopted", "remove": "removed"}
    return ", ".join(f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds)


def _writer(kept: KeptColumn) -> str:
    return "framework" if kept.is_framework else "operator"


def _check_output(folder: Path, files: Iterable[Path], *, yes: bool) -> None:
    """Refuse a folder that holds other YAML files, which may declare the same rows."""
    wanted = set(files)
    others = sorted(path for path in folder.rglob("*.y*ml") if path not in wanted)
    if others:
        raise ConfigurationError(
            f"{folder} holds other YAML files, so rows would be declared twice: {', '.join(map(str, others[:5]))}.",
            "Export to an empty folder and copy the files you want, or remove the other files first.",
        )
    existing = sorted(path.name for path in wanted if path.exists())
    if existing and not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError(f"{folder} already holds {', '.join(existing)}.", "Pass --yes to overwrite.")
        typer.confirm(f"Overwrite {', '.join(existing)}?", abort=True, err=True)
