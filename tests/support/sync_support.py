"""A project on disk and a warehouse whose tables a test names; SELECTs are bound by a real DuckDB in memory."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metadata_sync.errors import SoftRunError
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, PipelineRow, SourceRow, TransformationRow, type_text
from metadata_sync.rows.names import TableName

FLIGHTS = {
    "tailnum": "varchar",
    "carrier": "varchar",
    "origin": "varchar",
    "operation": "varchar",
    "departed_at": "timestamp",
    "updated_at": "timestamp",
}
PLANES = {"tailnum": "varchar", "year": "integer", "model": "varchar"}
PAYMENTS = {"flight": "varchar", "amount": "decimal(8,2)", "paid_at": "timestamp", "origin": "varchar"}


@dataclass
class FakeWarehouse:
    """Columns of the tables that a test says exist.

    Attributes:
        tables: Columns by table.
        refusals: What the warehouse says of a table that cannot be read.
        dialect: The warehouse's SQL.
        is_reachable: False: nobody can tell anything.
        asked: Every question, in order.
    """

    tables: dict[str, Mapping[str, str]] = field(
        default_factory=lambda: {"lake.flights": FLIGHTS, "lake.planes": PLANES, "lake.payments": PAYMENTS}
    )
    refusals: dict[str, str] = field(default_factory=dict)
    dialect: str = "duckdb"
    is_reachable: bool = True
    asked: list[str] = field(default_factory=list)

    def connected(self) -> AbstractContextManager[None]:
        return nullcontext()

    def columns_of_tables(self, sources: Sequence[SourceRow]) -> Mapping[TableName, tuple[Column, ...]]:
        return {}

    def source_columns(self, source: SourceRow) -> tuple[Column, ...] | None:
        self.asked.append(str(source.name))
        if not self.is_reachable:
            return None
        if str(source.name) in self.refusals:
            raise ValueError(self.refusals[str(source.name)])
        return tuple(Column(name=name, type=type_) for name, type_ in self.tables[str(source.name)].items())

    def left_out(self, source: SourceRow) -> tuple[str, ...]:
        return ()

    def type_kinds(self, types: Collection[str]) -> Mapping[str, str]:
        return {}

    def describe(self, select: str, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Column, ...]:
        self.asked.append("describe")
        if not self.is_reachable:
            raise SoftRunError("the warehouse does not answer")
        with duckdb.connect(":memory:") as connection:
            for name, columns in tables.items():
                connection.execute(f"create schema if not exists {name.schema}")
                definitions = ", ".join(f'"{column.name}" {column.type}' for column in columns)
                connection.execute(f"create table {name} ({definitions})")
            try:
                relation = connection.sql(select.strip().rstrip(";"))
            except duckdb.Error as error:
                raise ValueError(str(error).splitlines()[0]) from error
            return tuple(
                Column(name=name, type=type_text(str(type_), "duckdb"))
                for name, type_ in zip(relation.columns, relation.types, strict=True)
            )


def make_project(root: Path) -> Project:
    (root / "dbt_project" / "transformations").mkdir(parents=True)
    (root / "dbt_project" / "dbt_project.yml").write_text("name: sluice\n")
    (root / "profiles.yml").write_text("sluice: {}\n")
    return Project(root)


def write_select(project: Project, name: str, text: str) -> str:
    path = project.dbt_dir / "transformations" / f"{name}.sql"
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return f"transformations/{name}.sql"


def source(table: str, **values: Any) -> SourceRow:
    schema, name = table.split(".")
    return SourceRow.model_validate(
        {"schema": schema, "table": name, "kind": "lake", "location": f"lake/{name}", "format": "parquet"} | values
    )


def pipeline(pipeline_id: str = "flights_hourly", **values: Any) -> PipelineRow:
    return PipelineRow.model_validate(
        {"pipeline_id": pipeline_id, "pipeline_name": pipeline_id, "template": "lake_to_warehouse"} | values
    )


def transformation(target: str, **values: Any) -> TransformationRow:
    schema, table = target.split(".")
    defaults = {
        "target_schema": schema,
        "target_table": table,
        "pipeline_id": "flights_hourly",
        "sql_path": f"transformations/{table}.sql",
        "load_type": "scd1",
        "business_key": ["tailnum"],
        "incremental_key": "updated_at",
        "dependencies": [{"table": "lake.flights", "driving": True}],
    }
    return TransformationRow.model_validate(defaults | values)


def control_rows(*transformations: TransformationRow, sources: Sequence[SourceRow] | None = None) -> ControlRows:
    return ControlRows(
        sources=tuple(sources) if sources is not None else (source("lake.flights"), source("lake.planes")),
        pipelines=(pipeline(),),
        transformations=transformations,
    )


def generated(project: Project) -> dict[str, str]:
    """Every generated file and its text."""
    return {
        path.relative_to(project.generated_dir).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(project.generated_dir.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse()
