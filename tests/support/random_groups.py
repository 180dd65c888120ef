"""Random increments by groups over two sources: what Spark is asked for them, and what they yield in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import duckdb

from flows.spark.jobs import SparkJob
from metadata_sync.analysis.spark import SparkGroups, SparkSelect
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import Cut, spark_select, touched_groups

A, B = TableName("lake", "a"), TableName("lake", "b")
TYPES = {"k": "integer", "v": "integer", "seq": "integer"}
SELECT = """
select a.k, count(*) as n, sum(a.v) as total, max(b.v) as most
from lake.a as a left join lake.b as b on b.k = a.k
group by a.k
"""
COLUMNS = (("k", "INT"), ("n", "BIGINT"), ("total", "BIGINT"), ("most", "INT"))

Row = tuple[int | None, int | None, int | None]
"""k, v, seq."""


@dataclass(frozen=True)
class GroupCase:
    """Rows of both sources, and the window of each."""

    number: int
    rows: dict[TableName, list[Row]]
    cuts: dict[TableName, Cut]

    def job(self, folder: Path) -> SparkJob:
        """Land the rows, and write the job as a run does."""
        sources = []
        with duckdb.connect() as connection:
            for name, rows in self.rows.items():
                place = folder / f"groups_{self.number}" / name.table
                place.mkdir(parents=True)
                connection.execute("create or replace table t (k integer, v integer, seq integer)")
                connection.executemany("insert into t values (?, ?, ?)", [list(row) for row in rows])
                connection.execute(f"copy t to '{place}/t.parquet' (format parquet)")
                sources.append(
                    SourceRow.model_validate(
                        {
                            "schema": "lake", "table": name.table, "kind": "lake", "location": "lake",
                            "format": "parquet", "incremental_key": "seq",
                        }
                    )
                )  # fmt: skip
        select, _ = parse_select(SELECT, "duckdb")
        assert select is not None
        columns = dict.fromkeys((A, B), TYPES)
        sql, problems = spark_select(select, columns, self.cuts)
        assert sql is not None, problems
        touched = touched_groups(self.cuts, columns, "duckdb")
        groups = None if touched is None else SparkGroups(touched.sql("spark"), (("sluice_group_1", "INT", "integer"),))
        locations = {f"lake__{name.table}": str(folder / f"groups_{self.number}" / name.table) for name in self.rows}
        return SparkJob(
            f"g.c{self.number}",
            "one",
            SparkSelect(sql, tuple(sources), COLUMNS, groups),
            locations,
            str(folder / "out" / f"g__c{self.number}"),
            1,
        )

    @property
    def touched(self) -> set[int | None] | None:
        """The groups that the windows touch; None: all of them."""
        found: set[int | None] = set()
        for name, cut in self.cuts.items():
            if cut.is_empty:
                continue
            if cut.start is None:
                return None
            assert cut.end is not None
            low, high = int(cut.start), int(cut.end)
            found |= {k for k, _, seq in self.rows[name] if seq is not None and low <= seq <= high}
        return found

    @property
    def expected(self) -> list[tuple[object, ...]]:
        """What the SELECT yields over all rows of the touched groups."""
        touched = self.touched
        read = {
            name: [(k, v) for k, v, seq in rows if seq is not None and (touched is None or k in touched)]
            for name, rows in self.rows.items()
        }
        matches: dict[int | None, list[int | None]] = defaultdict(list)
        for k, v in read[B]:
            matches[k].append(v)
        joined: dict[int | None, list[tuple[int | None, int | None]]] = defaultdict(list)
        for k, v in read[A]:
            found = matches[k] if k is not None and matches.get(k) else [None]
            joined[k] += [(v, w) for w in found]
        return sorted(
            (
                (k, len(pairs), _over(sum, [v for v, _ in pairs]), _over(max, [w for _, w in pairs]))
                for k, pairs in joined.items()
            ),
            key=repr,
        )


def random_case(number: int) -> GroupCase:
    """Few keys, few times, many NULLs; windows that are whole, partial, empty, or of one source alone."""
    random = Random(number)

    def row() -> Row:
        return (
            random.choice([None, 1, 2, 3, 4, 5]),
            random.choice([None, 1, 7, -3]),
            random.choice([None, *range(10)]),
        )

    def cut(*, is_first: bool) -> Cut:
        if not is_first and random.random() < 0.3:
            return Cut("seq", is_empty=True, group=("k",))
        start = None if is_first else str(random.randrange(10))
        return Cut("seq", "integer", start, str(random.randrange(4, 10)), group=("k",))

    is_first = number % 4 == 0
    return GroupCase(
        number,
        {name: [row() for _ in range(random.randrange(1, 14))] for name in (A, B)},
        {name: cut(is_first=is_first) for name in (A, B)},
    )


def _over(aggregate: Callable[[list[int]], int], values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return aggregate(known) if known else None
