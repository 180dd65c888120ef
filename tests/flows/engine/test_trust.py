"""The doors that rows once opened, end to end: tables unharmed, files unread, no Jinja run, no secret left behind."""

from __future__ import annotations

import copy
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.dbt.runner import DbtRunner
from flows.run.outcome import NodeResult
from metadata_sync.errors import MetadataError
from metadata_sync.redact import remember_secrets
from tests.support.engine_project import Workshop, control_rows, finish

ESCAPE = 'order_id > 0 or region = \'\\" ~ run_query("create table stolen as select 1") ~ "\''
HOSTILE_TESTS: list[Any] = [
    {"not_null": {"config": {"store_failures": True, "schema": "dwh", "alias": "fact_order"}}},
    {"not_null": {"config": {"where": "order_id > 0 {{ run_query('create table stolen as select 1') }}"}}},
    {"not_null": {"name": "../../../stolen"}},
    {"not_null": {"config": {"fail_calc": "1; create table stolen as select 1; select 1"}}},
    {"not_null": {"model": "x"}},
    {"accepted_values": {"values": ["1); create table stolen as select 1; --"], "quote": False}},
    {"relationships": {"to": "ref('x')", "field": "1) from x; create table stolen as select 1; --"}},
]
READS_FILE = [
    'with recursive "{file}" as (select * from "{file}") select content as region, content as label from "{file}"',
    "select content as region, content as label from read_text('{file}')",
    "select r.region, (select max(content) from read_text('{file}')) as label from lake.regions as r",
    "select content as region, content as label from '{file}'",
]


def order_columns(*tests: Any) -> list[dict[str, Any]]:
    types = {"order_id": "bigint", "customer": "varchar", "region": "varchar", "amount": "decimal(8,2)"}
    columns: list[dict[str, Any]] = [{"name": name, "type": kind} for name, kind in types.items()]
    columns[2]["tests"] = list(tests)
    return [*columns, {"name": "landed_at", "type": "timestamp"}]


def rows_with(*tests: Any) -> dict[str, Any]:
    rows = copy.deepcopy(control_rows())
    rows["transformations"][0]["column_list"] = order_columns(*tests)
    return rows


def is_stolen(workshop: Workshop) -> bool:
    found = workshop.query("select count(*) from duckdb_tables() where table_name = 'stolen'")
    return found != [(0,)] or any(path.name.startswith("stolen") for path in workshop.root.rglob("*"))


@pytest.mark.parametrize("test", HOSTILE_TESTS, ids=str)
def test_hostile_data_test_is_refused_and_the_table_stands(workshop: Workshop, test: Any) -> None:
    before = workshop.query("select count(*) from dwh.fact_order")

    with pytest.raises(MetadataError) as caught:
        workshop.apply(rows_with(test))
    workshop.run()

    assert {(fault.key, fault.column) for fault in caught.value.faults} == {("dwh.fact_order", "column_list")}
    assert all(fault.remedy for fault in caught.value.faults)
    assert workshop.query("select count(*) from dwh.fact_order") == before
    assert not is_stolen(workshop)


def test_odd_but_honest_data_tests_run_as_they_are_written(workshop: Workshop) -> None:
    values = ["n", "s", "O'Hare", "{{ env_var('HOME') }}", "'; create table stolen as select 1; --", 'a\\" b']
    where = "region <> 'a\\d' and \"region\" <> 'it''s' and region not like '%\"%'"
    workshop.apply(
        rows_with(
            {"not_null": {"config": {"where": ESCAPE}}},
            {"accepted_values": {"values": values, "config": {"where": where}}},
            {
                "accepted_values": {
                    "values": [1, 2],
                    "quote": False,
                    "name": "odd",
                    "config": {"severity": "warn", "where": "region = 'x'"},
                }
            },
        )
    )
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, _ = workshop.run()

    outcome = {item.target: item for item in summary.outcomes}["dwh.fact_order"]
    assert (outcome.status, outcome.error) == ("loaded", None)
    assert not is_stolen(workshop)


@pytest.mark.parametrize("select", READS_FILE)
def test_select_that_reads_a_file_is_refused_and_reads_nothing(workshop: Workshop, select: str) -> None:
    secret = workshop.root / "secret.txt"
    secret.write_text("hunter2Zq9")
    workshop.write_select("dim_region", select.format(file=secret))

    with pytest.raises(MetadataError) as caught:
        workshop.apply(
            {
                **control_rows(),
                "pipelines": [{**control_rows()["pipelines"][0], "owner": "x"}, control_rows()["pipelines"][1]],
            }
        )

    assert {fault.key for fault in caught.value.faults} == {"dwh.dim_region"}
    assert "hunter2Zq9" not in str([str(fault) for fault in caught.value.faults])


@pytest.mark.parametrize(
    "statement",
    [
        "select content from read_text('{root}/secret.txt')",
        "select * from glob('/etc/*')",
        "select * from '/etc/passwd'",
        "select content from read_text('{root}/lake/../secret.txt')",
        "select content from read_text('{root}/lake/orders/link.txt')",
        "select content from read_text('{root}/.sluice/control.db')",
    ],
)
def test_second_wall_holds_in_dbt_itself(workshop: Workshop, statement: str) -> None:
    """A model that nobody checked, as if a hole in the checks had let it through."""
    (workshop.root / "secret.txt").write_text("hunter2Zq9")
    link = workshop.lake / "orders" / "link.txt"
    link.symlink_to(workshop.root / "secret.txt")
    (workshop.root / "dbt_project" / "models" / "unchecked.sql").write_text(
        "{{ config(materialized='table') }}\n" + statement.format(root=workshop.root)
    )

    result = run_model(workshop, "unchecked")

    assert result.status == "error"
    assert "disabled by configuration" in result.message or "does not exist" in result.message
    link.unlink()


def test_second_wall_holds_when_dbt_shows_a_model(workshop: Workshop) -> None:
    (workshop.root / "secret.txt").write_text("hunter2Zq9")
    (workshop.root / "dbt_project" / "models" / "unchecked.sql").write_text(
        f"select f.content from read_text('{workshop.root}/secret.txt') as f "
        "cross join {{ sluice.increment(source('lake', 'orders'), 'landed_at') }} as o"
    )
    code, out, err = finish(workshop.sluice("dbt", "show", "--select", "unchecked"))
    assert code != 0
    assert "disabled by configuration" in out + err
    assert "hunter2Zq9" not in out + err


@pytest.mark.parametrize("statement", ["set enable_external_access = true", "attach '/tmp/other.db'", "load httpfs"])
def test_second_wall_cannot_be_taken_down(workshop: Workshop, statement: str) -> None:
    with workshop.context.columns.connected():
        from flows.context import reading

        with (
            reading(workshop.context, workshop.context.profile) as warehouse,
            pytest.raises(Exception, match=r"(?i)permission|locked|disabled|already"),
        ):
            warehouse.query(statement)


def test_load_that_never_ends_is_ended(workshop: Workshop) -> None:
    workshop.settings = workshop.settings.model_copy(update={"load_timeout_seconds": 2.0, "tries": 1})
    workshop.close()
    (workshop.root / "dbt_project" / "models" / "endless.sql").write_text(
        "{{ config(materialized='table') }}\n"
        "with recursive n as (select 1 as i union all select i + 1 from n) select count(*) as c from n"
    )

    result = run_model(workshop, "endless")

    assert result.status == "error"
    assert "time limit" in result.message


def test_model_that_cannot_be_compiled_does_not_hide_the_others(workshop: Workshop) -> None:
    workshop.close()
    models = workshop.root / "dbt_project" / "models"
    (models / "good.sql").write_text("select 1 as i")
    (models / "bad.sql").write_text(
        "select {% if execute %}{{ exceptions.raise_compiler_error('no key') }}{% endif %} as i"
    )
    context = workshop.context

    compiled = DbtRunner(context.project, context.settings, context.profile).compile(["good", "bad"], variables={})

    assert "select 1 as i" in compiled.sql["good"]
    assert list(compiled.errors) == ["bad"]
    assert "no key" in compiled.errors["bad"]


def run_model(workshop: Workshop, name: str) -> NodeResult:
    context = workshop.context
    results = DbtRunner(context.project, context.settings, context.profile).run([name], variables={})
    return next(result for result in results if result.name == name)


def test_secret_of_an_error_is_in_no_file_and_no_table(workshop: Workshop) -> None:
    remember_secrets({"DB_PASSWORD": "hunter2Zq9"})
    hidden = "select r.region, error('cannot log in with hunter2' || 'Zq9, PGPASSWORD=hunter3' || 'Zq9') as label"
    rows = copy.deepcopy(control_rows())
    rows["transformations"][2]["column_list"] = [
        {"name": "region", "type": "varchar"},
        {"name": "label", "type": "varchar"},
    ]
    workshop.write_select("dim_region", f"{hidden} from lake.regions as r")
    workshop.apply(rows)
    workshop.land("regions/more", "select 'w' as region, 'West' as label")

    summary, _ = workshop.run()

    outcome = {item.target: item for item in summary.outcomes}["dwh.dim_region"]
    assert outcome.status == "failed"
    assert "cannot log in with ***" in (outcome.error or "")
    for path in workshop.root.rglob("*"):
        if path.is_file() and path.suffix != ".sql":
            assert b"hunter2Zq9" not in path.read_bytes(), path
            assert b"hunter3Zq9" not in path.read_bytes(), path


def test_state_is_closed_to_other_users(workshop: Workshop) -> None:
    workshop.root.joinpath(".sluice").chmod(0o755)
    with workshop.sluice("control", "list", SLUICE_PROJECT_ROOT=str(workshop.root)) as process:
        process.communicate(timeout=120)

    assert stat.S_IMODE((workshop.root / ".sluice").stat().st_mode) == 0o700
    assert stat.S_IMODE(workshop.control.stat().st_mode) & 0o077 == 0


def test_names_from_the_warehouse_do_not_steer_the_terminal(workshop: Workshop) -> None:
    (workshop.lake / "regions" / "odd.parquet").unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 1 as \"\x1b[2J\x1b]0;owned\x07\") to '{workshop.lake}/regions/odd.parquet' (format parquet)"
        )
    with workshop.sluice("validate", SLUICE_PROJECT_ROOT=str(workshop.root)) as process:
        out, err = process.communicate(timeout=120)

    assert "owned" in out + err
    assert "\x1b" not in out + err
    assert "\x07" not in out + err


def test_link_behind_a_glob_does_not_leave_the_project(workshop: Workshop, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as x) to '{tmp_path}/outside.parquet' (format parquet)")
    (workshop.lake / "regions" / "linked.parquet").symlink_to(tmp_path / "outside.parquet")

    decisions = {decision.target: decision for decision in workshop.plan().decisions}

    assert "leads out of the project" in decisions["dwh.dim_region"].message


def test_loads_count_in_utc_whatever_the_machines_zone_is(workshop: Workshop) -> None:
    workshop.write_select(
        "fact_order",
        "select o.order_id, o.customer, cast(timestamptz '2013-01-01 00:00:00+00' as varchar) as region, o.amount,"
        " o.landed_at from lake.orders as o",
    )
    workshop.land_orders("day_9", range(90, 93), "2013-01-09 12:00:00")

    code, out, err = finish(workshop.sluice("run", "orders", TZ="America/New_York"))

    assert code == 0, out + err
    written = workshop.query("select distinct region from dwh.fact_order where order_id >= 90")
    assert written == [("2013-01-01 00:00:00+00",)]
