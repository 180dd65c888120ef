"""The ties of a target: events of equal key, time and tie-breakers that differ in content.

found = find_ties(context, "dwh.dim_aircraft")  # reads what runs have read, writes nothing
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.context import Context, reading
from flows.engine.definitions import find_target
from flows.ledger.tasks import ask
from flows.warehouse.bounds import parse_bound
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.resolve import resolve_dependencies

if TYPE_CHECKING:
    from metadata_sync.rows.model import TransformationRow


@dataclass(frozen=True, slots=True)
class TiedEvent:
    """One of several events of equal key, time and tie-breakers.

    Attributes:
        event: Its key, time and tie-breakers, `name=value, …`.
        content: Its other columns.
        is_kept: Whether it is the one that the target keeps.
        is_stored: Whether target or side table hold it now.
    """

    event: str
    content: str
    is_kept: bool
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Ties:
    """The ties of a target.

    Attributes:
        target: `schema.table`.
        tie_count: Events that lost.
        events: The first 200 events that tie, each winner before its losers.
    """

    target: str
    tie_count: int
    events: tuple[TiedEvent, ...]


def find_ties(context: Context, target: str, start: str | None = None, end: str | None = None) -> Ties:
    """Find the events of a target that tie, among those that its sources yield now and those that it holds.

    Args:
        context: Project, settings, control database.
        target: `schema.table`.
        start: Least incremental key to read; None: from the beginning.
        end: Greatest key to read, itself included; None: what runs have read.

    Raises:
        ConfigurationError: When no row declares the target, or a bound cannot be read.
        HardRunError: When it was never loaded or has no business key.
        SoftRunError: When another load of it committed meanwhile.
    """
    row = find_target(context.store.usable_rows(), target)
    windows = {target: _windows(context, row, _bound(start), _bound(end))}
    found = ask(context, target, "ties", {"SLUICE_WINDOWS": json.dumps(windows)})
    return Ties(target, found["tie_count"], tuple(TiedEvent(**item) for item in found["ties"]))


def _windows(
    context: Context, row: TransformationRow, start: str | None, end: str | None
) -> dict[str, dict[str, str | bool | None]]:
    from flows.warehouse.load_log import read_state

    with reading(context, context.profile) as warehouse:
        watermarks = read_state(warehouse, context.profile, [row.name], [row.name]).watermarks
    read_up_to = {source: mark.end for (target, source), mark in watermarks.items() if target == str(row.name)}
    names = [str(item.name) for item in resolve_dependencies(row, context.store.usable_rows()) if item.is_driving]
    return {name: {"start": start, "end": end or read_up_to.get(name), "moves_watermark": False} for name in names}


def _bound(text: str | None) -> str | None:
    try:
        return None if text is None else str(parse_bound(text))
    except ValueError as error:
        raise ConfigurationError(
            f"Nothing was read: {error}.", "Bounds are dates, timestamps (UTC unless they have a zone) or integers."
        ) from error
