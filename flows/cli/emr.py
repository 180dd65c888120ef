"""`sluice emr`: the clusters that Sluice created on EMR."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.output.console import print_json, print_table, say
from flows.context import load_context

_app = typer.Typer(name="emr", help="Clusters on EMR.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(_app)


@_app.callback()
def _emr() -> None:
    """Clusters on EMR."""


@_app.command("sweep")
def sweep(
    plan: Annotated[bool, typer.Option("--plan", help="Show which clusters would be terminated.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Terminate the clusters of this environment that no run waits for.

    Sluice tags each cluster with the control database that created it. A cluster whose run was killed or lost its
    machine is found within two minutes. EMR's auto-termination policy also terminates it once its steps are done.

    Examples:
        sluice emr sweep --plan

        sluice emr sweep --json
    """
    from flows.spark.emr.sweep import sweep as sweep_clusters

    found = sweep_clusters(load_context(), is_dry=plan)
    if as_json:
        clusters = [{**asdict(item), "created_at": item.created_at.isoformat()} for item in found]
        print_json({"is_ended": not plan, "clusters": clusters})
    elif found:
        rows = [
            (item.cluster_id, item.name, item.state, f"{item.created_at:%Y-%m-%d %H:%M:%S}", item.run_id)
            for item in found
        ]
        title = "Clusters that no run waits for" if plan else "Terminated"
        print_table(title, ("Cluster", "Name", "State", "Since (UTC)", "Run"), rows)
    else:
        say("A run waits for each cluster of this environment: nothing to terminate.")
