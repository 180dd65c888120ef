"""How a target fared: dbt's word against the load log's."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from flows.errors.rules import DEFAULT_RULES
from flows.gate.facts import Action, Decision, Reason
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.run.outcome import Build, NodeResult, load_variables, outcome_of
from flows.warehouse.load_log import LoggedLoad
from metadata_sync.loads import RowCounts, Window

DECISION = Decision("dwh.fact", "flights", Action.RUN, Reason.NEW_ROWS, "new rows")
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
LOAD = LoggedLoad("dwh.fact", "l1", "r1", (Window("lake.a", None, "9"),), RowCounts(5, 4, 3, 2, 1, 0), NOON, NOON, NOON)


def node(
    name: str, status: str, *, kind: str = "model", message: str = "", parents: tuple[str, ...] = ()
) -> NodeResult:
    return NodeResult(f"{kind}.sluice.{name}", kind, name, status, message, 1.5, None, None, parents)


def fared(*results: NodeResult, load: LoggedLoad | None = LOAD, stop: str | None = None) -> TargetOutcome:
    return outcome_of(DECISION, "dwh__fact", Build(results, stop), load, rules=DEFAULT_RULES)


MODEL = node("dwh__fact", "success", message="4 inserted")
SKIPPED = node("dwh__fact", "success", message="SKIP nothing new")
FAILED_TEST = node("unique_id", "fail", kind="test", message="Got 2 results", parents=("model.sluice.dwh__fact",))
OTHER_TEST = node("unique_id", "fail", kind="test", message="Got 2 results", parents=("model.sluice.dwh__other",))


def test_load_counts_when_the_log_has_it() -> None:
    outcome = fared(MODEL, OTHER_TEST)

    assert (outcome.status, outcome.error) == (OutcomeStatus.LOADED, None)
    assert (outcome.rows, outcome.load_id) == (RowCounts(5, 4, 3, 2, 1, 0), "l1")
    assert outcome.windows == (Window("lake.a", None, "9"),)


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (fared(SKIPPED, load=None), OutcomeStatus.UNCHANGED, None),
        (fared(MODEL, load=None), OutcomeStatus.FAILED, "dbt says that dwh.fact was loaded (4 inserted), and the load"),
        (
            fared(node("dwh__fact", "error", message="no such column"), load=None),
            OutcomeStatus.FAILED,
            "no such column",
        ),
        (fared(node("dwh__fact", "skipped"), load=None), OutcomeStatus.FAILED, "dbt did not run the model"),
        (fared(MODEL, FAILED_TEST), OutcomeStatus.FAILED, "1 data test(s) failed: unique_id: Got 2 results"),
        (
            fared(
                node("on_run_start", "error", kind="operation", message="read-only"),
                node("dwh__fact", "skipped"),
                load=None,
            ),
            OutcomeStatus.FAILED,
            "read-only",
        ),
        (fared(load=None, stop="dbt cannot read the project"), OutcomeStatus.FAILED, "dbt cannot read the project"),
        (fared(load=None), OutcomeStatus.FAILED, "sluice sync"),
    ],
    ids=["no-op", "lost", "error", "skipped by dbt", "data test", "hook", "dbt stopped", "no such model"],
)
def test_without_a_clean_load_the_outcome_says_why(
    outcome: TargetOutcome, status: OutcomeStatus, words: str | None
) -> None:
    assert outcome.status is status
    assert (outcome.error is None) if words is None else (words in (outcome.error or ""))


def test_failing_data_test_keeps_what_was_loaded() -> None:
    assert fared(MODEL, FAILED_TEST).rows == LOAD.rows


def test_unknown_tokens_are_left_out() -> None:
    variables = load_variables("r1", {"lake.b": None, "lake.a": "abc"})

    assert variables["SLUICE_RUN_ID"] == "r1"
    assert json.loads(variables["SLUICE_CHANGE_TOKENS"]) == {"lake.a": "abc"}
