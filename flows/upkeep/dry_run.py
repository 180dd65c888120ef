"""What the next load of a target would meet, found out without loading anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from flows.context import reading
from flows.run.outcome import Build, complaint_of
from flows.warehouse.connection import try_writes
from flows.warehouse.load_log import companion_table, existing_tables
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.errors import RunError
from metadata_sync.redact import safe_text
from metadata_sync.rows.resolve import is_view

if TYPE_CHECKING:
    from sqlglot import exp

    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName


def probe(
    context: Context, rows: ControlRows, looked_at: Sequence[TransformationRow], tested: Collection[str]
) -> dict[str, str]:
    """Say what is still wrong with targets; those of which nothing is said are well. Leaves nothing behind.

    Args:
        context: The project.
        rows: The environment's rows.
        looked_at: The targets to look at.
        tested: Those among them that failed by a data test: that test is asked, nothing else.
    """
    found: dict[str, str] = {}
    by_test = [row for row in looked_at if str(row.name) in tested]
    by_run = [row for row in looked_at if str(row.name) not in tested]
    for chosen, is_test in ((by_test, True), (by_run, False)):
        if chosen:
            build = _ask_dbt(context, chosen, is_test=is_test)
            said = ((str(row.name), complaint_of(row.name.model_name, build, is_test_only=is_test)) for row in chosen)
            found |= {target: safe_text(trouble) for target, trouble in said if trouble is not None}
    for row in by_run:
        # The rows of a view are the warehouse's to write; what it reads was asked for above.
        if str(row.name) not in found and not is_view(row, rows) and (trouble := _cannot_write(context, row.name)):
            found[str(row.name)] = safe_text(trouble)
    return found


def _ask_dbt(context: Context, rows: Sequence[TransformationRow], *, is_test: bool) -> Build:
    from flows.dbt.runner import DbtRunner

    runner = DbtRunner(context.project, context.settings, context.profile)
    models = [row.name.model_name for row in rows]
    try:
        if is_test:
            return Build(runner.build([], tested=models, unbuilt=(), variables={}, callbacks=()))
        return Build(runner.run_empty(models))
    except RunError as error:
        return Build(stop=str(error))


def _cannot_write(context: Context, target: TableName) -> str | None:
    """Ask for the right to write by statements that touch no row, in a transaction that is rolled back.

    A target that does not stand yet was just created, and rolled back.
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
