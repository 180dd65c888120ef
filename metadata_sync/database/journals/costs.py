"""The journal of costs: what loads took of the warehouse. The warehouse's own history keeps it for days only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import LoadCost
from metadata_sync.database.tables import load_cost


def read(connection: Connection, environment: str, since: datetime) -> tuple[LoadCost, ...]:
    """Return the costs of the loads that began at or after an instant, newest first."""
    columns = load_cost.c
    here = (columns.environment == environment) & (columns.began_at >= to_utc(since))
    wanted = [column for column in columns if column is not columns.environment]
    rows = connection.execute(select(*wanted).where(here).order_by(columns.began_at.desc(), columns.target)).mappings()
    return tuple(LoadCost(**{**row, "began_at": row["began_at"].replace(tzinfo=UTC)}) for row in rows)


def write(connection: Connection, environment: str, costs: Iterable[LoadCost]) -> None:
    """Store costs in place of what was known of the same loads."""
    columns = load_cost.c
    for cost in costs:
        here = (columns.environment == environment) & (columns.run_id == cost.run_id) & (columns.target == cost.target)
        values = {**asdict(cost), "began_at": to_utc(cost.began_at)}
        if not connection.execute(update(load_cost).where(here).values(values)).rowcount:
            connection.execute(insert(load_cost).values({"environment": environment, **values}))
