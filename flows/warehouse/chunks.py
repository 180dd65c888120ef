"""Cut a range of an incremental key into windows that are loaded one after the other. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Final

from flows.warehouse.bounds import Bound, BoundKind

MAX_CHUNKS: Final = 10_000
"""Limit of chunks: each is a load of its own, and with more of them starting dbt dominates the time."""

ChunkSize = timedelta | int
"""A duration for keys that are times, a number of keys for integers."""

_SIZE: Final = re.compile(r"(\d+)\s*(min|h|d|w)?")
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_TICK: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KeySpan:
    """Keys from start to end, both inclusive.

    Attributes:
        start: As the load log writes it; None: from the beginning.
        end: As the load log writes it.
    """

    start: str | None
    end: str

    def __str__(self) -> str:
        """Return the span for people."""
        return f"{self.start or 'the beginning'} → {self.end}"


def parse_size(text: str) -> ChunkSize:
    """Parse the size of a chunk.

    Raises:
        ValueError: When the text is not a size.

    >>> parse_size("7d")
    datetime.timedelta(days=7)
    >>> parse_size("100000")
    100000
    """
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not a chunk size: write 30min, 12h, 7d, 1w, or a number for an integer key")
    number, unit = int(found[1]), found[2]
    try:
        return number if unit is None else number * _UNITS[unit]
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than the calendar's range") from error


def cut(low: Bound, high: Bound, size: ChunkSize) -> tuple[KeySpan, ...]:
    """Cut keys from low to high into spans of one size; the last may be shorter.

    Consecutive spans of timestamps share a bound, because the key's precision is unknown. A row on the bound is read
    twice, which does not change the result.

    Args:
        low: Least key.
        high: Greatest key, of the same kind.
        size: Size of each span.

    Raises:
        ValueError: When the size does not match the kind of key, or would make more than MAX_CHUNKS.

    >>> from flows.warehouse.bounds import parse_bound
    >>> [str(span) for span in cut(parse_bound("1"), parse_bound("25"), 10)]
    ['1 → 10', '11 → 20', '21 → 25']
    >>> [str(span) for span in cut(parse_bound("2013-01-01"), parse_bound("2013-01-10"), timedelta(days=7))]
    ['2013-01-01 → 2013-01-07', '2013-01-08 → 2013-01-10']
    """
    if low.is_later_than(high):
        return ()
    count = _count(low, high, size)
    if count > MAX_CHUNKS:
        raise ValueError(
            f"the range has {count:,} chunks of this size, but {MAX_CHUNKS:,} are allowed: use larger ones"
        )
    spans: list[KeySpan] = []
    start = low
    while True:
        following = _after(start, size)
        end = _end_before(following)
        if not high.is_later_than(end):
            return (*spans, KeySpan(str(start), str(high)))
        spans.append(KeySpan(str(start), str(end)))
        start = following


def cut_by_count(low: Bound, high: Bound, row_count: int, rows_per_chunk: int) -> tuple[KeySpan, ...]:
    """Cut keys into equal spans with about the given number of rows each, if rows are distributed evenly.

    Args:
        low: Least key.
        high: Greatest key, of the same kind.
        row_count: Rows between them.
        rows_per_chunk: Rows per span.
    """
    count = min(MAX_CHUNKS, ceil(row_count / rows_per_chunk))
    if count <= 1:
        return (KeySpan(str(low), str(high)),)
    if isinstance(low.position, int) and isinstance(high.position, int):
        return cut(low, high, ceil((high.position - low.position + 1) / count))
    width = _width(low, high)
    size = ceil((width + _DAY) / _DAY / count) * _DAY if low.kind is BoundKind.DATE else width / count + _TICK
    return cut(low, high, size)


def _count(low: Bound, high: Bound, size: ChunkSize) -> int:
    if isinstance(low.position, int) and isinstance(high.position, int):
        if not isinstance(size, int):
            message = "the key is an integer, but the chunk size is a duration: write a number"
            raise ValueError(message)  # noqa: TRY004 - the user's input is wrong, not a type in the code
        return (high.position - low.position) // size + 1
    if isinstance(size, int):
        message = "the key is a time, but the chunk size is a number: write 12h or 7d"
        raise ValueError(message)  # noqa: TRY004 - the user's input is wrong, not a type in the code
    return _width(low, high) // (max(size, _DAY) if low.kind is BoundKind.DATE else size) + 1


def _width(low: Bound, high: Bound) -> timedelta:
    assert not isinstance(low.position, int), "times have a width, integers a difference"
    assert not isinstance(high.position, int), "both bounds are of one kind"
    return high.position - low.position


def _after(start: Bound, size: ChunkSize) -> Bound:
    if isinstance(start.position, int):
        assert isinstance(size, int), "_count has refused a duration"
        return replace(start, position=start.position + size)
    assert isinstance(size, timedelta), "_count has refused a number"
    step = max(_DAY * ceil(size / _DAY), _DAY) if start.kind is BoundKind.DATE else size
    return replace(start, position=start.position + step)


def _end_before(following: Bound) -> Bound:
    """Return the end of the span before a start: the previous integer or date, or the same timestamp."""
    if isinstance(following.position, int):
        return replace(following, position=following.position - 1)
    return replace(following, position=following.position - _DAY) if following.kind is BoundKind.DATE else following
