"""Every input of the corpus is refused with a message that names its row and a remedy, or harmless, or masked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metadata_sync.analysis.data_tests import TestScope, data_test_problems, test_document
from metadata_sync.analysis.declared_tests import read_declared_tests
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.redact import redact_text
from metadata_sync.rows.names import TableName
from metadata_sync.rows.parsing import parse_row
from metadata_sync.sql import parse_select
from metadata_sync.sql.checks import form_problems
from metadata_sync.sql.columns import width_problems
from metadata_sync.sql.expressions import delete_when_problems, is_type
from metadata_sync.sql.probes import parse_probe
from metadata_sync.validation.row_rules import row_faults
from tests.support.trust_support import (
    DIALECTS,
    SECRET,
    corpus,
    make_project,
    pipeline,
    rows,
    source,
    target,
)

COLUMNS = ("tailnum", "carrier", "operation", "updated_at")
SHOP_ORDERS = (TableName("shop", "orders"),)
MAX_SECONDS = 10
PLACES = (
    "select {call} as x from lake.flights as f",
    "select f.tailnum from lake.flights as f where {call} is not null",
    "with a as (select {call} as x from lake.flights as f) select x from a",
    "select f.tailnum, (select max({call}) from lake.planes) as y from lake.flights as f",
    "select f.tailnum from lake.flights as f join lake.planes as p on {call} is null",
    "select f.tailnum from lake.flights as f order by {call}",
    "select coalesce(upper(cast({call} as varchar)), 'x') as x from lake.flights as f",
    "select count(*) filter (where {call} is null) as x from lake.flights as f",
    "select f.tailnum from lake.flights as f group by f.tailnum, {call}",
    "select case when {call} is null then 1 end as x from lake.flights as f",
)
ROWS = {"pipeline": pipeline, "source": source, "target": target}
CALLS = [(dialect, call) for dialect, calls in corpus("functions").items() for call in calls]
GOOD_CALLS = [(dialect, call) for dialect, calls in corpus("accepted_functions").items() for call in calls]


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MAX_SECONDS


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("trust") / "project")


def problems_of(text: str, dialect: str) -> tuple[Problem, ...]:
    select, problems = parse_select(text, dialect)
    if select is None or problems:
        return problems
    return (*form_problems(select), *width_problems(select, {}), *undeclared(select.tables))


def undeclared(tables: tuple[TableName, ...]) -> tuple[Problem, ...]:
    known = ("lake.flights", "lake.planes")
    return tuple(Problem("undeclared_dependency", "x", "x") for table in tables if str(table) not in known)


def check(problems: tuple[Problem, ...]) -> None:
    assert problems
    assert all(problem.rule and problem.message and problem.remedy for problem in problems)


@pytest.mark.parametrize(("dialect", "call"), CALLS)
def test_function_that_is_not_known_is_refused_wherever_it_stands(dialect: str, call: str) -> None:
    for place in PLACES:
        text = place.format(call=call)
        problems = problems_of(text, dialect)
        check(problems)


@pytest.mark.parametrize(("dialect", "call"), CALLS)
def test_function_that_is_not_known_is_refused_as_a_table(dialect: str, call: str) -> None:
    check(problems_of(f"select 1 as x from lake.flights as f, {call}", dialect))


@pytest.mark.parametrize(("dialect", "call"), GOOD_CALLS)
def test_known_function_is_accepted(dialect: str, call: str) -> None:
    assert problems_of(f"select {call} as x from lake.flights", dialect) == ()


def test_message_names_function_line_and_remedy() -> None:
    (problem,) = problems_of("select f.tailnum,\n  pg_read_file('x') as x\nfrom lake.flights as f", "postgres")
    assert problem.message == "Line 2 calls pg_read_file(), which is not a known function of postgres."
    assert "SLUICE_ALLOWED_FUNCTIONS" in problem.remedy


@pytest.mark.parametrize("name", ["clean_name('x')", "udf.clean_name('x')"])
def test_function_of_the_team_is_accepted_by_its_name(name: str) -> None:
    select, _ = parse_select(f"select {name} as x from lake.flights", "postgres")
    assert select is not None
    assert form_problems(select, {name.partition("(")[0]}) == ()
    check(form_problems(select, {"other"}))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("selects")["refused"])
def test_text_that_is_not_one_select_of_declared_tables_is_refused(text: str, dialect: str) -> None:
    check(problems_of(text, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("selects")["accepted"])
def test_select_is_accepted(text: str, dialect: str) -> None:
    assert problems_of(text, dialect) == ()


@pytest.mark.parametrize(
    "text",
    [
        "select " + ", ".join(f"1 as c{number}" for number in range(60_000)) + " from lake.flights",
        "select " + "+".join(["tailnum"] * 120_000) + " as x from lake.flights",
        "select " + "(" * 20_000 + "1" + ")" * 20_000 + " as x from lake.flights",
        "select * from " + "(select * from " * 2_000 + "lake.flights" + ")" * 2_000,
        "select " + "case when true then 1 else " * 2_000 + "0" + " end" * 2_000 + " as x from lake.flights",
        "select " + "not " * 20_000 + "true as x from lake.flights",
        "select " + "- " * 50_001 + "1 as x from lake.flights",
        "with a0 as (select * from lake.flights), "
        + ", ".join(f"a{n} as (select * from a{n - 1} as x cross join a{n - 1} as y)" for n in range(1, 40))
        + " select * from a39",
    ],
    ids=["columns", "terms", "parentheses", "subqueries", "cases", "nots", "minuses", "doubling"],
)
def test_select_beyond_measure_is_refused_in_time(text: str) -> None:
    for dialect in DIALECTS:
        check(problems_of(text, dialect))


@pytest.mark.parametrize("test", corpus("data_tests")["refused"], ids=repr)
def test_data_test_beyond_the_known_ones_is_refused(project: Project, test: object) -> None:
    parsed = parse_row(type(target()), {**target().model_dump(mode="json"), "column_list": columns(test)}, "dwh.dim")
    if parsed.faults:
        return  # its very shape
    scope = scope_of(project, test)
    check(tuple(data_test_problems(scope.row.column_list[0], scope)))
    assert test_document(scope.row.column_list[0].tests[0], scope) is None


@pytest.mark.parametrize("test", corpus("data_tests")["accepted"], ids=repr)
def test_known_data_test_is_accepted(project: Project, test: object) -> None:
    scope = scope_of(project, test)
    assert tuple(data_test_problems(scope.row.column_list[0], scope)) == ()
    assert test_document(scope.row.column_list[0].tests[0], scope)


def columns(test: object) -> list[dict[str, object]]:
    return [{"name": "tailnum", "type": "varchar", "tests": [test]}, {"name": "carrier", "type": "varchar"}]


def scope_of(project: Project, test: object) -> TestScope:
    row = target(column_list=columns(test))
    return TestScope(row, rows(row), "duckdb", read_declared_tests(project))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("probes")["refused"])
def test_probe_that_is_more_than_a_question_to_its_table_is_refused(text: str, dialect: str) -> None:
    select, problems = parse_probe(text, dialect, SHOP_ORDERS)
    assert select is None
    check(problems)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("probes")["accepted"])
def test_probe_is_accepted(text: str, dialect: str) -> None:
    select, problems = parse_probe(text, dialect, SHOP_ORDERS)
    assert problems == ()
    assert select is not None


@pytest.mark.parametrize(("kind", "column", "value"), corpus("values")["refused"])
def test_value_of_a_row_is_refused(project: Project, kind: str, column: str, value: object) -> None:
    good = ROWS[kind]()
    key = "x"
    parsed = parse_row(type(good), {**good.model_dump(mode="json", by_alias=True), column: value}, key)
    faults = [*parsed.faults]
    if not faults and parsed.row is not None:
        key = parsed.row.key
        faults += [fault for fault in row_faults(rows(parsed.row), project) if fault.column == column]
    assert faults
    for fault in faults:
        assert fault.key == key
        assert fault.remedy
        assert SECRET not in str(fault)


@pytest.mark.parametrize(("kind", "column", "value"), corpus("values")["accepted"])
def test_value_of_a_row_is_accepted(project: Project, kind: str, column: str, value: object) -> None:
    row = ROWS[kind](**{column: value})
    assert [fault for fault in row_faults(rows(row), project) if fault.column == column] == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("conditions")["delete_when"]["refused"])
def test_condition_is_refused(text: str, dialect: str) -> None:
    check(delete_when_problems(text, dialect, COLUMNS))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("conditions")["delete_when"]["accepted"])
def test_condition_is_accepted(text: str, dialect: str) -> None:
    assert delete_when_problems(text, dialect, COLUMNS) == ()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("conditions")["types"]["refused"])
def test_type_is_refused(text: str, dialect: str) -> None:
    assert not is_type(text, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", corpus("conditions")["types"]["accepted"])
def test_type_is_accepted(text: str, dialect: str) -> None:
    assert is_type(text, dialect)


@pytest.mark.parametrize("text", corpus("secrets")["masked"])
def test_secret_is_masked_in_every_form(text: str) -> None:
    for around in ("{}", "error: {}", "line 1\n{}\nline 3", "  {}  ", "({})"):
        assert SECRET not in redact_text(around.format(text) if "{}" in around else text)
    assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize("text", corpus("secrets")["untouched"])
def test_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


def test_corpus_is_large_enough() -> None:
    counts = [len(CALLS), len(GOOD_CALLS), *(len(item) for item in corpus("selects").values())]
    counts += [len(item) for name in ("data_tests", "probes", "values", "secrets") for item in corpus(name).values()]
    counts += [len(item) for kinds in corpus("conditions").values() for item in kinds.values()]
    assert sum(counts) >= 600


def test_links_pipes_and_foreign_files_are_no_selects(project: Project, tmp_path: Path) -> None:
    import os

    from metadata_sync.analysis.select_file import read_select

    folder = project.dbt_dir / "transformations"
    outside = tmp_path / "outside.sql"
    outside.write_text("select 1")
    (project.root / ".env").write_text("PASSWORD=hunter2Zq9")
    (folder / "link.sql").symlink_to(outside)
    (folder / "env.sql").symlink_to(project.root / ".env")
    os.mkfifo(folder / "pipe.sql")
    (folder / "device.sql").symlink_to("/dev/zero")
    (folder / "folder.sql").mkdir()
    (folder / "large.sql").write_bytes(b" " * 2_000_000)
    (folder / "latin.sql").write_bytes(b"\xff")
    for path in (
        *("transformations/link.sql", "transformations/env.sql", "transformations/pipe.sql", "transformations/x.sql"),
        *("transformations/device.sql", "transformations/folder.sql", "transformations/large.sql", "../.env"),
        *("transformations/latin.sql", "../profiles.yml", "dbt_project.yml", "/etc/passwd", "a\0b", "~/x.sql", ""),
        *("x" * 5_000, "transformations/../../../x.sql", "file:///etc/passwd"),
    ):
        problem = read_select(target(sql_path=path), project)
        assert isinstance(problem, Problem), path
        assert problem.remedy
        assert SECRET not in problem.message
