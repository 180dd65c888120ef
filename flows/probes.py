"""Asks the driving sources for news: few set-based, read-only statements for all of them together.

A keyed source is asked once, whoever reads it, from the lowest of its readers' windows up; it answers with its greatest
accepted key, the number of rows in each reader's lookback band and the number of rows in the future. A source that was
never read is asked for one row only. Folders without a key are listed, not read. Managed sources are not asked at all:
the load log knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError

from flows.bounds import Bound, latest_accepted, parse_bound
from flows.facts import Probe, Watermark
from flows.lake import change_token, list_files, resolve_folder
from flows.warehouse import Row, Warehouse
from metadata_sync.errors import RunError, SoftRunError
from metadata_sync.project import Project
from metadata_sync.rows import SourceRow
from metadata_sync.words import SourceKind

CHUNK_SIZE: Final = 200
"""Sources per statement: planners slow down on much longer ones."""


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


class Prober:
    """Answers questions about sources.

    Args:
        project: Where relative lake locations begin.
        warehouse: Read-only connection.
        now: The instant that the skew guard counts from.
    """

    def __init__(self, project: Project, warehouse: Warehouse, now: datetime) -> None:
        self._project = project
        self._warehouse = warehouse
        self._now = now

    def ask(self, questions: Iterable[Question]) -> dict[Question, Probe]:
        """Answer every question; a source that cannot be asked answers with its error, and hinders no other."""
        answers: dict[Question, Probe] = {}
        keyed: dict[tuple[str, str], list[Question]] = {}
        for question in dict.fromkeys(questions):
            found = self._without_reading(question)
            if found is not None:
                answers[question] = found
            else:
                keyed.setdefault((question.source.key, question.key or ""), []).append(question)
        scans = [scan for group in keyed.values() for scan in self._scans_of(group)]
        for start in range(0, len(scans), CHUNK_SIZE):
            answers.update(self._run(scans[start : start + CHUNK_SIZE]))
        return answers

    def _without_reading(self, question: Question) -> Probe | None:
        """Answer from a listing or a probe query, when that is enough; None: the key has to be looked at."""
        source = question.source
        is_keyed = question.key is not None
        if is_keyed and question.end is not None and not _is_bound(question.end):
            return Probe(error=f"it was read up to {question.end!r}, which is no value of {question.key}")
        if source.kind is SourceKind.LAKE and source.location:
            is_remote = source.location.startswith("s3://")
            return None if is_keyed and is_remote else self._listed(question, source.location)
        return None if is_keyed else self._probe_query(source)

    def _listed(self, question: Question, location: str) -> Probe | None:
        try:
            files = list_files(resolve_folder(self._project, location))
        except (ValueError, OSError) as error:
            return Probe(error=str(error))
        if not files:
            return Probe(has_rows=False)
        return None if question.key is not None else Probe(has_rows=True, newest=change_token(files))

    def _probe_query(self, source: SourceRow) -> Probe:
        if source.probe is None:
            return Probe(has_rows=True)
        try:
            value = exp.cast(_query(parse_one(source.probe, dialect=self._warehouse.dialect)).subquery(), "text")
            ((token,),) = self._warehouse.query(exp.select(value))
        except (ParseError, ValueError, RunError) as error:
            return Probe(error=f"its probe query failed: {error}")
        return Probe(has_rows=True, newest=token)

    def _scans_of(self, group: Sequence[Question]) -> Iterator[_Scan]:
        first = tuple(question for question in group if question.end is None)
        later = tuple(question for question in group if question.end is not None)
        relation, key = source_relation(self._project, self._warehouse.dialect, group[0].source), group[0].key or ""
        if later:
            lows = [_band(question)[0] for question in later]
            low = lows[0]
            for other in lows[1:]:
                low = other if low.is_later_than(other) else low
            high = latest_accepted(low.kind, self._now, later[0].source.max_skew_minutes)
            yield _Scan(relation, key, later, low, high)
        if first:
            yield _Scan(relation, key, first, None, None)

    def _run(self, scans: Sequence[_Scan]) -> dict[Question, Probe]:
        """Ask a chunk in one statement; when that fails, one by one, to find out whose fault it is."""
        try:
            rows = self._warehouse.query(_statement(scans))
        except RunError as error:
            if len(scans) == 1 or isinstance(error, SoftRunError):
                failed = Probe(error=error.message)
                return {question: failed for scan in scans for question in scan.questions}
            answers: dict[Question, Probe] = {}
            for scan in scans:
                answers.update(self._run([scan]))
            return answers
        by_index: Mapping[int, Row] = {row[0]: row for row in rows}
        return {
            question: probe
            for index, scan in enumerate(scans)
            for question, probe in scan.read(by_index.get(index), self._now, self._is_any_accepted)
        }

    def _is_any_accepted(self, scan: _Scan, high: Bound) -> bool:
        """Look for one row of the past in a source whose sampled row lies in the future."""
        query = exp.select(exp.Literal.number(1)).from_(scan.relation.copy())
        return bool(self._warehouse.query(query.where(_at_most(scan, str(high))).limit(1)))


@dataclass(frozen=True, slots=True)
class _Scan:
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
        pairs = (_band(question) for question in self.questions)
        return list(dict.fromkeys((str(low), str(high)) for low, high in pairs))

    def read(
        self, row: Row | None, now: datetime, is_any_accepted: Callable[[_Scan, Bound], bool]
    ) -> Iterator[tuple[Question, Probe]]:
        """Turn the statement's row into one answer per reader."""
        newest, future_count, *counts = row[1:] if row else (None, 0)
        if self.low is not None:
            bound = None if newest is None else str(parse_bound(newest))
            places = {band: place for place, band in enumerate(self.bands)}
            for question in self.questions:
                low, high = _band(question)
                count = counts[places[str(low), str(high)]] if counts else 0
                yield question, Probe(newest is not None, bound, int(count or 0), int(future_count or 0))
            return
        probe = Probe() if newest is None else self._first(newest, now, is_any_accepted)
        for question in self.questions:
            yield question, probe

    def _first(self, sample: str, now: datetime, is_any_accepted: Callable[[_Scan, Bound], bool]) -> Probe:
        try:
            bound = parse_bound(sample)
        except ValueError:
            return Probe(error=f"its key {self.key} holds {sample!r}, which is no timestamp, date or integer")
        high = latest_accepted(bound.kind, now, self.questions[0].source.max_skew_minutes)
        if high is None or not bound.is_later_than(high) or is_any_accepted(self, high):
            return Probe(has_rows=True)
        return Probe(has_rows=False, future_count=1)


def source_relation(project: Project, dialect: str, source: SourceRow) -> exp.Table:
    """Return what a source is in the warehouse: its table, or on DuckDB the files of its folder.

    Args:
        project: Where relative lake locations begin.
        dialect: The warehouse's.
        source: The source.
    """
    if source.kind is SourceKind.LAKE and source.location and dialect == "duckdb":
        pattern = exp.Literal.string(resolve_folder(project, source.location).pattern)
        options = [
            exp.PropertyEQ(this=exp.to_identifier(name), expression=exp.false())
            for name in ("union_by_name", "hive_partitioning")
        ]
        return exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[pattern, *options]))
    schema = source.external_schema or source.source_schema
    return exp.table_(source.source_table, db=schema, quoted=True)


def _is_bound(text: str) -> bool:
    try:
        parse_bound(text)
    except ValueError:
        return False
    return True


def _band(question: Question) -> tuple[Bound, Bound]:
    assert question.end is not None
    end = parse_bound(question.end)
    return end.earlier_by(question.lookback_minutes), end


def _statement(scans: Sequence[_Scan]) -> exp.Query:
    """Build one `union all` with a row per scan: index, newest key, future rows, and its bands padded to one width."""
    width = max(len(scan.bands) for scan in scans)
    selects = [_select(index, scan, width) for index, scan in enumerate(scans)]
    return exp.union(*selects, distinct=False, copy=False) if len(selects) > 1 else selects[0]


def _select(index: int, scan: _Scan, width: int) -> exp.Select:
    """Build one scan; every expression is made for one place only, so that none has to be copied."""
    if scan.low is None:
        return _sample(index, scan, width)
    newest = exp.Max(this=exp.case().when(_accepted(scan), _key(scan), copy=False))
    future = _count(exp.Not(this=_accepted(scan)))
    bands = [_count(exp.And(this=_at_least(scan, low), expression=_at_most(scan, high))) for low, high in scan.bands]
    padding = [exp.cast(exp.null(), "bigint") for _ in range(width - len(bands))]
    columns = (exp.Literal.number(index), exp.cast(newest, "text", copy=False), future, *bands, *padding)
    select = exp.select(*columns, copy=False).from_(scan.relation.copy(), copy=False)
    return select.where(_at_least(scan, str(scan.low)), copy=False)


def _sample(index: int, scan: _Scan, width: int) -> exp.Select:
    """Build the look at any one row of a source that was never read."""
    is_known = exp.Not(this=exp.Is(this=_key(scan), expression=exp.null()))
    sample = exp.select(_key(scan).as_("sampled", copy=False), copy=False).from_(scan.relation.copy(), copy=False)
    sample = sample.where(is_known, copy=False).limit(1, copy=False)
    counts = [exp.cast(exp.null(), "bigint") for _ in range(width + 1)]
    columns = (exp.Literal.number(index), exp.cast(exp.column("sampled"), "text", copy=False), *counts)
    return exp.select(*columns, copy=False).from_(sample.subquery("sluice_source", copy=False), copy=False)


def _query(tree: object) -> exp.Query:
    if not isinstance(tree, exp.Query):
        raise ValueError("a probe is one SELECT that yields one value")  # noqa: TRY004 - a fault in a row, not in code
    return tree


def _key(scan: _Scan) -> exp.Column:
    return exp.column(exp.to_identifier(scan.key, quoted=True), copy=False)


def _accepted(scan: _Scan) -> exp.Condition:
    return exp.true() if scan.high is None else _at_most(scan, str(scan.high))


def _at_least(scan: _Scan, bound: str) -> exp.Condition:
    return exp.GTE(this=_key(scan), expression=exp.Literal.string(bound))


def _at_most(scan: _Scan, bound: str) -> exp.Condition:
    return exp.LTE(this=_key(scan), expression=exp.Literal.string(bound))


def _count(condition: exp.Condition) -> exp.Condition:
    return exp.Count(this=exp.case().when(condition, exp.Literal.number(1), copy=False))
