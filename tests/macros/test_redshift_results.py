"""What Spark has left reaches Redshift by COPY: columns, types and row count are checked before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.redshift_standin.server import Standin
from tests.support.dbt_project import DbtResult, driving
from tests.support.redshift_parquet import put_parquet
from tests.support.redshift_project import RedshiftProject

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

ROLE = "arn:aws:iam::123456789012:role/warehouse"
COLUMNS = {"id": "integer", "v": "varchar(10)", "cost": "decimal(8, 2)", "t": "timestamp"}
TYPES = ["int", "string", "decimal(8,2)", "timestamp_ntz"]
FOLDER = "s3://lake/out/run_id=r/dwh__costs"
MANIFEST = f"{FOLDER}/attempt=1.manifest.json"
ROWS = """select * from (
    values (1, 'a', 1.50::decimal(8, 2), timestamp '2024-01-01'), (2, null, null, timestamp '2024-01-02')
) as rows (id, v, cost, t)"""


@pytest.fixture
def project(redshift_standin: Standin, tmp_path: Path) -> RedshiftProject:
    project = RedshiftProject(tmp_path, redshift_standin)
    # an empty external table: whoever runs the SELECT itself loads nothing
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    project.execute("create schema lake", f"create table lake.events ({columns})")
    project.source("events")
    select = "select e.id, e.v, e.cost, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
    dependencies = [driving("events", incremental_key="t")]
    settings = {"business_key": ["id"], "incremental_key": "t", "dependencies": dependencies}
    project.model("costs", select, materialized="scd1", columns=COLUMNS, **settings)
    return project


def _load(project: RedshiftProject, end: str, **changes: object) -> DbtResult:
    result = {
        "manifest": MANIFEST,
        "pattern": f"{FOLDER}/attempt=1-1/*.parquet",
        "row_count": 2,
        "columns": list(COLUMNS),
        "types": TYPES,
        "windows": {"lake.events": _window(project, end)},
        **changes,
    }
    return project.run(env={"SLUICE_RESULTS": {"dwh.costs": result}, "SLUICE_REDSHIFT_COPY_ROLE": ROLE})


def _window(project: RedshiftProject, end: str) -> dict[str, object]:
    heads = project.query("select count(*) from information_schema.tables where table_name = 'dwh__costs__head'")[0][0]
    head = project.query("select load_id from sluice.dwh__costs__head")[0][0] if heads else "none"
    return {
        "source": "lake.events",
        "kind": "timestamp",
        "start": None,
        "end": end,
        "is_open": False,
        "new": True,
        "moves_watermark": True,
        "lookback_count": 1,
        "future_count": 0,
        "source_epoch": None,
        "unkeyed": None,
        "head": head,
    }


def test_a_result_of_spark_is_copied_and_loaded_and_its_window_logged(project: RedshiftProject) -> None:
    put_parquet(project.standin.lake, MANIFEST, {f"{FOLDER}/attempt=1-1/part-0.parquet": ROWS})
    result = _load(project, "2024-01-02 00:00:00.000000")
    assert result.success, result.messages
    assert project.query("select id, v, cast(cost as varchar(10)) from dwh.costs order by id") == [
        (1, "a", "1.50"),
        (2, None, None),
    ]
    assert project.query("select window_end, rows_read from sluice.load_log") == [("2024-01-02 00:00:00.000000", 2)]
    (copy,) = [entry for entry in project.standin.journal.entries if entry.kind == "copy"]
    assert f"iam_role '{ROLE}'" in copy.sql
    newer = "select 1 as id, 'b' as v, 2.00::decimal(8, 2) as cost, timestamp '2024-01-03' as t"
    put_parquet(project.standin.lake, MANIFEST, {f"{FOLDER}/attempt=2/part-0.parquet": newer})
    assert _load(project, "2024-01-03 00:00:00.000000", row_count=1).success
    assert project.query("select v from dwh.costs order by id") == [("b",), (None,)]


def test_an_empty_result_moves_the_watermark_and_copies_nothing(project: RedshiftProject) -> None:
    result = _load(project, "2024-01-02 00:00:00.000000", pattern="", row_count=0)
    assert result.success, result.messages
    assert project.query("select count(*) from dwh.costs") == [(0,)]
    assert project.query("select window_end from sluice.load_log") == [("2024-01-02 00:00:00.000000",)]
    assert not [entry for entry in project.standin.journal.entries if entry.kind == "copy"]


def test_the_groups_of_a_result_are_copied_and_what_left_them_goes(project: RedshiftProject) -> None:
    select = "select e.id, e.v, e.cost, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
    settings = {"business_key": ["id"], "incremental_key": "t", "sequence_by": ["t"], "increment": "groups"}
    dependencies = [driving("events", incremental_key="t", recompute_by=["v"])]
    project.model("costs", select, materialized="scd1", columns=COLUMNS, dependencies=dependencies, **settings)
    put_parquet(project.standin.lake, MANIFEST, {f"{FOLDER}/attempt=1-1/part-0.parquet": ROWS})
    first = _load(project, "2024-01-02 00:00:00.000000")
    assert first.success, first.messages
    newer = "select 3 as id, 'a' as v, 2.00::decimal(8, 2) as cost, timestamp '2024-01-03' as t"
    put_parquet(project.standin.lake, MANIFEST, {f"{FOLDER}/attempt=2-1/part-0.parquet": newer})
    manifest = f"{FOLDER}/attempt=2-1-groups.manifest.json"
    put_parquet(project.standin.lake, manifest, {f"{FOLDER}/attempt=2-1-groups/part-0.parquet": "select 'a'"})
    columns = [{"name": "sluice_group_1", "type": "varchar(65535)"}]
    window = {**_window(project, "2024-01-03 00:00:00.000000"), "start": "2024-01-02 00:00:00.000000"}

    result = _load(
        project,
        "",
        row_count=1,
        groups={"manifest": manifest, "pattern": "some", "columns": columns},
        windows={"lake.events": window},
    )

    assert result.success, result.messages
    assert project.query("select id, v from dwh.costs order by id") == [(2, None), (3, "a")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"types": ["int", "string", "double", "timestamp_ntz"]},
            "cost of dwh.costs is decimal(8, 2) in",
        ),
        ({"types": ["bigint", *TYPES[1:]]}, "id of dwh.costs is integer in the column list and bigint"),
        ({"columns": ["id", "v", "t"]}, "the column list of dwh.costs has id, v, cost, t"),
        ({"row_count": 3}, "holds 3 rows by its manifest, and 2 were read"),
    ],
)
def test_a_result_that_does_not_fit_is_refused_before_the_target_is_touched(
    project: RedshiftProject, changes: dict[str, object], message: str
) -> None:
    put_parquet(project.standin.lake, MANIFEST, {f"{FOLDER}/attempt=1-1/part-0.parquet": ROWS})
    result = _load(project, "2024-01-02 00:00:00.000000", **changes)
    assert not result.success
    assert message in result.messages["costs"]
    assert not project.standin.journal.writes(["dwh.costs", "sluice.load_log", "sluice.dwh__costs__side"])
    # the next attempt leaves a result that fits
    assert _load(project, "2024-01-02 00:00:00.000000").success
    assert project.query("select count(*) from dwh.costs") == [(2,)]
