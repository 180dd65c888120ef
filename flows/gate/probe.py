"""Probes the driving sources for new rows: a few set-based, read-only statements for all of them together.

A keyed source is probed once for all its readers, from the lowest of their windows up (flows/gate/probe_sql.py).
Folders of the lake are listed, several at a time, while the warehouse works on the tables. Managed sources need no
probe: their loads are in the load log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from flows.gate.facts import Probe
from flows.gate.file_counts import FileCounts
from flows.gate.probe_sql import (
    Band,
    Question,
    Scan,
    any_accepted_statement,
    depth_statement,
    scan_statement,
    skew_statement,
)
from flows.warehouse.bounds import Bound, latest_accepted, parse_bound
from flows.warehouse.connection import CHUNK_SIZE, STATEMENT_TIMEOUT_SECONDS, Row, Warehouse, as_text
from flows.warehouse.lake.folder import LISTINGS_AT_ONCE, LakeFile, Listing, change_token, source_folder
from flows.warehouse.lake.spectrum import FILES_IN_A_STATEMENT, files_relation, relation_of
from flows.warehouse.lake.view import LakeView
from metadata_sync.analysis.lake_location import partition_columns
from metadata_sync.errors import RunError, SluiceError, SoftRunError, TimedOutError
from metadata_sync.loads import FileRead
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import quote_identifier
from metadata_sync.rows.vocabulary import OnRemovedFiles, SourceKind

__all__ = ["Prober", "Question"]

_TOKEN_LENGTH: Final = 1_000
"""Greatest length of a probe's result, which is stored with each decision."""

_Statement = Callable[[Sequence[Scan]], str]


class Prober:
    """Answers questions about sources.

    Args:
        project: The root of relative lake locations.
        warehouse: Read-only connection.
        now: The instant that the skew guard counts from.
        files_read: (target, lake source) → name → the file as it was read.
        lake: The files of lake sources, and which of them a reader leaves out; None: every file is read.
        timeout_seconds: Total time to probe the sources of a failed statement one by one.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        project: Project,
        warehouse: Warehouse,
        now: datetime,
        files_read: Mapping[tuple[str, str], Mapping[str, FileRead]] = MappingProxyType({}),
        *,
        lake: LakeView | None = None,
        timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lake = lake or LakeView(project)
        self._project = project
        self._warehouse = warehouse
        self._now = now
        self._files_read = files_read
        self._timeout_seconds = timeout_seconds
        self._clock = clock

    def ask(self, questions: Iterable[Question]) -> dict[Question, Probe]:
        """Answer every question. If one source fails, its answer is the error; the other answers are complete."""
        asked = tuple(dict.fromkeys(questions))
        with ThreadPoolExecutor(LISTINGS_AT_ONCE, thread_name_prefix="sluice-listing") as pool:
            listings = {
                source: pool.submit(self._list, source)
                for source in dict.fromkeys(filter(None, map(_listed_source, asked)))
            }
            answers: dict[Question, Probe] = {}
            for is_listed in (False, True):  # the tables while the folders are being listed, then the folders
                group = [item for item in asked if (_listed_source(item) is not None) == is_listed]
                answers |= self._answer(group, listings)
        return answers

    def _answer(
        self, questions: Sequence[Question], listings: Mapping[SourceRow, Future[Listing]]
    ) -> dict[Question, Probe]:
        answers: dict[Question, Probe] = {}
        keyed: dict[tuple[str, str], list[Question]] = {}
        for question in questions:
            found = self._without_reading(question, listings)
            if found is not None:
                answers[question] = found
            else:
                keyed.setdefault((question.source.key, question.key or ""), []).append(question)
        scans = [scan for group in keyed.values() for scan in self._scans_of(group)]
        for start in range(0, len(scans), CHUNK_SIZE):
            answers |= self._scan(scans[start : start + CHUNK_SIZE])
        return answers

    def _list(self, source: SourceRow) -> Listing:
        return self.lake.listed(source)[1]

    def _without_reading(self, question: Question, listings: Mapping[SourceRow, Future[Listing]]) -> Probe | None:
        """Answer from a listing or a probe query, when that is enough; None: the key must be queried."""
        is_keyed = question.key is not None
        if is_keyed and question.end is not None and not _is_bound(question.end):
            return Probe(error=f"it was read up to {question.end!r}, which is not a value of {question.key}")
        listed = _listed_source(question)
        if listed is not None:
            return self._read_listing(question, listings[listed])
        return None if is_keyed else self._probe_query(question.source)

    def _read_listing(self, question: Question, listed: Future[Listing]) -> Probe | None:
        try:
            listing = listed.result()
        except (ValueError, OSError, SluiceError) as error:
            return Probe(error=str(error))
        if question.reader is not None:
            try:
                return self._compare_files(question, question.reader, listing)
            except (ValueError, OSError, SluiceError) as error:
                return Probe(error=str(error))
        if not listing.files:
            return Probe(has_rows=False)
        return None if question.key is not None else Probe(has_rows=True, newest=change_token(listing.files))

    def _compare_files(self, question: Question, reader: str, listing: Listing) -> Probe:
        """Compare the files of a folder with those that a target has read."""
        before = self._files_read[reader, question.source.key]
        new, changed, due, known_count = [], [], [], 0
        for file in listing.files:
            read = before.get(file.name)
            if read is None:
                new.append(file)
                continue
            known_count += 1
            if read.identity != file.identity:
                changed.append(file)
            elif read.future_from and self._is_due(question.source, read.future_from):
                due.append(file)
        unread = [*new, *changed, *due]
        left_out = self.lake.left_out(question.source, reader) if unread else {}
        new, changed, due = ([file for file in some if file.name not in left_out] for some in (new, changed, due))
        gone = len(before) - known_count
        removes = question.source.on_removed_files is OnRemovedFiles.REMOVE
        counts = FileCounts(
            listed=len(listing.files),
            new=len(new),
            changed=len(changed),
            due=len(due),
            gone=0 if removes else gone,
            removed=gone if removes else 0,
            left_out=sum(file.name in left_out for file in unread),
            hidden=listing.hidden_count,
            other=listing.other_count,
            example=next((file.name for file in [*new, *changed, *due]), ""),
        )
        probe = Probe(has_rows=bool(listing.files), newest=question.end, files=counts)
        is_ahead_asked = question.key is not None and (new or changed)
        return self._look_ahead(probe, question, [*new, *changed]) if is_ahead_asked else probe

    def _look_ahead(self, probe: Probe, question: Question, files: Sequence[LakeFile]) -> Probe:
        """Find the greatest key of unread files, and whether all their rows lie in the future."""
        high = latest_accepted(parse_bound(question.end or "0").kind, self._now, question.source.max_skew_minutes)
        key = quote_identifier(question.key or "")
        is_ahead = "false" if high is None else f"{key} > '{high}'"
        relation = self._relation_of_files(question.source, files)
        if relation is None:
            return probe
        try:
            ((least, greatest, future_count, row_count),) = self._warehouse.query(
                f"select {as_text(f'min({key})')}, "  # noqa: S608
                f"{as_text(f'max(case when not ({is_ahead}) then {key} end)')}, "
                f"count(case when {is_ahead} then 1 end), count(*) from {relation}"
            )
            newest = None if greatest is None else parse_bound(greatest)
            lowest = None if least is None else parse_bound(least)
        except (RunError, ValueError) as error:
            return replace(probe, error=str(error))
        before = None if question.end is None else parse_bound(question.end)
        is_newer = newest is not None and (before is None or newest.is_later_than(before))
        is_late = lowest is not None and before is not None and before.is_later_than(lowest)
        assert probe.files is not None, "the files were compared before"
        return replace(
            probe,
            newest=str(newest) if is_newer else probe.newest,
            future_count=future_count,
            files=replace(probe.files, least_key=str(lowest) if is_late else None),
            has_rows=not future_count or future_count < row_count,
        )

    def _relation_of_files(self, source: SourceRow, files: Sequence[LakeFile]) -> str | None:
        """Return some files as a relation; None for more files of an external table than a statement should name."""
        if self._warehouse.dialect == "duckdb":
            return source_folder(self._project, source).relation(files, is_mixed=True)
        paths = [file.path for file in files]
        return f"{files_relation(source, paths)} as unread" if len(paths) <= FILES_IN_A_STATEMENT else None

    def _is_due(self, source: SourceRow, future_from: str) -> bool:
        """Whether rows that were left out lie no longer in the future."""
        bound = parse_bound(future_from)
        high = latest_accepted(bound.kind, self._now, source.max_skew_minutes)
        return high is None or not bound.is_later_than(high)

    def _probe_query(self, source: SourceRow) -> Probe:
        if source.probe is None:
            return Probe(has_rows=True)
        from sqlglot import exp

        from metadata_sync.sql.probes import parse_probe

        dialect = self._warehouse.dialect
        select, problems = parse_probe(source.probe, dialect, source.tables, self._project.allowed_functions)
        if select is None:
            return Probe(error=f"its probe was refused: {' '.join(problem.message for problem in problems)}")
        value = exp.cast(select.tree.subquery(), "text")
        try:
            ((token,),) = self._warehouse.query(
                exp.select(exp.func("left", value, exp.Literal.number(_TOKEN_LENGTH + 1)))
            )
        except (ValueError, RunError) as error:
            return Probe(error=f"its probe query failed: {error}")
        if token is not None and len(token) > _TOKEN_LENGTH:
            return Probe(
                error=f"its probe yields more than {_TOKEN_LENGTH:,} characters: probe a number, a time or a hash"
            )
        return Probe(has_rows=True, newest=token)

    def _scans_of(self, group: Sequence[Question]) -> Iterator[Scan]:
        """Make one scan for the readers without a watermark, and one for the others.

        Readers whose watermarks are of different kinds (the key's type has changed) cannot share one.
        """
        source = group[0].source
        relation, key = self._relation(source), quote_identifier(group[0].key or "")
        first = tuple(question for question in group if question.end is None)
        later: dict[bool, dict[Question, Band]] = {}
        for question in group:
            if question.end is not None:
                band = question.band()
                later.setdefault(isinstance(band[1].position, int), {})[question] = band
        for bands in later.values():
            low, *others = (low for low, _ in bands.values())
            for other in others:
                low = other if low.is_later_than(other) else low
            high = latest_accepted(low.kind, self._now, source.max_skew_minutes)
            texts = tuple((str(first), str(last)) for first, last in bands.values())
            yield Scan(relation, key, tuple(bands), texts, low, high)
        if first:
            yield Scan(relation, key, first, (), None, None)

    def _relation(self, source: SourceRow) -> str:
        return source_relation(self._project, self._warehouse.dialect, source, self.lake)

    def _scan(self, scans: Sequence[Scan]) -> dict[Question, Probe]:
        """Query a chunk in one statement; one more for sources ahead of the clock, and one for sources without rows."""
        answers: dict[Question, Probe] = {}
        doubtful: list[Scan] = []
        for scan, row in zip(scans, self._greatest_accepted(scans), strict=True):
            if isinstance(row, Probe):
                answers |= dict.fromkeys(scan.questions, row)
                continue
            found = scan.answers(row, self._now, self._is_any_accepted)
            answers |= found
            if not any(probe.has_rows or probe.future_count or probe.error for probe in found.values()):
                doubtful.append(scan)
        return answers | self._look_deeper(doubtful, answers)

    def _greatest_accepted(self, scans: Sequence[Scan]) -> Sequence[Row | Probe | None]:
        """Query the greatest key of each scan; if that lies in the future, also the greatest accepted key.

        Returns:
            For each scan, as in `_rows`: place, greatest accepted key, number of future rows, bands.
        """
        rows = [
            row if row is None or isinstance(row, Probe) else (*row[:2], 0, *row[2:])
            for row in self._rows(scans, scan_statement)
        ]
        ahead = [place for place, row in enumerate(rows) if _is_ahead(scans[place], row)]
        for place, found in zip(ahead, self._rows([scans[place] for place in ahead], skew_statement), strict=True):
            seen = rows[place]
            if isinstance(found, Probe):
                rows[place] = found
            elif found is not None and seen is not None and not isinstance(seen, Probe):
                rows[place] = (place, *found[1:], *seen[3:])
        return rows

    def _look_deeper(self, scans: Sequence[Scan], answers: Mapping[Question, Probe]) -> dict[Question, Probe]:
        deeper: dict[Question, Probe] = {}
        for scan, row in zip(scans, self._rows(scans, depth_statement), strict=True):
            if row is None or isinstance(row, Probe):
                deeper |= dict.fromkeys(scan.questions, row or Probe())
                continue
            _, greatest, null_count = row
            below = None if greatest is None else str(parse_bound(greatest))
            for question in scan.questions:
                deeper[question] = replace(answers[question], below=below, null_count=int(null_count or 0))
        return deeper

    def _rows(self, scans: Sequence[Scan], statement: _Statement) -> Sequence[Row | Probe | None]:
        """Run one statement for all scans; when it fails, one per scan, to find the scan that fails.

        Returns:
            For each scan its row, None when it has none, or a probe with the error.
        """
        if not scans:
            return []
        try:
            found = {row[0]: row for row in self._warehouse.query(statement(scans))}
        except RunError as error:
            is_lost = isinstance(error, SoftRunError) and not isinstance(error, TimedOutError)
            if is_lost or len(scans) == 1:
                return [Probe(error=error.message)] * len(scans)
            return self._one_by_one(scans, statement)
        return [found.get(place) for place in range(len(scans))]

    def _one_by_one(self, scans: Sequence[Scan], statement: _Statement) -> Sequence[Row | Probe | None]:
        deadline = self._clock() + self._timeout_seconds
        too_late = Probe(error="it was not probed: the probes of other sources took all the time")
        return [self._rows([scan], statement)[0] if self._clock() <= deadline else too_late for scan in scans]

    def _is_any_accepted(self, scan: Scan, high: Bound) -> bool:
        """Look for one acceptable row in a source whose sampled row lies in the future."""
        return bool(self._warehouse.query(any_accepted_statement(scan, high)))


def _is_ahead(scan: Scan, row: Row | Probe | None) -> bool:
    """Whether the greatest key lies beyond the greatest acceptable key. An invalid key is reported later."""
    if scan.high is None or row is None or isinstance(row, Probe) or row[1] is None:
        return False
    try:
        return parse_bound(row[1]).is_later_than(scan.high)
    except ValueError:
        return False


def _listed_source(question: Question) -> SourceRow | None:
    """Return the source whose folder is listed for a question; None for a remote folder whose key is queried."""
    source = question.source
    if source.kind is not SourceKind.LAKE or not source.location:
        return None
    is_queried = question.key is not None and question.reader is None
    return None if is_queried and source.location.startswith("s3://") else source


def source_relation(project: Project, dialect: str, source: SourceRow, lake: LakeView | None = None) -> str:
    """Return a source as a relation in the warehouse's SQL: its table, or on DuckDB the files of its folder.

    Args:
        project: The root of relative lake locations.
        dialect: The warehouse's SQL dialect.
        source: The source.
        lake: Tells which of its files can be read; None: all are.
    """
    if source.kind is SourceKind.LAKE and source.location and dialect == "duckdb":
        files = (lake or LakeView(project)).readable(source)
        folder = source_folder(project, source)
        # whatever the types of the key; where folders are columns, files of other folders are not to be opened
        return folder.relation(files, is_mixed=not partition_columns(source.location))
    return relation_of(source)


def _is_bound(text: str) -> bool:
    try:
        parse_bound(text)
    except ValueError:
        return False
    return True
