"""Applying files and changing single rows: planned, checked, written as one, audited."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from metadata_sync.control.apply import Assignment, ChangeContext, apply_plan, plan_files, set_values, switch
from metadata_sync.control.bundle import read_bundle
from metadata_sync.database import ControlStore, Via
from metadata_sync.errors import ConfigurationError, MetadataError
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange, RowId, all_rows, find_table, make_plan, replaced
from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.control_support import FLIGHTS, run_python

TARGET = RowId("transformation_control", "dwh.dim_aircraft")
PIPELINE = RowId("pipeline_control", "flights_hourly")


class NoWarehouse:
    """A warehouse that cannot be reached: what it would tell is not checked."""

    dialect = "duckdb"

    def connected(self) -> AbstractContextManager[None]:
        return nullcontext()

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        return {}

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        return None

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        raise AssertionError("nobody knows the sources' columns")


class BrokenWarehouse(NoWarehouse):
    """A warehouse that must not be asked."""

    @property
    def dialect(self) -> str:  # type: ignore[override]
        raise AssertionError("nothing is to be checked")


@pytest.fixture
def change_context(store: ControlStore, project: Project) -> ChangeContext:
    select = "select tailnum, carrier, base_airport, recorded_at from lake.flights join lake.planes using (tailnum)\n"
    folder = project.dbt_dir / "transformations"
    folder.mkdir()
    (folder / "dim_aircraft.sql").write_text(select)
    write_rows(project, FLIGHTS)
    return ChangeContext(project=project, store=store, columns=NoWarehouse(), who="ada")


def write_rows(project: Project, text: str) -> None:
    (project.control_dir / "flights.yml").write_text(text)


def apply(change_context: ChangeContext, **options: bool) -> None:
    apply_plan(change_context, plan_files(change_context, **options))


def test_apply_twice_changes_once(change_context: ChangeContext) -> None:
    apply(change_context)
    before = change_context.store.history(limit=1000)
    plan = plan_files(change_context)
    assert plan.is_empty
    apply_plan(change_context, plan)
    assert change_context.store.history(limit=1000) == before
    assert {entry.who for entry in before} == {"ada"}


def test_apply_writes_nothing_when_anything_is_at_fault(change_context: ChangeContext) -> None:
    write_rows(
        change_context.project,
        FLIGHTS.replace("5 * * * *", "5 * *").replace("[tailnum]", "[]").replace("lake.planes", "lake.plane"),
    )
    with pytest.raises(MetadataError) as caught:
        plan_files(change_context)
    rules = {fault.rule for fault in caught.value.faults}
    assert {"bad_schedule", "missing_business_key", "unknown_dependency"} <= rules
    assert caught.value.exit_code == 3
    assert all_rows(change_context.store.read_rows()) == ()


def test_faults_of_files_and_of_rows_come_together(change_context: ChangeContext) -> None:
    write_rows(
        change_context.project,
        FLIGHTS.replace("5 * * * *", "5 * *").replace(
            "kind: lake, format: parquet, location: lake/planes", "kind: pond"
        ),
    )
    with pytest.raises(MetadataError) as caught:
        plan_files(change_context)
    found = {(fault.rule, fault.key) for fault in caught.value.faults}
    assert ("unknown_word", "lake.planes") in found
    assert ("bad_schedule", "flights_hourly") in found
    assert not any(rule == "unknown_dependency" for rule, _ in found), "lake.planes is declared, only badly"


def test_a_conflict_stops_everything(change_context: ChangeContext) -> None:
    apply(change_context)
    set_values(change_context, PIPELINE, [Assignment("sla_minutes", "20"), Assignment("owner", "ops")], "why not")
    write_rows(
        change_context.project, FLIGHTS.replace("pipeline_name: Flights", "pipeline_name: Planes, sla_minutes: 30")
    )
    with pytest.raises(MetadataError) as caught:
        plan_files(change_context)
    (fault,) = caught.value.faults
    assert (fault.rule, fault.column, fault.value) == ("conflict", "sla_minutes", "30")
    assert change_context.store.read_rows().pipelines[0].pipeline_name == "Flights"
    set_values(change_context, PIPELINE, [Assignment("sla_minutes", "30")], None)
    apply(change_context)
    (row,) = change_context.store.read_rows().pipelines
    assert (row.pipeline_name, row.sla_minutes, row.owner) == ("Planes", 30, "ops")


def test_prune_removes_what_the_files_no_longer_declare(change_context: ChangeContext) -> None:
    apply(change_context)
    write_rows(change_context.project, FLIGHTS[: FLIGHTS.index("transformations:")])
    assert [orphan.key for orphan in plan_files(change_context).orphans] == ["dwh.dim_aircraft"]
    apply(change_context)
    assert len(change_context.store.read_rows().transformations) == 1
    apply(change_context, prune=True)
    assert change_context.store.read_rows().transformations == ()
    assert len(change_context.store.read_rows().pipelines) == 1


def test_some_files_say_nothing_of_other_rows(change_context: ChangeContext) -> None:
    apply(change_context)
    part = change_context.project.root / "part.yml"
    part.write_text("sources: [{schema: lake, table: weather, kind: lake, format: parquet, location: lake/weather}]\n")
    plan = plan_files(change_context, [part])
    assert [change.id.key for change in plan.changes] == ["lake.weather"]
    assert plan.orphans == ()
    with pytest.raises(ConfigurationError, match="--prune needs all files"):
        plan_files(change_context, [part], prune=True)


def test_a_file_that_is_missing_is_a_usage_error(change_context: ChangeContext) -> None:
    with pytest.raises(ConfigurationError, match="There is no file"):
        plan_files(change_context, [Path("nowhere.yml")])


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("max_rejects", "10", 10),
        ("max_rejects", "null", None),
        ("scd_columns", "[carrier]", ("carrier",)),
        ("scd_columns", "[]", ()),
        ("comments", "x", MetadataError),
        ("target_table", "x", MetadataError),
        ("load_tpye", "scd1", MetadataError),
        ("load_type", "scd3", MetadataError),
        ("business_key", "[]", MetadataError),
        ("business_key", "[a; drop table x]", MetadataError),
        ("pipeline_id", "nowhere", MetadataError),
        ("description", "123", "123"),
        ("description", "it's: [odd", "it's: [odd"),
        ("description", "é" * 10_000, "é" * 10_000),
        ("description", "a\x00b", MetadataError),
        ("max_rejects", "99999999999999999999", MetadataError),
    ],
)
def test_set_changes_one_column_or_says_why_not(
    change_context: ChangeContext, column: str, text: str, expected: object
) -> None:
    apply(change_context)
    (before,) = change_context.store.read_rows().transformations
    if expected is MetadataError:
        with pytest.raises(MetadataError) as caught:
            set_values(change_context, TARGET, [Assignment(column, text)], None)
        assert all(fault.remedy for fault in caught.value.faults)
        assert change_context.store.read_rows().transformations == (before,)
    else:
        change = set_values(change_context, TARGET, [Assignment(column, text)], "because")
        assert [item.column for item in change.columns] == [column] or getattr(before, column) == expected
        (after,) = change_context.store.read_rows().transformations
        assert getattr(after, column) == expected


def test_set_may_mend_one_fault_among_others(change_context: ChangeContext) -> None:
    """Rows that went wrong together must be mendable one by one."""
    apply(change_context)
    (row,) = change_context.store.read_rows().pipelines
    broken = replaced(row, schedule="never", timezone="Nowhere/None")
    change_context.store.write([RowChange(row, broken)], "sql", Via.SET, None)
    set_values(change_context, PIPELINE, [Assignment("schedule", "@daily")], None)
    assert change_context.store.read_rows().pipelines[0].schedule == "@daily"
    with pytest.raises(MetadataError):
        set_values(change_context, PIPELINE, [Assignment("schedule", "never")], None)


def test_set_of_an_unknown_row_suggests_one(change_context: ChangeContext) -> None:
    apply(change_context)
    with pytest.raises(MetadataError) as caught:
        set_values(
            change_context, RowId("transformation_control", "dwh.dim_aircrat"), [Assignment("max_rejects", "1")], None
        )
    assert caught.value.faults[0].remedy == "Did you mean 'dwh.dim_aircraft'?"


def test_deactivate_and_activate(change_context: ChangeContext) -> None:
    apply(change_context)
    switch(change_context, "dwh.dim_aircraft", "wrong fares", is_active=False)
    (row,) = change_context.store.read_rows().transformations
    assert (row.is_active, row.deactivated_by, row.comments) == (False, DeactivatedBy.OPERATOR, "wrong fares")
    assert change_context.store.history(limit=1)[0].via == "deactivate"
    assert plan_files(change_context).is_empty
    switch(change_context, "dwh.dim_aircraft", None, is_active=True)
    (row,) = change_context.store.read_rows().transformations
    assert (row.is_active, row.deactivated_by, row.comments) == (True, None, None)
    assert switch(change_context, "dwh.dim_aircraft", None, is_active=True).columns == ()
    switch(change_context, "flights_hourly", None, is_active=False)
    assert change_context.store.read_rows().pipelines[0].is_active is False


def test_deactivate_works_whatever_else_is_at_fault(change_context: ChangeContext) -> None:
    apply(change_context)
    (change_context.project.dbt_dir / "transformations" / "dim_aircraft.sql").unlink()
    switch(replace(change_context, columns=BrokenWarehouse()), "dwh.dim_aircraft", "gone", is_active=False)
    assert change_context.store.read_rows().transformations[0].is_active is False


def test_set_is_active_is_the_same_switch(change_context: ChangeContext) -> None:
    apply(change_context)
    set_values(change_context, TARGET, [Assignment("is_active", "false")], "stop")
    (row,) = change_context.store.read_rows().transformations
    assert row.deactivated_by is DeactivatedBy.OPERATOR


def test_find_table_knows_short_names() -> None:
    assert {find_table(name) for name in ("source", "sources", "source_control")} == {"source_control"}
    with pytest.raises(ConfigurationError, match="no control table"):
        find_table("tranformation")


def test_assignments_need_a_sign() -> None:
    assert Assignment.parse("a = b=c") == Assignment("a", " b=c")
    with pytest.raises(ConfigurationError, match="COLUMN=VALUE"):
        Assignment.parse("a")


APPLY = """
    import json, os, signal, sys
    from pathlib import Path
    from sqlalchemy import event
    from metadata_sync.control.bundle import read_bundle
    from metadata_sync.database import ControlStore
    from metadata_sync.rows.merge import make_plan
    url, file, how = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

    def apply(last):
        "Apply the file; the process dies after so many statements of the write."
        store = ControlStore.open(url, "dev")
        plan = make_plan(read_bundle([file], "dev", file.parent).rows, store.read_state())
        seen = 0
        @event.listens_for(store._engine, "after_cursor_execute")
        def _(*rest):
            nonlocal seen
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        store.write(plan.changes, "ada", "apply", None)

    def look():
        with ControlStore.open(url, "dev") as store:
            rows = store.read_rows()
            return len(rows.sources) + len(rows.pipelines) + len(rows.transformations), len(store.history(limit=1000))

    if how == "once":
        apply(None)
        print("done")
    for last in range(1, 100) if how == "killed" else ():
        child = os.fork()
        if not child:
            apply(last)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([code, *look()]), flush=True)
        if code == 0:
            break
"""


@pytest.mark.processes
def test_apply_killed_after_any_statement_leaves_all_or_nothing(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.yml"
    file.write_text(FLIGHTS)
    out, errors = run_python(APPLY, store_url, str(file), "killed").communicate(timeout=120)
    *killed, (code, row_count, entry_count) = map(json.loads, out.splitlines())
    assert len(killed) > 5, errors
    for died in killed:
        assert died in ([-9, 0, 0], [-9, row_count, entry_count]), "all or nothing"
    assert killed[0] == [-9, 0, 0]
    assert (code, row_count) == (0, 4), errors
    assert entry_count > 0


@pytest.mark.processes
def test_two_applies_at_once_are_one_after_the_other(store_url: str, tmp_path: Path) -> None:
    """The later one finds the rows of the first: it is refused, or has nothing to do."""
    file = tmp_path / "rows.yml"
    file.write_text(FLIGHTS)
    ControlStore.open(store_url, "dev").close()
    processes = [run_python(APPLY, store_url, str(file), "once") for _ in range(4)]
    results = [process.communicate(timeout=120) for process in processes]
    assert any("done" in out for out, _ in results)
    for out, errors in results:
        assert "done" in out or "changed by somebody else" in errors, errors
    with ControlStore.open(store_url, "dev") as store:
        assert len(all_rows(store.read_rows())) == 4
        assert make_plan(read_bundle([file], "dev", tmp_path).rows, store.read_state()).is_empty
        added = [entry for entry in store.history(limit=1000) if entry.column == "pipeline_name"]
        assert len(added) == 1
