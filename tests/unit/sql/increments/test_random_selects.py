"""Whatever the increment rules accept loads right: random SELECTs over random sources, loaded by random increments."""

from __future__ import annotations

import duckdb
import pytest

from metadata_sync.sql.increments.expressions import Expressions
from tests.support.select_survey import Survey

CASES = 200


@pytest.mark.timeout(120)
def test_accepted_selects_equal_recomputation() -> None:
    survey = Survey(duckdb.connect()).run(range(CASES))
    assert survey.wrong == []
    assert len(survey.constructs) >= 60
    assert survey.counts["accepted"] > CASES / 5
    assert survey.counts["refused"] > CASES / 5


def test_a_rule_that_accepts_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule on windows, some of the first cases load wrong: the test above would say so."""
    monkeypatch.setattr(Expressions, "_window", lambda *_: None)
    survey = Survey(duckdb.connect()).run(range(100))
    assert survey.counts["accepted, loads wrong"] > 0
