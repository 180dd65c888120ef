"""What a probe asks in SQL: scans of sources, many in one `union all`. Builds expressions, runs nothing.

A scan answers all readers of a source at once, in one row: its place, the greatest accepted key, how many rows lie in
the future, and how many in the lookback band of each reader. A source that was never read is asked for one row only. A
source that answered with nothing is asked once more, for all of it: whether its key went backwards, or is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from flows.bounds import Bound, latest_accepted, parse_bound
from flows.facts import Probe, Watermark
from flows.warehouse import Row
from metadata_sync.rows import SourceRow


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
            row: Place, newest key, future rows, bands; None when the source holds no row that was asked for.
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
    """Build one `union all` with a row per scan: place, newest key, future rows, and its bands padded to one width."""
    width = max(len(scan.bands) for scan in scans)
    return _union([_select(place, scan, width) for place, scan in enumerate(scans)])


def depth_statement(scans: Sequence[Scan]) -> exp.Query:
    """Build one `union all` with a row per scan that looks at all of the source: place, greatest key, NULL keys."""
    return _union([_depth(place, scan) for place, scan in enumerate(scans)])


def any_accepted_statement(scan: Scan, high: Bound) -> exp.Query:
    """Build the search for one row that is not in the future."""
    query = exp.select(exp.Literal.number(1)).from_(scan.relation.copy())
    return query.where(_at_most(scan, str(high))).limit(1)


def _union(selects: Sequence[exp.Select]) -> exp.Query:
    return exp.union(*selects, distinct=False, copy=False) if len(selects) > 1 else selects[0]


def _select(place: int, scan: Scan, width: int) -> exp.Select:
    """Build one scan; every expression is made for one place only, so that none has to be copied."""
    if scan.low is None:
        return _sample(place, scan, width)
    newest = exp.Max(this=exp.case().when(_accepted(scan), _key(scan), copy=False))
    future = _count(exp.Not(this=_accepted(scan)))
    bands = [_count(exp.And(this=_at_least(scan, low), expression=_at_most(scan, high))) for low, high in scan.bands]
    padding = [exp.cast(exp.null(), "bigint") for _ in range(width - len(bands))]
    columns = (exp.Literal.number(place), exp.cast(newest, "text", copy=False), future, *bands, *padding)
    select = exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)
    return select.where(_at_least(scan, str(scan.low)), copy=False)


def _sample(place: int, scan: Scan, width: int) -> exp.Select:
    """Build the look at any one row of a source that was never read."""
    is_known = exp.Not(this=exp.Is(this=_key(scan), expression=exp.null()))
    sample = exp.select(_key(scan).as_("sampled", copy=False), copy=False).from_(scan.relation.copy(), copy=False)
    sample = sample.where(is_known, copy=False).limit(1, copy=False)
    counts = [exp.cast(exp.null(), "bigint") for _ in range(width + 1)]
    columns = (exp.Literal.number(place), exp.cast(exp.column("sampled"), "text", copy=False), *counts)
    return exp.select(*columns, copy=False).from_(sample.subquery("sluice_source", copy=False), copy=False)


def _depth(place: int, scan: Scan) -> exp.Select:
    greatest = exp.cast(exp.Max(this=_key(scan)), "text", copy=False)
    unkeyed = _count(exp.Is(this=_key(scan), expression=exp.null()))
    columns = (exp.Literal.number(place), greatest, unkeyed)
    return exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)


def _key(scan: Scan) -> exp.Column:
    return exp.column(exp.to_identifier(scan.key, quoted=True), copy=False)


def _accepted(scan: Scan) -> exp.Condition:
    return exp.true() if scan.high is None else _at_most(scan, str(scan.high))


def _at_least(scan: Scan, bound: str) -> exp.Condition:
    return exp.GTE(this=_key(scan), expression=exp.Literal.string(bound))


def _at_most(scan: Scan, bound: str) -> exp.Condition:
    return exp.LTE(this=_key(scan), expression=exp.Literal.string(bound))


def _count(condition: exp.Condition) -> exp.Condition:
    return exp.Count(this=exp.case().when(condition, exp.Literal.number(1), copy=False))
