"""Two transformations of one job group on a simulated EMR, from the rows to what stands in them afterwards.

The stage, the journal, the rules and what follows from failures are the real ones; only the warehouse is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.context import Context
from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, EngineChoice, Reason
from flows.incidents.settle import RunSettler
from flows.run.model import OutcomeStatus, SparkMove
from flows.run.outcome import Build, Compiled, outcome_of
from flows.spark.stage import SparkStage, Staged
from metadata_sync.database.journals.entries import Via
from metadata_sync.project import Project
from metadata_sync.rows.merge import make_plan
from metadata_sync.rows.model import Column, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Engine
from metadata_sync.settings import Settings

GIB = 2**30
COLUMNS = {"id": "integer", "day": "date", "amount": "decimal(10,2)", "landed_at": "timestamp"}
SELECTS = {
    "dwh.orders": "select o.id, o.amount * 2 as amount, o.landed_at from lake.orders as o",
    "dwh.days": "select o.day, sum(o.amount) as amount, max(o.landed_at) as landed_at from lake.orders as o group by 1",
}
RESULTS = {
    "dwh.orders": [("id", "integer"), ("amount", "decimal(12,2)"), ("landed_at", "timestamp")],
    "dwh.days": [("day", "date"), ("amount", "decimal(12,2)"), ("landed_at", "timestamp")],
}
WINDOW = (
    '/* sluice:window {"source": "lake.orders", "kind": "timestamp", "start": null, "is_open": false, "new": true, '
    '"end": "2026-01-31 00:00:00.000000", "head": "none"} */'
)


class KnownColumns:
    """A warehouse that knows the lake's columns."""

    dialect = "duckdb"

    def connected(self) -> AbstractContextManager[None]:
        return nullcontext()

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        return {}

    def source_columns(self, source: SourceRow) -> tuple[Column, ...]:
        return tuple(Column(name=name, type=kind) for name, kind in COLUMNS.items())

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        (target,) = [target for target, text in SELECTS.items() if text == select]
        return tuple(Column(name=name, type=kind) for name, kind in RESULTS[target])


@dataclass
class EmrProject:
    """A project on disk whose rows stand in its control database."""

    root: Path
    environment: str = "dev"
    run_id: str = "run-1"
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    on_change: Callable[[SparkMove], None] = lambda _: None

    def __post_init__(self) -> None:
        folder = self.root / "dbt_project" / "transformations"
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "dbt_project" / "dbt_project.yml").write_text("name: sluice\n")
        (self.root / "profiles.yml").write_text("sluice: {}\n")
        for target, select in SELECTS.items():
            (folder / f"{target.partition('.')[2]}.sql").write_text(select)
        self.context = Context(Project(self.root), Settings(environment=self.environment), who="tester")
        self.context.__dict__["columns"] = KnownColumns()
        self.rows = ControlRows(
            sources=(
                SourceRow.model_validate(
                    {"schema": "lake", "table": "orders", "kind": "lake", "format": "parquet",
                     "location": "s3://lake/orders", "incremental_key": "landed_at"}
                ),
            ),
            pipelines=(
                PipelineRow.model_validate(
                    {"pipeline_id": "orders", "pipeline_name": "Orders", "template": "lake_to_warehouse",
                     "job_group": "sales", "engine": "spark", **self.pipeline}
                ),
            ),
            transformations=tuple(_transformation(target) for target in SELECTS),
        )  # fmt: skip
        plan = make_plan(self.rows, self.context.store.read_state())
        if not plan.is_empty:
            self.context.store.write(plan.changes, "tester", Via.APPLY, None)

    def stage(self, cluster: str | None = None) -> SparkStage:
        return SparkStage(
            self.context,
            self.rows,
            self.run_id,
            requested_by="tester",
            say=self.heard.append,
            on_change=self.on_change,
            cluster=cluster,
        )

    def run(self, stage: SparkStage | None = None, targets: Sequence[str] = tuple(SELECTS)) -> Staged:
        """Run targets on Spark, and let follow what follows from failures."""
        choice = EngineChoice(Engine.SPARK, "its pipeline says engine: spark", 10 * GIB)
        chosen = [(row, choice) for row in self.rows.transformations if str(row.name) in targets]
        staged = (stage or self.stage()).run(
            chosen, lambda models: Compiled(dict.fromkeys(models, f"select 1 from ({WINDOW} x)"))
        )
        self._settle(staged)
        return staged

    def comment(self, target: str) -> tuple[bool, str]:
        """Whether a row is active, and its comment."""
        (row,) = [row for row in self.context.store.read_rows().transformations if str(row.name) == target]
        return row.is_active, row.comments or ""

    def _settle(self, staged: Staged) -> None:
        decisions = [
            Decision(target, "orders", Action.RUN, Reason.NEW_ROWS, "New rows.") for target in sorted(staged.failed)
        ]
        build = Build(stopped=staged.failed)
        outcomes = [
            outcome_of(item, TableName.parse(item.target).model_name, build, None, rules=DEFAULT_RULES)
            for item in decisions
        ]
        assert all(outcome.status is OutcomeStatus.FAILED for outcome in outcomes)
        RunSettler(
            self.context,
            self.run_id,
            self.rows,
            DEFAULT_RULES,
            fingerprint=lambda _: "as it was",
        ).settle(outcomes)


def _transformation(target: str) -> TransformationRow:
    schema, table = target.split(".")
    columns = [{"name": name, "type": kind} for name, kind in RESULTS[target]]
    return TransformationRow.model_validate(
        {
            "target_schema": schema,
            "target_table": table,
            "pipeline_id": "orders",
            "sql_path": f"transformations/{table}.sql",
            "output_path": "s3://lake/results",
            "load_type": "append",
            "incremental_key": "landed_at",
            "increment": "full" if table == "days" else "rows",
            "dependencies": [{"table": "lake.orders", "driving": True}],
            "column_list": columns,
        }
    )
