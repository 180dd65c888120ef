"""The journal of incidents, and the outbox of alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, and_, exists, func, insert, or_, select, update

from metadata_sync.database.engine import to_utc
from metadata_sync.database.tables import alert_outbox, incident
from metadata_sync.incident import Alert, AlertEvent, Incident, IncidentKind, Severity
from metadata_sync.redact import safe_text

_LISTS: Final = ("targets", "held_up", "pipeline_ids")


def read_incidents(connection: Connection, environment: str, since: datetime | None = None) -> tuple[Incident, ...]:
    """Return open incidents, and those that were open since an instant; oldest first."""
    columns = incident.c
    wanted: ColumnElement[bool] = columns.resolved_at.is_(None)
    if since is not None:
        wanted = or_(wanted, columns.last_seen_at >= to_utc(since))
    query = select(incident).where(columns.environment == environment, wanted).order_by(columns.incident_id)
    return tuple(_incident(row) for row in connection.execute(query).mappings())


def write_incidents(connection: Connection, environment: str, incidents: Sequence[Incident]) -> None:
    """Insert or update incidents."""
    for item in incidents:
        values = {name: _to_stored(value) for name, value in asdict(item).items()}
        values["message"] = safe_text(item.message)
        here = and_(incident.c.environment == environment, incident.c.incident_id == item.incident_id)
        if not connection.execute(update(incident).where(here).values(values)).rowcount:
            connection.execute(insert(incident).values(environment=environment, **values))


def append_alerts(connection: Connection, environment: str, alerts: Sequence[Alert]) -> None:
    """Put alerts into the outbox."""
    rows = [{name: _to_stored(value) for name, value in asdict(alert).items()} for alert in alerts]
    if rows:
        connection.execute(insert(alert_outbox), [{"environment": environment, **row} for row in rows])


def has_alert(connection: Connection, environment: str, prefix: str) -> bool:
    """Whether an alert was ever put into the outbox whose id begins like this."""
    columns = alert_outbox.c
    query = select(columns.alert_id).where(columns.environment == environment, columns.alert_id.startswith(prefix))
    return connection.execute(query.limit(1)).first() is not None


def claim_alerts(connection: Connection, environment: str, now: datetime, until: datetime) -> tuple[Alert, ...]:
    """Return the alerts that are due, and reserve them until an instant; after it another process may send them.

    An alert waits while an earlier one of its incident waits for the same channel: people read them in order.
    """
    columns = alert_outbox.c
    earlier = alert_outbox.alias("earlier")
    is_behind = exists().where(
        earlier.c.environment == environment,
        earlier.c.incident_id == columns.incident_id,
        earlier.c.channel == columns.channel,
        earlier.c.alert_id < columns.alert_id,
        *_waiting(earlier),
    )
    query = (
        select(alert_outbox)
        .where(columns.environment == environment, *_waiting(), columns.due_at <= to_utc(now), ~is_behind)
        .order_by(columns.alert_id)
        .with_for_update(skip_locked=True)
    )
    found = tuple(_alert(row) for row in connection.execute(query).mappings())
    here = and_(columns.environment == environment, columns.alert_id.in_([alert.alert_id for alert in found]))
    connection.execute(update(alert_outbox).where(here).values(due_at=to_utc(until)))
    return found


def write_alert(connection: Connection, environment: str, alert: Alert) -> None:
    """Store the state of an alert."""
    here = and_(alert_outbox.c.environment == environment, alert_outbox.c.alert_id == alert.alert_id)
    names = ("due_at", "attempts", "sent_at", "given_up_at", "last_error")
    connection.execute(
        update(alert_outbox).where(here).values({name: _to_stored(getattr(alert, name)) for name in names})
    )


def count_waiting(connection: Connection, environment: str) -> int:
    """Return the number of alerts that no channel has accepted yet."""
    query = select(func.count()).where(alert_outbox.c.environment == environment, *_waiting())
    return int(connection.execute(query).scalar_one())


def read_alerts(connection: Connection, environment: str, incident_id: str | None) -> tuple[Alert, ...]:
    """Return alerts, oldest first; only those of an incident if it is given."""
    query = select(alert_outbox).where(alert_outbox.c.environment == environment).order_by(alert_outbox.c.alert_id)
    if incident_id is not None:
        query = query.where(alert_outbox.c.incident_id == incident_id)
    return tuple(_alert(row) for row in connection.execute(query).mappings())


def _waiting(outbox: FromClause = alert_outbox) -> tuple[Any, ...]:
    return outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None)


def _incident(row: Mapping[Any, Any]) -> Incident:
    values = {field.name: _from_stored(row[field.name]) for field in fields(Incident)}
    values |= {name: tuple(values[name]) for name in _LISTS}
    values |= {"kind": IncidentKind(values["kind"]), "severity": Severity(values["severity"])}
    return Incident(**values)


def _alert(row: Mapping[Any, Any]) -> Alert:
    values = {field.name: _from_stored(row[field.name]) for field in fields(Alert)}
    return Alert(**values | {"event": AlertEvent(values["event"])})


def _from_stored(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _to_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_utc(value)
    return list(value) if isinstance(value, tuple) else value
