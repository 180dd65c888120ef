"""The three-way merge of files, last applied and table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata_sync.rows.merge import (
    ChangeKind,
    ColumnId,
    ControlState,
    Plan,
    RowId,
    all_rows,
    make_plan,
    replaced,
    with_changes,
)
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.control_support import pipeline, rows, small_rows, source, transformation

PIPELINE = RowId("pipeline_control", "flights_hourly")
TARGET = RowId("transformation_control", "dwh.dim_aircraft")


def after_apply(state: ControlState, plan: Plan) -> ControlState:
    """What the store holds after it wrote the plan."""
    declared = {RowId.of(row): row for row in all_rows(state.declared)}
    for change in plan.changes:
        if change.after is None:
            declared.pop(change.id, None)
        elif change.declared is not None:
            declared[change.id] = change.declared
    changed = {ColumnId(change.id, column.column) for change in plan.changes for column in change.columns}
    return ControlState(
        rows=with_changes(state.rows, plan.changes),
        declared=rows(*declared.values()),
        framework_written=state.framework_written - changed,
    )


def test_new_rows_are_added() -> None:
    plan = make_plan(small_rows(), ControlState(ControlRows(), ControlRows()))
    assert [change.kind for change in plan.changes] == [ChangeKind.ADD] * 3
    assert plan.outcome == small_rows()


@pytest.mark.parametrize(
    ("file", "applied", "table", "expected"),
    [
        (10, 10, 10, 10),
        (10, 10, 20, 20),  # an operator changed the table
        (20, 10, 10, 20),  # the file changed
        (20, 10, 20, 20),  # both, to the same
        (20, 10, 30, "conflict"),
        (None, 10, 10, None),  # taken out of the file
        (None, 10, 20, "conflict"),
        (10, None, 10, 10),
        (20, None, 10, "conflict"),
    ],
)
def test_columns_merge(file: int | None, applied: int | None, table: int | None, expected: object) -> None:
    state = ControlState(rows(pipeline(sla_minutes=table)), rows(pipeline(sla_minutes=applied)))
    plan = make_plan(rows(pipeline(sla_minutes=file)), state)
    if expected == "conflict":
        (fault,) = plan.conflicts
        assert (fault.rule, fault.key, fault.column) == ("conflict", "flights_hourly", "sla_minutes")
        assert str(table) in fault.message
        assert "control export" in fault.remedy
        assert plan.outcome == state.rows
    else:
        assert plan.conflicts == ()
        assert plan.outcome.pipelines[0].sla_minutes == expected
    assert [kept.table for kept in plan.kept] == ([20] if (file, applied, table) == (10, 10, 20) else [])


def test_a_row_that_never_came_from_a_file_is_adopted_when_it_agrees() -> None:
    state = ControlState(small_rows(), ControlRows())
    plan = make_plan(small_rows(), state)
    assert {change.kind for change in plan.changes} == {ChangeKind.ADOPT}
    assert make_plan(small_rows(), after_apply(state, plan)).is_empty


def test_a_row_that_never_came_from_a_file_conflicts_when_it_differs() -> None:
    state = ControlState(rows(pipeline(owner="ann")), ControlRows())
    (fault,) = make_plan(rows(pipeline(owner="bob")), state).conflicts
    assert fault.column == "owner"
    assert "never came from a file" in fault.message


def test_rows_missing_from_the_files_are_kept_until_pruned() -> None:
    everything = ControlState(small_rows(), small_rows())
    files = rows(source(), pipeline())
    plan = make_plan(files, everything)
    assert plan.is_empty
    assert plan.orphans == (TARGET,)
    pruned = make_plan(files, everything, prune=True)
    assert [(change.kind, change.id) for change in pruned.changes] == [(ChangeKind.REMOVE, TARGET)]
    assert pruned.orphans == ()
    assert make_plan(files, everything, is_complete=False).orphans == ()


def test_pruning_leaves_rows_alone_that_never_came_from_a_file() -> None:
    state = ControlState(small_rows(), ControlRows())
    assert make_plan(ControlRows(), state, prune=True).is_empty


def framework_off(row: ControlRow) -> ControlRow:
    return replaced(row, is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK, comments="no such column")


def switched_off() -> ControlState:
    off = rows(source(), pipeline(), framework_off(transformation()))
    return ControlState(off, small_rows(), frozenset({ColumnId(TARGET, "is_active")}))


def test_what_the_framework_switched_off_stays_off() -> None:
    plan = make_plan(small_rows(), switched_off())
    assert plan.is_empty
    (kept,) = plan.kept
    assert (kept.id, kept.table, kept.file, kept.is_framework) == (ColumnId(TARGET, "is_active"), False, True, True)


def test_a_file_that_switches_off_takes_the_row_from_the_framework() -> None:
    state = switched_off()
    plan = make_plan(rows(source(), pipeline(), transformation(is_active=False)), state)
    assert plan.conflicts == ()
    (row,) = plan.outcome.transformations
    assert (row.is_active, row.deactivated_by, row.comments) == (False, None, None)
    files = rows(source(), pipeline(), transformation(is_active=False))
    assert make_plan(files, after_apply(state, plan)).is_empty


def test_other_changes_of_the_file_leave_the_switch_alone() -> None:
    plan = make_plan(rows(source(), pipeline(), transformation(max_rejects=5)), switched_off())
    (row,) = plan.outcome.transformations
    assert (row.max_rejects, row.is_active, row.deactivated_by) == (5, False, DeactivatedBy.FRAMEWORK)


def test_a_column_list_that_sync_filled_in_gives_way_to_the_file() -> None:
    filled = transformation(column_list=[{"name": "a", "type": "int"}])
    state = ControlState(rows(source(), pipeline(), filled), small_rows(), frozenset({ColumnId(TARGET, "column_list")}))
    assert make_plan(small_rows(), state).is_empty
    declared = transformation(column_list=[{"name": "a", "type": "bigint"}])
    plan = make_plan(rows(source(), pipeline(), declared), state)
    assert plan.conflicts == ()
    assert plan.outcome.transformations[0].column_list[0].type == "bigint"


def test_a_switch_that_turns_on_clears_the_notes() -> None:
    row = replaced(framework_off(transformation()), is_active=True)
    assert isinstance(row, TransformationRow)
    assert (row.deactivated_by, row.comments) == (None, None)


# -- properties -------------------------------------------------------------------------------------------------------

FIELDS = {
    PipelineRow: ("owner", "sla_minutes", "is_active", "emr_instance_types"),
    SourceRow: ("owner", "lookback_minutes", "incremental_key"),
    TransformationRow: ("max_rejects", "is_active", "scd_columns"),
}
VALUES: dict[str, list[Any]] = {
    "owner": [None, "ann", "bob"],
    "sla_minutes": [None, 5, 10],
    "is_active": [True, False],
    "emr_instance_types": [(), ("r5.xlarge",), ("r5.2xlarge", "r5.xlarge")],
    "lookback_minutes": [0, 5, 10],
    "incremental_key": [None, "a", "b"],
    "max_rejects": [None, 0, 1],
    "scd_columns": [(), ("a",), ("b", "a")],
}
BASES: list[ControlRow] = [source(), source("lake.planes"), pipeline(), transformation(), transformation("dwh.fact")]


@st.composite
def row_sets(draw: st.DrawFn) -> dict[RowId, ControlRow]:
    chosen: dict[RowId, ControlRow] = {}
    for base in BASES:
        if draw(st.booleans()) or draw(st.booleans()):
            values = {name: draw(st.sampled_from(VALUES[name])) for name in FIELDS[type(base)]}
            chosen[RowId.of(base)] = base.model_copy(update=values)
    return chosen


@st.composite
def states(draw: st.DrawFn) -> ControlState:
    table = draw(row_sets())
    declared = {name: row for name, row in draw(row_sets()).items() if name in table}
    switches = [ColumnId(name, "is_active") for name in table if name.table != "source_control"]
    framework = draw(st.sets(st.sampled_from(switches))) if switches else set()
    return ControlState(rows(*table.values()), rows(*declared.values()), frozenset(framework))


def oracle(file: Any, base: Any, table: Any, *, is_framework: bool) -> Any:
    """The merge of one value, as the page about control tables tells it; `...` is a conflict."""
    if is_framework:
        return table if file == base else file
    if file in {table, base}:
        return table
    return file if table == base else ...


@given(row_sets(), states(), st.booleans())
def test_merge_equals_the_oracle(files: dict[RowId, ControlRow], state: ControlState, prune: bool) -> None:
    plan = make_plan(rows(*files.values()), state, prune=prune)
    outcome = {RowId.of(row): row for row in all_rows(plan.outcome)}
    conflicts = {(fault.table, fault.key, fault.column) for fault in plan.conflicts}
    table = {RowId.of(row): row for row in all_rows(state.rows)}
    base = {RowId.of(row): row for row in all_rows(state.declared)}
    for name, row in files.items():
        if name not in table:
            assert outcome[name] == row
            continue
        for field in FIELDS[type(row)]:
            column = ColumnId(name, field)
            is_framework = column in state.framework_written
            never = type(row).model_fields[field].default if is_framework else object()
            applied = getattr(base[name], field) if name in base else never
            expected = oracle(getattr(row, field), applied, getattr(table[name], field), is_framework=is_framework)
            if expected is ...:
                assert (name.table, name.key, field) in conflicts
            else:
                assert (name.table, name.key, field) not in conflicts
                assert getattr(outcome[name], field) == expected
    gone = {name for name in table if name not in outcome}
    assert gone == ({name for name in base if name not in files} if prune else set())


@given(row_sets(), states(), st.booleans())
def test_plan_after_apply_is_empty(files: dict[RowId, ControlRow], state: ControlState, prune: bool) -> None:
    plan = make_plan(rows(*files.values()), state, prune=prune)
    if not plan.conflicts:
        assert make_plan(rows(*files.values()), after_apply(state, plan), prune=prune).is_empty


@given(row_sets(), states())
def test_a_file_that_stands_still_changes_nothing(files: dict[RowId, ControlRow], state: ControlState) -> None:
    """Whatever an operator or the framework did since."""
    same = ControlState(state.rows, rows(*files.values()), state.framework_written)
    known = {RowId.of(row) for row in all_rows(state.rows)}
    plan = make_plan(rows(*(row for name, row in files.items() if name in known)), same)
    assert plan.is_empty
    assert plan.conflicts == ()
