"""Probes against real warehouses: what they find, how many statements they take, what one broken source does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import duckdb
import psycopg
import pytest
from sqlglot import exp

from flows.gate.facts import Probe
from flows.gate.probe import Prober, Question
from flows.warehouse.connection import DuckDBWarehouse, Row, Warehouse, open_warehouse
from metadata_sync.loads import Watermark
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from tests.support.lake_files import land
from tests.support.probe_support import NOW, postgres_profile, table

ROWS = """
    create table shop.orders (id bigint, landed_at timestamp, zoned_at timestamp with time zone, landed_on date);
    insert into shop.orders
    select i, timestamp '2013-01-01' + i * interval '1' minute,
        timestamp '2013-01-01' + i * interval '1' minute, date '2013-01-01'
    from generate_series(0, 99) as t (i);
    insert into shop.orders values (1000, '2999-01-01', '2999-01-01 00:00:00+00', '2999-01-01');
    create table shop.empty (landed_at timestamp);
    create table shop.unkeyed (landed_at timestamp);
    insert into shop.unkeyed values (null), (null), (null);
    create table shop.future (landed_at timestamp);
    insert into shop.future values ('2999-01-01');
"""


class CountingWarehouse:
    """A warehouse that counts its statements."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.dialect = warehouse.dialect
        self.count = 0

    def query(self, expression: exp.Query) -> Sequence[Row]:
        self.count += 1
        return self._warehouse.query(expression)

    def close(self) -> None:
        self._warehouse.close()


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def warehouse(request: pytest.FixtureRequest) -> Iterator[CountingWarehouse]:
    if request.param == "duckdb":
        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'; create schema shop;" + ROWS)
        opened: Warehouse = DuckDBWarehouse(connection)
    else:
        url = request.getfixturevalue("postgres_url")
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(b"set timezone = 'UTC'; create schema shop;" + ROWS.encode())
        opened = open_warehouse(postgres_profile(url), wait_seconds=0)
    yield CountingWarehouse(opened)
    opened.close()


def ask(warehouse: Warehouse, project: Project, *questions: Question) -> list[Probe]:
    answers = Prober(project, warehouse, NOW).ask(questions)
    return [answers[question] for question in questions]


@pytest.mark.parametrize(
    ("key", "end", "lookback", "newest", "band"),
    [
        ("id", "98", 60, "1000", 1),
        ("landed_at", "2013-01-01 01:30:00.000000", 0, "2013-01-01 01:39:00.000000", 1),
        ("landed_at", "2013-01-01 01:30:00.000000", 10, "2013-01-01 01:39:00.000000", 11),
        ("zoned_at", "2013-01-01 02:30:00.000000+01", 10, "2013-01-01 01:39:00.000000+00", 11),
        ("landed_on", "2013-01-01", 10, "2013-01-01", 100),
    ],
)
def test_keyed_source_answers_with_maximum_band_and_future(
    warehouse: CountingWarehouse, project: Project, *, key: str, end: str, lookback: int, newest: str, band: int
) -> None:
    (probe,) = ask(warehouse, project, Question(table("orders"), key, lookback, Watermark(end, band)))

    assert probe == Probe(True, newest, band, future_count=0 if key == "id" else 1)


def test_source_is_scanned_once_for_all_its_readers(warehouse: CountingWarehouse, project: Project) -> None:
    orders = table("orders")
    ends = ["2013-01-01 01:00:00", "2013-01-01 01:10:00", "2013-01-01 01:20:00"]
    questions = [Question(orders, "landed_at", 10, Watermark(end, 11)) for end in ends]

    probes = ask(warehouse, project, *questions, Question(table("orders"), "id", 0, Watermark("98", 1)))

    assert warehouse.count == 2, "one for all, and one for the row that lies in the future"
    assert [probe.band_count for probe in probes] == [11, 11, 11, 1]
    assert [probe.newest for probe in probes] == ["2013-01-01 01:39:00.000000"] * 3 + ["1000"]


def test_source_that_holds_nothing_of_what_was_asked_for_is_looked_at_as_a_whole(
    warehouse: CountingWarehouse, project: Project
) -> None:
    backwards, emptied, unkeyed = ask(
        *(warehouse, project),
        Question(table("orders"), "id", 0, Watermark("5000", 1)),
        Question(table("empty"), "landed_at", 0, Watermark("2013-01-01", 7)),
        Question(table("unkeyed"), "landed_at", 0, None),
    )

    assert warehouse.count == 2
    assert backwards == Probe(band_count=0, below="1000")
    assert emptied == Probe(band_count=0)
    assert unkeyed == Probe(null_count=3)


def test_source_that_was_never_read_is_asked_for_one_row(warehouse: CountingWarehouse, project: Project) -> None:
    full, empty, future = ask(
        *(warehouse, project),
        *(Question(table(name), "landed_at", 0, None) for name in ("orders", "empty", "future")),
    )

    assert (full.has_rows, empty.has_rows, future.has_rows) == (True, False, False)
    assert (empty.future_count, future.future_count) == (0, 1)


def test_broken_source_answers_with_its_error_and_hinders_no_other(
    warehouse: CountingWarehouse, project: Project
) -> None:
    good = Question(table("orders"), "id", 0, Watermark("98", 1))
    missing = Question(table("nowhere"), "id", 0, Watermark("98", 1))
    wrong = Question(table("orders"), "colour", 0, Watermark("98", 1))

    answers = ask(warehouse, project, good, missing, wrong)

    assert answers[0].error is None
    assert answers[0].newest == "1000"
    assert "nowhere" in (answers[1].error or "")
    assert "colour" in (answers[2].error or "")


def test_watermark_that_is_no_bound_is_an_error(warehouse: CountingWarehouse, project: Project) -> None:
    (probe,) = ask(warehouse, project, Question(table("orders"), "id", 0, Watermark("9f" * 32)))

    assert "not a value of id" in (probe.error or "")
    assert warehouse.count == 0


def test_probe_query_yields_the_change_token(warehouse: CountingWarehouse, project: Project) -> None:
    counted = table("orders", probe="select count(*) from shop.orders")
    unprobed = table("orders")
    broken = table("orders", probe="drop table shop.orders")

    found, unknown, refused = ask(
        warehouse, project, *(Question(row, None, 0, None) for row in (counted, unprobed, broken))
    )

    assert found == Probe(True, "101")
    assert unknown == Probe(True, None)
    assert "begins with DROP" in (refused.error or "")


def test_probes_write_nothing(warehouse: CountingWarehouse, project: Project) -> None:
    write = table("orders", probe="with gone as (delete from shop.orders returning 1) select count(*) from gone")

    (probe,) = ask(warehouse, project, Question(write, None, 0, None))

    assert probe.error is not None
    assert ask(
        warehouse, project, Question(table("orders", probe="select count(*) from shop.orders"), None, 0, None)
    ) == [Probe(True, "101")]


def test_only_the_folders_that_a_window_may_reach_are_opened(project: Project) -> None:
    """All but the first file of a folder that lies below the window are broken: nobody may have looked into them."""
    for day in range(1, 6):
        land(project, f"orders/day=2013-01-{day:02}/1", f"select * from range({day}) as t (i)")
    for day in (2, 3):
        (project.root / f"lake/orders/day=2013-01-{day:02}/1.parquet").write_bytes(b"no parquet at all")
    late = datetime(2013, 1, 4, tzinfo=UTC)
    source = SourceRow.model_validate(
        {"schema": "lake", "table": "orders", "kind": "lake", "format": "parquet", "location": "lake/orders/day=*"}
    )
    question = Question(source, "day", 0, Watermark("2013-01-04", 4))

    with duckdb.connect() as connection:
        answers = [Prober(project, DuckDBWarehouse(connection), now).ask([question])[question] for now in (late, NOW)]

    assert answers[0] == Probe(True, "2013-01-04", 4, future_count=5), "a folder of the future is left out"
    assert answers[1].error is None
