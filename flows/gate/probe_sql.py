"""The SQL of a probe: scans of sources, many in one `union all`. Writes text, runs nothing.

A scan answers all readers of a source in one row: its place, the greatest key, and the number of rows in the lookback
band of each reader. For a source that was never read, one row is enough. Two cases need a second query. If the greatest
key lies in the future, it asks for the greatest key that does not. If no row was found, it asks whether the key went
backwards or is NULL. So the usual case costs the greatest key and one count.

This SQL is valid in every warehouse, so it is written as text. To build a syntax tree for each of thousands of sources
would take as long as the queries themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flows.gate.facts import Probe
from flows.warehouse.bounds import Bound, BoundKind, latest_accepted, parse_bound
from flows.warehouse.connection import NO_NUMBER, Row, as_text, union_all
from metadata_sync.loads import Watermark
from metadata_sync.rows.model import SourceRow

Band = tuple[Bound, Bound]
"""A lookback band, both ends included."""


@dataclass(frozen=True, slots=True)
class Question:
    """One reader's question about one source that is not managed.

    Attributes:
        source: The source's row.
        key: Incremental key by which this reader cuts windows; None: the source has a change token.
        lookback_minutes: How far below its watermark the reader's window begins.
        watermark: How far the reader has read; None before its first load.
        reader: The target, when its files are compared with those that it has read; None: the source is queried.
    """

    source: SourceRow
    key: str | None
    lookback_minutes: int
    watermark: Watermark | None
    reader: str | None = None

    @property
    def end(self) -> str | None:
        """Upper end of what the reader has read."""
        return self.watermark.end if self.watermark else None

    def band(self) -> Band:
        """Return the lookback band; valid only for a reader with a watermark."""
        assert self.end is not None
        end = parse_bound(self.end)
        return end.earlier_by(self.lookback_minutes), end


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass over one source, for all readers with a watermark or for all readers without one.

    Attributes:
        relation: The source, as SQL.
        key: Its incremental key, as SQL.
        questions: The questions that the pass answers.
        bands: The lookback band of each question, as text; empty when the readers have no watermark.
        low: Least key to scan; None: one row is enough.
        high: Greatest key accepted; None: no limit.
    """

    relation: str
    key: str
    questions: tuple[Question, ...]
    bands: tuple[tuple[str, str], ...]
    low: Bound | None
    high: Bound | None

    def answers(
        self, row: Row | None, now: datetime, is_any_accepted: Callable[[Scan, Bound], bool]
    ) -> dict[Question, Probe]:
        """Turn the statement's row into one answer per reader.

        Args:
            row: Place, greatest accepted key, number of future rows, bands; None when the source holds no such row.
            now: The instant that the skew guard counts from.
            is_any_accepted: Looks for one acceptable row when the sampled row lies in the future.
        """
        newest, future_count, *counts = row[1:] if row else (None, 0)
        try:
            bound = None if newest is None else parse_bound(newest)
        except ValueError:
            key = self.questions[0].key
            failed = Probe(error=f"its key {key} holds {newest!r}, which is no timestamp, date or integer")
            return dict.fromkeys(self.questions, failed)
        if self.low is None:
            probe = Probe() if bound is None else self._first(bound, now, is_any_accepted)
            return dict.fromkeys(self.questions, probe)
        text = None if bound is None else str(bound)
        count_of = dict(zip(dict.fromkeys(self.bands), counts, strict=False))
        return {
            question: Probe(bound is not None, text, int(count_of.get(band) or 0), int(future_count or 0))
            for question, band in zip(self.questions, self.bands, strict=True)
        }

    def _first(self, sample: Bound, now: datetime, is_any_accepted: Callable[[Scan, Bound], bool]) -> Probe:
        high = latest_accepted(sample.kind, now, self.questions[0].source.max_skew_minutes)
        if high is None or not sample.is_later_than(high) or is_any_accepted(self, high):
            return Probe(has_rows=True)
        return Probe(has_rows=False, future_count=1)


def scan_statement(scans: Sequence[Scan]) -> str:
    """Write one `union all` with a row per scan: place, greatest key, and its bands padded to one width."""
    bands = [tuple(dict.fromkeys(scan.bands)) for scan in scans]
    width = max(map(len, bands))
    return union_all(
        [
            _sample(place, scan, width) if scan.low is None else _greatest(place, scan, bands[place], width)
            for place, scan in enumerate(scans)
        ]
    )


def skew_statement(scans: Sequence[Scan]) -> str:
    """Write one `union all` with a row per scan that has a limit: place, greatest accepted key, future rows."""
    return union_all(
        [
            f"select {place}, {as_text(f'max(case when {scan.key} <= {_literal(scan.high)} then {scan.key} end)')}, "
            f"{_count(f'{scan.key} > {_literal(scan.high)}')} "
            f"from {scan.relation} where {scan.key} >= {_literal(scan.low)}"
            for place, scan in enumerate(scans)
        ]
    )


def depth_statement(scans: Sequence[Scan]) -> str:
    """Write one `union all` with a row per scan of the whole source: place, greatest key, number of NULL keys."""
    return union_all(
        [
            f"select {place}, {as_text(f'max({scan.key})')}, {_count(f'{scan.key} is null')} from {scan.relation}"
            for place, scan in enumerate(scans)
        ]
    )


def any_accepted_statement(scan: Scan, high: Bound) -> str:
    """Write the search for one row that is not in the future."""
    return f"select 1 from {scan.relation} where {scan.key} <= {_literal(high)} limit 1"


def _greatest(place: int, scan: Scan, bands: Sequence[tuple[str, str]], width: int) -> str:
    counts = "".join(f", {_count(_band(scan, *band))}" for band in bands)
    padding = f", {NO_NUMBER}" * (width - len(bands))
    columns = f"{place}, {as_text(f'max({scan.key})')}{counts}{padding}"
    return f"select {columns} from {scan.relation} where {scan.key} >= {_literal(scan.low)}"


def _band(scan: Scan, low: str, high: str) -> str:
    """Write the condition for a band. The lowest band starts with the scan, so for it the upper end is enough."""
    at_most = _at_most(scan.key, parse_bound(high))
    return at_most if low == str(scan.low) else f"{scan.key} >= '{low}' and {at_most}"


def _sample(place: int, scan: Scan, width: int) -> str:
    """Write the query for any one row of a source that was never read."""
    sample = f"select {scan.key} as sampled from {scan.relation} where {scan.key} is not null limit 1"
    return f"select {place}, {as_text('sampled')}{f', {NO_NUMBER}' * width} from ({sample}) as sluice_source"


def _at_most(key: str, end: Bound) -> str:
    """Write the upper end of a window as the macro `window_condition` does.

    Bounds have microseconds. A key with nanoseconds belongs to its microsecond; for other timestamps it is the same.
    """
    if end.kind not in (BoundKind.TIMESTAMP, BoundKind.TIMESTAMP_TZ):
        return f"{key} <= '{end}'"
    kind = "timestamp" if end.kind is BoundKind.TIMESTAMP else "timestamp with time zone"
    return f"{key} < cast('{end.next()}' as {kind})"


def _literal(bound: Bound | None) -> str:
    """Write a bound as a literal; its text holds digits, points, colons and signs only."""
    return f"'{bound}'"


def _count(condition: str) -> str:
    return f"count(case when {condition} then 1 end)"
