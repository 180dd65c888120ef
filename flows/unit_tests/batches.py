"""Cut a sample into batches: a first load, an increment, an event that arrives late, a delete.

Nothing is guessed from names: the SELECT is run on single rows, and shows the key, the sequence and whether
`delete_when` holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import sqlglot
from sqlglot import exp

from metadata_sync.analysis.unit_tests import Batch
from metadata_sync.rows.names import quote_identifier
from metadata_sync.rows.resolve import sequence_columns
from metadata_sync.rows.vocabulary import Increment, LoadType

if TYPE_CHECKING:
    from flows.unit_tests.sample import Rows, Sample
    from flows.unit_tests.select import SelectOnRows
    from metadata_sync.rows.model import ControlRows, TransformationRow

_STEP: Final = timedelta(minutes=1)
_MOST_TRIES: Final = 64
_INTEGERS: Final = ("tinyint", "smallint", "integer", "bigint", "hugeint")


@dataclass(frozen=True, slots=True)
class _Event:
    """What the SELECT makes of one row of the driving source."""

    row: dict[str, Any]
    key: tuple[Any, ...]
    sequence: str | None
    is_delete: bool


class BatchMaker:
    """Makes the batches of one target.

    Args:
        row: The target.
        rows: All rows.
        sample: The sample, masked.
        engine: The SELECT on DuckDB.
        landing_key: The incremental key of the driving source; None: it is read whole.
    """

    def __init__(
        self,
        row: TransformationRow,
        rows: ControlRows,
        sample: Sample,
        engine: SelectOnRows,
        landing_key: str | None,
    ) -> None:
        self._row = row
        self._sample = sample
        self._engine = engine
        self._landing = landing_key
        self._driving = str(sample.driving)
        self._delete_when = row.delete_when
        engine.fill(sample.rows)
        columns = list(engine.result()[0])
        self._sequence = next(iter(sequence_columns(row, rows, columns)), None)
        self.notes: list[str] = []

    def make(self) -> tuple[Batch, ...]:
        """Return the batches, without expected rows; `notes` says what could not be shown."""
        given = self._sample.rows[self._sample.driving]
        others = {str(name): tuple(rows) for name, rows in self._sample.rows.items() if name != self._sample.driving}
        if self._landing is None:
            return self._whole(given, others)
        return self._cut(self._by_landing(given), others)

    def _whole(self, given: Rows, others: Mapping[str, tuple[dict[str, Any], ...]]) -> tuple[Batch, ...]:
        """A source that is read whole: a row comes, and where that is not too large a share, one goes."""
        first = given[:-1] or given
        batches = [Batch(note="first load", rows={**others, self._driving: tuple(first)})]
        if len(given) > 1:
            batches.append(Batch(note="a new row", rows={self._driving: tuple(given)}))
        if self._row.increment is Increment.FULL and 100 / len(given) < self._row.max_vanish_percent:
            batches.append(Batch(note="the first row is gone", rows={self._driving: tuple(given[1:])}))
        return tuple(batches)

    def _cut(self, given: Rows, others: Mapping[str, tuple[dict[str, Any], ...]]) -> tuple[Batch, ...]:
        assert self._landing is not None
        late = self._late_event(given)
        held = {id(late.row)} if late is not None else set[int]()
        left = [row for row in given if id(row) not in held]
        middle = (len(left) + 1) // 2
        while 0 < middle < len(left) and self._landed(left[middle]) == self._landed(left[middle - 1]):
            middle += 1
        first, second = left[:middle], left[middle:]
        if not second and len(first) > 1:  # they landed together
            first, second = first[:-1], [self._moved(first[-1], 1, first)]
        batches = [Batch(note="first load", rows={**others, self._driving: tuple(first)})]
        if second:
            batches.append(Batch(note="what landed after it", rows={self._driving: tuple(second)}))
        landed = [*first, *second]
        if late is not None:
            moved = self._moved(late.row, 1, landed)
            landed.append(moved)
            batches.append(Batch(note="an older event that lands late", rows={self._driving: (moved,)}))
        if self._row.load_type is LoadType.APPEND and self._row.business_key:
            again = self._moved(landed[0], 1, landed)
            landed.append(again)
            batches.append(Batch(note="a row that lands a second time", rows={self._driving: (again,)}))
        return (*batches, *self._deletes(landed))

    def _by_landing(self, given: Rows) -> Rows:
        """Return the rows in order of landing; those without a landing time are read by no window."""
        assert self._landing is not None
        kept = [row for row in given if row[self._landing] is not None]
        if len(kept) < len(given):
            self.notes.append(f"rows without {self._landing} were left out: no window reads them")
        return sorted(kept, key=self._landed)

    def _landed(self, row: Mapping[str, Any]) -> tuple[int, str]:
        value = row[str(self._landing)]
        return (value, "") if isinstance(value, int) else (0, str(value))

    def _moved(self, row: Mapping[str, Any], steps: int, landed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return a row as if it had landed after all others."""
        key = str(self._landing)
        return {**row, key: _later(max(landed, key=self._landed)[key], steps)}

    def _events(self, row: Mapping[str, Any]) -> list[_Event]:
        """Return what the SELECT makes of one row."""
        self._engine.fill({self._sample.driving: [row]})
        found = self._engine.result()
        gone = self._engine.result(f"coalesce(({self._delete_when}), false)") if self._delete_when else []
        return [
            _Event(
                dict(row),
                tuple(event.get(name) for name in self._row.business_key),
                None if self._sequence is None else _text(event.get(self._sequence)),
                event in gone,
            )
            for event in found
        ]

    def _late_event(self, given: Rows) -> _Event | None:
        """Find an event that another one of its key follows, so that it changes the history behind it when it is late.

        Its place in the history must not come from the time of its landing.
        """
        is_kept = self._row.load_type is not LoadType.APPEND and self._row.increment is Increment.ROWS
        if self._sequence is None or not is_kept:
            return None
        by_key: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for row in given:
            for event in self._events(row):
                if event.sequence is not None and not event.is_delete:
                    by_key[event.key].append((event.sequence, row))
        for events in sorted(by_key.values(), key=len, reverse=True):
            ordered = sorted(events, key=lambda item: item[0])
            for sequence, row in ordered[1:-1] or ordered[:-1]:
                moved = self._events(self._moved(row, 1, given))
                if [event.sequence for event in moved] == [sequence]:
                    return _Event(row, moved[0].key, sequence, is_delete=False)
        made = self._made_late(given)
        if made is not None:
            return made
        self.notes.append(
            "no event of the sample can come late: its place in the history is the time of its landing, or no key has "
            "two events"
        )
        return None

    def _made_late(self, given: Rows) -> _Event | None:
        """Make an event before another one of its key, where a column of the source orders them."""
        name = self._origin(self._sequence) if self._sequence else None
        if name is None or name == self._landing:
            return None
        for row in given:
            known = self._events(row)
            earlier = {**row, name: _later(row[name], -1)}
            made = self._events(earlier) if row.get(name) is not None and self._fits(earlier) else []
            if len(known) == len(made) == 1 and known[0].key == made[0].key and known[0].sequence != made[0].sequence:
                return made[0]
        return None

    def _deletes(self, landed: Rows) -> Iterator[Batch]:
        """Yield a batch with a delete, unless the sample has one."""
        if not self._delete_when or any(event.is_delete for row in landed for event in self._events(row)):
            return
        for row in sorted(landed, key=self._place_in_history, reverse=True):
            for changed in self._candidates(self._moved(row, 1, landed)):
                events = self._events(changed)
                if events and all(event.is_delete for event in events):
                    yield Batch(note=f"a delete: {self._delete_when}", rows={self._driving: (changed,)})
                    return
        self.notes.append(
            f"no row of the sample is deleted, and none could be made for which {self._delete_when} holds"
        )

    def _place_in_history(self, row: Mapping[str, Any]) -> str:
        """Return the sequence of a row's event: the last event of all is the last one of its key too."""
        return max((event.sequence or "" for event in self._events(row)), default="")

    def _candidates(self, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield variants of a row that delete_when may accept: other values of the columns that it reads."""
        condition = sqlglot.parse_one(self._delete_when or "true", read="duckdb")
        names = list(dict.fromkeys(column.name for column in condition.find_all(exp.Column)))
        origins = [self._origin(name) for name in names]
        literals = [node.name for node in condition.find_all(exp.Literal)]
        columns = [name for name in origins if name is not None and name in row]
        later = self._later_in_sequence(row)
        values = [*literals, True, False, 1, 0, row[str(self._landing)], None]
        for place, chosen in enumerate(product(values, repeat=len(columns))):
            if place == _MOST_TRIES:
                return
            candidate = {**later, **dict(zip(columns, chosen, strict=True))}
            if self._fits(candidate):
                yield candidate

    def _fits(self, row: Mapping[str, Any]) -> bool:
        from metadata_sync.errors import ConfigurationError

        try:
            self._engine.fill({self._sample.driving: [row]})
        except ConfigurationError:  # a value of another type than the column
            return False
        return True

    def _later_in_sequence(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row as an event after it, where the sequence is a column of the source."""
        name = self._origin(self._sequence) if self._sequence else None
        if name is None or name == self._landing or row.get(name) is None:
            return dict(row)
        return {**row, name: _later(row[name], 1)}

    def _origin(self, output: str) -> str | None:
        text = self._sample.joins.origins.get(output)
        if text is None:
            return None
        name = text.strip('"')
        return name if text in {name, quote_identifier(name), f'"{name}"'} else None


def _later(value: Any, steps: int) -> Any:
    """Return a later time or a higher number, in the same writing.

    >>> _later("2024-01-02 06:00:00", 1), _later("2024-01-02", 1), _later(7, 1), _later("2024-01-02 06:00:00+00", 1)
    ('2024-01-02 06:01:00', '2024-01-03', 8, '2024-01-02 06:01:00+00:00')
    """
    if isinstance(value, int):
        return value + steps
    text = str(value)
    try:
        if len(text) == len("2024-01-02"):
            return str(date.fromisoformat(text) + timedelta(days=steps))
        return str(datetime.fromisoformat(text) + steps * _STEP)
    except ValueError:
        return f"{text}~"


def _text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:030d}"
    return None if value is None else str(value)
