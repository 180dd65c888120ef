"""Filling columns: stored events take single columns from today's SELECT and keep all others.

The macro `stage_filled` does it: of each event that a chunk derives again, the named columns are taken, the others come
from the stored event. An event that is not stored is not added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from metadata_sync.errors import ConfigurationError
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.resolve import EFFECTIVE_AT

if TYPE_CHECKING:
    from flows.warehouse.definition import Definition
    from metadata_sync.rows.model import TransformationRow


def check_fill(row: TransformationRow, built_as: Definition, columns: Sequence[str]) -> None:
    """Refuse columns that cannot be filled.

    Args:
        row: The target's row.
        built_as: How the target is built.
        columns: The columns to fill.

    Raises:
        ConfigurationError: When the target has no key or no event time of its own, or one of the columns is no column
            of the SELECT, or is part of the key or the sequence.
    """
    if not built_as.key:
        raise ConfigurationError(
            f"Columns of {row.name} cannot be filled: it has no business key that tells which stored row a row is.",
            f"Restate it: sluice restate {row.name}.",
        )
    if built_as.order[0] == EFFECTIVE_AT:
        raise ConfigurationError(
            f"Columns of {row.name} cannot be filled: its rows are ordered by the time of their load, so nothing tells "
            "which stored event a row is.",
            f"Restate it: sluice restate {row.name}.",
        )
    known = [column.name for column in row.column_list]
    for name in columns:
        if name in (*built_as.key, *built_as.order):
            raise ConfigurationError(
                f"{name} of {row.name} cannot be filled: it is part of its key or its sequence.",
                f"A changed key is applied by sluice rebuild {row.name}.",
            )
        if known and name not in known:
            raise ConfigurationError(
                f"The SELECT of {row.name} yields no column {name!r}.",
                did_you_mean(name, known) or f"It yields: {', '.join(known)}.",
            )
