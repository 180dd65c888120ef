"""Rows and SELECTs that nobody thought of: whatever comes, it is judged in time and without an error of ours."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metadata_sync.analysis.data_tests import TestScope, data_test_problems, test_document
from metadata_sync.redact import holds_secret, redact, redact_text, safe_text
from metadata_sync.rows.model import Column
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.checks import form_problems
from metadata_sync.sql.columns import output_columns, width_problems
from metadata_sync.sql.expressions import delete_when_problems, is_type
from metadata_sync.sql.functions import KNOWN_BY_NAME
from metadata_sync.sql.parse import ParsedSelect
from metadata_sync.sql.probes import parse_probe
from metadata_sync.validation.pipeline_rules import _is_cron
from tests.support.trust_support import DIALECTS, SECRET, corpus, rows, target

TABLES = {TableName("lake", "flights"): ("tailnum", "carrier"), TableName("lake", "planes"): ("tailnum",)}
SEEDS = [*corpus("selects")["refused"], *corpus("selects")["accepted"], *corpus("probes")["refused"]]
SEEDS += [f"select {call} as x from lake.flights" for calls in corpus("functions").values() for call in calls]
PIECES = (
    *("select", "from", "where", "with", "recursive", "as", "(", ")", ",", ";", "*", ".", "'", '"', "--", "/*", "*/"),
    *("lake.flights", "f", "x", "1", "union all", "join", "on", "lateral", "values", "into", "for update", "{{", "}}"),
    *("read_text('/etc/passwd')", "pg_sleep(1)", "U&", "\\", "::", "->", ":=", "case", "end", "over", "[", "]", "$$"),
    *("exists", "in", "between", "pivot", "qualify", "group by", "order by", "limit", "?", "$1", ":a", "e'", "\n"),
    *("{%", "not", "null", "\t"),
)
EXAMPLES = settings(max_examples=300)
nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A text of the corpus, with pieces cut out, put in or taken from another one."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[end:]
    return text


texts = mutated() | st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join) | st.text(max_size=60)


def judge(text: str, dialect: str) -> ParsedSelect | None:
    """Do what validation does, and return the SELECT when nothing is wrong with it."""
    select, problems = parse_select(text, dialect)
    if select is not None and not problems:
        problems = (*form_problems(select), *width_problems(select, TABLES))
        output_columns(select, TABLES)
    assert all(problem.message and problem.remedy for problem in problems)
    return None if problems else select


@EXAMPLES
@example(text="select max(a) from shop..o.rders for update", dialect="duckdb")
@example(text="select max(a) from shop...orders for update", dialect="duckdb")
@given(text=texts, dialect=st.sampled_from(DIALECTS))
def test_select_is_judged_without_an_error(text: str, dialect: str) -> None:
    began = time.monotonic()
    judge(text, dialect)
    parse_probe(text, dialect, [*TABLES])
    delete_when_problems(text, dialect, ("tailnum",))
    is_type(text, dialect)
    _is_cron(text)
    assert time.monotonic() - began < 10


@EXAMPLES
@given(text=texts)
def test_select_that_passes_is_one_select_of_known_functions_to_duckdb_itself(text: str) -> None:
    """DuckDB's own parser is the second opinion: what it sees in an accepted text was seen by the checks."""
    import duckdb

    select = judge(text, "duckdb")
    if select is None:
        return
    with duckdb.connect() as connection:
        connection.execute("create schema lake; create table lake.flights (tailnum varchar, carrier varchar)")
        connection.execute("create table lake.planes (tailnum varchar)")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error:
            return
        assert len(statements) == 1
        assert statements[0].type in (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)


@EXAMPLES
@given(test=st.text(max_size=20) | st.dictionaries(st.text(max_size=10), nested, max_size=2))
def test_data_test_is_judged_without_an_error(test: object) -> None:
    check_data_test(test)


@EXAMPLES
@given(
    name=st.sampled_from(["not_null", "unique", "accepted_values", "relationships"]),
    given_=st.dictionaries(
        st.sampled_from(["values", "quote", "to", "field", "config", "arguments", "name", "model"])
        | st.text(max_size=5),
        nested,
        max_size=4,
    ),
)
def test_arguments_of_a_data_test_are_judged_without_an_error(name: str, given_: dict[str, object]) -> None:
    check_data_test({name: given_})


def check_data_test(test: object) -> None:
    column = Column.model_construct(name="tailnum", type="varchar", description="", tests=(test,))
    scope = TestScope(target(), rows(), "duckdb")
    problems = list(data_test_problems(column, scope))
    assert all(problem.message and problem.remedy for problem in problems)
    assert bool(problems) == (test_document(test, scope) is None)  # type: ignore[arg-type] # that is the question


@EXAMPLES
@example(before="", after="\\", form='"password":"hunter2Zq9')
@given(before=st.text(max_size=30), after=st.text(max_size=30), form=st.sampled_from(corpus("secrets")["masked"]))
def test_secret_is_masked_whatever_stands_around(before: str, after: str, form: str) -> None:
    for text in (f"{before}\n{form}\n{after}", f"{before} {form}"):
        if SECRET not in before + after and not before.endswith(tuple("\\'\"`$")):
            assert SECRET not in redact_text(text)
            assert SECRET not in safe_text(text)


@EXAMPLES
@given(value=nested)
def test_any_value_is_masked_without_an_error(value: object) -> None:
    redact(redact(value))
    if isinstance(value, str):
        holds_secret(value)


@pytest.mark.parametrize(
    "piece", ["a", "password=", "://a:", "'", '"', "password='\\", "a:", "--", "eyJ", "<password ", "="]
)
def test_long_text_is_masked_in_time(piece: str) -> None:
    began = time.monotonic()
    redact_text(piece * (200_000 // len(piece)))
    assert time.monotonic() - began < 10


def test_shapes_are_those_of_the_maintained_rule_set() -> None:
    """Every shape that detect-secrets knows is masked here; an upgrade that adds one fails here first."""
    import importlib
    import pkgutil
    import re

    from detect_secrets import plugins

    examples = {
        "artifactory": "AKCp5abcdefghij0123456789",
        "aws": "AKIAIOSFODNN7EXAMPLE",
        "azure_storage_key": "AccountKey=" + "a" * 86 + "==",
        "basic_auth": "https://user:hunter2@host",
        "cloudant": "cloudant_password=" + "a" * 64,
        "discord": "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
        "github_token": "ghp_" + "a1" * 18,
        "gitlab_token": "glpat-" + "a1" * 12,
        "ibm_cloud_iam": "ibm_cloud_iam_api_key=" + "a1" * 22,
        "ibm_cos_hmac": "cos_hmac_secret_access_key=" + "a1" * 24,
        "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "keyword": "password = 'hunter2'",
        "mailchimp": "0123456789abcdef0123456789abcdef-us12",
        "npm": "//registry.example/:_authToken=npm_" + "a1" * 18,
        "openai": "sk-" + "a" * 20 + "T3BlbkFJ" + "b" * 20,
        "private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "pypi_token": "pypi-AgEIcHlwaS5vcmc" + "a" * 75,
        "sendgrid": "SG." + "a" * 22 + "." + "b" * 43,
        "slack": "xoxb-123456789012-abcdefabcdef",
        "softlayer": "softlayer_api_key=" + "a1" * 32,
        "square_oauth": "sq0csp-" + "a" * 43,
        "stripe": "sk_live_" + "a1" * 12,
        "telegram_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawA",
        "twilio": "SK" + "0123456789abcdef" * 2,
    }
    no_shapes = {"base", "high_entropy_strings", "ip_public"}
    found = {module.name for module in pkgutil.iter_modules(plugins.__path__)} - no_shapes
    assert found == set(examples)
    for name, text in examples.items():
        module = importlib.import_module(f"detect_secrets.plugins.{name}")
        patterns = [
            pattern
            for item in vars(module).values()
            if isinstance(item, type) and isinstance(getattr(item, "denylist", None), list | tuple)
            for pattern in item.denylist
            if isinstance(pattern, re.Pattern)
        ]
        assert not patterns or any(pattern.search(text) for pattern in patterns), name
        assert redact_text(text) != text, name
        assert holds_secret(text), name


def test_no_known_function_reaches_out() -> None:
    """The reviewed lists hold none of the functions that the corpus refuses."""
    for dialect, calls in corpus("functions").items():
        names = {call.partition("(")[0].strip('"').lower() for call in calls if "." not in call.partition("(")[0]}
        assert KNOWN_BY_NAME[dialect].isdisjoint(names)
