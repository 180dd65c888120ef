"""The result of a load, as values that several packages share: windows, row counts, rejects, cost, watermark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import reduce
from operator import add
from typing import Any, Final

_TOKEN: Final = re.compile(r"[0-9a-f]{64}")
_FRACTION: Final = re.compile(r"\.\d{6}(?=$|\+)")


def to_second(bound: str) -> str:
    """Return a bound without the fraction of its second, for people.

    >>> to_second("2013-01-02 10:00:00.123456+00")
    '2013-01-02 10:00:00+00'
    """
    return _FRACTION.sub("", bound)


@dataclass(frozen=True, slots=True)
class Window:
    """The window that a load read of one driving source.

    Attributes:
        source: `schema.table`.
        start: Lower bound as text; None = from the beginning.
        end: Upper bound as text, or the change token; None = read in full.
    """

    source: str
    start: str | None
    end: str | None

    def __str__(self) -> str:
        """Return the window for people, to the second.

        >>> str(Window("lake.flights", None, "2013-01-02 10:00:00.000000"))
        'lake.flights: up to 2013-01-02 10:00:00'
        """
        if self.end is None or _TOKEN.fullmatch(self.end):
            return f"{self.source}: in full"
        if self.start is None:
            return f"{self.source}: up to {to_second(self.end)}"
        return f"{self.source}: {to_second(self.start)} → {to_second(self.end)}"


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The row counts of a load.

    Attributes:
        read: Rows of the driving sources inside the windows.
        inserted: Rows added to the target.
        updated: Rows changed in place.
        closed: SCD2 versions that ended.
        deleted: Rows removed from the target.
        rejected: Rows that went to the rejects table.
        tied: Events of one key and time with different content: the greater one was kept.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    closed: int = 0
    deleted: int = 0
    rejected: int = 0
    tied: int = 0

    @property
    def written(self) -> int:
        """Rows of the target that changed."""
        return self.inserted + self.updated + self.closed + self.deleted

    def tie_note(self, target: str) -> str | None:
        """Return what the ties of a target mean, and the command that shows them; None when there were none."""
        if not self.tied:
            return None
        return (
            f"{self.tied:,} events of one key and time differ in content, and the greater one was kept: "
            f"`sluice ties {target}` shows them"
        )

    def __add__(self, other: RowCounts) -> RowCounts:
        """Add up two loads.

        >>> str(RowCounts(read=1, inserted=1) + RowCounts(read=2))
        '3 read, 1 inserted'
        """
        return RowCounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __str__(self) -> str:
        """Return the counts for people, without zeros except for the rows read.

        >>> str(RowCounts(read=1200, inserted=7))
        '1,200 read, 7 inserted'
        """
        shown = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{count:,} {name}" for name, count in shown if count or name == "read")


@dataclass(frozen=True, slots=True)
class Rejects:
    """The rejects table of a target after a load.

    Attributes:
        table: Its name in the warehouse.
        kept: Its rows.
        added: Rows that this load was the first to reject.
        reason: The reason of one of these; None: none was added.
        again: The command that loads the rejected rows, once their cause is corrected.
    """

    table: str
    kept: int
    added: int
    reason: str | None
    again: str

    def __str__(self) -> str:
        """Return the number of rejects and the command that loads them, for people.

        >>> str(Rejects("sluice.dwh__t__rejects", 1, 0, None, "sluice run p --force"))
        '1 rejected row in sluice.dwh__t__rejects. Once its cause is corrected, run: sluice run p --force'
        """
        rows, its = ("1 rejected row", "its") if self.kept == 1 else (f"{self.kept:,} rejected rows", "their")
        return f"{rows} in {self.table}. Once {its} cause is corrected, run: {self.again}"


@dataclass(frozen=True, slots=True)
class DrivingRows:
    """The rows that a load read of its driving source, counted when the SELECT has a lookup that can drop some.

    Attributes:
        read: Rows that it read.
        yielded: Rows that the SELECT made of them.
        unmatched: Lookup → rows without a row in it.
        undeclared: The lookups whose dependency does not say that they may drop rows.
    """

    read: int
    yielded: int
    unmatched: Mapping[str, int]
    undeclared: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> DrivingRows | None:
        """Read what the macro `count_driving_rows` writes; None: they were not counted."""
        return None if text is None else cls.of(json.loads(text))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> DrivingRows:
        """Read the fields from JSON."""
        return cls(**{**document, "undeclared": tuple(document["undeclared"])})

    @property
    def note(self) -> str | None:
        """Why the load kept fewer rows than it read; None when no lookup dropped any.

        >>> DrivingRows(513, 300, {"lake.orders": 213}).note
        '513 driving rows were read and 300 kept: 213 have no row in lake.orders'
        """
        dropped = {table: count for table, count in self.unmatched.items() if count}
        if not dropped:
            return None
        why = ", ".join(f"{count:,} have no row in {table}" for table, count in dropped.items())
        undeclared = [table for table in dropped if table in self.undeclared]
        declare = f". If that is meant, declare may_drop: true on {' and '.join(undeclared)}" if undeclared else ""
        return f"{self.read:,} driving rows were read and {self.yielded:,} kept: {why}{declare}"


def notes_on(
    target: str, rows: RowCounts | None, rejects: Rejects | None, driving_rows: DrivingRows | None
) -> tuple[str, ...]:
    """Return what somebody should look at after a load of a target: rows that were rejected or dropped, and ties."""
    kept = str(rejects) if rejects is not None and rejects.kept else None
    ties, dropped = None if rows is None else rows.tie_note(target), None if driving_rows is None else driving_rows.note
    return tuple(note for note in (kept, ties, dropped) if note)


@dataclass(frozen=True, slots=True)
class ClusterCost:
    """The cost of Spark for one target in one run: its share of every cluster that worked for it.

    Attributes:
        seconds: From the request of the cluster to its end, start-up included.
        usd: Cost at list prices; 0 on this machine.
        prices_as_of: Date of the price list; None on this machine.
    """

    seconds: float
    usd: float
    prices_as_of: date | None = None

    def __add__(self, other: ClusterCost) -> ClusterCost:
        """Add up two clusters, or two targets.

        >>> str(ClusterCost(60, 0.25, date(2020, 2, 1)) + ClusterCost(30, 0.25))
        '1.5 cluster minutes, $0.50 (prices of 2020-02-01)'
        """
        return ClusterCost(self.seconds + other.seconds, self.usd + other.usd, self.prices_as_of or other.prices_as_of)

    def __str__(self) -> str:
        """Return the cost for people; Spark on this machine has no price.

        >>> str(ClusterCost(90, 0.0))
        '1.5 minutes of Spark on this machine'
        """
        if self.prices_as_of is None:
            return f"{self.seconds / 60:.1f} minutes of Spark on this machine"
        return f"{self.seconds / 60:.1f} cluster minutes, ${self.usd:,.2f} (prices of {self.prices_as_of})"


def total(costs: Iterable[ClusterCost | None]) -> ClusterCost | None:
    """Add up costs of Spark; None when nothing ran there."""
    known = [cost for cost in costs if cost is not None]
    return reduce(add, known) if known else None


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file of a lake source as a load read it.

    Attributes:
        identity: Its size and version then.
        future_from: Least key that was left out because it lay in the future; None: nothing was left out.
        load_id: The load that read it last.
        loaded_at: When that load loaded, UTC.
    """

    identity: str
    future_from: str | None = None
    load_id: str | None = None
    loaded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest load-log row of one (target, source) that moved the watermark.

    Attributes:
        end: Upper bound of the window, or the change token; None when unknown.
        band_count: Source rows in [end - lookback, end] at the time of that load; None when not counted.
        source_epoch: Epoch of a managed source that the load read.
    """

    end: str | None
    band_count: int | None = None
    source_epoch: int | None = None
