"""Text files hold the same rows on Spark as on DuckDB: awkward ones, cell by cell, in one session."""

from __future__ import annotations

from pathlib import Path

import duckdb

from flows.spark.backend import Order
from flows.spark.jobs import SparkJob, spark_location
from flows.spark.local import LocalBackend
from flows.spark.settings import SparkSettings
from flows.spark.sizing.sizing import Bounds
from flows.warehouse.lake.folder import list_folder, source_folder
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.project import Project
from metadata_sync.sql.spark import spark_type
from tests.support.text_files import awkward_sources, look_at_text


def test_awkward_files_hold_the_same_rows(tmp_path: Path) -> None:
    project = Project(tmp_path)
    jobs, expected = [], {}
    for number, (row, files) in enumerate(awkward_sources(project)):
        kinds = tuple((column.name, spark_type(column.type, "duckdb")) for column in row.columns)
        if None in dict(kinds).values() or all(file.error for file in files.values()):
            continue  # refused by validate; nothing to read
        look_at_text(project, row)
        folder = source_folder(project, row)
        read = [file for file in list_folder(folder).files if Path(file.path).exists()]
        names = ", ".join(column.name for column in row.columns)
        target = f"text.t{number}"
        relation = folder.relation(read, is_mixed=True)
        expected[target] = duckdb.execute(f"select {names} from {relation} order by all").fetchall()
        select = SparkSelect(f"select {names} from lake__sales", (row,), tuple((n, str(k)) for n, k in kinds))
        out = str(tmp_path / "out" / str(number))
        jobs.append(SparkJob(target, "one", select, {"lake__sales": spark_location(project, row)}, out, 1))

    cluster = LocalBackend(tmp_path / "state", SparkSettings(local_cores=1)).start(
        Order("run", "dev", "default", "tester", None, Bounds()), lambda _: None, lambda *_: None
    )
    ends = cluster.run(jobs)
    cluster.close()
    for target, rows in expected.items():
        result = ends[target].result
        assert result is not None, ends[target].error
        relation = f"read_parquet('{result.pattern}', hive_partitioning = false)"
        found = duckdb.execute(f"from {relation} order by all").fetchall() if result.pattern else []
        assert found == rows, target
    assert sum(map(len, expected.values())) > 60
