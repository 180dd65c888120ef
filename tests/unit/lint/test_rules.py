"""Each rule finds its construct, says where, why and what to do; what Redshift takes is left alone."""

from __future__ import annotations

import pytest

from flows.lint.checks import check_text
from metadata_sync.sql.redshift import RULES, Severity, check_script, count_statements
from tests.support.redshift_examples import ALSO_BREAKS, BREAKS, TAKEN

ON_ITS_OWN_LINE = "select 1;\n\n/* why */\n{};\nselect 2"


def test_every_rule_has_an_example() -> None:
    assert {rule.name for rule in RULES} == set(BREAKS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_finds_its_construct_and_its_line(rule: object) -> None:
    name = rule.name  # type: ignore[attr-defined]
    findings = check_script(ON_ITS_OWN_LINE.format(BREAKS[name]))
    assert {finding.rule for finding in findings} == {name}
    (finding, *_) = findings
    assert finding.line == 4
    assert finding.url == f"https://docs.aws.amazon.com/redshift/latest/dg/{rule.page}"  # type: ignore[attr-defined]
    assert finding.message.endswith(".")
    assert finding.remedy.endswith(".")
    assert "{" not in finding.message


@pytest.mark.parametrize(("name", "sql"), ALSO_BREAKS)
def test_rules_find_more_of_the_same(name: str, sql: str) -> None:
    assert {finding.rule for finding in check_script(sql)} == {name}


@pytest.mark.parametrize("sql", TAKEN)
def test_what_redshift_takes_is_left_alone(sql: str) -> None:
    assert check_text(sql) == ()


def test_the_second_parser_refuses_what_the_first_lets_pass() -> None:
    sql = "select\n    a as tag\nfrom t"
    assert check_script(sql) == ()
    (finding,) = check_text(sql)
    assert (finding.rule, finding.line, finding.severity) == ("sqlfluff", 2, Severity.ERROR)
    assert "as tag" in finding.message


def test_transaction_rules_hold_between_begin_and_commit_only() -> None:
    assert check_script("vacuum t") == ()
    assert check_script("begin; commit; vacuum t") == ()
    assert [finding.rule for finding in check_script("begin; vacuum t; rollback; vacuum t")] == ["alone"]


def test_columns_count_from_one() -> None:
    (finding,) = check_script("select a,\n  make_date(b, 1, 2)\nfrom t")
    assert (finding.line, finding.column) == (2, 3)


@pytest.mark.parametrize(("text", "count"), [("-- nothing", 0), ("select 1", 1), ("select ';'; select 2;;", 2)])
def test_statements_are_counted(text: str, count: int) -> None:
    assert count_statements(text) == count
    assert check_script(text) == ()
