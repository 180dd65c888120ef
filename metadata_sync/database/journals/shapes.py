"""The journal of shapes: the columns of lake sources as runs have accepted them."""

from __future__ import annotations

from datetime import UTC

from sqlalchemy import Connection, insert, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import SourceShape
from metadata_sync.database.tables import source_shape


def read(connection: Connection, environment: str) -> dict[str, SourceShape]:
    """Return the shapes of all sources, by name."""
    rows = connection.execute(select(source_shape).where(source_shape.c.environment == environment)).mappings()
    return {
        row["source"]: SourceShape(
            row["source"],
            dict(row["columns"]),
            row["noted_at"].replace(tzinfo=UTC),
            row["change"],
            {name: (version, error) for name, (version, error) in row["damaged"].items()},
        )
        for row in rows
    }


def write(connection: Connection, environment: str, shape: SourceShape) -> None:
    """Store the shape of a source in place of an earlier one."""
    columns = source_shape.c
    here = (columns.environment == environment) & (columns.source == shape.source)
    values = {
        "columns": dict(shape.columns),
        "noted_at": to_utc(shape.noted_at),
        "change": shape.change,
        "damaged": {name: list(found) for name, found in shape.damaged.items()},
    }
    if not connection.execute(update(source_shape).where(here).values(values)).rowcount:
        key = {"environment": environment, "source": shape.source}
        connection.execute(insert(source_shape).values({**key, **values}))
