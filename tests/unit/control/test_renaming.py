"""A target under its new name in bundles of rows: values change at their places, comments and layout stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from metadata_sync.analysis.declared_tests import Argument, Signature
from metadata_sync.control.renaming import Renaming, plan_rows
from metadata_sync.control.yaml_renaming import declares, rename_in_yaml, select_paths
from metadata_sync.control.yaml_source import YamlError
from metadata_sync.rows.merge import ColumnId, ControlState, RowId, make_plan
from metadata_sync.rows.names import TableName
from tests.support.control_support import read_text

OLD, NEW = TableName("dwh", "dim"), TableName("core", "plane")
DECLARED = {"near": Signature({"others": Argument("table", is_list=True), "note": Argument("text")})}
RENAMING = Renaming.of(OLD, NEW, DECLARED)
BUNDLE = """\
# dwh.dim is read by dwh.fact
pipelines:
  - {pipeline_id: p, pipeline_name: dwh.dim, template: presentation}
sources: [{schema: lake, table: dim, kind: warehouse}]
transformations:
  - target_table: "dim"   # the table
    target_schema: dwh
    pipeline_id: p
    sql_path: transformations/dim.sql
    load_type: scd1
    dependencies: [{table: lake.dim, driving: true}]
  - {target_schema: dwh, target_table: dim_other, pipeline_id: p, sql_path: transformations/o.sql, load_type: scd1}
  - target_schema: dwh
    target_table: fact
    pipeline_id: p
    description: reads dwh.dim
    sql_path: transformations/fact.sql
    load_type: append
    dependencies: &both
      - table: 'dwh.dim'  # here
        driving: true
    column_list:
      - name: plane
        type: integer
        tests:
          - not_null
          - relationships: {to: dwh.dim, field: plane}
          - near: {arguments: {others: [dwh.dim, dwh.fact], note: dwh.dim}}
    environments:
      stage:
        sql_path: transformations/stage.sql
        dependencies: [{table: dwh.dim, driving: false}]
      prod: {dependencies: *both}
"""


def test_values_change_at_their_places() -> None:
    renamed = rename_in_yaml(BUNDLE, RENAMING)

    changed = [(old, new) for old, new in zip(BUNDLE.splitlines(), renamed.splitlines(), strict=True) if old != new]
    assert changed == [
        ('  - target_table: "dim"   # the table', '  - target_table: "plane"   # the table'),
        ("    target_schema: dwh", "    target_schema: core"),
        ("      - table: 'dwh.dim'  # here", "      - table: 'core.plane'  # here"),
        (
            "          - relationships: {to: dwh.dim, field: plane}",
            "          - relationships: {to: core.plane, field: plane}",
        ),
        (
            "          - near: {arguments: {others: [dwh.dim, dwh.fact], note: dwh.dim}}",
            "          - near: {arguments: {others: [core.plane, dwh.fact], note: dwh.dim}}",
        ),
        (
            "        dependencies: [{table: dwh.dim, driving: false}]",
            "        dependencies: [{table: core.plane, driving: false}]",
        ),
    ]
    assert rename_in_yaml(renamed, RENAMING) == renamed
    assert rename_in_yaml(renamed, Renaming.of(NEW, OLD, DECLARED)) == BUNDLE
    assert (declares(BUNDLE, RENAMING), declares(renamed, RENAMING)) == ((True, False), (False, True))
    assert select_paths(BUNDLE, RENAMING) == {"transformations/fact.sql", "transformations/stage.sql"}
    assert rename_in_yaml(BUNDLE.replace("\n", "\r\n"), RENAMING) == renamed.replace("\n", "\r\n")


def test_word_that_yaml_reads_as_a_value_is_quoted() -> None:
    text = "transformations: [{sql_path: dim.sql, target_schema: dwh, target_table: dim}]\n"
    assert rename_in_yaml(text, Renaming.of(OLD, TableName("dwh", "on"), {})) == text.replace(
        "table: dim", 'table: "on"'
    )


@pytest.mark.parametrize(
    "text",
    [
        "base: &b {target_schema: dwh}\ntransformations: [{<<: *b, target_table: dim}]\n",
        "transformations: [{target_schema: &s dwh, target_table: dim}, {target_schema: *s, target_table: fact}]\n",
    ],
)
def test_name_behind_an_anchor_is_refused(text: str) -> None:
    with pytest.raises(YamlError, match=r"dwh\.dim stands behind an anchor, a merge key or a default"):
        rename_in_yaml(text, RENAMING)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "transformations:\n", "transformations: [1, {dependencies: x}]\n", "[]\n"]
)
def test_text_without_the_name_stays(text: str) -> None:
    assert rename_in_yaml(text, RENAMING) == text


def test_applying_the_renamed_files_changes_nothing(tmp_path: Path) -> None:
    files = read_text(tmp_path, BUNDLE).rows
    switched = ColumnId(RowId("transformation_control", "dwh.dim"), "is_active")
    (dim, *others) = files.transformations
    dim = dim.model_copy(update={"is_active": False, "comments": "broken"})
    state = ControlState(files.model_copy(update={"transformations": (dim, *others)}), files, frozenset({switched}))

    changes, kept = plan_rows(state, RENAMING)

    assert [(change.id.key, change.kind) for change in changes] == [
        ("dwh.dim", "remove"),
        ("core.plane", "add"),
        ("dwh.fact", "change"),
    ]
    assert [(change.id.key, [column.column for column in change.columns]) for change in kept] == [
        ("core.plane", ["is_active"])
    ]
    after = [change.after for change in changes if change.after is not None]
    declared = [change.declared for change in changes if change.declared is not None]
    rest = [row for row in state.rows.transformations if row.key == "dwh.dim_other"]
    base = [row for row in files.transformations if row.key == "dwh.dim_other"]
    new_state = ControlState(
        state.rows.model_copy(update={"transformations": (*after, *rest)}),
        files.model_copy(update={"transformations": (*declared, *base)}),
        frozenset({ColumnId(RowId("transformation_control", "core.plane"), "is_active")}),
    )
    renamed = read_text(tmp_path, rename_in_yaml(BUNDLE, RENAMING)).rows
    plan = make_plan(renamed, new_state)
    assert (plan.changes, plan.orphans, plan.conflicts) == ((), (), ())
