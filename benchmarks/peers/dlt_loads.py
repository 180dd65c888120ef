"""dlt, in an environment of its own: its merge strategies, fed the newest delivery as an Arrow table."""

from __future__ import annotations

from pathlib import Path

import dlt
import duckdb
from peer_process import DATABASE, Task, report

SCD2 = {"disposition": "merge", "strategy": "scd2", "row_version_column_name": "row_hash"}
HINTS = {
    "scd1": {"write_disposition": {"disposition": "merge", "strategy": "delete-insert"}, "primary_key": "id"},
    # the key as merge_key: keys that are absent from a delivery stay as they are
    "scd2": {"write_disposition": SCD2, "merge_key": "id"},
}


class Loads:
    """Loads the feed by dlt; versions are dated by the load."""

    def __init__(self, task: Task) -> None:
        columns = ", ".join(task.columns)
        # dlt hashes no Arrow rows by itself
        row_hash = f", md5(cast(row({columns}) as varchar)) as row_hash" if task.kind == "scd2" else ""
        self._query = f"select {columns}{row_hash} from raw.feed"
        self._hints = HINTS[task.kind]
        self._pipeline = dlt.pipeline(
            "peer",
            pipelines_dir=str(Path("pipelines").absolute()),
            destination=dlt.destinations.duckdb(DATABASE),
            dataset_name="dwh",
        )

    def first(self) -> None:
        """Load the feed."""
        with duckdb.connect(DATABASE) as connection:
            rows = connection.sql(self._query).to_arrow_table()
        self._pipeline.run(dlt.resource(rows, name="peer", **self._hints)).raise_on_failed_jobs()

    delta = first


if __name__ == "__main__":
    report(Loads)
