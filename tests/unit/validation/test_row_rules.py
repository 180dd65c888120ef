"""Each rule about rows: what breaks it, and what does not."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRow, ControlRows
from metadata_sync.rows.names import is_column_name
from metadata_sync.validation.dependency_rules import find_cycles
from metadata_sync.validation.row_rules import row_faults
from tests.support.control_support import pipeline, rows, small_rows, source, transformation

DRIVING = {"table": "lake.flights", "driving": True}
PLANES = {"table": "lake.planes", "driving": True}
LOOKUP = {"table": "lake.planes", "driving": False}
BY_DAY = {**DRIVING, "recompute_by": ["day"]}
NO_LAKE: dict[str, Any] = {"location": None, "format": None}


def check(*given_rows: ControlRow, root: Path = Path("/project")) -> tuple[Fault, ...]:
    """Check rows together with the small ones, unless they replace them."""
    keys = {(row.control_table, row.key) for row in given_rows}
    small = [
        row for group in (small_rows().sources, small_rows().pipelines, small_rows().transformations) for row in group
    ]
    others = [row for row in [*small, source("lake.planes")] if (row.control_table, row.key) not in keys]
    return row_faults(rows(*others, *given_rows), Project(root))


def target(**values: Any) -> ControlRow:
    return transformation(**values)


BAD: list[tuple[str, str | None, ControlRow]] = [
    # names
    ("bad_name", "schema", source("Lake.flights")),
    ("bad_name", "table", source("lake.flights; drop table x")),
    ("bad_name", "incremental_key", source(incremental_key='"odd"')),
    ("bad_name", "external_schema", source(external_schema="a.b")),
    ("bad_name", "pipeline_id", pipeline("Flights Hourly")),
    ("bad_name", "pipeline_id", pipeline("../../etc")),
    ("bad_name", "job_group", pipeline(job_group="ops; rm -rf")),
    ("two_selects", "copy", target(copy="lake.flights")),
    ("copy_of_target", "copy", target(copy="dwh.dim_aircraft", sql_path="")),
    ("bad_name", "target_table", transformation("dwh.dim-aircraft")),
    ("bad_name", "target_table", transformation("dwh." + "x" * 10_000)),
    ("bad_name", "target_schema", transformation("dẅh.dim")),
    ("bad_name", "business_key", target(business_key=["tail num"])),
    ("bad_name", "sequence_by", target(sequence_by=["a desc"])),
    ("bad_name", "scd_columns", target(scd_columns=["a-b"])),
    ("bad_name", "incremental_key", target(incremental_key="a'b")),
    ("bad_name", "column_list", target(column_list=[{"name": "1st", "type": "int"}])),
    ("bad_name", "dependencies", target(dependencies=[{**DRIVING, "incremental_key": "x y"}])),
    ("bad_name", "dependencies", target(increment="groups", dependencies=[{**DRIVING, "recompute_by": ["x y"]}])),
    ("duplicate", "business_key", target(business_key=["a", "a"])),
    ("duplicate", "business_key", target(business_key=["id", "ID"])),
    ("duplicate", "column_list", target(column_list=[{"name": "a", "type": "int"}, {"name": "a", "type": "text"}])),
    ("duplicate", "dependencies", target(dependencies=[DRIVING, {**DRIVING, "driving": False}])),
    ("duplicate", "dependencies", target(increment="groups", dependencies=[{**DRIVING, "recompute_by": ["a", "a"]}])),
    ("unknown_instance_type", "emr_instance_types", pipeline(emr_instance_types=["r5.nano"])),
    ("duplicate", "emr_instance_types", pipeline(emr_instance_types=["r5.xlarge", "r5.xlarge"])),
    # sources
    ("missing_value", "location", source(location=None)),
    ("missing_value", "format", source(format=None)),
    ("unknown_word", "format", source(format="parquett")),
    ("bad_name", "file_column", source(file_column="its file")),
    ("not_for_format", "catalog_table", source(catalog_table="shop.sales.orders")),
    ("bad_name", "catalog_table", source(format="iceberg", catalog_table="orders")),
    ("bad_name", "catalog_table", source(format="iceberg", catalog_table="shop.sales.orders; drop")),
    ("bad_path", "location", source(format="iceberg", catalog_table="shop.sales.orders", location="lake/o/*.parquet")),
    ("reserved_column", "file_column", source(file_column="_sluice_file")),
    ("not_for_kind", "file_column", source(kind="warehouse", file_column="file", **NO_LAKE)),
    (
        "not_for_kind",
        "on_removed_files",
        source(kind="warehouse", location=None, format=None, on_removed_files="remove"),
    ),
    ("not_for_format", "columns", source(columns={"a": "integer"})),
    ("not_for_format", "format_options", source(format_options={})),
    ("not_for_format", "format_options.delimiter", source(format="json", format_options={"delimiter": ";"})),
    ("missing_value", "columns", source(format="csv", format_options={"header": False})),
    ("missing_value", "columns[0].type", source(format="csv", columns={" ": "integer"}, incremental_key=None)),
    ("duplicate", "columns", source(format="csv", columns={"a": "text", "A": "text"}, incremental_key=None)),
    ("bad_type", "columns[0].type", source(format="csv", columns={"a": "intger"}, incremental_key=None)),
    ("bad_type", "columns[0].type", source(format="csv", columns={"a": "blob"}, incremental_key=None)),
    ("bad_type", "columns[0].type", source(format="csv", columns={"a": "integer[]"}, incremental_key=None)),
    ("unknown_column", "incremental_key", source(format="csv", columns={"a": "date"}, incremental_key="b")),
    ("bad_option", "format_options.delimiter", source(format="csv", format_options={"delimiter": "||"})),
    ("bad_option", "format_options.delimiter", source(format="csv", format_options={"delimiter": ""})),
    ("bad_option", "format_options.delimiter", source(format="csv", format_options={"delimiter": '"'})),
    ("bad_option", "format_options.quote", source(format="csv", format_options={"quote": "\n"})),
    ("bad_option", "format_options.escape", source(format="csv", format_options={"escape": "\\\\"})),
    ("unknown_word", "format_options.encoding", source(format="csv", format_options={"encoding": "utf-9"})),
    ("unknown_word", "format_options.encoding", source(format="csv", format_options={"encoding": "base64"})),
    ("unknown_word", "format_options.decimal", source(format="csv", format_options={"decimal": "'"})),
    ("bad_option", "format_options.decimal", source(format="csv", format_options={"decimal": ",", "quote": ""})),
    ("bad_option", "format_options.date_format", source(format="csv", format_options={"date_format": "DD.MM.YYYY"})),
    ("bad_calendar", "calendar", source(calendar="weekdays")),
    ("not_for_kind", "location", source(kind="warehouse", format=None)),
    ("not_for_kind", "format", source(kind="warehouse", location=None)),
    ("not_for_kind", "probe", source(probe="select 1")),
    ("bad_path", "location", source(location="s3://")),
    ("bad_path", "location", source(location="s3://bucket/../other")),
    ("bad_path", "location", source(location="https://example.com/x")),
    ("bad_path", "location", source(location=" ")),
    ("path_outside_project", "location", source(location="../flights")),
    ("path_outside_project", "location", source(location="/etc/passwd")),
    ("path_outside_project", "location", source(location="~/flights")),
    ("path_outside_project", "location", source(location="lake/*/../../../etc")),
    # pipelines
    ("bad_schedule", "schedule", pipeline(schedule="every hour")),
    ("bad_schedule", "schedule", pipeline(schedule="61 * * * *")),
    ("bad_schedule", "schedule", pipeline(schedule="* * * * * *")),
    ("bad_schedule", "schedule", pipeline(schedule="0 0 30 2 *")),
    ("bad_schedule", "schedule", pipeline(schedule="")),
    ("bad_schedule", "schedule", pipeline(schedule="* " * 5_000)),
    ("unknown_timezone", "timezone", pipeline(timezone="America/New_Yrok")),
    ("unknown_timezone", "timezone", pipeline(timezone="../../etc/passwd")),
    ("unknown_timezone", "timezone", pipeline(timezone="America")),
    ("unknown_timezone", "timezone", pipeline(timezone="")),
    ("template_engine", "engine", pipeline(template="presentation", engine="spark")),
    ("core_range", "emr_core_min", pipeline(emr_core_min=8, emr_core_max=2)),
    ("master_count", "emr_master_count", pipeline(emr_master_count=2)),
    ("bad_instance_type", "emr_instance_types", pipeline(emr_instance_types=["huge"])),
    ("secret", "alert_channel", pipeline(alert_channel="https://hooks.slack.com/services/T0/B0/xyz")),
    # transformations
    ("reserved_schema", "target_schema", transformation("sluice.load_log")),
    ("unknown_pipeline", "pipeline_id", target(pipeline_id="flight_hourly")),
    ("missing_business_key", "business_key", target(business_key=[])),
    ("missing_business_key", "business_key", target(load_type="scd1", business_key=[])),
    ("not_for_load_type", "scd_columns", target(load_type="scd1", scd_columns=["a"])),
    ("untrackable_column", "scd_columns", target(scd_columns=["tailnum"])),
    ("untrackable_column", "scd_columns", target(sequence_by=["a"], scd_columns=["a"])),
    ("not_for_load_type", "delete_when", target(load_type="append", delete_when="op = 'D'")),
    ("reserved_column", "column_list", target(column_list=[{"name": "_sluice_run_id", "type": "text"}])),
    ("reserved_column", "column_list", target(column_list=[{"name": "valid_from", "type": "timestamp"}])),
    ("reserved_column", "business_key", target(business_key=["_sluice_loaded_at"])),
    ("reserved_column", "scd_columns", target(scd_columns=["is_current"])),
    ("path_outside_project", "output_path", target(output_path="../out")),
    ("reserved_path", "output_path", target(output_path=".sluice")),
    ("reserved_path", "location", source(location=".sluice/*.parquet")),
    ("not_for_template", "auto_refresh", target(auto_refresh=True)),
    ("bad_name", "distkey", target(distkey="a b")),
    ("duplicate", "sortkey", target(sortkey=["a", "a"])),
    ("unknown_column", "distkey", target(distkey="b", column_list=[{"name": "tailnum", "type": "int"}])),
    ("unknown_column", "sortkey", target(sortkey=["b"], column_list=[{"name": "tailnum", "type": "int"}])),
    ("bad_path", "output_path", target(output_path="gs://bucket/x")),
    # what it reads
    ("unknown_dependency", "dependencies", target(dependencies=[{**DRIVING, "table": "lake.flight"}])),
    ("unknown_dependency", "dependencies", target(dependencies=[{**DRIVING, "table": "flights"}])),
    ("no_driving_source", "dependencies", target(dependencies=[])),
    ("no_driving_source", "dependencies", target(dependencies=[LOOKUP])),
    ("several_driving_sources", "dependencies", target(dependencies=[DRIVING, PLANES])),
    (
        "missing_recompute_key",
        "recompute_key",
        target(increment="groups", dependencies=[{**DRIVING, "recompute_by": ["date(day)"]}]),
    ),
    ("missing_recompute_by", "dependencies", target(increment="groups", dependencies=[BY_DAY, PLANES])),
    (
        "recompute_by_count",
        "dependencies",
        target(increment="groups", dependencies=[BY_DAY, {**PLANES, "recompute_by": ["day", "origin"]}]),
    ),
    (
        "missing_recompute_key",
        "recompute_key",
        target(increment="groups", dependencies=[BY_DAY, {**PLANES, "recompute_by": ["date"]}]),
    ),
    (
        "recompute_key_count",
        "recompute_key",
        target(increment="groups", recompute_key=["day", "origin"], dependencies=[BY_DAY]),
    ),
    ("unused_recompute_by", "dependencies", target(dependencies=[BY_DAY])),
    (
        "unused_recompute_by",
        "dependencies",
        target(increment="groups", dependencies=[BY_DAY, {**LOOKUP, "recompute_by": ["day"]}]),
    ),
    ("unused_recompute_key", "recompute_key", target(recompute_key=["day"])),
    ("append_groups", "increment", target(load_type="append", increment="groups", dependencies=[BY_DAY])),
    ("append_full", "increment", target(load_type="append", business_key=[], increment="full")),
    # numbers
    ("out_of_range", "sla_minutes", pipeline(sla_minutes=2**31)),
    ("out_of_range", "max_rejects", target(max_rejects=2**40)),
    # secrets
    ("secret", "sql_path", target(sql_path="s3://key:hunter2@bucket/x.sql")),
    ("secret", "description", target(description="log in with password=hunter2")),
    ("secret", "owner", source(owner="AKIAIOSFODNN7EXAMPLE")),
]

GOOD: list[ControlRow] = [
    source(location="s3://my-bucket/lake/flights/"),
    source(location="lake/flights/2013-*/*.parquet"),
    source(location=".sluice/lake/flights"),
    source("lake.planes", incremental_key=None),
    pipeline(schedule="@daily", timezone="Asia/Jakarta"),
    pipeline(schedule="0 0 29 2 *"),
    pipeline(schedule="*/15 8-18 * * mon-fri"),
    pipeline(emr_core_min=2, emr_core_max=2, emr_instance_types=["r5.4xlarge", "m6g.xlarge"], emr_master_count=3),
    pipeline(alert_channel="slack-webhook/data-ops", job_group="ops-1"),
    target(load_type="append", business_key=[]),
    target(load_type="append", increment="full"),
    target(load_type="scd1", column_list=[{"name": "valid_from", "type": "date"}]),
    target(increment="full", dependencies=[DRIVING, PLANES]),
    target(
        increment="groups",
        dependencies=[
            BY_DAY,
            {**PLANES, "recompute_by": ["day"]},
        ],
    ),
    target(increment="groups", recompute_key=["d"], dependencies=[BY_DAY, {**PLANES, "recompute_by": ["date"]}]),
    target(output_path="s3://bucket/out", scd_columns=["carrier"], sequence_by=["departed_at"]),
    target(description="Tokens, passwords and secrets: how many resets a day."),
    target(backfill_start=2**40),
]


@pytest.mark.parametrize(("rule", "column", "row"), BAD, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(BAD)])
def test_a_bad_row_breaks_its_rule(rule: str, column: str, row: ControlRow) -> None:
    found = [fault for fault in check(row) if fault.rule == rule and fault.key == row.key]
    assert found, check(row)
    for fault in found:
        assert fault.table == row.control_table
        assert fault.column == column
        assert fault.message.endswith(".")
        assert fault.remedy
        assert len(str(fault)) < 12_000
        assert "hunter2" not in str(fault)


@pytest.mark.parametrize("row", GOOD, ids=[str(n) for n in range(len(GOOD))])
def test_a_good_row_breaks_no_rule(row: ControlRow) -> None:
    assert check(row) == ()


@pytest.mark.parametrize(
    ("rules", "values"),
    [
        (["removed_files_by_key"], {}),
        (["removed_files_by_key"], {"load_type": "append"}),
        ([], {"load_type": "append", "business_key": []}),
        ([], {"increment": "full"}),
        ([], {"increment": "groups", "dependencies": [BY_DAY], "recompute_key": ["day"]}),
        ([], {"dependencies": [PLANES, {**DRIVING, "driving": False}]}),
        (["removed_files_restate"], {"dependencies": [PLANES, {**DRIVING, "driving": False, "on_change": "restate"}]}),
    ],
)
def test_rows_of_removed_files_are_removed_where_a_load_can(rules: list[str], values: dict[str, Any]) -> None:
    planes = source("lake.planes", incremental_key="updated_at")
    found = check(source(on_removed_files="remove"), planes, target(**values))
    assert [fault.rule for fault in found] == rules


@pytest.mark.parametrize(
    ("rules", "values"),
    [
        ([], {"file_column": "file", "on_removed_files": "remove"}),
        (["file_identity_keeps"], {"file_column": "file"}),
        (["missing_incremental_key"], {}),
        ([], {"file_column": "file", "incremental_key": "updated_at"}),
    ],
)
def test_a_row_without_any_key_is_known_by_its_file(rules: list[str], values: dict[str, Any]) -> None:
    named = source(**{"incremental_key": None, **values})
    found = check(named, target(load_type="append", business_key=[], incremental_key=None))
    assert [fault.rule for fault in found] == rules


def test_every_rule_has_an_example() -> None:
    """Read from the sources: a new rule comes with a row that breaks it."""
    folder = Path(__file__).parents[3] / "metadata_sync" / "validation"
    names = ["row_rules", "source_rules", "pipeline_rules", "transformation_rules", "dependency_rules"]
    text = "".join((folder / f"{name}.py").read_text() for name in names)
    examples = {rule for rule, _, _ in BAD}
    elsewhere = {
        "template_source",
        "target_is_source",
        "missing_incremental_key",
        "recompute_by_not_key",
        "view_by_windows",
        "removed_files_by_key",
        "removed_files_restate",
        "file_identity_keeps",
        "duplicate_row",
        "duplicate_model",
        "cycle",
    }
    used = {part.split('"')[1] for part in text.split("Problem(")[1:] if part.lstrip().startswith('"')}
    used |= {part.split('"')[1] for part in text.split("rule=")[1:]}
    assert used - examples - elsewhere == set()


def test_small_rows_are_in_order() -> None:
    assert row_faults(small_rows(), Project(Path("/project"))) == ()
    assert row_faults(ControlRows(), Project(Path("/project"))) == ()


def test_a_word_is_suggested() -> None:
    (fault,) = check(target(pipeline_id="flight_hourly"))
    assert fault.remedy == "Did you mean 'flights_hourly'?"
    (fault,) = check(pipeline(timezone="America/New_Yrok"))
    assert fault.remedy == "Did you mean 'America/New_York'?"


def test_a_materialized_view_is_what_its_select_yields_now() -> None:
    views = pipeline("views", template="materialized_view")
    view = {"pipeline_id": "views", "load_type": "scd1", "increment": "full", "auto_refresh": True}
    reads = {"dependencies": [{"table": "dwh.dim_aircraft", "driving": True}]}
    assert check(views, transformation("dwh.planes_by_carrier", **view, **reads)) == ()
    wrong = {**view, "load_type": "append", "increment": "rows", "output_path": "out"}
    faults = check(views, transformation("dwh.planes_by_carrier", **wrong, **reads))
    assert [(fault.rule, fault.column) for fault in faults] == [
        ("not_for_template", column) for column in ("load_type", "increment", "output_path")
    ]
    with_deletes = transformation("dwh.planes_by_carrier", **view, **reads, delete_when="a = 1")
    assert [fault.column for fault in check(views, with_deletes)] == ["delete_when"]


def test_a_materialized_view_cannot_be_read_by_windows() -> None:
    views = pipeline("views", template="materialized_view")
    of_aircraft = [{"table": "dwh.dim_aircraft", "driving": True}]
    view = transformation("dwh.view", pipeline_id="views", load_type="scd1", increment="full", dependencies=of_aircraft)
    reader = {"load_type": "scd1", "dependencies": [{"table": "dwh.view", "driving": True}]}
    (fault,) = check(views, view, transformation("dwh.reader", **reader))
    assert (fault.rule, fault.value) == ("view_by_windows", "dwh.view")
    assert check(views, view, transformation("dwh.reader", **reader, increment="full")) == ()


def test_a_presentation_reads_no_lake() -> None:
    (fault,) = check(pipeline(template="presentation"))
    assert (fault.rule, fault.key, fault.column) == ("template_source", "dwh.dim_aircraft", "dependencies")
    plain = source("erp.orders", kind="warehouse", location=None, format=None)
    reads_orders = target(dependencies=[{"table": "erp.orders", "driving": True}])
    assert check(pipeline(template="presentation"), plain, reads_orders) == ()


def test_spark_needs_a_place_for_its_result() -> None:
    assert ("missing_value", "output_path") in {(fault.rule, fault.column) for fault in check(pipeline(engine="spark"))}
    assert check(pipeline(engine="spark"), target(output_path="s3://bucket/out")) == ()


def test_a_source_without_a_key_is_read_in_full_or_as_a_lookup() -> None:
    keyless = source(incremental_key=None)
    (fault,) = check(keyless)
    assert (fault.rule, fault.value) == ("missing_incremental_key", "lake.flights")
    assert check(keyless, target(increment="full")) == ()
    assert check(keyless, target(incremental_key="landed_at")) == ()
    assert check(keyless, target(dependencies=[{**DRIVING, "incremental_key": "landed_at"}])) == ()
    assert check(keyless, target(dependencies=[PLANES, {**DRIVING, "driving": False}])) == ()


@pytest.mark.parametrize(
    ("upstream", "is_fault"),
    [
        ({"load_type": "scd1", "business_key": ["tailnum"]}, True),
        ({"load_type": "scd1", "business_key": ["tailnum", "day"]}, False),
        ({"load_type": "scd2", "business_key": ["tailnum"]}, False),
        ({"load_type": "append", "business_key": []}, False),
    ],
)
def test_groups_of_a_managed_scd1_are_in_its_key(upstream: dict[str, Any], is_fault: bool) -> None:
    reader = transformation(
        "mart.daily",
        load_type="scd1",
        increment="groups",
        business_key=["day"],
        dependencies=[{"table": "dwh.dim_aircraft", "driving": True, "recompute_by": ["day"]}],
    )
    faults = check(target(**upstream), reader)
    assert [fault.rule for fault in faults] == (["recompute_by_not_key"] if is_fault else [])


def test_a_target_is_no_source() -> None:
    (fault,) = check(transformation("lake.planes"))
    assert (fault.rule, fault.key) == ("target_is_source", "lake.planes")


def test_two_targets_never_share_a_model() -> None:
    (fault,) = check(transformation("a.b__c"), transformation("a__b.c"))
    assert fault.rule == "duplicate_model"
    assert "a__b__c" in fault.message


def test_a_row_that_stands_twice_is_a_fault() -> None:
    twice = rows(*small_rows().sources, *small_rows().sources)
    (fault,) = row_faults(twice, Project(Path("/project")))
    assert (fault.rule, fault.key) == ("duplicate_row", "lake.flights")


def reading(name: str, *tables: str) -> ControlRow:
    return transformation(name, increment="full", dependencies=[{"table": table, "driving": True} for table in tables])


def test_a_cycle_is_named() -> None:
    (fault,) = check(reading("a.x", "b.y"), reading("b.y", "c.z"), reading("c.z", "a.x", "lake.flights"))
    assert fault.rule == "cycle"
    assert fault.message == "It reads itself: a.x → b.y → c.z → a.x."


def test_a_target_that_reads_itself_is_a_cycle() -> None:
    (fault,) = check(reading("a.x", "a.x"))
    assert fault.message == "It reads itself: a.x → a.x."


def test_a_diamond_is_no_cycle() -> None:
    assert (
        check(
            reading("a.x", "b.y", "c.z"), reading("b.y", "d.w"), reading("c.z", "d.w"), reading("d.w", "lake.flights")
        )
        == ()
    )


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=4)))
def test_cycles_are_found_exactly_when_there_are_some(edges: dict[str, list[str]]) -> None:
    reach = {name: {to for to in tos if to in edges} for name, tos in edges.items()}
    for _ in edges:
        reach = {name: tos.union(*(reach[to] for to in tos)) for name, tos in reach.items()}
    found = find_cycles(edges)
    assert bool(found) == any(name in tos for name, tos in reach.items())
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert all(there in edges[here] for here, there in pairwise(cycle))


def test_a_link_out_of_the_project_is_outside(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "lake").symlink_to(tmp_path)
    faults = check(source(location="lake/flights"), source("lake.planes", location="inside"), root=root.resolve())
    assert [(fault.rule, fault.key) for fault in faults] == [("path_outside_project", "lake.flights")]


def test_all_faults_are_found_at_once() -> None:
    faults = check(
        source(location="../x", lookback_minutes=2**31), pipeline(schedule="x", timezone="y"), target(business_key=[])
    )
    assert {fault.rule for fault in faults} == {
        "path_outside_project",
        "out_of_range",
        "bad_schedule",
        "unknown_timezone",
        "missing_business_key",
    }


@given(st.text(max_size=100))
def test_no_text_breaks_the_rules_themselves(text: str) -> None:
    hostile = target(
        pipeline_id=text,
        business_key=[text],
        output_path=text,
        dependencies=[{"table": text, "driving": True, "incremental_key": text}],
        column_list=[{"name": text, "type": text}],
    )
    faults = check(hostile, source("lake.planes", location=text), pipeline("other", schedule=text, timezone=text))
    named = {fault.column for fault in faults if fault.rule == "bad_name"}
    assert is_column_name(text) or {"business_key", "column_list", "dependencies"} <= named


def test_five_thousand_rows_are_checked_in_seconds() -> None:
    many = [reading(f"dwh.t{n}", "lake.flights", *([f"dwh.t{n - 1}"] if n else [])) for n in range(2_000)]
    sources = [source(f"lake.s{n}") for n in range(3_000)]
    started = time.process_time()
    assert row_faults(rows(source(), pipeline(), *sources, *many), Project(Path("/project"))) == ()
    assert time.process_time() - started < 20
