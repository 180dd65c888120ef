"""What a SELECT owes its row: every fault, with the row, the column, the value and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import Fault
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.validation.select_rules import select_faults
from tests.support.sync_support import (
    FLIGHTS,
    FakeWarehouse,
    control_rows,
    pipeline,
    source,
    transformation,
    write_select,
)

GOOD = "select f.tailnum, f.carrier, f.updated_at from lake.flights as f"
GROUPED = "select f.tailnum, count(*) as flight_count from lake.flights as f group by f.tailnum"
BY_EXPRESSION = "select upper(f.carrier) as big, count(*) as n from lake.flights f group by upper(f.carrier)"


BY_ALIAS_OF_CTE = (
    "with f as (select upper(s.carrier) as big from lake.flights s) select f.big, count(*) as n from f group by f.big"
)
BY_RENAMED = "select f.carrier as big, count(*) as n from lake.flights f group by 1"
BY_AGGREGATE = "select max(f.carrier) as big, count(*) as n from lake.flights f"


_JOINED = (
    "with f as (select upper(s.carrier) as big from lake.flights s), {planes} "
    "select f.big, count(*) as n from f join p on {on} group by f.big"
)
BY_ALIAS_OF_TWO = _JOINED.format(planes="p as (select lower(tailnum) as big from lake.planes)", on="p.big = f.big")
BY_ALIAS_AND_JOIN = _JOINED.format(planes="p as (select * from lake.planes)", on="upper(p.tailnum) = f.big")
BY_ALIAS_OF_UNION = (
    "select q.big, count(*) as n from (select upper(f.carrier) as big from lake.flights f "
    "union all select lower(p.tailnum) from lake.planes p) as q group by q.big"
)


def _by_both(first: str, second: str) -> dict[str, object]:
    names = {"lake.flights": first, "lake.planes": second}
    driving: list[dict[str, object]] = [
        {"table": table, "driving": True, "recompute_by": [name]} for table, name in names.items()
    ]
    driving[1]["incremental_key"] = "year"
    return {"increment": "groups", "dependencies": driving, "business_key": ["big"]}


def _by(expression: str) -> dict[str, object]:
    driving = {"table": "lake.flights", "driving": True, "recompute_by": [expression]}
    return {"increment": "groups", "dependencies": [driving], "recompute_key": ["big"], "business_key": ["big"]}


GROUPS = {
    "increment": "groups",
    "dependencies": [{"table": "lake.flights", "driving": True, "recompute_by": ["tailnum"]}],
}
TWO_SOURCES = [{"table": "lake.flights", "driving": True}, {"table": "lake.planes", "driving": False}]


def find(rows: ControlRows, project: Project, warehouse: FakeWarehouse) -> tuple[Fault, ...]:
    return select_faults(Catalog(rows, project, warehouse))


def faults_of(project: Project, warehouse: FakeWarehouse, text: str, **values: Any) -> list[tuple[str | None, str]]:
    write_select(project, "dim", text)
    found = find(control_rows(transformation("dwh.dim", **values)), project, warehouse)
    assert all(fault.message and fault.remedy for fault in found)
    return [(fault.column, fault.rule) for fault in found]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (GOOD, {}),
        (GOOD, {"load_type": "scd2", "scd_columns": ["carrier"]}),
        (GOOD, {"load_type": "append", "business_key": []}),
        (GOOD, {"sequence_by": ["updated_at", "carrier"]}),
        (GOOD, {"delete_when": "carrier = 'ZZ'"}),
        (GROUPED, GROUPS),
        (GROUPED, {"increment": "full"}),
        (GROUPED, {"increment_checked": True, "sequence_by": ["flight_count"]}),
        ("select * from lake.flights", {}),
        (
            "select f.*, p.model from lake.flights f left join lake.planes p using (tailnum)",
            {"dependencies": TWO_SOURCES},
        ),
    ],
)
def test_row_and_select_that_fit_have_no_fault(
    project: Project, warehouse: FakeWarehouse, text: str, values: dict[str, Any]
) -> None:
    assert faults_of(project, warehouse, text, **values) == []


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("select tailnum from", {}, [("sql_path", "syntax")]),
        (f"{GOOD}; drop table x", {}, [("sql_path", "single_query")]),
        (f"{GOOD} -- sluice:window", {}, [("sql_path", "window_marker")]),
        (GOOD, {"sql_path": "transformations/dmi.sql"}, [("sql_path", "sql_path")]),
        (GOOD, {"sql_path": "transformations"}, [("sql_path", "sql_path")]),
        (GOOD, {"sql_path": "../../outside.sql"}, [("sql_path", "sql_path")]),
        (GOOD, {"sql_path": "s3://bucket/dim.sql"}, [("sql_path", "sql_path")]),
        (
            "select f.tailnum, f.updated_at from lake.flights f, lake.planes p",
            {},
            [("dependencies", "undeclared_dependency")],
        ),
        (GOOD, {"dependencies": TWO_SOURCES}, [("dependencies", "unread_dependency")]),
        (GOOD, {"business_key": ["tailnumber"]}, [("business_key", "unknown_column")]),
        (GOOD, {"sequence_by": ["departed_at"]}, [("sequence_by", "unknown_column")]),
        (GOOD, {"load_type": "scd2", "scd_columns": ["carier"]}, [("scd_columns", "unknown_column")]),
        (GOOD, {"delete_when": "operation = 'D'"}, [("delete_when", "unknown_column")]),
        (GOOD, {"delete_when": "carrier in (select 1)"}, [("delete_when", "delete_when")]),
        (
            GOOD,
            {"incremental_key": "updatd_at"},
            [("incremental_key", "unknown_column"), ("sequence_by", "no_sequence")],
        ),
        (GROUPED, {}, [("increment", "increment_mode"), ("sequence_by", "no_sequence")]),
        (
            "select f.carrier, count(*) as n from lake.flights f group by f.carrier",
            {**GROUPS, "business_key": ["carrier"]},
            [("increment", "increment_mode"), ("recompute_key", "unknown_column")],
        ),
        (
            GROUPED,
            {
                "increment": "groups",
                "dependencies": [{"table": "lake.flights", "driving": True, "recompute_by": ["tail"]}],
                "recompute_key": ["tailnum"],
            },
            [("dependencies", "unknown_column")],
        ),
        (BY_EXPRESSION, _by("upper(carrier)"), []),
        (BY_EXPRESSION, _by("big") | {"recompute_key": []}, []),
        (BY_EXPRESSION, _by("big"), [("dependencies", "unknown_column")]),
        (BY_ALIAS_OF_CTE, _by("big") | {"recompute_key": []}, []),
        (
            BY_EXPRESSION.replace("by upper(f.carrier)", "by f.origin"),
            _by("big") | {"recompute_key": []},
            [("increment", "increment_mode"), ("sql_path", "bind")],
        ),
        (BY_RENAMED, _by("big") | {"recompute_key": []}, []),
        (BY_ALIAS_OF_TWO, _by_both("big", "big"), []),
        (BY_ALIAS_AND_JOIN, _by_both("big", "big"), []),
        (BY_ALIAS_AND_JOIN, _by_both("upper(carrier)", "upper(tailnum)") | {"recompute_key": ["big"]}, []),
        (BY_ALIAS_OF_UNION, _by_both("big", "big"), [("dependencies", "unknown_column")]),
        (BY_ALIAS_OF_UNION, _by_both("big", "lower(tailnum)"), []),
        (BY_ALIAS_OF_UNION, _by_both("upper(carrier)", "lower(tailnum)") | {"recompute_key": ["big"]}, []),
        (BY_AGGREGATE, _by("big") | {"recompute_key": []}, [("dependencies", "unknown_column")]),
        (BY_EXPRESSION, _by("carrier || origin"), [("increment", "increment_mode")] * 2),
        (BY_EXPRESSION, _by("upper(carier)"), [("dependencies", "unknown_column")]),
        (BY_EXPRESSION, _by("upper(carrier"), [("dependencies", "recompute_by")]),
        (BY_EXPRESSION, _by("upper(carrier), 1"), [("dependencies", "recompute_by")]),
        (BY_EXPRESSION, _by("(select upper(carrier))"), [("dependencies", "recompute_by")]),
        (BY_EXPRESSION, _by("max(carrier)"), [("dependencies", "recompute_by")]),
        (BY_EXPRESSION, _by("pg_read_file(carrier)"), [("dependencies", "recompute_by")]),
        (BY_EXPRESSION, _by("upper(carrier) -- x"), [("dependencies", "recompute_by")]),
        ("select f.tailnum from lake.flights f", {}, [("sequence_by", "no_sequence")]),
        (
            "select f.tailnum from lake.flights f",
            {"load_type": "append", "business_key": []},
            [("business_key", "keyless_append")],
        ),
        (
            "select f.tailnum, f.updated_at, true as is_current from lake.flights f",
            {"load_type": "scd2"},
            [("sql_path", "reserved_column")],
        ),
        (
            "select f.tailnum, f.updated_at, 1 as _sluice_run_id from lake.flights f",
            {},
            [("sql_path", "reserved_column")],
        ),
        ("select f.tailnum, f.updatedat as updated_at from lake.flights f", {}, [("sql_path", "bind")]),
        ("select f.tailnum, f.updated_at, f.carrier || 'x' from lake.flights f", {}, [("sql_path", "unnamed_column")]),
    ],
)
def test_fault_names_its_column_and_rule(
    project: Project,
    warehouse: FakeWarehouse,
    text: str,
    values: dict[str, Any],
    expected: list[tuple[str | None, str]],
) -> None:
    assert faults_of(project, warehouse, text, **values) == expected


def test_groups_that_no_source_names_are_told_by_the_rows_alone(project: Project, warehouse: FakeWarehouse) -> None:
    unnamed = [{"table": "lake.flights", "driving": True}]
    found = faults_of(project, warehouse, GROUPED, **GROUPS | {"dependencies": unnamed})
    assert not {column for column, _ in found} & {"recompute_key"}


def test_all_faults_are_found_at_once(project: Project, warehouse: FakeWarehouse) -> None:
    text = """
        select distinct on (f.carrier) f.tailnum, f.carrier
        from lake.flights f join lake.planes p using (tailnum)
        where now() > f.departed_at
    """
    wrong = {"business_key": ["tail"], "sequence_by": ["x"], "delete_when": "y", "incremental_key": "z"}
    found = faults_of(project, warehouse, text, load_type="scd2", **wrong)
    assert found == [
        ("dependencies", "undeclared_dependency"),
        ("incremental_key", "unknown_column"),
        ("increment", "increment_mode"),
        ("increment", "increment_mode"),
        ("business_key", "unknown_column"),
        ("sequence_by", "unknown_column"),
        ("delete_when", "unknown_column"),
    ]


def test_fault_reads_as_a_person_would_say_it(project: Project, warehouse: FakeWarehouse) -> None:
    write_select(project, "dim", GOOD)
    rows = control_rows(transformation("dwh.dim", incremental_key="updatd_at", sequence_by=["updated_at"]))
    (fault,) = find(rows, project, warehouse)
    assert str(fault) == (
        "transformation_control[dwh.dim].incremental_key = 'updatd_at': Is not a column of lake.flights (has: "
        f"{', '.join(FLIGHTS)}). Did you mean 'updated_at'?"
    )


@pytest.mark.parametrize(
    ("format_", "dialect", "rules"),
    [
        ("iceberg", "duckdb", ["lake_format"]),
        ("iceberg of shop.lake.flights", "duckdb", []),
        ("iceberg", "redshift", []),
        ("csv", "duckdb", []),
        ("csv", "redshift", ["lake_format"]),
        ("ndjson", "postgres", ["lake_format"]),
    ],
)
def test_each_warehouse_has_its_formats(
    project: Project, warehouse: FakeWarehouse, format_: str, dialect: str, rules: list[str]
) -> None:
    write_select(project, "dim", GOOD)
    warehouse.dialect = dialect
    format_, _, table = format_.partition(" of ")
    rows = control_rows(
        transformation("dwh.dim"), sources=[source("lake.flights", format=format_, catalog_table=table or None)]
    )
    assert [fault.rule for fault in find(rows, project, warehouse)] == rules


@pytest.mark.parametrize(("dialect", "rules"), [("duckdb", []), ("redshift", ["file_column"])])
def test_the_file_of_a_row_is_known_on_duckdb_only(
    project: Project, warehouse: FakeWarehouse, dialect: str, rules: list[str]
) -> None:
    write_select(project, "dim", GOOD)
    warehouse.dialect = dialect
    rows = control_rows(transformation("dwh.dim"), sources=[source("lake.flights", file_column="file")])
    assert [fault.rule for fault in find(rows, project, warehouse)] == rules


@pytest.mark.parametrize(("dialect", "rules"), [("duckdb", []), ("redshift", ["removed_files"])])
def test_removed_files_are_known_on_duckdb_only(
    project: Project, warehouse: FakeWarehouse, dialect: str, rules: list[str]
) -> None:
    write_select(project, "dim", GOOD)
    warehouse.dialect = dialect
    removing = source("lake.flights", on_removed_files="remove")
    rows = control_rows(transformation("dwh.dim", increment="full"), sources=[removing])
    assert [fault.rule for fault in find(rows, project, warehouse)] == rules


def test_column_list_must_be_the_selects_columns_in_order(project: Project, warehouse: FakeWarehouse) -> None:
    def declared(*names: str) -> dict[str, Any]:
        return {"column_list": [{"name": name, "type": "varchar"} for name in names]}

    assert faults_of(project, warehouse, GOOD, **declared("tailnum", "carrier", "updated_at")) == []
    reordered = declared("tailnum", "updated_at", "carrier")
    assert faults_of(project, warehouse, GOOD, **reordered) == [("column_list", "column_list")]
    lacking = declared("tailnum", "carrier")
    assert faults_of(project, warehouse, GOOD, **lacking) == [("column_list", "column_list")]
    beyond = declared("tailnum", "carrier", "updated_at", "seats")
    assert faults_of(project, warehouse, GOOD, **beyond) == [("column_list", "unknown_column")]


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        ({"name": "tailnum", "type": "varchr(10)"}, "column_type"),
        ({"name": "tailnum", "type": "int) as x, (select 1"}, "column_type"),
        ({"name": "tailnum", "type": "varchar", "tests": ["not_null') }}"]}, "column_test"),
        ({"name": "tailnum", "type": "varchar", "tests": [{"a": {}, "b": {}}]}, "column_test"),
        ({"name": "tailnum", "type": "varchar", "tests": [{}]}, "column_test"),
        (
            {"name": "tailnum", "type": "varchar", "tests": [{"accepted_values": {"values": ["env_var('HOME')"]}}]},
            "column_test",
        ),
        (
            {"name": "tailnum", "type": "varchar", "tests": [{"relationships": {"to": "ref('x')", "field": "a"}}]},
            "column_test",
        ),
    ],
)
def test_column_with_a_wrong_type_or_test_is_a_fault(
    project: Project, warehouse: FakeWarehouse, column: dict[str, Any], rule: str
) -> None:
    others = [{"name": "carrier", "type": "varchar"}, {"name": "updated_at", "type": "timestamp"}]
    assert faults_of(project, warehouse, GOOD, column_list=[column, *others]) == [("column_list", rule)]


def test_source_that_cannot_be_read_is_a_fault_of_its_row(project: Project, warehouse: FakeWarehouse) -> None:
    warehouse.refusals["lake.flights"] = "no Parquet file in lake/flights"
    write_select(project, "dim", GOOD)
    (fault,) = find(control_rows(transformation("dwh.dim")), project, warehouse)
    assert str(fault).startswith(
        "source_control[lake.flights].location = 'lake/flights': no Parquet file in lake/flights."
    )


def test_source_without_its_incremental_key_is_a_fault_of_its_row(project: Project, warehouse: FakeWarehouse) -> None:
    write_select(project, "dim", GOOD)
    rows = control_rows(transformation("dwh.dim"), sources=[source("lake.flights", incremental_key="update_at")])
    (fault,) = find(rows, project, warehouse)
    assert (fault.table, fault.column, fault.remedy) == (
        "source_control",
        "incremental_key",
        "Did you mean 'updated_at'?",
    )


def test_checks_that_need_the_warehouse_are_left_out_while_it_is_unreachable(
    project: Project, warehouse: FakeWarehouse
) -> None:
    warehouse.is_reachable = False
    assert faults_of(project, warehouse, "select * from lake.flights", incremental_key="updatd_at") == []
    assert faults_of(project, warehouse, GOOD, business_key=["tail"]) == [("business_key", "unknown_column")]


def test_select_over_known_columns_is_not_bound_while_the_warehouse_is_unreachable(
    project: Project, warehouse: FakeWarehouse
) -> None:
    warehouse.is_reachable = False
    columns = [{"name": "tailnum", "type": "varchar"}, {"name": "updated_at", "type": "timestamp"}]
    write_select(project, "dim", "select f.tailnum, f.updated_at from lake.flights as f")
    write_select(project, "report", "select d.tailnum, d.nothing as updated_at from dwh.dim as d")
    report = transformation(
        "mart.report", sequence_by=["updated_at"], dependencies=[{"table": "dwh.dim", "driving": True}]
    )
    rows = control_rows(transformation("dwh.dim", column_list=columns), report)
    assert find(rows, project, warehouse) == ()
    warehouse.is_reachable = True
    assert [fault.rule for fault in find(rows, project, warehouse)] == ["bind"]


@pytest.mark.parametrize("switched_off", ["row", "pipeline"])
def test_inactive_row_does_not_need_its_sources(project: Project, warehouse: FakeWarehouse, switched_off: str) -> None:
    warehouse.refusals["lake.flights"] = "the table is gone"
    write_select(project, "dim", "select f.tailnum, f.nothing as updated_at from lake.flights f")
    rows = control_rows(transformation("dwh.dim", is_active=switched_off != "row"))
    if switched_off == "pipeline":
        rows = rows.model_copy(update={"pipelines": (pipeline(is_active=False),)})
    assert find(rows, project, warehouse) == ()


def test_managed_source_brings_the_columns_that_sluice_adds(project: Project, warehouse: FakeWarehouse) -> None:
    write_select(project, "dim", GOOD)
    write_select(
        project,
        "report",
        "select d.tailnum, d.valid_from, d._sluice_loaded_at as seen_at from dwh.dim d where d.is_current",
    )
    report = transformation(
        "mart.report",
        incremental_key=None,
        sequence_by=["seen_at"],
        dependencies=[{"table": "dwh.dim", "driving": True}],
    )
    rows = control_rows(report, transformation("dwh.dim", load_type="scd2"))
    assert find(rows, project, warehouse) == ()


def test_rows_that_read_each_other_are_looked_at_once(project: Project, warehouse: FakeWarehouse) -> None:
    write_select(project, "a", "select b.tailnum, b.updated_at from dwh.b as b")
    write_select(project, "b", "select a.tailnum, a.updated_at from dwh.a as a")
    rows = control_rows(
        transformation("dwh.a", dependencies=[{"table": "dwh.b", "driving": True}], sequence_by=["updated_at"]),
        transformation("dwh.b", dependencies=[{"table": "dwh.a", "driving": True}], sequence_by=["updated_at"]),
    )
    assert find(rows, project, warehouse) == ()  # the cycle itself is a fault of the rows


def test_only_the_targets_asked_for_are_looked_at(project: Project, warehouse: FakeWarehouse) -> None:
    write_select(project, "good", GOOD)
    rows = control_rows(transformation("dwh.good"), transformation("dwh.broken"))
    catalog = Catalog(rows, project, warehouse)
    assert select_faults(catalog, {TableName("dwh", "good")}) == ()
    assert [fault.key for fault in select_faults(catalog)] == ["dwh.broken"]


@pytest.mark.parametrize("content", [b"select '\xff' as a", b"\xef\xbb\xbfselect 1 as a", b"-- x" * 300_000])
def test_file_that_is_no_text_is_a_fault(project: Project, warehouse: FakeWarehouse, content: bytes) -> None:
    (project.dbt_dir / "transformations" / "dim.sql").write_bytes(content)
    (fault,) = find(control_rows(transformation("dwh.dim")), project, warehouse)
    assert fault.column == "sql_path"


def test_a_key_that_differs_in_case_is_named_as_the_warehouse_spells_it(project: Project) -> None:
    columns = {**FLIGHTS, "Off_Set": "bigint"}
    write_select(project, "dim", GOOD)
    rows = control_rows(transformation("dwh.dim", incremental_key="off_set", sequence_by=["updated_at"]))
    (fault,) = find(rows, project, FakeWarehouse(tables={"lake.flights": columns}))
    assert fault.rule == "unknown_column"
    assert fault.remedy == "Write Off_Set, as the warehouse spells it."
    rows = control_rows(transformation("dwh.dim", incremental_key="Off_Set", sequence_by=["updated_at"]))
    assert find(rows, project, FakeWarehouse(tables={"lake.flights": columns})) == ()


ODD = {
    **FLIGHTS,
    "orderName": "varchar",
    "amount": "decimal(50,2)",
    "nothing": '"NULL"',
    "kind": "enum('New', 'old')",
    "stamped_at": "timestamp_ns",
    "length": "interval",
}
LONG = "l" * 63


@pytest.mark.parametrize(
    ("dialect", "select", "values", "expected"),
    [
        # right: columns that are not read, mixed case, labels, an unsized decimal where it does not round
        ("duckdb", "f.tailnum, f.updated_at", {}, None),
        ("duckdb", "f.tailnum, f.orderName, f.kind, f.updated_at", {"business_key": ["orderName"]}, None),
        ("duckdb", "f.tailnum, f.ORDERNAME, f.updated_at", {"delete_when": "OrderName = 'x'"}, None),
        ("duckdb", "f.tailnum, f.updated_at, cast(1.49 as decimal(9,2)) as amount", {}, None),
        ("postgres", f"f.tailnum, f.updated_at, 1 as {LONG}", {}, None),
        ("duckdb", "f.tailnum, f.stamped_at", {"incremental_key": "stamped_at"}, None),
        # types
        ("duckdb", "f.tailnum, f.amount, f.updated_at", {}, "lake.flights.amount is decimal(50,2). A decimal has at"),
        ("duckdb", "f.*", {}, "lake.flights.amount is decimal(50,2)"),
        ("duckdb", "f.tailnum, f.nothing, f.updated_at", {}, 'nothing is "NULL". It has no type'),
        ("duckdb", "f.tailnum, f.length, f.updated_at", {}, "The column length is interval"),
        ("duckdb", "f.tailnum, f.carrier", {"incremental_key": "carrier"}, "The incremental key carrier is varchar"),
        ("duckdb", "f.tailnum, f.kind, f.updated_at", {"sequence_by": ["kind"]}, "The event time kind is ENUM"),
        (
            *("duckdb", "f.tailnum, cast(f.stamped_at as timestamp) as stamped_at"),
            {"incremental_key": "stamped_at", "load_type": "append", "business_key": []},
            "stamped_at is timestamp_ns in the source and timestamp in the target",
        ),
        (
            "redshift",
            "f.tailnum, f.updated_at, cast(f.carrier as numeric) as n",
            {},
            "to a decimal without a size",
        ),
        ("redshift", "f.tailnum, f.updated_at, f.carrier::decimal as n", {}, "which rounds"),
        # names
        ("duckdb", "f.tailnum, f.carrier as ID, 1 as id, f.updated_at", {}, "id more than once"),
        ("duckdb", "f.tailnum, f.updated_at, f.tailnum as TailNum", {}, "tailnum more than once"),
        ("postgres", f"f.tailnum, f.updated_at, 1 as {LONG}x", {}, "has 64 bytes; PostgreSQL's limit is 63"),
        ("duckdb", f"f.tailnum, f.updated_at, 1 as {LONG * 3}", {}, "at most 127, the limit of Redshift"),
        ("duckdb", 'f.tailnum, f.updated_at, 1 as "a""b"', {}, "letters, digits"),
    ],
)
def test_types_and_names_load_right_or_are_refused(
    project: Project, dialect: str, select: str, values: dict[str, Any], expected: str | None
) -> None:
    write_select(project, "dim", f"select {select} from lake.flights as f")
    types = ODD if dialect == "duckdb" else FLIGHTS
    fake = FakeWarehouse(tables={"lake.flights": types}, dialect=dialect)
    faults = find(control_rows(transformation("dwh.dim", **values)), project, fake)
    told = [f"{fault.message} {fault.remedy}" for fault in faults]
    assert len(told) == (0 if expected is None else 1), told
    assert expected is None or expected in told[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"columns": {"tailnum": "varchar", "carrier": "varchar", "updated_at": "timestamp"}}, []),
        ({}, ["Spark reads lake.flights with declared columns only"]),
        ({"columns": {"updated_at": "time"}}, ["Spark has no type for updated_at time of lake.flights"]),
        ({"columns": {"updated_at": "timestamp"}, "location": "s3://bucket/flights"}, []),
    ],
)
def test_text_that_spark_would_read_in_another_way_is_refused(
    project: Project, warehouse: FakeWarehouse, values: dict[str, Any], words: list[str]
) -> None:
    write_select(project, "dim", GOOD)
    rows = ControlRows(
        sources=(source("lake.flights", format="csv", **values),),
        pipelines=(pipeline(engine="spark"),),
        transformations=(transformation("dwh.dim", output_path="out/dim"),),
    )
    found = [fault.message for fault in find(rows, project, warehouse) if fault.rule == "spark_text"]
    assert len(found) == len(words)
    assert all(message.startswith(word) for message, word in zip(found, words, strict=True))


@pytest.mark.parametrize(
    ("values", "row", "rule"),
    [
        ({"format": "iceberg", "catalog_table": "shop.lake.flights"}, {}, "iceberg_on_spark"),
        ({"file_column": "file"}, {}, "file_column_on_spark"),
        ({"on_removed_files": "remove"}, {"increment": "groups"}, "removed_files_on_spark"),
    ],
)
def test_spark_does_not_read_by_what_only_duckdb_knows(
    project: Project, warehouse: FakeWarehouse, values: dict[str, Any], row: dict[str, Any], rule: str
) -> None:
    write_select(project, "dim", GOOD)
    rows = ControlRows(
        sources=(source("lake.flights", **values),),
        pipelines=(pipeline(engine="spark"),),
        transformations=(transformation("dwh.dim", output_path="out/dim", **row),),
    )
    assert rule in {fault.rule for fault in find(rows, project, warehouse)}
