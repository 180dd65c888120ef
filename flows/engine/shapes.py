"""The columns of lake sources: what changed in them is said once, before it is loaded."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from metadata_sync.database.journals.entries import SourceShape
from metadata_sync.redact import safe_text

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.lake.shape import LakeColumns
    from flows.warehouse.lake.view import LakeView
    from metadata_sync.rows.model import SourceRow

_NAMED_FILE: Final = re.compile(r"Failed to read file \"([^\"]+)\"")

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
        damaged = {} if before is None else _still_there(lake, source, before)
        change = None if before is None else "; ".join(_changes(lake, source, before.columns, types))
        context.store.write_source_shape(SourceShape(source.key, types, context.now(), change, damaged))
        if change:
            logger.info("lake.changed source=%s change=%s", source.key, change)
            say(f"! {source.key} has changed: {change}")


def note_damaged(context: Context, lake: LakeView, sources: Iterable[SourceRow], error: str) -> bool:
    """Note the file that a load could not read, although its footer is sound; later loads leave it out.

    Args:
        context: Control database.
        lake: Lists the sources.
        sources: The lake sources that the load read.
        error: Its error.

    Returns:
        Whether the error names a file of these sources that was not noted before.
    """
    named = _NAMED_FILE.search(error)
    shapes = context.store.source_shapes() if named else {}
    for source in sources if named else ():
        shape = shapes.get(source.key)
        if shape is None or not source.location:
            continue
        for file in lake.listed(source)[1].files:
            if named and file.path == named[1] and shape.damaged.get(file.name, ("",))[0] != file.identity:
                text = error[named.start() :].replace(named[1], file.name).partition("\n")[0]
                damaged = {**_still_there(lake, source, shape), file.name: (file.identity, safe_text(text))}
                context.store.write_source_shape(replace(shape, damaged=damaged))
                logger.warning("lake.damaged source=%s file=%s error=%s", source.key, file.name, text)
                return True
    return False


def _still_there(lake: LakeView, source: SourceRow, shape: SourceShape) -> dict[str, tuple[str, str]]:
    """Return the damaged files that nobody has written again."""
    if not shape.damaged:
        return {}
    versions = {file.name: file.identity for file in lake.listed(source)[1].files}
    return {name: found for name, found in shape.damaged.items() if versions.get(name) == found[0]}


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
