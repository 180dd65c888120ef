"""Random lakes on Spark: listed files are read, and tables and notes of files are those of DuckDB and of the oracle.

Odd seeds remove files, runs may be killed before a random statement.
More than in CI: SPARK_LAKE_SEEDS=20 SPARK_LAKE_ROUNDS=5 SPARK_LAKE_KILLS=2 pytest tests/spark/test_spark_lake.py
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from metadata_sync.rows.vocabulary import Engine
from tests.flows.engine.test_lake_files import ALL, rows
from tests.flows.engine.test_lake_histories import SELECTS, Lake, Sale, rows_of
from tests.support.engine_project import Workshop, copy_project

SEEDS = range(int(os.environ.get("SPARK_LAKE_SEEDS", "1")))
ROUNDS = int(os.environ.get("SPARK_LAKE_ROUNDS", "2"))
KILLS = int(os.environ.get("SPARK_LAKE_KILLS", "0"))
NOT_ON_SPARK = {"dwh.sale_named", "mart.shop_total"}
"""Targets of a lake that removes files: rows known by their file, and groups."""
NOTES = "select target, name, version, key_from, future_from from sluice.lake_files order by all"
SPARK = {"SLUICE_SPARK_LOCAL_CORES": "1", "SLUICE_SPARK_OPTIONS": "spark.sql.shuffle.partitions=1"}


def _workshop(root: Path) -> Workshop:
    root.mkdir()
    copy_project(root, SELECTS)
    return Workshop(root)


@pytest.fixture
def workshops(
    tmp_path: Path, spark_submit: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Workshop, Workshop]]:
    for name, value in SPARK.items():
        monkeypatch.setenv(name, value)
    both = _workshop(tmp_path / "on_spark"), _workshop(tmp_path / "warehouse")
    yield both
    for workshop in both:
        workshop.close()


def _rows(engine: Engine, lake: Lake | None = None) -> dict[str, list[dict[str, Any]]]:
    found = rows() if lake is None else rows_of(lake)
    (pipeline,) = found["pipelines"]
    found["pipelines"].append({**pipeline, "pipeline_id": "beside", "pipeline_name": "Beside", "engine": "warehouse"})
    pipeline["engine"] = engine.value
    for row in found["transformations"]:
        row["output_path"] = "spark_results"
        if lake is not None and lake.removes and f"{row['target_schema']}.{row['target_table']}" in NOT_ON_SPARK:
            row["pipeline_id"] = "beside"
    return found


def _follow(lake: Lake, twin: Workshop) -> None:
    """Let the other project's lake hold the same files, of the same time."""
    target = twin.lake / "sales"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(lake.folder, target, copy_function=shutil.copy2)


def _tables(workshop: Workshop) -> dict[str, list[tuple[Any, ...]]]:
    left_out = "columns(lambda name: name not in ('loaded_at', 'load_id') and name not like '\\_sluice%' escape '\\')"
    return {target: workshop.query(f"select {left_out} from {target} order by all") for target in sorted(ALL)}


def _jobs(workshop: Workshop) -> list[dict[str, Any]]:
    files = sorted((workshop.root / ".sluice" / "spark").rglob("*.jobs.json"), key=lambda path: path.stat().st_mtime_ns)
    return [job for file in files for job in json.loads(file.read_text())["jobs"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_lake_gives_the_tables_and_the_notes_of_duckdb(workshops: tuple[Workshop, Workshop], seed: int) -> None:
    on_spark, warehouse = workshops
    lake = Lake(on_spark, removes=seed % 2 == 1, chance=Random(seed))
    lake.folder.mkdir(parents=True)
    lake.land()
    _follow(lake, warehouse)
    on_spark.apply(_rows(Engine.SPARK, lake))
    warehouse.apply(_rows(Engine.WAREHOUSE, Lake(warehouse, lake.removes, Random(seed))))
    assert lake.run() == lake.targets
    warehouse.run()
    for _ in range(ROUNDS):
        for _ in range(lake.chance.randrange(1, 4)):
            lake.change()
        for _ in range(lake.chance.randrange(KILLS + 1)):
            lake.run_killed()
        lake.run()
        _follow(lake, warehouse)
        warehouse.run()
        lake.check()
        assert _tables(on_spark) == _tables(warehouse)
        assert on_spark.query(NOTES) == warehouse.query(NOTES)
        assert lake.run() == set()
    assert {job["target"] for job in _jobs(on_spark)} == (ALL - NOT_ON_SPARK if lake.removes else ALL)


def test_an_increment_opens_the_new_files_alone(workshops: tuple[Workshop, Workshop]) -> None:
    workshop, _ = workshops
    lake = Lake(workshop, removes=False, chance=Random(0))
    lake.folder.mkdir(parents=True)
    old: list[Sale] = [(1, "y", 5, 700)]
    for number in range(5):
        lake.write(f"part-{number}.parquet", old)
    workshop.apply(_rows(Engine.SPARK))
    assert lake.run() == ALL
    before = len(_jobs(workshop))

    late = "day=0/[late] {1}*? %41 é.PARQ"  # its key lies below the watermark, and its name is no *.parquet
    lake.write(late, [(2, "z", 7, 3)])
    assert lake.run() == ALL
    lake.check()

    jobs = {job["target"]: job for job in _jobs(workshop)[before:]}
    opened = {
        target: {source["view"]: len(source["files"]) for source in job["sources"]} for target, job in jobs.items()
    }
    assert {target: opened[target]["lake__sales"] for target in ("dwh.sale", "dwh.sale_now", "dwh.sale_then")} == {
        "dwh.sale": 1, "dwh.sale_now": 1, "dwh.sale_then": 1,
    }  # fmt: skip
    assert opened["mart.shop_total"] == {"lake__sales": 6, "sluice_unread_lake__sales": 1}
