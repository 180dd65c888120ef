"""Cutting keys into chunks: together they cover everything, none is longer than asked."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.warehouse.bounds import parse_bound
from flows.warehouse.chunks import MAX_CHUNKS, cut, cut_by_count, parse_size

integers = st.integers(-(10**6), 10**6)
dates = st.dates(date(1990, 1, 1), date(2030, 1, 1)).map(date.isoformat)
instants = dates.flatmap(lambda day: st.times().map(lambda time: f"{day} {time.isoformat()}"))


@given(st.tuples(integers, integers).map(sorted), st.integers(10**3, 10**7))
def test_integers_are_covered_once(ends: list[int], size: int) -> None:
    spans = cut(parse_bound(str(ends[0])), parse_bound(str(ends[1])), size)
    covered = [(int(span.start or 0), int(span.end)) for span in spans]
    assert (covered[0][0], covered[-1][1]) == tuple(ends)
    assert all(later[0] == sooner[1] + 1 for sooner, later in itertools.pairwise(covered))
    assert all(end - start < size for start, end in covered)


@given(st.tuples(dates, dates).map(sorted), st.integers(2, 10**4))
def test_days_are_covered_once(ends: list[str], days: int) -> None:
    spans = cut(parse_bound(ends[0]), parse_bound(ends[1]), timedelta(days=days))
    covered = [(date.fromisoformat(span.start or ""), date.fromisoformat(span.end)) for span in spans]
    assert (str(covered[0][0]), str(covered[-1][1])) == tuple(ends)
    assert all(later[0] - sooner[1] == timedelta(days=1) for sooner, later in itertools.pairwise(covered))


@given(st.tuples(instants, instants).map(sorted), st.integers(1, 10**9), st.integers(10**6, 10**9))
def test_instants_leave_no_gap_when_cut_by_rows(ends: list[str], row_count: int, rows: int) -> None:
    low, high = parse_bound(ends[0]), parse_bound(ends[1])
    spans = cut_by_count(low, high, row_count, rows)
    assert (spans[0].start, spans[-1].end) == (str(low), str(high))
    assert all(later.start == sooner.end for sooner, later in itertools.pairwise(spans))
    assert len(spans) <= -(-row_count // rows)


def test_instant_with_a_zone_keeps_it() -> None:
    (span,) = cut(parse_bound("2013-01-01 05:00+05"), parse_bound("2013-01-01 01:00+00"), timedelta(days=1))
    assert (span.start, span.end) == ("2013-01-01 00:00:00.000000+00", "2013-01-01 01:00:00.000000+00")
    assert parse_bound(span.end).position == datetime(2013, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("low", "high", "size", "message"),
    [
        ("1", "9", "1d", "the key is an integer"),
        ("2013-01-01", "2013-01-09", "5", "the key is a time"),
        ("1", str(MAX_CHUNKS + 1), "1", "use larger ones"),
    ],
)
def test_size_that_does_not_suit_the_key_is_refused(low: str, high: str, size: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cut(parse_bound(low), parse_bound(high), parse_size(size))


@pytest.mark.parametrize("text", ["", "0d", "-1", "7 moons", "99999999999w"])
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|calendar"):
        parse_size(text)
