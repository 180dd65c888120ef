"""`sluice up` and `sluice down`: Prefect in the background of this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.cli.output.console import out, print_json, progress, say
from flows.context import load_context

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("up")(up)
    app.command("down")(down)


def up(as_json: AsJson = False) -> None:
    """Start Prefect in the background (the server, two workers and the reconciler) and print the address of its UI.

    The UI shows runs with a bar per model, logs and a summary per pipeline. One worker starts scheduled
    runs, the other one monitor and heal. The reconciler gives every pipeline row its deployment, follows changes of the
    rows within seconds, and ends runs that will not end by themselves. All of them outlive the terminal and listen on
    this machine only. Repeating the command starts nothing twice.

    The server asks for a password, which is made at the first start (.sluice/prefect/auth). The link that is printed
    logs the browser in.

    Examples:
        sluice up

        SLUICE_PREFECT_PORT=4300 sluice up

        SLUICE_PREFECT_HOST=10.0.0.5 SLUICE_PREFECT_AUTH=team:secret sluice up

        sluice up --json
    """
    from flows.server.companions import start_companions
    from flows.server.local import local_server, start

    context = load_context()
    server = local_server(context).secured()
    with progress("Starting the local Prefect server (the first start takes half a minute)…", is_quiet=as_json):
        started = start(server)
    companions = start_companions(context)
    if as_json:
        print_json(
            "up",
            {
                "running": True,
                "already_running": not started.is_new,
                "pid": started.pid,
                "worker_pid": companions.worker.pid,
                "upkeep_worker_pid": companions.upkeep_worker.pid,
                "reconciler_pid": companions.reconciler.pid,
                "seconds": round(started.seconds, 1),
                "ui": server.ui_url,
                "open": server.open_url,
                "api": server.api_url,
                "log": str(server.log_file),
            },
        )
        return
    state = f"started in {started.seconds:.0f} s" if started.is_new else "is already running"
    say(f"The local Prefect server {state} (pid {started.pid}). End it with `sluice down`.")
    say(
        f"A worker (pid {companions.worker.pid}) starts scheduled runs, a second one "
        f"(pid {companions.upkeep_worker.pid}) starts monitor and heal, and the reconciler "
        f"(pid {companions.reconciler.pid}) updates deployments when rows change."
    )
    configured = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if configured and configured != server.api_url:
        say(f"PREFECT_API_URL is set: `sluice run` reports to {configured}, not to this server.")
    out.print(server.open_url, highlight=False)


def down(as_json: AsJson = False) -> None:
    """Stop the local Prefect server, its workers and the reconciler. Its database stays for the next `sluice up`.

    Runs of the workers are stopped too; the next run continues from the last commit.

    Examples:
        sluice down

        sluice down --json
    """
    from flows.server.companions import stop_companions
    from flows.server.local import local_server, stop

    context = load_context()
    with progress("Stopping the local Prefect server…", is_quiet=as_json):
        was_working = stop_companions(context)
        was_running = stop(local_server(context)) or was_working
    if as_json:
        print_json("down", {"running": False, "was_running": was_running})
        return
    say("The local Prefect server has ended." if was_running else "No local Prefect server is running.")
