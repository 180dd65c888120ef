"""What a load must leave behind, in plain Python: no SQL, no windows, one pass over each key's events in time order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Value = str | int | bool | None


class Event(NamedTuple):
    """One row of a SELECT; content in column-name order, so that comparing tuples is the winner rule's last step.

    The definition is the number of the SELECT that derived it: of equal times the newer derivation wins.
    """

    key: tuple[str, ...]
    at: int
    tie: int
    is_delete: bool
    content: tuple[Value, ...]
    definition: int = 1


@dataclass(frozen=True)
class Version:
    """One row of an SCD2 table."""

    key: tuple[str, ...]
    content: tuple[Value, ...]
    at: int
    tie: int
    valid_from: int
    valid_to: int | None


def winners(events: Iterable[Event]) -> list[Event]:
    """The ledger: one winner per (key, time), ordered by both."""
    best: dict[tuple[Any, ...], Event] = {}
    for event in events:
        rival = best.get((event.key, event.at))
        if rival is None or _rank(event) > _rank(rival):
            best[event.key, event.at] = event
    return [best[pair] for pair in sorted(best)]


def scd2(events: Iterable[Event], tracked: Sequence[int]) -> set[Version]:
    """Versions of every key; tracked holds the positions in content whose change opens a version."""
    done: list[Version] = []
    current: Version | None = None
    for event in winners(events):
        if current is not None and current.key != event.key:
            done.append(current)
            current = None
        goes_on = current is not None and all(current.content[i] == event.content[i] for i in tracked)
        if current is not None and (event.is_delete or not goes_on):
            done.append(_closed(current, event.at))
            current = None
        if not event.is_delete:
            start = current.valid_from if current is not None else event.at
            current = Version(event.key, event.content, event.at, event.tie, start, None)
    return {*done, *([current] if current is not None else [])}


def scd1(events: Iterable[Event]) -> set[tuple[Any, ...]]:
    """The last winner of every key that it does not delete: (key, content, at, tie)."""
    last = {event.key: event for event in winners(events)}
    return {(event.key, event.content, event.at, event.tie) for event in last.values() if not event.is_delete}


def as_of(events: Iterable[Event], time: int) -> set[tuple[Any, ...]]:
    """What held at a time: (key, content) of every key that its last event up to then does not delete."""
    return {(key, content) for key, content, _, _ in scd1(event for event in events if event.at <= time)}


def _closed(version: Version, at: int) -> Version:
    return Version(version.key, version.content, version.at, version.tie, version.valid_from, at)


def _rank(event: Event) -> tuple[Any, ...]:
    return event.tie, event.definition, not event.is_delete, tuple(_nulls_lowest(value) for value in event.content)


def _nulls_lowest(value: Value) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    return (1, value.encode() if isinstance(value, str) else value)
