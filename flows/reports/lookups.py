"""What lookups mean for the rows of targets: what goes stale, and what the last load left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from metadata_sync.rows.lookups import stale_notes

if TYPE_CHECKING:
    from metadata_sync.database.journals.entries import LoadEntry
    from metadata_sync.rows.model import ControlRows


def lookup_notes(
    rows: ControlRows, targets: Collection[str], loads: Iterable[LoadEntry]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what somebody should know about the lookups of targets.

    Args:
        rows: The environment's rows.
        targets: The targets to look at.
        loads: The last successful load of each target, where there is one.

    Returns:
        Each target with something to say, and its sentences.
    """
    counted = {load.target: load.driving_rows for load in loads if load.driving_rows is not None}
    found = []
    for row in rows.transformations:
        target = str(row.name)
        if target not in targets:
            continue
        stale = [sentence for _, sentence in stale_notes(row)]
        dropped = counted[target].note if target in counted else None
        notes = (*stale, *([f"in its last load, {dropped}"] if dropped else []))
        if notes:
            found.append((target, notes))
    return tuple(found)
