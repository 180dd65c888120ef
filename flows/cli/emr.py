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
        print_json("emr-sweep", {"is_ended": not plan, "clusters": clusters})
    elif found:
        rows = [
            (item.cluster_id, item.name, item.state, f"{item.created_at:%Y-%m-%d %H:%M:%S}", item.run_id)
            for item in found
        ]
        title = "Clusters that no run waits for" if plan else "Terminated"
        print_table(title, ("Cluster", "Name", "State", "Since (UTC)", "Run"), rows)
    else:
        say("A run waits for each cluster of this environment: nothing to terminate.")


@_app.command("prices")
def prices(
    region: Annotated[
        str | None, typer.Option("--region", help="AWS region; by default that of SLUICE_EMR_REGION.")
    ] = None,
) -> None:
    """Write today's prices of a region to emr_instances.yml in the project's root, from AWS's price list.

    Needs boto3 and the right pricing:GetProducts. The machines are those of the list that counts now, the prices of
    other regions stay as they are.

    Examples:
        sluice emr prices --region eu-west-1
    """
    from flows.spark.aws import aws_client, aws_errors
    from flows.spark.settings import load_emr_settings
    from flows.spark.sizing.refresh import PRICING_REGION, refresh
    from metadata_sync.instances import OWN_FILE

    context = load_context()
    wanted = region or load_emr_settings(context.project).region
    with aws_errors("reading AWS's price list"):
        missing = refresh(context.project, wanted, aws_client("pricing", PRICING_REGION), context.now().date())
    say(
        f"{OWN_FILE} holds today's prices of {wanted}."
        + (f" Without a price: {', '.join(missing)}." if missing else "")
    )
