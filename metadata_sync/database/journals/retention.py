"""Removes old entries of the journals, in small batches. The audit and the lifecycle of targets are kept for ever.

What the gate and `status` still need is kept whatever its age: the last decision and the last loads of each target,
open incidents, and alerts that no channel has accepted yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, func, or_, select

from metadata_sync.database.engine import to_utc
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.database.tables import alert_outbox, decision_log, incident, load_cost, run_log

BATCH: Final = 1_000
"""Rows of each table that one call removes."""


def remove_older(connection: Connection, environment: str, before: datetime) -> int:
    """Remove a batch of old entries of each journal, and return their number.

    Args:
        connection: A writing transaction.
        environment: The environment.
        before: Entries from this instant on are kept, UTC.
    """
    instant = to_utc(before)
    decisions, loads, alerts = decision_log.c, run_log.c, alert_outbox.c
    is_success = loads.status == LoadStatus.SUCCESS.value
    old: tuple[tuple[Table, Column[Any], ColumnElement[bool]], ...] = (
        (
            decision_log,
            decisions.decision_id,
            and_(decisions.decided_at < instant, decisions.position.not_in(_newest(decision_log, environment))),
        ),
        (
            run_log,
            loads.entry_id,
            and_(
                loads.finished_at < instant,
                loads.position.not_in(_newest(run_log, environment)),
                loads.position.not_in(_newest(run_log, environment, is_success)),
            ),
        ),
        (
            alert_outbox,
            alerts.alert_id,
            and_(alerts.created_at < instant, or_(alerts.sent_at.is_not(None), alerts.given_up_at.is_not(None))),
        ),
        (incident, incident.c.incident_id, incident.c.resolved_at < instant),
        (load_cost, load_cost.c.run_id, load_cost.c.began_at < instant),
    )
    return sum(_remove(connection, environment, table, key, wanted) for table, key, wanted in old)


def _newest(table: Table, environment: str, *conditions: ColumnElement[bool]) -> Any:
    """Return a query for the position of the newest entry of each target."""
    where = and_(table.c.environment == environment, *conditions)
    return select(func.max(table.c.position)).where(where).group_by(table.c.target)


def _remove(
    connection: Connection, environment: str, table: Table, key: Column[Any], wanted: ColumnElement[bool]
) -> int:
    here = table.c.environment == environment
    oldest = list(connection.execute(select(key).where(here, wanted).order_by(key).limit(BATCH)).scalars())
    if oldest:
        connection.execute(delete(table).where(here, key.in_(oldest)))
    return len(oldest)
