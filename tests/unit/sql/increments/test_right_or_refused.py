"""Every SELECT is loaded by increments and compared: what loads wrong is refused, what is accepted loads right."""

from __future__ import annotations

import duckdb
import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.increments import IncrementRule, increment_problems
from tests.support import increment_examples as examples
from tests.support.increment_trials import A, B, Mode, Trials, parsed, rule_of

FLIGHTS, PLANES = TableName("lake", "flights"), TableName("lake", "planes")
BY_MODE = (
    (examples.ROWS, examples.RIGHT_BY_ROWS, examples.WRONG_BY_ROWS),
    (examples.RANGE, examples.RIGHT_IN_A_RANGE, examples.WRONG_IN_A_RANGE),
    (examples.GROUPS, examples.RIGHT_BY_GROUPS, examples.WRONG_BY_GROUPS),
    (examples.DAYS, examples.RIGHT_BY_EXPRESSIONS, examples.WRONG_BY_EXPRESSIONS),
    (examples.PAIRS, examples.RIGHT_BY_PAIRS, examples.WRONG_BY_PAIRS),
)
RIGHT = [(examples.read_by(mode, text), text) for mode, right, _ in BY_MODE for text in right]
WRONG = [(examples.read_by(mode, text), text) for mode, _, wrong in BY_MODE for text in wrong]


@pytest.fixture(scope="module")
def trials() -> Trials:
    return Trials(duckdb.connect())


def refusals(mode: Mode, text: str) -> list[str]:
    return [problem.message for problem in increment_problems(parsed(text), rule_of(mode))]


@pytest.mark.parametrize(("mode", "text"), WRONG)
def test_a_select_that_loads_wrong_is_refused(trials: Trials, mode: Mode, text: str) -> None:
    assert trials.differs(text, mode, range(30)) is not None
    assert refusals(mode, text) != []


@pytest.mark.parametrize(("mode", "text"), RIGHT)
def test_a_select_that_is_accepted_loads_right(trials: Trials, mode: Mode, text: str) -> None:
    assert refusals(mode, text) == []
    assert trials.differs(text, mode, range(8)) is None


def redshift(text: str, increment: Increment, team_functions: frozenset[str] = frozenset()) -> list[str]:
    rule = IncrementRule(increment, {FLIGHTS: ("a",)}, dialect="redshift", team_functions=team_functions)
    return [problem.message for problem in increment_problems(parsed(text, "redshift"), rule)]


@pytest.mark.parametrize("increment", [Increment.ROWS, Increment.GROUPS])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "select p.a, f.b\nfrom lake.planes p, lake.flights f\nwhere p.a = f.a(+)",
            "Line 3: the SELECT marks an outer join",
        ),
        ("select a from lake.flights connect by prior a = b start with a = 1", "CONNECT BY"),
        ("select f.a, tax(f.b) as b from lake.flights f", "calls tax(), of which it is not known"),
        ("select f.a, finance.tax(f.b) as b from lake.flights f", "of which it is not known"),
        ("select top 5 a from lake.flights", "LIMIT"),
        ("select a, sysdate as b from lake.flights", "another value at every run"),
    ],
)
def test_syntax_that_only_redshift_has_is_refused_with_its_line(text: str, why: str, increment: Increment) -> None:
    assert any(why in message for message in redshift(text, increment, frozenset({"tax", "finance.tax"})))


@pytest.mark.parametrize("call", ["hll(b)", "hll_create_sketch(b)", "hll_combine(b)", "approximate count(distinct b)"])
def test_sketches_are_aggregates(call: str) -> None:
    text = f"select {call} as b from lake.flights"
    assert any("aggregates" in message for message in redshift(text, Increment.ROWS))
    assert redshift(f"select a, {call} as b from lake.flights group by a", Increment.GROUPS) == []


def test_a_lookup_may_be_read_in_any_way() -> None:
    text = """
    with recursive w as (select min(a) as a from lake.planes union all select a + 1 from w where a < 9 ),
        p as (select a, tax(count(*)) as n from lake.planes group by a having count(*) > 1 order by 2 limit 3)
    select f.a, p.n, w.a as w from lake.flights f left join p on p.a = f.a left join w on w.a = f.a
    """
    assert redshift(text, Increment.ROWS, frozenset({"tax"})) == []


def test_every_problem_names_the_line_and_a_mode_that_would_do() -> None:
    text = "select distinct on (k) k,\n now() as t\nfrom lake.a\norder by k\nlimit 3"
    problems = increment_problems(parsed(text), IncrementRule(Increment.ROWS, {A: ()}))
    assert [problem.message.split(":")[0] for problem in problems] == ["Line 2", "Line 5", "Line 1"]
    for problem in problems:
        assert "increment: " in problem.remedy
        assert "increment_checked: true" in problem.remedy


@pytest.mark.parametrize("text", [text for _, text in WRONG])
def test_full_accepts_every_select(text: str) -> None:
    assert increment_problems(parsed(text), IncrementRule(Increment.FULL, {A: (), B: ()})) == []
