"""Run shapes on both engines: DuckDB says what is right, Spark runs what the translation made of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlglot

from flows.spark.backend import JobEnd, Order
from flows.spark.jobs import SparkJob
from flows.spark.local import LocalBackend
from flows.spark.settings import SparkSettings
from flows.spark.sizing.sizing import Bounds
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import spark_select, spark_type
from metadata_sync.sql.spark.kinds import parse_kind

Rows = list[tuple[Any, ...]]
INTERPRETED: Final = ("spark.sql.codegen.wholeStage=false", "spark.sql.codegen.factoryMode=NO_CODEGEN")
"""Options of a session without generated code."""


@dataclass
class Verdict:
    """What became of one shape.

    Attributes:
        shape: The SELECT.
        expected: DuckDB's rows; None: it does not run there.
        refused: Why the translation refused it; empty: it did not.
        differences: What differed, by run.
        sql: Spark's SQL.
        types: The types that DuckDB gives its columns.
    """

    shape: str
    expected: Rows | None = None
    refused: tuple[str, ...] = ()
    differences: list[str] = field(default_factory=list)
    sql: str | None = None
    types: dict[str, str] = field(default_factory=dict)

    @property
    def is_rewritten(self) -> bool:
        """Whether Spark's SQL says more than the names of columns and tables."""
        plain = exp_text(self.sql or "", "spark")
        return plain != exp_text(self.shape, "duckdb")

    @property
    def outcome(self) -> str:
        """Return refused, equal, differs, or `no warehouse` when the shape does not run there either."""
        if self.expected is None:
            return "no warehouse"
        if self.refused:
            return "refused"
        return "differs" if self.differences else "equal"


@dataclass
class Lake:
    """Parquet tables that both engines read.

    Attributes:
        folder: Where they lie.
        tables: SQL of each table, by name; its columns with their types.
    """

    folder: Path
    tables: Mapping[str, tuple[str, Mapping[str, str]]]

    def __post_init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set TimeZone = 'UTC'; create schema lake")
        for name, (sql, types) in self.tables.items():
            casts = ", ".join(f'cast("{column}" as {kind}) as "{column}"' for column, kind in types.items())
            target = self.folder / "lake" / name
            target.mkdir(parents=True, exist_ok=True)
            self.connection.execute(f"copy (select {casts} from ({sql})) to '{target}/part.parquet' (format parquet)")
            self.connection.execute(f"create table lake.{name} as from read_parquet('{target}/*.parquet')")

    @property
    def columns(self) -> dict[TableName, Mapping[str, str]]:
        """Types of columns, by table."""
        return {TableName("lake", name): types for name, (_, types) in self.tables.items()}

    def ask(self, shape: str) -> Verdict:
        """Run a SELECT on DuckDB and translate it."""
        verdict = Verdict(shape)
        try:
            described = self.connection.execute(f"describe {shape}").fetchall()
            verdict.types = {str(name): str(kind).strip('"') for name, kind, *_ in described}
            verdict.expected = self.connection.execute(shape).fetchall()
        except duckdb.Error as error:
            verdict.differences = [str(error).splitlines()[0]]
            return verdict
        verdict.sql, verdict.refused = self.translate(shape)
        return verdict

    def translate(self, shape: str) -> tuple[str | None, tuple[str, ...]]:
        """Return Spark's SQL of a SELECT, or why it is refused."""
        parsed, problems = parse_select(shape, "duckdb")
        if parsed is None:
            return None, tuple(problem.message for problem in problems)
        sql, refused = spark_select(parsed, self.columns, {})
        return sql, tuple(problem.message for problem in refused)

    def job(self, name: str, sql: str, types: Mapping[str, str]) -> SparkJob:
        """Return the job of a translated SELECT."""
        sources = tuple(
            SourceRow(schema="lake", table=table, kind="lake", location=f"lake/{table}", format="parquet")
            for table in self.tables
        )
        kinds = tuple((column, spark_type(kind, "duckdb") or "STRING") for column, kind in types.items())
        places = {f"lake__{table}": str(self.folder / "lake" / table) for table in self.tables}
        output = str(self.folder / "out" / name)
        return SparkJob(name, "one", SparkSelect(sql, sources, kinds), places, output, 1)

    def run(self, jobs: Sequence[SparkJob], *, is_interpreted: bool) -> Mapping[str, JobEnd]:
        """Run jobs in one Spark session."""
        settings = SparkSettings(local_cores=1, options=INTERPRETED if is_interpreted else ())
        backend = LocalBackend(self.folder / f"state-{'i' if is_interpreted else 'c'}", settings)
        order = Order("run", "dev", "default", "tester", None, Bounds())
        cluster = backend.start(order, lambda _: None, lambda *_: None)
        try:
            return cluster.run(jobs)
        finally:
            cluster.close()

    def read(self, end: JobEnd, types: Mapping[str, str]) -> Rows:
        """Return the rows of a result as the warehouse's types."""
        assert end.result is not None, end.error
        if not end.result.pattern:
            return []
        casts = ", ".join(f'cast("{name}" as {_readable(kind)}) as "{name}"' for name, kind in types.items())
        files = f"read_parquet('{end.result.pattern}', hive_partitioning = false)"
        return self.connection.execute(f"select {casts} from {files}").fetchall()


def exp_text(sql: str, dialect: str) -> str:
    """Return SQL as one dialect writes it, without quotes, schemas and parentheses."""
    tree = sqlglot.parse_one(sql, read=dialect)
    text = tree.sql("spark", normalize=True, comments=False).lower()
    return re.sub(r"[`()\s]|v\.|lake__|lake\.", "", text)


def _readable(kind: str) -> str:
    return kind if parse_kind(kind, "duckdb") is not None else "varchar"


def is_same(one: object, other: object) -> bool:
    """Whether two cells are one value; NaN is itself."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return type(one) is type(other) and one == other


def in_order(rows: Rows) -> Rows:
    """Return rows in one order, whatever their cells are."""
    return sorted(
        rows,
        key=lambda row: tuple((cell is None, repr(cell + 0.0 if isinstance(cell, float) else cell)) for cell in row),
    )


def first_difference(expected: Rows, found: Rows) -> str | None:
    """Return what differs first between two tables without an order, or None."""
    if len(expected) != len(found):
        return f"{len(expected)} rows became {len(found)}"
    for one, other in zip(in_order(expected), in_order(found), strict=True):
        if not all(map(is_same, one, other)):
            return f"{one!r} became {other!r}"
    return None
