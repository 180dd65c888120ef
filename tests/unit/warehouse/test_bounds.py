"""Bounds are compared as what they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.warehouse.bounds import Bound, BoundKind, latest_accepted, parse_bound

INSTANTS = st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1))  # noqa: DTZ001 - zones are drawn apart


@given(st.integers(), st.integers())
def test_integers_are_compared_as_numbers(left: int, right: int) -> None:
    assert parse_bound(str(left)).is_later_than(parse_bound(str(right))) == (left > right)


@given(INSTANTS, INSTANTS, st.integers(-12, 14))
def test_instants_are_compared_in_utc(left: datetime, right: datetime, zone_hours: int) -> None:
    shifted = f"{(right + timedelta(hours=zone_hours)).isoformat(' ', 'microseconds')}{zone_hours:+03d}"

    assert parse_bound(left.isoformat(" ")).is_later_than(parse_bound(shifted)) == (left > right)


@given(st.one_of(st.integers().map(str), st.dates().map(str), INSTANTS.map(str)))
def test_writing_a_bound_is_stable(text: str) -> None:
    bound = parse_bound(text)

    assert parse_bound(str(bound)) == bound
    assert str(parse_bound(str(bound))) == str(bound)


@pytest.mark.parametrize("text", ["", "yesterday", "1.5", "2013-13-01", "a" * 64])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_bound(text)


@pytest.mark.parametrize(
    ("end", "minutes", "start"),
    [
        ("2013-01-01 00:30:00", 60, "2012-12-31 23:30:00.000000"),
        ("2013-01-01 00:30:00+00", 60, "2012-12-31 23:30:00.000000+00"),
        ("2013-01-02", 60, "2013-01-01"),
        ("2013-01-03", 1441, "2013-01-01"),
        ("2013-01-02", 0, "2013-01-02"),
        ("42", 60, "42"),
    ],
)
def test_lookback_moves_a_bound_down(end: str, minutes: int, start: str) -> None:
    assert str(parse_bound(end).earlier_by(minutes)) == start


def test_skew_guard_knows_each_kind() -> None:
    now = datetime(2013, 1, 1, 23, 30, tzinfo=UTC)

    assert str(latest_accepted(BoundKind.TIMESTAMP, now, 60)) == "2013-01-02 00:30:00.000000"
    assert str(latest_accepted(BoundKind.TIMESTAMP_TZ, now, 60)) == "2013-01-02 00:30:00.000000+00"
    assert latest_accepted(BoundKind.DATE, now, 60) == Bound(BoundKind.DATE, datetime(2013, 1, 1, tzinfo=UTC))
    assert str(latest_accepted(BoundKind.DATE, now, 1440)) == str(date(2013, 1, 2))
    assert latest_accepted(BoundKind.INTEGER, now, 60) is None
