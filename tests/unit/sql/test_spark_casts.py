"""What Spark may read as a day, an instant, a number or a truth is what DuckDB reads as one."""

from __future__ import annotations

import re
from itertools import product

import duckdb
import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.spark import spark_select

DAYS = (
    *("2013-01-05", "2013/1/5", "2013-1/5", "2013-1", "2013", "+2013-01-05", "-2013-01-05", "0000-01-01", "013-1-5"),
    *("20130105", "2013.01.05", "2013-01-005", "1234567-01-01"),
)
TAILS = (
    *("", " ", "T", " 10", "T1", " 10:00", " 10:", " 25:00", " 10:61", " 10:00:61", " 10:00:00.5", " 10:00:00,5"),
    *(" 10:00:00Z", " 10:00:00+2", " 10:00:00+02", " 10:00:00 +02", " 10:00:00+010", " 10:00:00+01:3", " 10:00:00GMT"),
    *(" 10:00:00Asia/Kolkata", " 10:00:00[UTC]", " 10:00:00\tUTC", " 10.00", " x", " (BC)", "T10:00:00T", "\n"),
)
NUMBERS = (
    *(
        "1",
        " 1 ",
        "1d",
        "1.5f",
        "1e5f",
        "0x1p3",
        "1__0",
        "_1",
        "1_",
        "1._5",
        "1_.5",
        "1_000",
        "١",
        "1,5",
        "1 000",
        "1e",
    ),
    *(".", "", "-", "1e400", "--1", "nan", "inf", "NULL", "$1", "1%", "1L", "1e 5"),
)
TRUTHS = ("true", " true", "true ", "1\n", "t", "on", "2", "T", "tRue", "", "yes", "0")
CASES = {
    "date": [day + tail for day, tail in product(DAYS, TAILS)],
    "timestamp": [day + tail for day, tail in product(DAYS, TAILS)],
    "timestamptz": [day + tail for day, tail in product(DAYS, TAILS)],
    "double": [*NUMBERS],
    "integer": [*NUMBERS],
    "decimal(10,2)": [*NUMBERS],
    "boolean": [*TRUTHS],
}


def _lets_through(kind: str, text: str) -> bool:
    """Whether Spark's cast sees the text as it is: the pattern stands in Spark's SQL."""
    select, _ = parse_select(f"select cast(s as {kind}) as x from lake.t", "duckdb")
    assert select is not None
    sql, _ = spark_select(select, {TableName("lake", "t"): {"s": "varchar"}}, {})
    found = re.search(r"REGEXP_REPLACE\(`t`.`s`, '\^\(\?!\(\?:(.*?)\)\\\\z\)', '!'\)", str(sql))
    assert found is not None
    pattern = re.sub(r"\\\\|\\(?=')|\\([tnfr])|\\013", _unescaped, found[1])
    return re.fullmatch(pattern, text) is not None


def _unescaped(found: re.Match[str]) -> str:
    return {"\\\\": "\\", "\\": "", "\\013": "\x0b"}.get(found[0]) or found[0]


@pytest.mark.parametrize("kind", CASES)
def test_no_text_reaches_sparks_cast_that_duckdb_does_not_read(kind: str) -> None:
    reads = "select try_cast(? as {}) is not null"
    connection = duckdb.connect()

    wrong = [
        text
        for text in CASES[kind]
        if _lets_through(kind, text) and not connection.execute(reads.format(kind), [text]).fetchall()[0][0]
    ]

    assert [text for text in wrong if text not in {"1e400", "on", "2", ""}] == []  # Spark's cast refuses these, too


@pytest.mark.parametrize(
    ("kind", "text"),
    [("date", " 2013/1/5 "), ("timestamp", "2013-01-05T10:00Z"), ("double", "-Infinity"), ("integer", "1_000"),
     ("boolean", "TRUE"), ("decimal(10,2)", "+.5e1")],
)  # fmt: skip
def test_what_both_read_goes_through(kind: str, text: str) -> None:
    assert _lets_through(kind, text)
