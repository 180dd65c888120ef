"""Delivers the outbox: each alert is sent to its channel until the channel accepts it, or a day has passed.

If the channel does not exist, delivery to it stops at once. An alert that its channel did not accept goes to the
environment's channel.

A channel is a name, not an address. `SLUICE_CHANNEL_<NAME>` in the environment or `.env` sets its webhook, which
needs no Prefect. Without this variable the channel is a notification block of the Prefect server: its name, or
`slug/name` if several blocks share the name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from flows.incidents.channels import told_channels
from metadata_sync.database.engine import new_id
from metadata_sync.errors import ConfigurationError, SoftRunError
from metadata_sync.incident import Alert
from metadata_sync.redact import safe_text

if TYPE_CHECKING:
    from flows.context import Context

logger = logging.getLogger(__name__)

CLAIM_SECONDS: Final = 120.0
"""Time for which a process claims an alert that it sends; other processes skip the alert meanwhile."""
FIRST_PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 1_800.0
GIVEN_UP_AFTER: Final = timedelta(hours=24)
REQUEST_SECONDS: Final = 10.0
_ERROR_LENGTH: Final = 500
_VARIABLE: Final = "SLUICE_CHANNEL_"


class Sender(Protocol):
    """Sends one alert to one channel."""

    def __call__(self, alert: Alert) -> None:
        """Send it.

        Raises:
            SoftRunError: When the channel did not accept it.
            ConfigurationError: When the channel does not exist.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """Result of sending the alerts that were due.

    Attributes:
        sent: Alerts that their channels accepted.
        failed: Alerts that failed, with the reason in `last_error`; they stay in the outbox or are given up.
    """

    sent: tuple[Alert, ...] = ()
    failed: tuple[Alert, ...] = ()


def deliver(context: Context, *, send: Sender | None = None) -> Delivery:
    """Send every alert that is due. A later call, of any process, sends the failed ones again.

    Args:
        context: Control database, settings.
        send: Sends an alert to its channel; by default by webhook or Prefect block.

    Raises:
        StoreError: When the control database cannot be reached.
    """
    sender = send or channel_sender(context)
    ended: list[Alert] = []
    while claimed := context.store.claim_alerts(now := context.now(), now + timedelta(seconds=CLAIM_SECONDS)):
        for alert in claimed:
            tried = _send(alert, sender, context.now)
            context.store.write_alert(tried)
            logger.info("alert channel=%s event=%s sent=%s", tried.channel, tried.event, tried.sent_at is not None)
            ended.append(tried)
    _send_elsewhere(context, [alert for alert in ended if alert.given_up_at], context.now())
    return Delivery(
        tuple(alert for alert in ended if alert.sent_at), tuple(alert for alert in ended if not alert.sent_at)
    )


def channel_sender(context: Context) -> Sender:
    """Return a sender that uses the channel's webhook if one is set, else its Prefect block."""

    def send(alert: Alert) -> None:
        address = webhook_of(context, alert.channel)
        if address is not None:
            send_webhook(address, alert)
        else:
            _send_block(context, alert)

    return send


def webhook_of(context: Context, channel: str) -> str | None:
    """Return the webhook of a channel from the environment or `.env`; None: the channel is a Prefect block."""
    return channel_addresses(context).get(_variable(channel))


def channel_addresses(context: Context) -> Mapping[str, str]:
    """Return the webhooks in the environment and `.env`, by variable."""
    from dotenv import dotenv_values

    written = {**dotenv_values(context.project.root / ".env"), **os.environ}
    return {name: value for name, value in written.items() if name.startswith(_VARIABLE) and value}


def send_webhook(address: str, alert: Alert) -> None:
    """Post an alert as JSON; Slack and Teams show the `text`.

    Raises:
        SoftRunError: When the receiver did not answer with success. The message leaves out the address.
    """
    import httpx

    try:
        answer = httpx.post(address, json=payload(alert), timeout=REQUEST_SECONDS, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SoftRunError(f"{type(error).__name__}: the webhook of {alert.channel} did not answer.") from error
    if not answer.is_success:
        raise SoftRunError(f"HTTP {answer.status_code} from the webhook of {alert.channel}.")


def payload(alert: Alert) -> dict[str, Any]:
    """Return the JSON document for a webhook."""
    return {
        "text": f"*{escape_mrkdwn(alert.title)}*\n{escape_mrkdwn(alert.body)}",
        "alert_id": alert.alert_id,
        "incident_id": alert.incident_id,
        "event": alert.event.value,
        "title": alert.title,
        "body": alert.body,
    }


def escape_mrkdwn(text: str) -> str:
    """Return text that Slack shows unchanged: no links, no mentions.

    Source: https://api.slack.com/reference/surfaces/formatting#escaping

    >>> escape_mrkdwn("<!channel> & <b>")
    '&lt;!channel&gt; &amp; &lt;b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _variable(channel: str) -> str:
    return _VARIABLE + "".join(char if char.isalnum() else "_" for char in channel).upper()


def _send_elsewhere(context: Context, undelivered: Sequence[Alert], now: datetime) -> None:
    """Queue alerts that were given up for the environment's channel, with the reason."""
    channel = context.settings.alert_channel
    copies = [
        Alert(
            new_id(now),
            alert.incident_id,
            channel,
            alert.event,
            alert.title,
            f"Sent here because channel {alert.channel!r} did not accept it: {alert.last_error}\n{alert.body}",
            created_at=now,
            due_at=now,
        )
        for alert in undelivered
        if channel is not None and alert.channel != channel and not _is_told_there(context, alert, channel)
    ]
    if copies:
        context.store.queue_alerts(copies)


def _is_told_there(context: Context, alert: Alert, channel: str) -> bool:
    """Whether a channel has an alert of the same event: the incident concerns pipelines of several channels."""
    return alert.incident_id is not None and channel in told_channels(context, alert.incident_id, alert.event)


def _send(alert: Alert, send: Sender, now: Callable[[], datetime]) -> Alert:
    tried = replace(alert, attempts=alert.attempts + 1)
    try:
        send(alert)
    except ConfigurationError as error:  # another try cannot find a channel that does not exist
        reason = f"{error.message} {error.hint}".rstrip()
        return replace(tried, last_error=safe_text(reason, _ERROR_LENGTH), given_up_at=now())
    except SoftRunError as error:
        failed = replace(tried, last_error=safe_text(error.message, _ERROR_LENGTH))
        if now() - alert.created_at > GIVEN_UP_AFTER:
            return replace(failed, given_up_at=now())
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(alert.attempts, 10), LONGEST_PAUSE_SECONDS)
        return replace(failed, due_at=now() + timedelta(seconds=pause))
    return replace(tried, sent_at=now(), last_error=None)


def _send_block(context: Context, alert: Alert) -> None:
    from flows.server.local import running_api_url

    api_url = running_api_url(context)
    if api_url is None:
        raise SoftRunError(
            f"Channel {alert.channel!r} has no webhook in {_variable(alert.channel)}, "
            "and no Prefect server answers that could hold its block."
        )
    from flows.incidents.prefect_blocks import send_by_block

    send_by_block(api_url, alert.channel, alert.title, alert.body)
