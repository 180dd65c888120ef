"""Dry run: find out whether the next load of a target would fail, without loading anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from flows.context import reading
from flows.run.outcome import Build, complaint_of
from flows.warehouse.load_log import companion_table, existing_tables
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from flows.warehouse.writes import try_writes
from metadata_sync.errors import RunError
from metadata_sync.redact import safe_text
from metadata_sync.rows.resolve import is_view

if TYPE_CHECKING:
    from sqlglot import exp

    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName


def dry_run(
    context: Context, rows: ControlRows, checked: Sequence[TransformationRow], by_test: Collection[str]
) -> dict[str, str]:
    """Return the error that the next load of each target would meet; targets without an error are left out.

    Args:
        context: The project.
        rows: The environment's rows.
        checked: The targets to check.
        by_test: Those among them that failed a data test: only their data tests run.
    """
    errors: dict[str, str] = {}
    to_test = [row for row in checked if str(row.name) in by_test]
    to_run = [row for row in checked if str(row.name) not in by_test]
    for chosen, is_test in ((to_test, True), (to_run, False)):
        if chosen:
            build = _run_dbt(context, rows, chosen, is_test=is_test)
            for row in chosen:
                error = complaint_of(row.name.model_name, build, is_test_only=is_test)
                if error is not None:
                    errors[str(row.name)] = safe_text(error)
    for row in to_run:
        # The warehouse writes the rows of a materialized view, so only the run above can fail.
        if str(row.name) not in errors and not is_view(row, rows) and (error := _write_error(context, row.name)):
            errors[str(row.name)] = safe_text(error)
    return errors


def _run_dbt(context: Context, rows: ControlRows, chosen: Sequence[TransformationRow], *, is_test: bool) -> Build:
    from flows.dbt.runner import DbtRunner
    from flows.warehouse.lake.variable import files_variable

    runner = DbtRunner(context.project, context.settings, context.profile)
    models = [row.name.model_name for row in chosen]
    files = files_variable(context, rows, chosen, f"heal-{uuid4().hex[:8]}", left_out=None)
    try:
        if is_test:
            return Build(runner.build([], tested=models, unbuilt=(), variables={}, callbacks=()))
        return Build(runner.run_empty(models, files))
    except RunError as error:
        return Build(stop=str(error))


def _write_error(context: Context, target: TableName) -> str | None:
    """Test the right to write with statements that change no row, in a transaction that is rolled back.

    A target that does not exist yet needs no test: the dry run has created it and rolled back.
    """
    profile = context.profile
    try:
        with reading(context, profile) as warehouse:
            if not existing_tables(warehouse, profile, [target]):
                return None
        try_writes(profile, list(_writes(profile, target)))
    except RunError as error:
        return error.message
    return None


def _writes(profile: Profile, target: TableName) -> Iterator[exp.Expression]:
    from sqlglot import exp

    sluice = profile.physical_schema(SLUICE_SCHEMA)
    for schema, name in (
        (profile.physical_schema(target.schema), target.table),
        (sluice, companion_table(target, "side")),
        (sluice, companion_table(target, "head")),
        (sluice, "load_log"),
    ):
        table = exp.table_(name, db=schema, quoted=True)
        yield exp.insert(exp.select("*").from_(table.copy()).where(exp.false()), table.copy())
        if name != "load_log":
            yield exp.delete(table.copy(), where=exp.false())
