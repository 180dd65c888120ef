"""A first load in chunks: what is loaded of it, what comes next, and what readers find meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from flows.warehouse.bounds import parse_bound
from metadata_sync.loads import Watermark, Window, to_second
from metadata_sync.rows.vocabulary import BackfillOrder

if TYPE_CHECKING:
    from metadata_sync.database.journals.entries import BackfillEntry


def minutes_left(row_count: int | None, chunk_count: int, done: int, rows_per_second: float | None) -> int | None:
    """Return the minutes that the chunks that are left may take; None: unknown.

    >>> minutes_left(1_200_000, 4, 1, 10_000), minutes_left(None, 4, 1, 10_000)
    (2, None)
    """
    if row_count is None or rows_per_second is None:
        return None
    return ceil(row_count * (chunk_count - done) / chunk_count / rows_per_second / 60)


@dataclass(frozen=True, slots=True)
class FirstLoad:
    """The first load of a target whose source holds more rows than one load should read.

    Attributes:
        backfill_id: Its id in `backfill_log`, and the run id of the chunks that follow a run.
        target: `schema.table`.
        order: Which chunk comes first.
        chunks: All chunks in the order in which they are loaded; a chunk is the window of one source.
        row_count: Rows of all chunks when they were cut.
        done: Number of chunks, counted from the first, that are loaded.
        is_new: Whether it is not in `backfill_log` yet.
        rows_per_second: How fast the chunks that are left may load; None: unknown.
    """

    backfill_id: str
    target: str
    order: BackfillOrder
    chunks: tuple[Window, ...]
    row_count: int
    done: int = 0
    is_new: bool = False
    rows_per_second: float | None = None

    @property
    def is_oldest_first(self) -> bool:
        """Whether history grows from its beginning: each chunk moves the watermark up to the chunk's end."""
        return self.order.is_ascending

    @property
    def is_done(self) -> bool:
        """Whether all chunks are loaded."""
        return self.done >= len(self.chunks)

    @property
    def run_chunks(self) -> tuple[Window, ...]:
        """The chunks that a run loads in place of everything that is new.

        Oldest first, each run loads the next chunk. Newest first, the first run loads the newest chunk of every
        source, and later runs load what is new, as they always do.
        """
        if self.is_done:
            return ()
        if self.is_oldest_first:
            return self.chunks[self.done : self.done + 1]
        return self.chunks[: self.source_count] if self.done < self.source_count else ()

    @property
    def source_count(self) -> int:
        """Number of its driving sources."""
        return len({chunk.source for chunk in self.chunks})

    @property
    def minutes_left(self) -> int | None:
        """Minutes that the chunks that are left may take; None: unknown."""
        return minutes_left(self.row_count, len(self.chunks), self.done, self.rows_per_second)

    @property
    def history(self) -> str | None:
        """What part of its history a target holds, for people; None: nothing, or all of it."""
        if not self.done or self.is_done:
            return None
        last = self.chunks[self.done - 1]
        bound = last.end if self.is_oldest_first else last.start
        named = f" of {last.source}" if self.source_count > 1 else ""
        return f"history{named} {'up to' if self.is_oldest_first else 'from'} {to_second(bound or '')}"

    @property
    def sentence(self) -> str:
        """What it is, how far it is, and how long the rest may take."""
        count, minutes = len(self.chunks), self.minutes_left
        time = "" if minutes is None else f", about {minutes:,} min"
        if self.is_done:
            return f"all {count:,} chunks of its first load are loaded"
        if not self.done:
            return f"its {self.row_count:,} rows are loaded in {count:,} chunks, {self.order} first{time}"
        return (
            f"{self.history}: {self.done:,} of {count:,} chunks of its first load are loaded, {self.order} first{time}"
        )

    def windows(self, chunks: Sequence[Window]) -> dict[str, dict[str, object]]:
        """Return chunks as the macros read them, by source."""
        moves = self.is_oldest_first or self.done < self.source_count
        return {chunk.source: {"start": chunk.start, "end": chunk.end, "moves_watermark": moves} for chunk in chunks}


def first_load_of(entry: BackfillEntry, target: str) -> FirstLoad:
    """Return the first load that an entry of `backfill_log` describes, as far as it was when it was last written."""
    assert entry.backfill_order is not None, "only first loads have an order"
    return FirstLoad(
        backfill_id=entry.backfill_id,
        target=target,
        order=BackfillOrder(entry.backfill_order),
        chunks=tuple(entry.chunks[target]),
        row_count=entry.row_count or 0,
        done=entry.done_count or 0,
    )


def first_loads_of(entries: Iterable[BackfillEntry]) -> dict[str, FirstLoad]:
    """Return the first loads of entries of `backfill_log` that loaded something and are not done, by target.

    Args:
        entries: Newest first.
    """
    found: dict[str, FirstLoad] = {}
    for entry in entries:
        if entry.done_count:
            found.setdefault(entry.subject, first_load_of(entry, entry.subject))
    return found


def with_progress(
    first: FirstLoad, watermarks: Mapping[tuple[str, str], Watermark], logged: Collection[Window]
) -> FirstLoad:
    """Count the chunks that are loaded, from what commits together with their rows.

    Args:
        first: The first load.
        watermarks: (target, source) → watermark.
        logged: Newest first: the windows in the load log under its id.

    Raises:
        ValueError: When the type of an incremental key has changed.
    """

    def is_loaded(number: int, chunk: Window) -> bool:
        watermark = watermarks.get((first.target, chunk.source))
        if watermark is None or watermark.end is None:
            return False
        if first.is_oldest_first:
            return not parse_bound(chunk.end or "").is_later_than(parse_bound(watermark.end))
        return number < first.source_count or chunk in logged

    count = len(first.chunks)
    done = next((number for number, chunk in enumerate(first.chunks) if not is_loaded(number, chunk)), count)
    return replace(first, done=done)
