"""Random projects with a past: rows that read one another, what loads left in the warehouse, and what the logs hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from flows.context import Context
from metadata_sync.database import DecisionEntry, LeaseHolder
from metadata_sync.database.journals.entries import LoadEntry, LoadStatus
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Incident, IncidentKind, Severity
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.resolve import fingerprint
from metadata_sync.settings import Settings
from tests.support.instants import at

NOW = datetime(2026, 1, 3, 12, 30, tzinfo=UTC)
_PROFILE = """
sluice:
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('SLUICE_DUCKDB_PATH') }}", schema: main}
"""
_LOG = """
    create table sluice.load_log (load_id varchar, run_id varchar, target varchar, source varchar,
        window_start varchar, window_end varchar, moves_watermark boolean, rows_read bigint, rows_inserted bigint,
        rows_updated bigint, rows_closed bigint, rows_deleted bigint, rows_rejected bigint, tie_count bigint,
        lookback_count bigint, epoch bigint, source_epoch bigint, loaded_at timestamp, started_at timestamp,
        finished_at timestamp, definition varchar, driving_rows varchar, void_count bigint);
    create view sluice.watermark_control as select * from sluice.load_log
"""
_LAST, _OLDER = "2026-01-02 10:00:00", "2026-01-01 10:00:00"


@dataclass
class RandomProject:
    """A project whose rows and past are drawn from a seed."""

    root: Path
    seed: int
    sources: list[SourceRow] = field(default_factory=list)
    pipelines: list[PipelineRow] = field(default_factory=list)
    targets: list[TransformationRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._draw_rows()
        self.context = at(Context(self._project(), Settings(dbt_target="duckdb"), who="tester"), NOW)
        rows: list[ControlRow] = [*self.sources, *self.pipelines, *self.targets]
        self.context.store.write([RowChange(None, row) for row in rows], "tester", "apply", None)
        self._fill_warehouse()
        self._fill_journals()

    @property
    def pipeline_ids(self) -> list[str]:
        return [row.pipeline_id for row in self.pipelines]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _draw_rows(self) -> None:
        draw = self._random
        for number in range(draw.randint(2, 4)):
            source = {"schema": "raw", "table": f"s{number}", "kind": "warehouse", "incremental_key": "landed_at"}
            self.sources.append(SourceRow.model_validate(source))
        for number in range(draw.randint(2, 5)):
            values: dict[str, Any] = {"pipeline_id": f"p{number}", "pipeline_name": f"P{number}"}
            values |= {"template": "presentation"}
            values |= {"schedule": "0 * * * *"} if self._chance(0.6) else {}
            values |= {"is_active": self._chance(0.9), "child_policy": draw.choice(["skip", "stale", "block"])}
            self.pipelines.append(PipelineRow.model_validate(values))
        for number in range(draw.randint(3, 9)):
            self.targets.append(self._draw_target(number))

    def _draw_target(self, number: int) -> TransformationRow:
        draw = self._random
        tables = [f"raw.{row.source_table}" for row in self.sources] + [str(row.name) for row in self.targets]
        reads = draw.sample(tables, k=min(len(tables), draw.randint(1, 2)))
        is_off = self._chance(0.15)
        values: dict[str, Any] = {
            "target_schema": "dwh",
            "target_table": f"t{number}",
            "pipeline_id": draw.choice(self.pipeline_ids),
            "sql_path": f"transformations/t{number}.sql",
            "load_type": draw.choice(["append", "scd1"]),
            "business_key": ["id"],
            "sequence_by": ["landed_at"],
            "trigger": draw.choice(["any", "any", "all"]),
            "dependencies": [{"table": name, "driving": place == 0} for place, name in enumerate(reads)],
            "column_list": [{"name": "id", "type": "bigint"}, {"name": "landed_at", "type": "timestamp"}],
            "is_active": not is_off,
            "deactivated_by": draw.choice(["framework", "operator"]) if is_off else None,
        }
        return TransformationRow.model_validate(values)

    def _project(self) -> Project:
        project = Project(self.root)
        (project.dbt_dir / "transformations").mkdir(parents=True)
        (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
        project.profiles_file.write_text(_PROFILE)
        for row in self.targets:
            first, *others = [item.table for item in row.dependencies]
            join = "".join(f" left join {name} as o on o.id = d.id" for name in others)
            (project.dbt_dir / row.sql_path).write_text(f"select d.id, d.landed_at from {first} as d{join}\n")
        return project

    def _fill_warehouse(self) -> None:
        self.context.project.make_state_dir()
        with duckdb.connect(str(self.context.project.state_dir / "dev.duckdb")) as warehouse:
            warehouse.execute(f"create schema raw; create schema dwh; create schema sluice; {_LOG}")
            missing = self.sources[0] if self._chance(0.15) else None
            for source in self.sources:
                if source is missing:
                    continue
                newest = self._random.choice([_LAST, _LAST, "2026-01-02 11:00:00"])
                rows = f"select i as id, timestamp '{newest}' - i * interval 1 hour as landed_at from range(3) as t (i)"
                warehouse.execute(f"create table {source.name} as {rows}")
            for row in self.targets:
                if self._chance(0.85):
                    self._load(warehouse, row)
            if self._chance(0.3):  # of a target that has no row any more: a new one may be its new name
                self._log(warehouse, "dwh.gone", f"{self.sources[0].name}", _LAST)

    def _load(self, warehouse: duckdb.DuckDBPyConnection, row: TransformationRow) -> None:
        driving = row.driving[0].table
        mark = fingerprint(row, row.sequence_by) if self._chance(0.9) else "another"
        warehouse.execute(
            f"create table {row.name} as select 1::bigint as id, timestamp '{_LAST}' as landed_at;"
            f"create table sluice.{row.name.model_name}__head as select timestamp '{_LAST}' as loaded_at, "
            f"'{mark}' as fingerprint, 'append tracking nothing' as definition, cast(0 as bigint) as epoch"
        )
        self._log(warehouse, str(row.name), driving, self._random.choice([_LAST, _LAST, _LAST, _OLDER]))

    def _log(self, warehouse: duckdb.DuckDBPyConnection, target: str, source: str, last: str) -> None:
        warehouse.execute(
            "insert into sluice.load_log (target, source, window_end, lookback_count, load_id, loaded_at, run_id, "
            f"source_epoch) values ('{target}', '{source}', '{last}', 1, 'l-{target}', timestamp '{_LAST}', 'r', 0)"
        )

    def _fill_journals(self) -> None:
        store, draw = self.context.store, self._random
        loaded_at = NOW - timedelta(hours=20)
        for row in self.targets:
            target = str(row.name)
            if self._chance(0.8):
                status = draw.choice([LoadStatus.SUCCESS, LoadStatus.SUCCESS, LoadStatus.ERROR])
                load_id = f"l-{target}" if status is LoadStatus.SUCCESS else None
                entry = LoadEntry("r", row.pipeline_id, target, load_id, status, loaded_at, loaded_at, 1.0)
                store.record_loads([entry])
            if self._chance(0.6):
                reason = draw.choice(["trigger_waits", "nothing_new", "lease_held"])
                when = NOW - timedelta(hours=draw.randint(1, 30))
                store.record_decisions([DecisionEntry("r", when, row.pipeline_id, target, "skip", reason, "Why", {})])
            if self._chance(0.1):
                holder = LeaseHolder(f"token-{target}", "another", "somebody", "elsewhere", 1, "1")
                store.take_leases([target], holder, 3600)
        opened = [self._incident(row) for row in self.targets if self._chance(0.3)]
        if self._chance(0.3):
            opened.append(self._incident(None))
        store.settle(Settlement(judge=lambda _: (opened, ())))

    def _incident(self, row: TransformationRow | None) -> Incident:
        subject = "warehouse" if row is None else str(row.name)
        waiting = [str(other.name) for other in self.targets if row and self._chance(0.2) and other is not row]
        return Incident(
            *(f"i-{subject}", IncidentKind.LOAD if row else IncidentKind.CRASH, subject, Severity.ERROR, None, "Broke"),
            targets=(subject,) if row else (),
            held_up=tuple(waiting),
            pipeline_ids=(row.pipeline_id,) if row else (),
            run_id="r",
            attempts=1,
            ticks=1,
            opened_at=NOW - timedelta(hours=self._random.randint(1, 9)),
            last_seen_at=NOW,
        )
