"""A job group on a simulated EMR whose steps are real spark-submits: what arrives is what the SELECTs say."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from emr_project import EmrProject
from emr_simulator import BUCKET, EmrSimulator, spark_submit

from metadata_sync.database.journal import LoadStatus

ORDERS = """
    select
        cast(i as integer) as id,
        date '2026-01-01' + cast(i % 5 as integer) as day,
        cast(case when i % 5 = 4 then 99999999.99 else i end as decimal(10, 2)) as amount,
        timestamp '2026-01-01' + to_hours(i) as landed_at
    from range(1000) as t (i)
"""


def test_steps_compute_on_one_cluster_and_one_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmrSimulator(spark_submit) as emr:
        for name, value in emr.environment.items():
            monkeypatch.setenv(name, value)
        emr.put_parquet("orders/2026/part.parquet", ORDERS)
        project = EmrProject(tmp_path)

        staged = project.run()

        result = staged.results["dwh.orders"]
        assert isinstance(result, dict)
        manifest = json.loads(emr.s3.get_object(Bucket=BUCKET, Key=result["manifest"].split("/", 3)[3])["Body"].read())
        (entry,) = manifest["entries"]
        emr.s3.download_file(BUCKET, entry["url"].split("/", 3)[3], str(tmp_path / "part.parquet"))
        with duckdb.connect() as connection:
            found = connection.execute(f"select * from '{tmp_path}/part.parquet' order by id").fetchall()
            expected = connection.execute(
                f"select id, amount * 2, landed_at from ({ORDERS}) where landed_at <= '2026-01-31' order by id"
            ).fetchall()
        assert found == expected
        assert result["row_count"] == len(expected) == 721
        # 200 times the largest amount does not fit the column list's decimal(12,2)
        is_active, comment = project.comment("dwh.days")
        assert not is_active, comment
        assert comment.startswith("value in run run-1")
        assert "NUMERIC_VALUE_OUT_OF_RANGE" in comment
        assert emr.states == ["TERMINATED"]
        entries = {item.target: item for item in project.context.store.spark_entries()}
        assert {target: item.status for target, item in entries.items()} == {
            "dwh.orders": LoadStatus.SUCCESS,
            "dwh.days": LoadStatus.ERROR,
        }
        assert len({item.cluster_id for item in entries.values()}) == 1
        assert all(item.step_seconds > 1 and item.usd > 0 for item in entries.values())
        project.context.store.close()
