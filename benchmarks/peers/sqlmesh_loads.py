"""SQLMesh, in an environment of its own: its kinds for SCD2 and SCD1, fed the newest delivery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from peer_process import DATABASE, Task, report
from sqlmesh import Context
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

MODEL = """
MODEL (name dwh.peer, kind {kind}, cron '*/5 * * * *');
select {columns} from raw.feed
"""
KINDS = {
    "scd1": "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)",
    "scd2": "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name changed_at, updated_at_as_valid_from true)",
}


class Loads:
    """Loads the feed by SQLMesh."""

    def __init__(self, task: Task) -> None:
        folder = Path("models")
        folder.mkdir()
        (folder / "peer.sql").write_text(MODEL.format(kind=KINDS[task.kind], columns=", ".join(task.columns)))
        self._loaded_at = datetime.now(UTC)

    def first(self) -> None:
        """Plan and load."""
        self._context().plan(auto_apply=True, no_prompts=True)

    def delta(self) -> None:
        """Run the next interval."""
        later = self._loaded_at + timedelta(minutes=30)
        self._context().run(end=later, execution_time=later)

    def _context(self) -> Context:
        gateway = GatewayConfig(connection=DuckDBConnectionConfig(database=DATABASE))
        defaults = ModelDefaultsConfig(dialect="duckdb", start="2026-01-01")
        return Context(paths=".", config=Config(gateways={"local": gateway}, model_defaults=defaults))


if __name__ == "__main__":
    report(Loads)
