"""`sluice up` and `sluice down`: the local Prefect server in the background."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.cli.console import out, print_json, progress, say
from flows.context import load_context
from flows.server import local_server, start, stop

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("up")(up)
    app.command("down")(down)


def up(as_json: AsJson = False) -> None:
    """Keep one local Prefect server running in the background, and say where its UI is.

    Runs that start while it answers stand in its UI: a bar per model, logs, and a summary per pipeline. It listens on
    this machine only, survives the terminal, and is started once however often this is called.

    Examples:
        sluice up

        SLUICE_PREFECT_PORT=4300 sluice up

        sluice up --json
    """
    context = load_context()
    server = local_server(context)
    with progress("Starting the local Prefect server (the first start takes half a minute)…", is_quiet=as_json):
        started = start(server)
    if as_json:
        print_json(
            {
                "running": True,
                "already_running": not started.is_new,
                "pid": started.pid,
                "seconds": round(started.seconds, 1),
                "ui": server.ui_url,
                "api": server.api_url,
                "log": str(server.log_file),
            }
        )
        return
    state = f"started in {started.seconds:.0f} s" if started.is_new else "is already running"
    say(f"The local Prefect server {state} (pid {started.pid}). End it with `sluice down`.")
    configured = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if configured and configured != server.api_url:
        say(f"Mind that PREFECT_API_URL is set: `sluice run` reports to {configured}, not to this server.")
    out.print(server.ui_url, highlight=False)


def down(as_json: AsJson = False) -> None:
    """End the local Prefect server. What it recorded stays, and stands there again after the next `sluice up`.

    Examples:
        sluice down

        sluice down --json
    """
    server = local_server(load_context())
    with progress("Ending the local Prefect server…", is_quiet=as_json):
        was_running = stop(server)
    if as_json:
        print_json({"running": False, "was_running": was_running})
        return
    say("The local Prefect server has ended." if was_running else "No local Prefect server is running.")
