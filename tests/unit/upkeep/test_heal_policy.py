"""When a row that is off is looked at again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.upkeep.heal_policy import due_check, failure_count
from metadata_sync.incident import Incident, IncidentKind, Severity

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
INCIDENT = Incident(
    *("i1", IncidentKind.LOAD, "dwh.fact", Severity.ERROR, "missing_column", "no such column"),
    *(("dwh.fact",), (), ("flights",), "r1", 1, 1, NOON, NOON),
)


def test_a_change_is_looked_at_at_once_and_silence_every_so_often() -> None:
    soon, late = NOON + timedelta(minutes=1), NOON + timedelta(minutes=31)
    assert due_check(INCIDENT, ("sql",), failures=1, every=HALF_HOUR, now=soon).is_due
    assert not due_check(INCIDENT, (), failures=1, every=HALF_HOUR, now=soon).is_due
    assert due_check(INCIDENT, (), failures=1, every=HALF_HOUR, now=late).is_due


def test_a_value_waits_for_a_change_however_long() -> None:
    value = replace(INCIDENT, failure_class="value")
    in_a_week = NOON + timedelta(days=7)
    assert not due_check(value, (), failures=1, every=HALF_HOUR, now=in_a_week).is_due
    assert due_check(value, ("data",), failures=1, every=HALF_HOUR, now=in_a_week).is_due


@pytest.mark.parametrize("changes", [(), ("data",)])
def test_a_row_that_falls_again_within_a_day_waits_twice_as_long_each_time(changes: tuple[str, ...]) -> None:
    def is_due(failures: int, minutes: float) -> bool:
        now = NOON + timedelta(minutes=minutes)
        return due_check(INCIDENT, changes, failures=failures, every=HALF_HOUR, now=now).is_due

    assert [is_due(2, 59), is_due(2, 61), is_due(3, 119), is_due(3, 121)] == [False, True, False, True]
    assert is_due(40, 24 * 60 + 1)


@pytest.mark.parametrize("changes", [("sql",), ("row", "data"), ("source",), ("target",)])
def test_what_somebody_changed_is_looked_at_at_once_however_often_the_row_fell(changes: tuple[str, ...]) -> None:
    soon = NOON + timedelta(minutes=1)
    assert all(
        due_check(INCIDENT, changes, failures=failures, every=HALF_HOUR, now=soon).is_due for failures in (1, 3, 40)
    )


def test_falls_are_counted_for_a_day() -> None:
    yesterday = replace(INCIDENT, incident_id="i0", opened_at=NOON - timedelta(hours=25), resolved_at=NOON)
    earlier = replace(INCIDENT, incident_id="i2", opened_at=NOON - timedelta(hours=2), resolved_at=NOON)
    other = replace(earlier, subject="dwh.other")
    soft = replace(earlier, incident_id="i3", failure_class="lock")
    assert failure_count("dwh.fact", [yesterday, earlier, other, soft, INCIDENT], NOON) == 2
