"""`sluice size`: the cluster that a pipeline would get, its estimated duration and cost, and why."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.completion import complete_pipelines
from flows.cli.output.console import out, print_json, print_table, progress, say
from flows.context import Context, load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.spark.sizing.groups import Group, GroupMember
    from flows.spark.sizing.prices import PriceList
    from flows.spark.sizing.sizing import Sizing

_SIZE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgtp]i?b|b)?", re.IGNORECASE)
_UNITS: Final = ("b", "kb", "mb", "gb", "tb", "pb")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("size")(size)


def size(
    pipeline: Annotated[str, typer.Argument(help="The pipeline.", autocompletion=complete_pipelines)],
    size_text: Annotated[
        str | None,
        typer.Option(
            "--bytes", help="Bytes to read, e.g. 500GiB; by default what a run would read now.", metavar="SIZE"
        ),
    ] = None,
    sla: Annotated[
        float | None, typer.Option("--sla", help="Time limit in minutes; the row's sla_minutes by default.", min=0.1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Size the cluster for a pipeline: type, nodes, executors, minutes, dollars, whether it meets the SLA, and why.

    Starts nothing. The duration is an estimate; each run of a transformation on Spark improves it.

    Examples:
        sluice size flights_hourly

        sluice size flights_hourly --bytes 500GiB --sla 60

        sluice size flights_hourly --bytes 1TB --json
    """
    context = load_context()
    scan_bytes = None if size_text is None else parse_size(size_text)
    with progress("Looking at rows and sources…", is_quiet=as_json):
        group, prices = _group(context, pipeline, scan_bytes, sla)
    if group is None:
        _say_nothing_to_read(pipeline, as_json=as_json)
        return
    sizing = group.sized(prices)
    if as_json:
        print_json("size", _document(pipeline, group, sizing, prices))
        return
    _print(group, sizing, prices)


def parse_size(text: str) -> int:
    """Read a number of bytes.

    >>> parse_size("500GiB"), parse_size("1.5 TB"), parse_size("1024")
    (536870912000, 1500000000000, 1024)

    Raises:
        ConfigurationError: When the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or float(match["number"]) == 0:
        raise ConfigurationError(f"--bytes {text} is not a size.", "Write for example 500GiB, 1.5TB or 1073741824.")
    unit = (match["unit"] or "b").lower()
    base = 1024 if "i" in unit else 1000
    return int(float(match["number"]) * base ** _UNITS.index(unit.replace("i", "")))


def _group(
    context: Context, pipeline_id: str, scan_bytes: int | None, sla: float | None
) -> tuple[Group | None, PriceList]:
    """Return the transformations that would share a cluster, or None when there is nothing to read."""
    from dataclasses import replace

    from flows.spark.settings import load_emr_settings
    from flows.spark.sizing.groups import GroupMember, make_groups
    from flows.spark.sizing.learning import learn_from
    from flows.spark.sizing.prices import load_instances

    settings = load_emr_settings(context.project)
    prices = load_instances(context.project).in_region(settings.region)
    rows = context.store.read_rows()
    pipeline = rows.pipeline(pipeline_id)
    if pipeline is None:
        known = ", ".join(row.pipeline_id for row in rows.pipelines) or "none"
        raise ConfigurationError(f"There is no pipeline {pipeline_id!r} in this environment.", f"It has: {known}.")
    members = [row for row in rows.transformations if row.pipeline_id == pipeline_id]
    if not members:
        raise ConfigurationError(f"Pipeline {pipeline_id} has no transformation.", "Add one, then size it.")
    found = dict.fromkeys((str(row.name) for row in members), 0)
    if scan_bytes is None:
        found |= _read_now(context, pipeline_id)
    else:
        found |= {name: scan_bytes // len(members) for name in found}
    items = [
        GroupMember(row, pipeline, found[str(row.name)], learn_from(context.store.spark_entries(str(row.name)), "emr"))
        for row in members
        if found[str(row.name)] > 0
    ]
    if not items:
        return None, prices
    group = make_groups(items, None, settings.architecture, settings.primary_type)[0]
    return (group if sla is None else replace(group, sla_minutes=sla)), prices


def _read_now(context: Context, pipeline_id: str) -> dict[str, int]:
    """Return what each target that is due would read on Spark."""
    from flows.engine.engine import prepare
    from flows.gate.facts import Action
    from flows.run.model import RunRequest
    from flows.spark.engine_choice import EngineChooser, spans_of

    plan = prepare(context, RunRequest((pipeline_id,)), is_dry=True)
    chooser = EngineChooser(context, plan.rows)
    found = {}
    for decision in plan.decisions:
        row = chooser.row(decision.target)
        if decision.action is not Action.RUN or row is None:
            continue
        obstacle = chooser.obstacle(row)
        if obstacle is not None:
            say(f"{decision.target} is not counted: {obstacle}")
            continue
        found[decision.target] = chooser.scan(row, spans_of(decision, None)).scan_bytes
    return found


def _print(group: Group, sizing: Sizing, prices: PriceList) -> None:
    from flows.spark.engine_choice import in_gb

    rows = [(str(item.row.name), in_gb(item.scan_bytes), str(item.learned)) for item in group.items]
    print_table("", ("Target", "Reads", "Speed"), rows)
    spot = f", {sizing.spot_count} of them spot" if sizing.spot_count else ""
    sla = "in time" if sizing.is_feasible else "NOT in time"
    if group.sla_minutes is None:
        sla = "no deadline"
    out.print(f"[bold]{sizing}[/]{spot}, and {sizing.master_count} × {sizing.master_type} as primary", highlight=False)
    out.print(
        f"{sizing.executors} executors with {sizing.layout.cores} cores and {sizing.layout.heap_mb:,} MB each, "
        f"{sizing.partitions:,} shuffle partitions",
        highlight=False,
    )
    out.print(
        f"about {sizing.minutes:.1f} minutes and ${sizing.usd:.2f}, {sla}: {sizing.reason} "
        f"(prices of {prices.region} as of {prices.as_of})",
        highlight=False,
    )


def _document(pipeline: str, group: Group, sizing: Sizing, prices: PriceList) -> dict[str, Any]:
    return {
        "pipeline_id": pipeline,
        "scan_bytes": group.workload.scan_bytes,
        "sla_minutes": group.sla_minutes,
        "targets": [_item_document(item) for item in group.items],
        "cluster": {**asdict(sizing), "executors": sizing.executors, "spot_share": sizing.spot_share},
        "prices": {"region": prices.region, "as_of": prices.as_of},
    }


def _item_document(item: GroupMember) -> dict[str, Any]:
    return {
        "target": str(item.row.name),
        "scan_bytes": item.scan_bytes,
        "mib_per_core_second": item.learned.calibration.mib_per_core_second,
        "prior_mib_per_core_second": item.learned.prior.mib_per_core_second,
        "runs": item.learned.sample_count,
    }


def _say_nothing_to_read(pipeline: str, *, as_json: bool) -> None:
    if as_json:
        print_json("size", {"pipeline_id": pipeline, "scan_bytes": 0, "cluster": None})
        return
    say(f"{pipeline} has nothing to read on Spark now, so it needs no cluster. Pass --bytes to size one anyway.")
