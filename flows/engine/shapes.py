"""The columns of lake sources: what changed in them is said once, before it is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from metadata_sync.database.journals.entries import SourceShape

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.lake.shape import LakeColumns
    from flows.warehouse.lake.view import LakeView
    from metadata_sync.rows.model import SourceRow

logger = logging.getLogger(__name__)


def note_shapes(context: Context, lake: LakeView, say: Callable[[str], None]) -> None:
    """Note the columns of the sources that a decision looked at, and say what is new since the last run.

    Args:
        context: Control database.
        lake: What the decision saw.
        say: Receives a sentence for each changed source.
    """
    known = context.store.source_shapes() if lake.seen else {}
    for source, found in lake.seen.items():
        before = known.get(source.key)
        types = _merged({} if before is None else before.columns, found)
        if before is not None and types == before.columns:
            continue
        change = None if before is None else "; ".join(_changes(lake, source, before.columns, types))
        context.store.write_source_shape(SourceShape(source.key, types, context.now(), change))
        if change:
            logger.info("lake.changed source=%s change=%s", source.key, change)
            say(f"! {source.key} has changed: {change}")


def _merged(before: Mapping[str, str], found: LakeColumns) -> dict[str, str]:
    """Return all columns that the source ever had, each with its widest type."""
    from metadata_sync.sql.types import is_widening

    spelled = {name.lower(): name for name in before}
    types = dict(before)
    for column in found.columns:
        name = spelled.get(column.name.lower(), column.name)
        if column.type.lower() != '"null"' and not (name in types and is_widening(column.type, types[name])):
            types[name] = column.type
    return types


def _changes(lake: LakeView, source: SourceRow, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name, type_ in now.items():
        if before.get(name) == type_:
            continue
        readers = ", ".join(lake.readers_of(source, name)) or "no target"
        what = f"new column {name} {type_}" if name not in before else f"{name} {before[name]} is {type_} now"
        yield f"{what} (read by {readers})"
