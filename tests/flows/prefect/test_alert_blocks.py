"""Channels that are notification blocks of a real Prefect server: what they take, and what they must not swallow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.context import Context
from flows.incidents.outbox import deliver
from flows.incidents.prefect_blocks import send_by_block
from metadata_sync.errors import ConfigurationError, SoftRunError
from metadata_sync.incident import Alert, AlertEvent
from tests.support.instants import at
from tests.support.live_server import Server, free_port
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated"
)  # by a library of Apprise, behind Slack's block


@pytest.fixture(scope="module")
def receiver(server: Server) -> Iterator[Receiver]:
    """Listens behind the blocks `ops` and `secret`; behind `gone` nobody does."""
    form = {"title": "{{subject}}", "body": "{{body}}", "event": "by block"}
    with receiving() as receiver, temporary_settings({PREFECT_API_URL: server.api_url}):
        addresses = {
            "ops": receiver.url,
            "gone": f"http://127.0.0.1:{free_port()}/hook?token=hunter2",
            "twice": receiver.url,
        }
        for name, url in addresses.items():
            block: Any = CustomWebhookNotificationBlock(name=name, url=url, json_data=form)
            block.save(name, overwrite=True)
        for name in ("slack", "twice"):
            slack: Any = SlackWebhook(url="https://hooks.slack.invalid/services/T0/B0/hunter2")
            slack.save(name, overwrite=True)
        yield receiver


def test_block_of_the_channels_name_takes_the_message(server: Server, receiver: Receiver) -> None:
    send_by_block(server.api_url, "ops", "dwh.orders failed", "line one\nline <two>")
    send_by_block(server.api_url, "custom-webhook/ops", "again", "by slug and name")

    assert receiver.told()[-2:] == ["dwh.orders failed", "again"]  # others may have sent before
    assert receiver.bodies[-2]["body"] == "line one\nline <two>"


@pytest.mark.parametrize("channel", ["gone", "slack"])
def test_block_that_does_not_deliver_is_no_success(server: Server, receiver: Receiver, channel: str) -> None:
    with pytest.raises(SoftRunError, match=f"Block '{channel}' did not take it: ") as caught:
        send_by_block(server.api_url, channel, "title", "body")

    assert "hunter2" not in caught.value.message


def test_refusal_of_the_receiver_is_no_success(server: Server, receiver: Receiver) -> None:
    receiver.refusals = 1
    with pytest.raises(SoftRunError, match="500"):
        send_by_block(server.api_url, "ops", "title", "body")


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("nobody", "no Prefect block named 'nobody' that notifies."),
        ("slack-webhook/ops", "named 'slack-webhook/ops' that notifies; there is custom-webhook/ops."),
        ("twice", "Several Prefect blocks are named 'twice'"),
    ],
)
def test_channel_that_names_no_block_says_what_to_do(
    server: Server, receiver: Receiver, channel: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        send_by_block(server.api_url, channel, "title", "body")
    assert caught.value.hint


def test_alert_for_a_channel_that_does_not_exist_goes_to_the_environments_at_once(
    server: Server, receiver: Receiver, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    here = replace(context, settings=context.settings.model_copy(update={"alert_channel": "ops"}))
    now = datetime.now(UTC)
    lost = Alert("a1", "i1", "slack-webhook/ops", AlertEvent.OPENED, "dwh.lost failed", "It says: no", now, now)
    here.store.queue_alerts([lost])

    (given_up,) = deliver(at(here, now)).failed
    (moved,) = deliver(at(here, now + timedelta(seconds=1))).sent

    assert (given_up.alert_id, given_up.attempts, given_up.given_up_at) == ("a1", 1, now)
    assert "there is custom-webhook/ops" in (given_up.last_error or "")
    assert (moved.channel, moved.incident_id, moved.event) == ("ops", "i1", AlertEvent.OPENED)
    (body,) = (item["body"] for item in receiver.bodies if item["title"] == "dwh.lost failed")
    assert body.startswith("Sent here because channel 'slack-webhook/ops' did not accept it: There is no Prefect block")
    assert body.endswith("It says: no")
    assert here.store.count_waiting_alerts() == 0


def test_command_sends_by_block_of_the_server_that_answers(
    server: Server,
    receiver: Receiver,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flows.cli import main

    monkeypatch.chdir(context.project.root)
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    monkeypatch.setattr("sys.argv", ["sluice", "alert", "test", "ops", "--json"])
    with pytest.raises(SystemExit) as stop:
        main()

    assert not stop.value.code
    assert json.loads(capsys.readouterr().out) == {
        "json_format": "alert-test/1",
        "channel": "ops",
        "is_sent": True,
    }
    assert receiver.told()[-1] == "[dev] This is a test"
