"""Estimate the bytes that Spark would read, from listings alone; no file is opened. Pure, except for the listing.

A lookup, a first load and a full read count the whole folder. A window counts the files that can hold its rows: by the
dates in their names if every name has one; otherwise those modified after the target's last load; otherwise all of
them. So the estimate is rather too high than too low.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from flows.warehouse.lake.folder import LakeFile
from metadata_sync.rows.resolve import ResolvedDependency

_DATE: Final = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Span:
    """The keys that a run reads of a source.

    Attributes:
        start: Lower bound as the load log writes it; None: from the beginning.
        end: Upper bound; None: to the end.
        since: When the target was loaded last, UTC; None: unknown, or the run is a backfill.
    """

    start: str | None = None
    end: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScanEstimate:
    """An estimate.

    Attributes:
        scan_bytes: Compressed bytes in the lake.
        basis: What the estimate is based on, for people.
    """

    scan_bytes: int
    basis: str


def estimate_scan(
    reads: Sequence[ResolvedDependency],
    spans: Mapping[str, Span],
    listing: Callable[[ResolvedDependency], Sequence[LakeFile]],
) -> ScanEstimate:
    """Estimate the bytes that one transformation reads.

    Args:
        reads: Its dependencies, all of them in the lake.
        spans: The span of each keyed source; other sources are read in full.
        listing: Lists a dependency's files.
    """
    total, bases = 0, []
    for item in reads:
        files = listing(item)
        is_cut = item.is_driving and not item.recompute_by  # with groups, any file may hold rows of a touched group
        scan = _scan(files, spans.get(str(item.name)) if is_cut else None)
        total += scan.scan_bytes
        bases.append(f"{item.name}: {scan.basis}")
    return ScanEstimate(total, "; ".join(bases))


def _scan(files: Sequence[LakeFile], span: Span | None) -> ScanEstimate:
    if span is None or (span.start is None and span.end is None):
        return ScanEstimate(_sum(files), f"all {len(files)} files")
    dates = [_date_of(file.name) for file in files]
    if files and all(day is not None for day in dates) and _is_dated(span):
        chosen = [file for file, day in zip(files, dates, strict=True) if day is not None and _is_within(day, span)]
        return ScanEstimate(_sum(chosen), f"{len(chosen)} of {len(files)} files, by the dates in their names")
    since = span.since
    if since is None or any(file.modified_at is None for file in files):
        return ScanEstimate(_sum(files), f"all {len(files)} files: no dates or times to select by")
    chosen = [file for file in files if file.modified_at is not None and file.modified_at > since]
    if not chosen and files:  # copied files may keep their old modification times
        chosen = [max(files, key=lambda file: file.size_bytes)]
        return ScanEstimate(_sum(chosen), f"its largest file of {len(files)}: none was changed since the last load")
    return ScanEstimate(_sum(chosen), f"{len(chosen)} of {len(files)} files, changed since the last load")


def _sum(files: Sequence[LakeFile]) -> int:
    return sum(file.size_bytes for file in files)


def _date_of(name: str) -> date | None:
    match = _DATE.search(name)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _is_dated(span: Span) -> bool:
    """Tell whether the bounds are dates, so that they can be compared with the dates in names."""
    return all(bound is None or _date_of(bound) is not None for bound in (span.start, span.end))


def _is_within(day: date, span: Span) -> bool:
    """Tell whether a day's file can hold rows of the span; a day's file often lands on the next day."""
    start = _date_of(span.start) if span.start else None
    end = _date_of(span.end) if span.end else None
    return (start is None or day >= start - timedelta(days=1)) and (end is None or day <= end)
