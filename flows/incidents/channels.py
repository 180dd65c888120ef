"""Selects the channel of an alert: that of the row's pipeline, else of its job group, else of the environment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.incidents.alert_text import body_of, title_of
from flows.incidents.incident import AlertPolicy, IncidentChange
from metadata_sync.database.engine import new_id
from metadata_sync.incident import Alert

if TYPE_CHECKING:
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


def alerts_for(
    change: IncidentChange, rows: ControlRows, settings: Settings, now: datetime, place: int = 0
) -> tuple[Alert, ...]:
    """Return the alerts of an incident, one per channel; empty when it has no channel or nothing is to be reported.

    Args:
        change: The incident, and the event to report.
        rows: The environment's rows, with the channels of pipelines.
        settings: Channels of job groups, and of the environment.
        now: UTC.
        place: Position among the changes of this instant; alerts are sent in this order.
    """
    incident, event = change.incident, change.event
    if event is None:
        return ()
    title = title_of(incident, event, settings.environment, now, change.followed_by)
    body = body_of(incident, event, now, settings.docs_url)
    return tuple(
        Alert(
            new_id(now + timedelta(microseconds=place)),
            incident.incident_id,
            channel,
            event,
            title,
            body,
            created_at=now,
            due_at=now,
        )
        for channel in channels_of(incident.pipeline_ids, rows, settings)
    )
