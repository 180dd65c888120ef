"""Short forms of files: each is the same row as its long form, found at its line, and renamed in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from metadata_sync.control.bundle import bundle_files, inherited_defaults, read_bundle
from metadata_sync.control.json_schema import SCHEMA_FILE, bundle_schema, schema_text
from metadata_sync.control.renaming import Renaming
from metadata_sync.control.yaml_renaming import declares, rename_in_yaml, row_lines, select_paths
from metadata_sync.control.yaml_source import YamlError
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.names import TableName
from tests.support.control_support import FLIGHTS, read_text

PROJECT = Path(__file__).parents[3]
LONG_SOURCE: dict[str, Any] = {
    "schema": "lake",
    "table": "t",
    "kind": "lake",
    "format": "parquet",
    "location": "lake/t",
}
LONG_PIPELINE: dict[str, Any] = {"pipeline_id": "p", "pipeline_name": "p", "template": "lake_to_warehouse"}
LONG: dict[str, Any] = {
    "target_schema": "dwh",
    "target_table": "dim",
    "pipeline_id": "p",
    "sql_path": "transformations/dim.sql",
    "load_type": "scd2",
    "business_key": ["id"],
    "dependencies": [{"table": "lake.t", "driving": True}],
}


def long(**values: Any) -> dict[str, Any]:
    row = {**LONG, **values}
    return {"sources": [LONG_SOURCE], "pipelines": [LONG_PIPELINE], "transformations": [row]}


REST = """
sources: [{table: lake.t, format: parquet, location: lake/t}]
pipelines: [{pipeline_id: p}]
"""
ROW = "transformations: [{table: dwh.dim, pipeline_id: p, load_type: scd2, business_key: id, dependencies: "

SHORT = {
    "one line": (f"{REST}{ROW} lake.t}}]", long()),
    "schema and table": (
        f"{REST}transformations:\n  - {{schema: dwh, table: dim, pipeline_id: p, load_type: scd2, business_key: [id],"
        "\n     dependencies: [lake.t]}",
        long(),
    ),
    "nested in its pipeline": (
        "sources: [{schema: lake, table: t, format: parquet, location: lake/t}]\n"
        "pipelines:\n  - pipeline_id: p\n    transformations:\n"
        "      - {table: dwh.dim, load_type: scd2, business_key: id, dependencies: lake.t}\n",
        long(),
    ),
    "defaults of the file": (
        f"{REST}defaults:\n  transformations: {{schema: dwh, pipeline_id: p, load_type: scd2, business_key: id}}\n"
        "transformations: [{table: dim, dependencies: lake.t}]\n",
        long(),
    ),
    "a row wins over defaults": (
        f"{REST}defaults: {{transformations: {{schema: mart, pipeline_id: q, load_type: scd1, on_tie: error}}}}\n"
        f"{ROW} lake.t}}]",
        long(on_tie="error"),
    ),
    "lookups beside one that drives": (
        f"{REST}{ROW} [{{table: lake.t, driving: true}}, lake.u, {{table: lake.v, on_change: ignore}}]}}]",
        long(
            dependencies=[
                {"table": "lake.t", "driving": True},
                {"table": "lake.u", "driving": False},
                {"table": "lake.v", "driving": False, "on_change": "ignore"},
            ]
        ),
    ),
    "lookup, said": (
        f"{REST}{ROW} [{{table: lake.u, driving: false}}, lake.t]}}]",
        long(dependencies=[{"table": "lake.u", "driving": False}, {"table": "lake.t", "driving": True}]),
    ),
    "columns as a mapping": (
        f"{REST}{ROW} lake.t, column_list: {{id: bigint, name: {{type: text, tests: [not_null]}}}}}}]",
        long(column_list=[{"name": "id", "type": "bigint"}, {"name": "name", "type": "text", "tests": ["not_null"]}]),
    ),
    "of an environment": (
        f"{REST}{ROW} lake.t, environments: {{dev: {{scd_columns: city, dependencies: lake.u}}}}}}]",
        long(scd_columns=["city"], dependencies=[{"table": "lake.u", "driving": True}]),
    ),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_form_is_the_row_of_its_long_form(tmp_path: Path, name: str) -> None:
    short, document = SHORT[name]
    found = read_text(tmp_path, short)
    wanted = read_text(tmp_path, yaml.safe_dump(document))
    assert found.faults == wanted.faults == ()
    assert found.rows == wanted.rows
    jsonschema.validate(yaml.safe_load(short), bundle_schema())


def test_copy_needs_no_select(tmp_path: Path) -> None:
    bundle = read_text(
        tmp_path, f"{REST}transformations: [{{table: dwh.t, pipeline_id: p, load_type: append, copy: lake.t}}]"
    )
    assert bundle.faults == ()
    (row,) = bundle.rows.transformations
    assert (row.copied, row.sql_path, row.select_column) == ("lake.t", "", "copy")
    assert [(item.table, item.driving) for item in row.dependencies] == [("lake.t", True)]


def test_view_has_what_no_view_can_have_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("transformations: [{table: mart.v, pipeline_id: p, dependencies: dwh.t}]")
    (tmp_path / "b.yml").write_text("pipelines: [{pipeline_id: p, template: materialized_view}]")
    bundle = read_bundle(bundle_files(tmp_path, tmp_path), "dev", tmp_path)
    assert bundle.faults == ()
    (row,) = bundle.rows.transformations
    assert (row.load_type.value, row.increment.value) == ("scd1", "full")


def test_defaults_of_folders_hold_below_them_and_inner_ones_win(tmp_path: Path) -> None:
    inner = tmp_path / "sales" / "daily"
    inner.mkdir(parents=True)
    (tmp_path / "defaults.yml").write_text("defaults:\n  transformations: {load_type: scd1, on_tie: error}\n")
    (tmp_path / "sales" / "defaults.yml").write_text("defaults:\n  transformations:\n    load_type: append\n")
    (tmp_path / "top.yml").write_text("transformations: [{table: a.b, pipeline_id: p, dependencies: x.y}]\n")
    (inner / "rows.yml").write_text(
        "transformations: [{table: a.c, pipeline_id: p, dependencies: x.y, on_tie: warn}]\n"
    )
    bundle = read_bundle(bundle_files(tmp_path, tmp_path), "dev", tmp_path)
    assert bundle.faults == ()
    found = {row.key: (row.load_type.value, row.on_tie.value) for row in bundle.rows.transformations}
    assert found == {"a.b": ("scd1", "error"), "a.c": ("append", "warn")}
    places = bundle.places[RowId("transformation_control", "a.c")]
    assert (places["load_type"], places["on_tie"]) == ("sales/defaults.yml:3", "sales/daily/rows.yml:1")
    alone = read_bundle([inner / "rows.yml"], "dev", tmp_path)
    assert alone.rows.transformations[0].load_type.value == "append"


FAULTY = [
    ("two that may drive", f"{REST}{ROW} [lake.t, lake.u]}}]", "dependencies", "Which of the 2 tables brings new rows"),
    ("defaults of nothing", "defaults: {tables: {}}", "defaults.tables", "no such section"),
    ("defaults as a list", "defaults: [1]", "defaults", "not a mapping"),
    ("no mapping of defaults", "defaults: {sources: 1}", "defaults.sources", "not a mapping"),
    ("rows in defaults", "defaults: {pipelines: {transformations: []}}", "defaults.pipelines", "Only a row"),
    ("environments in defaults", "defaults: {sources: {environments: {}}}", "defaults.sources", "Only a row"),
    ("default twice", "defaults: {sources: {kind: lake, kind: lake}}", "kind", "used twice"),
    ("unknown column of defaults", f"defaults: {{sources: {{knd: lake}}}}{REST}", "knd", "no such column"),
    (
        "nested rows as a mapping",
        "pipelines: [{pipeline_id: p, transformations: {a: 1}}]",
        "transformations",
        "not a list",
    ),
    ("both spellings", f"{REST}{ROW} lake.t, target_table: dim}}]", "table", "has target_table, too"),
    ("copy of a list", f"{REST}{ROW} lake.t, copy: [lake.t]}}]", "copy", "not the name of a table"),
    ("copy that is true", f"{REST}{ROW} lake.t, copy: true}}]", "copy", "not the name of a table"),
]


@pytest.mark.parametrize(("text", "column", "message"), [case[1:] for case in FAULTY], ids=[case[0] for case in FAULTY])
def test_fault_of_a_short_form_is_said_once(tmp_path: Path, text: str, column: str, message: str) -> None:
    bundle = read_text(tmp_path, text)
    (fault,) = bundle.faults
    assert fault.column == column
    assert message in fault.message
    assert fault.place or fault.table.startswith("rows.yml")


def test_defaults_file_that_cannot_be_read_is_a_fault_of_every_apply(tmp_path: Path) -> None:
    (tmp_path / "defaults.yml").write_text("defaults: [")
    (tmp_path / "rows.yml").write_text(FLIGHTS)
    bundle = read_bundle([tmp_path / "rows.yml"], "dev", tmp_path)
    assert [fault.table for fault in bundle.faults] == ["defaults.yml"]
    assert bundle.has_unread_files


def test_rows_in_a_defaults_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "defaults.yml").write_text(FLIGHTS)
    bundle = read_bundle(bundle_files(tmp_path, tmp_path), "dev", tmp_path)
    assert {fault.message for fault in bundle.faults} == {"This file holds defaults only."}


OLD, NEW = TableName("dwh", "dim"), TableName("core", "plane")
RENAMING = Renaming.of(OLD, NEW, {})
NAMED = [
    ("transformations: [{table: dwh.dim, copy: a.b}]", "transformations: [{table: core.plane, copy: a.b}]"),
    (
        "transformations:\n  - table: dwh.dim  # ours\n    load_type: scd1\n",
        "transformations:\n  - sql_path: transformations/dim.sql\n    table: core.plane  # ours\n    load_type: scd1\n",
    ),
    (
        "transformations: [{schema: dwh, table: dim, sql_path: x.sql}]",
        "transformations: [{schema: core, table: plane, sql_path: x.sql}]",
    ),
    (
        "pipelines: [{pipeline_id: p, transformations: [{table: dwh.dim, copy: a.b}]}]",
        "pipelines: [{pipeline_id: p, transformations: [{table: core.plane, copy: a.b}]}]",
    ),
    (
        "defaults: {transformations: {schema: dwh}}\ntransformations: [{table: dim, sql_path: x.sql}]",
        "defaults: {transformations: {schema: dwh}}\ntransformations: [{table: core.plane, sql_path: x.sql}]",
    ),
    ("transformations: [{table: a.b, copy: dwh.dim}]", "transformations: [{table: a.b, copy: core.plane}]"),
    (
        "transformations: [{table: a.b, dependencies: dwh.dim}]",
        "transformations: [{table: a.b, dependencies: core.plane}]",
    ),
    (
        "transformations: [{table: a.b, dependencies: [dwh.dim, {table: x.y, driving: true}]}]",
        "transformations: [{table: a.b, dependencies: [core.plane, {table: x.y, driving: true}]}]",
    ),
]


@pytest.mark.parametrize(("before", "after"), NAMED)
def test_short_forms_are_renamed_in_their_places(before: str, after: str) -> None:
    assert rename_in_yaml(before, RENAMING) == after


def test_name_in_a_default_is_refused(tmp_path: Path) -> None:
    (tmp_path / "defaults.yml").write_text("defaults: {transformations: {dependencies: dwh.dim}}")
    defaults = inherited_defaults(tmp_path / "rows.yml", tmp_path)
    with pytest.raises(YamlError, match="or a default"):
        rename_in_yaml("transformations: [{table: a.b}]", RENAMING, defaults)


def test_short_rows_are_found_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "defaults.yml").write_text("defaults: {transformations: {schema: dwh}}")
    defaults = inherited_defaults(tmp_path / "rows.yml", tmp_path)
    text = "transformations:\n  - table: x\n    dependencies: dwh.dim\n  - table: dim\n"
    assert row_lines(text, OLD, defaults) == (4,)
    assert declares(text, RENAMING, defaults) == (True, False)
    assert select_paths(text, RENAMING, defaults) == {"transformations/x.sql"}


def test_schema_knows_the_rows_of_this_project_and_refuses_others() -> None:
    control = PROJECT / "dbt_project" / "control"
    assert (control / SCHEMA_FILE).read_text() == schema_text(), f"sluice control schema --output {SCHEMA_FILE}"
    schema = bundle_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = yaml.safe_load((control / "flights.yml").read_text())
    jsonschema.validate(document, schema)
    for change in ({"load_typ": "scd1"}, {"load_type": "scd3"}, {"business_key": 7}, {"max_vanish_percent": 101}):
        row = {**document["transformations"][0], **change}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"transformations": [row]}, schema)
    assert json.loads(schema_text()) == schema
