"""`sluice alert`: test the alert channels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from flows.cli.output.console import out, print_json
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    alerts = typer.Typer(name="alert", help="Test the channels that receive alerts.", no_args_is_help=True)
    alerts.command("test")(send_test)
    app.add_typer(alerts)


def send_test(
    channel: Annotated[str, typer.Argument(help="The channel, as rows and settings name it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Send one test message to a channel. Exit code 1: the channel did not accept it.

    A channel is the name of a Prefect notification block, or of a webhook in the variable SLUICE_CHANNEL_<NAME>.

    Examples:
        sluice alert test data-ops

        SLUICE_CHANNEL_DATA_OPS=https://… sluice alert test data-ops --json
    """
    from flows.incidents.outbox import channel_sender
    from metadata_sync.database.engine import new_id
    from metadata_sync.incident import Alert, AlertEvent

    context = load_context()
    now = datetime.now(UTC)
    title = f"[{context.settings.environment}] This is a test"
    body = f"{context.who} sent this with `sluice alert test {channel}`. Nothing is wrong."
    channel_sender(context)(Alert(new_id(now), None, channel, AlertEvent.TEST, title, body, now, now))
    if as_json:
        print_json("alert-test", {"channel": channel, "is_sent": True})
    else:
        out.print(f"{channel} accepted the message.", highlight=False, markup=False)
