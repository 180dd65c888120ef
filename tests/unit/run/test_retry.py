"""Which failures a run tries again, when, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.errors.classify import FailureClass, Verdict
from flows.gate.facts import Action, Decision, Reason
from flows.run.model import OutcomeStatus, TargetOutcome
from flows.run.retry import RetryBook, RetryPolicy

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
TARGET = "dwh.fact"
DECISION = Decision(TARGET, "flights", Action.RUN, Reason.NEW_ROWS, "new rows")


def failed(failure_class: FailureClass, attempts: int = 1) -> TargetOutcome:
    verdict = Verdict(failure_class, "a_rule", "a page")
    return TargetOutcome(
        TARGET, "flights", DECISION, OutcomeStatus.FAILED, error="x", verdict=verdict, attempts=attempts
    )


def book(*, tries: int = 5, minutes: float = 15, earlier: int = 0, chance: float = 0.0) -> RetryBook:
    deadlines = {TARGET: NOON + timedelta(minutes=minutes)}
    return RetryBook(RetryPolicy(tries, 300), deadlines, {TARGET: earlier}, lambda: chance)


def test_soft_failure_is_tried_again_after_a_growing_pause() -> None:
    retries = book()
    pauses = []
    for attempts in range(1, 5):
        retry = retries.consider(failed(FailureClass.LOCK, attempts), NOON)
        assert retry is not None
        assert retry.number == attempts + 1 == retries.tries_of(TARGET)
        pauses.append(retry.pause_seconds)
    assert pauses == [5, 10, 20, 40]
    assert retries.consider(failed(FailureClass.LOCK, 5), NOON) is None
    assert not retries.waiting


def test_chance_takes_at_most_half_of_a_pause() -> None:
    retry = book(chance=0.999_999).consider(failed(FailureClass.LOCK), NOON)
    assert retry is not None
    assert 2.5 <= retry.pause_seconds < 2.6


def test_target_waits_until_its_time_has_come() -> None:
    retries = book()
    retries.consider(failed(FailureClass.THROTTLING), NOON)
    assert not retries.is_due(TARGET, NOON + timedelta(seconds=19))
    assert retries.seconds_left(NOON + timedelta(seconds=5)) == 15
    assert retries.is_due(TARGET, NOON + timedelta(seconds=20))
    assert retries.seconds_left(NOON + timedelta(hours=1)) == 0
    assert retries.is_due("dwh.other", NOON)


@pytest.mark.parametrize("failure_class", [FailureClass.SYNTAX, FailureClass.DATA_TEST, FailureClass.PERMISSION])
def test_hard_failure_is_not_tried_again(failure_class: FailureClass) -> None:
    retries = book()
    assert retries.consider(failed(failure_class), NOON) is None
    assert retries.seconds_left(NOON) is None


def test_no_try_begins_after_the_deadline() -> None:
    assert book(minutes=0.5).consider(failed(FailureClass.CAPACITY), NOON) is None
    assert book(minutes=1.1).consider(failed(FailureClass.CAPACITY), NOON) is not None


def test_unknown_failure_turns_hard_after_three_tries_those_of_earlier_runs_included() -> None:
    assert book().consider(failed(FailureClass.UNKNOWN, 2), NOON) is not None
    assert book().consider(failed(FailureClass.UNKNOWN, 3), NOON) is None
    assert book(earlier=2).consider(failed(FailureClass.UNKNOWN, 1), NOON) is None


def test_what_succeeded_on_a_retry_waits_no_more() -> None:
    retries = book()
    retries.consider(failed(FailureClass.LOCK), NOON)
    loaded = TargetOutcome(TARGET, "flights", DECISION, OutcomeStatus.LOADED, attempts=2)
    assert retries.consider(loaded, NOON) is None
    assert retries.seconds_left(NOON) is None
