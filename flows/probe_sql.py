"""What a probe asks in SQL: scans of sources, many in one `union all`. Builds expressions, runs nothing.

A scan answers all readers of a source at once, in one row: its place, the greatest key, and how many rows lie in the
lookback band of each reader. A source that was never read is asked for one row only. Some are asked once more: one
whose greatest key lies in the future, what it holds of the past; one that answered with nothing, whether its key went
backwards, or is NULL. So the usual case pays for the greatest key and one count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlglot import exp

from flows.bounds import Bound, latest_accepted, parse_bound
from flows.facts import Probe, Watermark
from flows.warehouse import Row
from metadata_sync.rows import SourceRow

CHUNK_SIZE: Final = 200
"""SELECTs per statement: planners slow down on much longer ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """One reader's question about one source that is not managed.

    Attributes:
        source: The source's row.
        key: Incremental key by which this reader cuts windows; None: the source is gated by a change token.
        lookback_minutes: How far below its watermark the reader's window begins.
        watermark: What the reader has read; None when it has read nothing.
    """

    source: SourceRow
    key: str | None
    lookback_minutes: int
    watermark: Watermark | None

    @property
    def end(self) -> str | None:
        """Upper end of what was read."""
        return self.watermark.end if self.watermark else None

    @property
    def band(self) -> tuple[Bound, Bound]:
        """The lookback band, both ends included; asked only of a reader that has a watermark."""
        assert self.end is not None
        end = parse_bound(self.end)
        return end.earlier_by(self.lookback_minutes), end


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass over one source, for all readers that have a watermark or for all that have none.

    Attributes:
        relation: The source.
        key: Its incremental key.
        questions: Whom the pass answers.
        low: Least key looked at; None: one row is enough.
        high: Greatest key accepted; None: no limit.
    """

    relation: exp.Table
    key: str
    questions: tuple[Question, ...]
    low: Bound | None
    high: Bound | None

    @property
    def bands(self) -> list[tuple[str, str]]:
        """The distinct lookback bands of the readers, in a fixed order."""
        if self.low is None:
            return []
        pairs = (question.band for question in self.questions)
        return list(dict.fromkeys((str(low), str(high)) for low, high in pairs))

    def answers(
        self, row: Row | None, now: datetime, is_any_accepted: Callable[[Scan, Bound], bool]
    ) -> dict[Question, Probe]:
        """Turn the statement's row into one answer per reader.

        Args:
            row: Place, greatest accepted key, rows of the future, bands; None when the source holds no such row.
            now: The instant that the skew guard counts from.
            is_any_accepted: Looks for one row of the past, when the one row that was seen lies in the future.
        """
        newest, future_count, *counts = row[1:] if row else (None, 0)
        try:
            bound = None if newest is None else parse_bound(newest)
        except ValueError:
            failed = Probe(error=f"its key {self.key} holds {newest!r}, which is no timestamp, date or integer")
            return dict.fromkeys(self.questions, failed)
        if self.low is None:
            probe = Probe() if bound is None else self._first(bound, now, is_any_accepted)
            return dict.fromkeys(self.questions, probe)
        places = {band: place for place, band in enumerate(self.bands)}
        found = {}
        for question in self.questions:
            low, high = question.band
            count = counts[places[str(low), str(high)]] if counts else 0
            text = None if bound is None else str(bound)
            found[question] = Probe(bound is not None, text, int(count or 0), int(future_count or 0))
        return found

    def _first(self, sample: Bound, now: datetime, is_any_accepted: Callable[[Scan, Bound], bool]) -> Probe:
        high = latest_accepted(sample.kind, now, self.questions[0].source.max_skew_minutes)
        if high is None or not sample.is_later_than(high) or is_any_accepted(self, high):
            return Probe(has_rows=True)
        return Probe(has_rows=False, future_count=1)


def scan_statement(scans: Sequence[Scan]) -> exp.Query:
    """Build one `union all` with a row per scan: place, greatest key, and its bands padded to one width."""
    width = max(len(scan.bands) for scan in scans)
    return union_all([_select(place, scan, width) for place, scan in enumerate(scans)])


def skew_statement(scans: Sequence[Scan]) -> exp.Query:
    """Build one `union all` with a row per scan that has a limit: place, greatest accepted key, rows in the future."""
    return union_all([_skew(place, scan) for place, scan in enumerate(scans)])


def depth_statement(scans: Sequence[Scan]) -> exp.Query:
    """Build one `union all` with a row per scan that looks at all of the source: place, greatest key, NULL keys."""
    return union_all([_depth(place, scan) for place, scan in enumerate(scans)])


def any_accepted_statement(scan: Scan, high: Bound) -> exp.Query:
    """Build the search for one row that is not in the future."""
    query = exp.select(exp.Literal.number(1)).from_(scan.relation.copy())
    return query.where(_at_most(scan, str(high))).limit(1)


def union_all(selects: Sequence[exp.Select]) -> exp.Query:
    """Join SELECTs, which are not used any more afterwards, into one `union all`."""
    return exp.union(*selects, distinct=False, copy=False) if len(selects) > 1 else selects[0]


def as_text(expression: exp.Expression) -> exp.Cast:
    """Cast to text, without the parsing and copying that sqlglot's own helper does for each."""
    return exp.Cast(this=expression, to=exp.DataType(this=exp.DataType.Type.TEXT))


def no_number() -> exp.Cast:
    """Return a NULL that is a whole number."""
    return exp.Cast(this=exp.null(), to=exp.DataType(this=exp.DataType.Type.BIGINT))


def _select(place: int, scan: Scan, width: int) -> exp.Select:
    """Build one scan; every expression is made for one place only, so that none has to be copied."""
    if scan.low is None:
        return _sample(place, scan, width)
    bands = [_count(_band(scan, low, high)) for low, high in scan.bands]
    padding = [no_number() for _ in range(width - len(bands))]
    columns = (exp.Literal.number(place), as_text(exp.Max(this=_key(scan))), *bands, *padding)
    select = exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)
    return select.where(_at_least(scan, str(scan.low)), copy=False)


def _band(scan: Scan, low: str, high: str) -> exp.Condition:
    """What lies in a band; the scan begins with the lowest, so that of this one only the end has to be looked at."""
    at_most = _at_most(scan, high)
    return at_most if low == str(scan.low) else exp.And(this=_at_least(scan, low), expression=at_most)


def _skew(place: int, scan: Scan) -> exp.Select:
    newest = as_text(exp.Max(this=exp.case().when(_at_most(scan, str(scan.high)), _key(scan), copy=False)))
    columns = (exp.Literal.number(place), newest, _count(exp.Not(this=_at_most(scan, str(scan.high)))))
    select = exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)
    return select.where(_at_least(scan, str(scan.low)), copy=False)


def _sample(place: int, scan: Scan, width: int) -> exp.Select:
    """Build the look at any one row of a source that was never read."""
    is_known = exp.Not(this=exp.Is(this=_key(scan), expression=exp.null()))
    sample = exp.select(_key(scan).as_("sampled", copy=False), copy=False).from_(scan.relation.copy(), copy=False)
    sample = sample.where(is_known, copy=False).limit(1, copy=False)
    counts = [no_number() for _ in range(width)]
    columns = (exp.Literal.number(place), as_text(exp.column("sampled")), *counts)
    return exp.select(*columns, copy=False).from_(sample.subquery("sluice_source", copy=False), copy=False)


def _depth(place: int, scan: Scan) -> exp.Select:
    greatest = as_text(exp.Max(this=_key(scan)))
    unkeyed = _count(exp.Is(this=_key(scan), expression=exp.null()))
    columns = (exp.Literal.number(place), greatest, unkeyed)
    return exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)


def _key(scan: Scan) -> exp.Column:
    return exp.column(exp.to_identifier(scan.key, quoted=True), copy=False)


def _at_least(scan: Scan, bound: str) -> exp.Condition:
    return exp.GTE(this=_key(scan), expression=exp.Literal.string(bound))


def _at_most(scan: Scan, bound: str) -> exp.Condition:
    return exp.LTE(this=_key(scan), expression=exp.Literal.string(bound))


def _count(condition: exp.Condition) -> exp.Condition:
    return exp.Count(this=exp.case().when(condition, exp.Literal.number(1), copy=False))
