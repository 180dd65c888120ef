"""The examples of docs/daily-work/transformations.md are what they are said to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql import parse_select
from metadata_sync.sql.checks import form_problems
from metadata_sync.sql.columns import output_columns
from metadata_sync.sql.increments import IncrementRule, increment_problems

PAGE = Path(__file__).parents[3] / "docs" / "daily-work" / "transformations.md"
EXAMPLES = re.findall(r"```sql (rows|groups|full) (accepted|refused)\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("mode", "verdict", "text"), EXAMPLES)
def test_example_is_accepted_or_refused_as_the_page_says(mode: str, verdict: str, text: str) -> None:
    select, problems = parse_select(text, "duckdb")
    assert select is not None
    assert (*problems, *form_problems(select)) == ()
    names, _ = output_columns(select, {})
    assert names is not None
    found = increment_problems(select, IncrementRule(Increment(mode), {TableName("lake", "flights"): ("tailnum",)}))
    assert bool(found) == (verdict == "refused")


def test_page_has_an_example_of_every_verdict() -> None:
    verdicts = {(mode, verdict) for mode, verdict, _ in EXAMPLES}
    assert verdicts >= {("rows", "accepted"), ("rows", "refused"), ("groups", "accepted"), ("groups", "refused")}
