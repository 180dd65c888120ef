"""Selects the channel of an alert: that of the row's pipeline, else of its job group, else of the environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.incidents.alert_text import body_of, title_of
from flows.incidents.incident import AlertPolicy, IncidentChange, is_removed
from metadata_sync.database.engine import new_id
from metadata_sync.incident import Alert, AlertEvent

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.settings import Settings


def alert_policy(settings: Settings) -> AlertPolicy:
    """Return the rules for when alerts are sent."""
    return AlertPolicy(timedelta(minutes=settings.alert_cooldown_minutes), settings.soft_escalation_ticks)


def channels_of(pipeline_ids: Iterable[str], rows: ControlRows, settings: Settings) -> tuple[str, ...]:
    """Return the channels of pipelines, each once; without pipelines, the environment's.

    Args:
        pipeline_ids: The pipelines concerned.
        rows: The environment's rows.
        settings: Channels of job groups, and of the environment.
    """
    found = [rows.pipeline(pipeline_id) for pipeline_id in pipeline_ids]
    named = [
        pipeline.alert_channel or settings.job_group_channels.get(pipeline.job_group) or settings.alert_channel
        for pipeline in found
        if pipeline is not None
    ]
    return tuple(dict.fromkeys(channel for channel in named or [settings.alert_channel] if channel))


def told_channels(context: Context, incident_id: str, event: AlertEvent) -> tuple[str, ...]:
    """Return the channels that have an alert of an event of an incident, sent or waiting."""
    alerts = context.store.alerts(incident_id)
    return tuple(dict.fromkeys(alert.channel for alert in alerts if alert.event is event))


def alerts_for(
    change: IncidentChange,
    rows: ControlRows,
    settings: Settings,
    now: datetime,
    *,
    told: Sequence[str] = (),
    place: int = 0,
) -> tuple[Alert, ...]:
    """Return the alerts of an incident, one per channel; empty when it has no channel or nothing is to be reported.

    Args:
        change: The incident, and the event to report.
        rows: The environment's rows, with the channels of pipelines.
        settings: Channels of job groups, and of the environment.
        now: UTC.
        told: Channels that were told of its beginning: they are told of its end, and no other is.
        place: Position among the changes of this instant; alerts are sent in this order.
    """
    incident = change.incident
    moment = now + timedelta(microseconds=place)
    concerned = channels_of(incident.pipeline_ids, rows, settings)
    return tuple(
        Alert(
            new_id(moment),
            incident.incident_id,
            channel,
            event,
            title_of(
                incident,
                event,
                settings.environment,
                now,
                followed_by=change.followed_by,
                is_removed=is_removed(incident, rows),
            ),
            body_of(incident, event, now, settings.docs_url),
            created_at=now,
            due_at=now,
        )
        for channel, event in _events(change.event, concerned, told)
    )


def _events(
    event: AlertEvent | None, concerned: Sequence[str], told: Sequence[str]
) -> Iterator[tuple[str, AlertEvent]]:
    """Yield the event for each channel: a channel that an incident reaches later is told of its beginning then."""
    if event is AlertEvent.RESOLVED:
        yield from ((channel, event) for channel in told or concerned)
    elif event is AlertEvent.OPENED:
        yield from ((channel, event) for channel in concerned)
    elif told:
        for channel in concerned:
            if channel not in told:
                yield channel, AlertEvent.OPENED
            elif event is not None:
                yield channel, event
    elif event is not None:
        yield from ((channel, event) for channel in concerned)
