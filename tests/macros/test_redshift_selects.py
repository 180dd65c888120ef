"""The stand-in by measure: how many SELECTs that AWS describes as valid it runs, and which it refuses by name."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
import redshift_connector

from flows.warehouse.columns import table_columns
from flows.warehouse.connection import open_warehouse
from flows.warehouse.profile import Profile
from metadata_sync.sql.redshift import Severity, check_script
from tests.redshift_standin.errors import RedshiftError
from tests.redshift_standin.protocol.wire import Column
from tests.redshift_standin.server import Standin
from tests.redshift_standin.statements.translation import translate
from tests.support.redshift_project import connect

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

CORPUS = Path(__file__).parents[1] / "unit" / "lint" / "corpus" / "redshift_valid.sql"
UNSUPPORTED = CORPUS.with_name("redshift_unsupported.sql")
TABLES = (
    "create table flights (id integer, tail varchar(9), dest varchar(3), dep timestamp, day date, delay integer, "
    "fare numeric(9, 2), ratio double precision, late boolean, raw varchar(200), info super)",
    "create table planes (id integer, tail varchar(9), dest varchar(3), seats integer)",
    "create table limits (n integer)",
    "create table people (id integer, boss integer)",
    "create table totals (day date, jfk integer, lga integer)",
)
LEAST_RUN, LEAST_RUN_OR_NAMED = 0.95, 0.99
BY_NAME = "the Redshift stand-in does not know"
ANSWERS = Path(__file__).with_name("redshift_answers.sql")
FEWEST_ANSWERS = 220


def test_valid_selects_run_or_are_refused_by_name(redshift_standin: Standin) -> None:
    selects = [line for line in CORPUS.read_text().splitlines() if re.match(r"(select|with)\b", line)]
    selects = [line for line in selects if not re.search(r"\b(insert|update|delete|dwh)\b", line)]
    run, named, other = [], [], {}
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(table)
        for select in selects:
            try:
                cursor.execute(select)
                run.append(select)
            except redshift_connector.Error as error:
                named += [select] if BY_NAME in str(error) else []
                other |= {} if BY_NAME in str(error) else {select: str(error)[:200]}
    shares = len(run) / len(selects), (len(run) + len(named)) / len(selects)
    print(f"{len(selects)} SELECTs: {100 * shares[0]:.1f} % run, {100 * shares[1]:.1f} % run or are refused by name")
    assert shares[0] >= LEAST_RUN, other
    assert shares[1] >= LEAST_RUN_OR_NAMED, other


def _answers() -> dict[str, str]:
    lines = [line.partition(" --> ") for line in ANSWERS.read_text(encoding="utf-8").splitlines()]
    return {select: answer for select, arrow, answer in lines if arrow and not select.startswith("--")}


def _as_text(value: object) -> str:
    """A value as the file writes it: numbers without the zeros at their end."""
    if isinstance(value, Decimal | float):
        return format(Decimal(str(value)).normalize(), "f")
    return str(value)


def test_selects_answer_as_the_pages_say(redshift_standin: Standin) -> None:
    found = {}
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        for select in _answers():
            cursor.execute(select)
            found[select] = _as_text(cursor.fetchall()[0][0])
    assert len(found) >= FEWEST_ANSWERS
    assert found == _answers()


@pytest.mark.parametrize("select", _answers())
def test_lint_takes_what_has_an_answer(select: str) -> None:
    assert not [finding for finding in check_script(select) if finding.severity is Severity.ERROR]


def test_standin_is_never_more_lenient_than_the_pages() -> None:
    """Each statement of the corpus of unsupported ones is refused before PostgreSQL sees it."""
    lines = UNSUPPORTED.read_text(encoding="utf-8").splitlines()
    taken = [line for line in lines if line and not line.startswith("-- ") and not _is_refused(line)]
    assert not taken


def _is_refused(script: str) -> bool:
    is_in_block = False
    try:
        for statement in script.split("; "):
            plan = translate(statement, is_in_block=is_in_block, columns=lambda _: [Column("a", 23, -1)])
            is_in_block = is_in_block or plan.kind == "begin"
    except RedshiftError:
        return True
    return False


def test_external_tables_are_seen_where_aws_shows_them(redshift_standin: Standin) -> None:
    """In SVV_EXTERNAL_COLUMNS and SVV_COLUMNS, not in information_schema; the gate reads their columns with sizes."""
    table = "id int, tail varchar(9), code char(3), fare decimal(9, 2), ratio double, dep timestamp"
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        cursor.execute("create external schema lake from data catalog database 'd' iam_role default")
        cursor.execute(
            f"create external table lake.flights ({table}) partitioned by (day date) stored as parquet location 's3://b/k/'"
        )
    counts = {}
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        for view, name in (
            ("information_schema.columns", "table_name"),
            ("svv_columns", "table_name"),
            ("svv_external_columns", "tablename"),
        ):
            cursor.execute(f"select count(*) from {view} where {name} = 'flights'")
            counts[view] = cursor.fetchall()[0][0]
    assert counts == {"information_schema.columns": 0, "svv_columns": 7, "svv_external_columns": 7}
    profile = Profile("sluice", "redshift", "redshift", "prod", redshift_standin.profile())
    warehouse = open_warehouse(profile, wait_seconds=0)
    found = {column.name: column.type for column in table_columns(warehouse, "lake", "flights")}
    warehouse.close()
    assert found == {
        "id": "integer",
        "tail": "varchar(9)",
        "code": "char(3)",
        "fare": "decimal(9,2)",
        "ratio": "double precision",
        "dep": "timestamp",
        "day": "date",
    }
