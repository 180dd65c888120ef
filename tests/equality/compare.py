"""Compare shapes in few sessions: expressions share SELECTs, whole SELECTs are jobs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from metadata_sync.sql import parse_select
from metadata_sync.sql.spark.kinds import NULL, Kind, parse_kind
from metadata_sync.sql.spark.query import Queries
from metadata_sync.sql.spark.scope import Output, Scope
from metadata_sync.sql.spark.sources import source_item
from tests.equality.engines import Lake, Verdict, first_difference, is_same

_BATCH = 40
"""Expressions in one SELECT."""
_SHOWN = 3
"""Differences of one expression that are told."""


@dataclass
class Column:
    """An expression as a column of a batch.

    Attributes:
        verdict: What is known of it.
        values: DuckDB's value, by row; a row where DuckDB fails is left out.
        sql: Spark's expression.
    """

    verdict: Verdict
    values: dict[int, object] = field(default_factory=dict)
    sql: str = ""

    def guarded(self, count: int) -> str:
        """Return the expression, computed only where DuckDB has a value."""
        if len(self.values) == count:
            return self.sql
        mask = "".join("1" if place in self.values else "0" for place in range(1, count + 1))
        return f"if(substring('{mask}', `v`.`id`, 1) = '1', {self.sql}, null)"


def compare_expressions(lake: Lake, expressions: Iterable[str], count: int, runs: Sequence[bool]) -> list[Verdict]:
    """Compare expressions over the table of awkward values.

    Args:
        lake: Holds the table.
        expressions: The expressions.
        count: Rows of the table.
        runs: A session each: whether Spark interprets instead of generating code.
    """
    columns = [_ask(lake, text, count) for text in expressions]
    asked = [column for column in columns if column.verdict.outcome == "equal"]
    for is_interpreted in runs:
        batches = [asked[start : start + _BATCH] for start in range(0, len(asked), _BATCH)]
        while batches:
            batches = _run(lake, batches, count, is_interpreted)
    return [column.verdict for column in columns]


def _run(lake: Lake, batches: Sequence[list[Column]], count: int, is_interpreted: bool) -> list[list[Column]]:
    """Run batches in one session; a batch that fails is returned in parts, one column that fails differs."""
    jobs, again = [], []
    for number, batch in enumerate(batches):
        fields = ", ".join(f"{column.guarded(count)} AS `x{place}`" for place, column in enumerate(batch))
        types = {"id": "integer"} | {f"x{place}": column.verdict.types["x"] for place, column in enumerate(batch)}
        sql = f"SELECT `v`.`id` AS `id`, {fields} FROM `lake__v` AS `v`"
        jobs.append((batch, types, lake.job(f"b{number}-{len(batches)}-{is_interpreted:d}", sql, types)))
    ends = lake.run([job for _, _, job in jobs], is_interpreted=is_interpreted)
    for batch, types, job in jobs:
        end = ends[job.target]
        if end.result is not None:
            _compare(batch, {int(row[0]): row[1:] for row in lake.read(end, types)}, is_interpreted)
        elif len(batch) == 1:
            batch[0].verdict.differences.append(f"fails on Spark only: {str(end.error)[:300]}")
        else:
            step = max(1, len(batch) // 8)
            again += [batch[start : start + step] for start in range(0, len(batch), step)]
    return again


def _compare(batch: Sequence[Column], found: Mapping[int, tuple[object, ...]], is_interpreted: bool) -> None:
    for place, column in enumerate(batch):
        odd = [row for row, value in column.values.items() if not is_same(value, found[row][place])]
        run = "interpreted" if is_interpreted else "compiled"
        column.verdict.differences += [
            f"{run}: row {row}: {column.values[row]!r} became {found[row][place]!r}" for row in odd[:_SHOWN]
        ]


def _ask(lake: Lake, expression: str, count: int) -> Column:
    shape = f"select {expression} as x from lake.v as v"
    column = Column(Verdict(shape))
    verdict = column.verdict
    try:
        verdict.types = {"x": str(lake.connection.execute(f"describe {shape}").fetchall()[0][1])}
        column.values = _values(lake, expression)
        verdict.expected = []
    except duckdb.Error as error:
        verdict.differences = [str(error).splitlines()[0]]
        return column
    asked = lake.translate(shape)
    verdict.sql, verdict.refused = asked
    if verdict.sql is not None:
        column.sql = verdict.sql.removeprefix("SELECT ").removesuffix(" AS `x` FROM `lake__v` AS `v`")
        verdict.differences += type_differences(lake, verdict)
    return column


def _values(lake: Lake, expression: str) -> dict[int, object]:
    """Return DuckDB's value of each row where it has one."""
    execute = lake.connection.execute
    try:
        return dict(execute(f"select id, {expression} from lake.v as v").fetchall())
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException):
        pass
    values = dict(execute(f"select id, try({expression}) from lake.v as v").fetchall())
    for row in _failing(lake, expression, [row for row, value in values.items() if value is None]):
        del values[row]
    return values


def _failing(lake: Lake, expression: str, rows: Sequence[int]) -> list[int]:
    """Return the rows where DuckDB fails: it gives NULL for them, as it does for others."""
    if not rows:
        return []
    try:
        shape = f"select {expression} from lake.v as v where id in ({', '.join(map(str, rows))})"
        lake.connection.execute(shape).fetchall()
    except duckdb.Error:
        half = len(rows) // 2
        return [*_failing(lake, expression, rows[:half]), *_failing(lake, expression, rows[half:])] if half else [*rows]
    return []


def type_differences(lake: Lake, verdict: Verdict) -> list[str]:
    """Return where the translation expects another type than DuckDB gives."""
    parsed, _ = parse_select(verdict.shape, "duckdb")
    assert parsed is not None
    tables = {
        name: tuple(Output(column, parse_kind(kind, "duckdb"), kind) for column, kind in listed.items())
        for name, listed in lake.columns.items()
    }
    queries = Queries("duckdb", tables, lambda name, alias: source_item(name, alias, {}, None))
    made = queries.query(parsed.tree, Scope())
    kinds = [(name, NULL if kind == "NULL" else parse_kind(kind, "duckdb")) for name, kind in verdict.types.items()]
    return [
        f"type: {name} is {kind}, not {column.kind}"
        for (name, kind), column in zip(kinds, made.columns, strict=True)
        if not _is_wide_enough(column.kind, kind)
    ]


def _is_wide_enough(own: Kind | None, other: Kind | None) -> bool:
    """Whether a type is DuckDB's; a decimal may have more digits: sqlglot writes .5 as 0.5."""
    if own is None or other is None:
        return False
    is_decimal = own.name == other.name == "decimal" and own.scale == other.scale and own.precision >= other.precision
    return own == other or is_decimal or own.name == "null"


def compare_selects(lake: Lake, shapes: Iterable[str], runs: Sequence[bool]) -> list[Verdict]:
    """Compare whole SELECTs, each a job.

    Args:
        lake: Holds the tables.
        shapes: The SELECTs.
        runs: A session each: whether Spark interprets instead of generating code.
    """
    verdicts = [lake.ask(shape) for shape in shapes]
    asked = [(number, verdict) for number, verdict in enumerate(verdicts) if verdict.outcome == "equal"]
    for _, verdict in asked:
        verdict.differences += type_differences(lake, verdict)
    for is_interpreted in runs if asked else ():
        jobs = {
            number: lake.job(f"s{number}-{is_interpreted:d}", str(verdict.sql), verdict.types)
            for number, verdict in asked
        }
        ends = lake.run([*jobs.values()], is_interpreted=is_interpreted)
        for number, verdict in asked:
            end = ends[jobs[number].target]
            if end.result is None:
                verdict.differences.append(f"fails on Spark only: {str(end.error)[:300]}")
            else:
                odd = first_difference(verdict.expected or [], lake.read(end, verdict.types))
                verdict.differences += [odd] if odd is not None else []
    return verdicts
