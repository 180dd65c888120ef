"""`sluice env`: environments without copies, made from another one for what a branch changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import out, print_json, print_table, progress, say
from flows.context import load_context
from metadata_sync.errors import MetadataError, RequestError

if TYPE_CHECKING:
    from flows.context import Context
    from flows.environments.environment import Environment
    from flows.environments.samples import Cut
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.rows.names import TableName

env_app = typer.Typer(
    name="env", no_args_is_help=True, help="Make, list, compare and drop environments without copies."
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(env_app)


@env_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Its name: pr_123.")],
    *,
    base: Annotated[str, typer.Option("--from", metavar="ENVIRONMENT", help="Everything else is read from it.")],
    against: Annotated[
        str | None, typer.Option("--against", metavar="REF", help="Load what changed against this commit or branch.")
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", help="Load this target, too; repeatable.", autocompletion=complete_targets),
    ] = None,
    readers: Annotated[
        str, typer.Option("--readers", metavar="N|all", help="Levels of readers that are loaded, too.")
    ] = "0",
    since: Annotated[
        str | None, typer.Option("--since", metavar="KEY", help="Copy rows whose incremental key is at least that.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Copy at most so many rows of a table, the newest.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Days until it expires.")] = 14,
    as_json: _Json = False,
) -> None:
    """Make an environment: what changed is loaded in its own schemas, everything else is read from another one.

    Without --since and --sample tables are read where they are, and nothing is copied. Exit code 1: a target could not
    be loaded; the environment is there, to look at it.

    Examples:
        sluice env create pr_123 --from prod --against origin/main

        SLUICE_ENVIRONMENT=pr_123 sluice status
    """
    from flows.environments.environment import Wanted, find_environment
    from flows.environments.environment import create as create_environment

    source = _at(_plain(load_context()), base)
    rows, chosen = _chosen(source, against, targets or [], readers)
    wanted = Wanted(name, rows, frozenset(chosen), _cut(since, sample), days)
    with progress(f"Making {name}", is_quiet=as_json):
        summary, samples = create_environment(source, wanted)
    loaded = {outcome.target: str(outcome.status) for outcome in summary.outcomes}
    if as_json:
        copied = [{"name": taken.name, "rows": taken.rows, "is_cut": taken.is_cut} for taken in samples]
        made = _document(find_environment(source.project, name))
        print_json("env-create", {**made, "loaded": loaded, "samples": copied})
    else:
        for line in [*(f"{target}: {status}" for target, status in loaded.items()), *(f"copied {s}" for s in samples)]:
            out.print(line, markup=False, highlight=False)
        say(f"{len(loaded)} of {len(rows.transformations)} targets are in {name}, the rest is read from {base}.")
    if summary.has_failed:
        raise typer.Exit(1)


@env_app.command("list")
def list_environments(*, as_json: _Json = False) -> None:
    """List the environments that were made here."""
    from flows.environments.environment import find_environments

    found = find_environments(_plain(load_context()).project)
    if as_json:
        print_json("env-list", {"environments": [_document(item) for item in found]})
        return
    rows = [(item.name, item.base, str(len(item.targets)), f"{item.expires_at:%Y-%m-%d %H:%M}") for item in found]
    print_table("Environments", ("Name", "From", "Targets", "Expires (UTC)"), rows)


@env_app.command("diff")
def diff(name: Annotated[str, typer.Argument(help="The environment.")], *, as_json: _Json = False) -> None:
    """Compare what was loaded in an environment with the one that it was made from. Exit code 1: it differs."""
    from flows.ci.build import compare_environment
    from flows.ci.built_text import state_of
    from flows.environments.environment import find_environment, opened

    context = _plain(load_context())
    environment = find_environment(context.project, name)
    with progress("Comparing", is_quiet=as_json):
        found = compare_environment(_at(context, environment.base), opened(context, environment), environment.targets)
    if as_json:
        targets = [{"target": item.target, "rows": item.rows, "state": state_of(item)} for item in found]
        print_json("env-diff", {"environment": name, "base": environment.base, "targets": targets})
    else:
        for item in found:
            out.print(f"{item.target}: {state_of(item)}", markup=False, highlight=False)
    if any(item.diff is None or not item.diff.is_empty for item in found):
        raise typer.Exit(1)


@env_app.command("drop")
def drop(name: Annotated[str, typer.Argument(help="The environment.")], *, as_json: _Json = False) -> None:
    """Drop an environment: its schemas, watermarks, log and incidents. Nothing of it is left."""
    from flows.environments.environment import drop as drop_environment
    from flows.environments.environment import find_environment, refuse_running

    context = _plain(load_context())
    environment = find_environment(context.project, name)
    refuse_running(context, environment)
    drop_environment(_at(context, environment.base), environment)
    if as_json:
        print_json("env-drop", {"environment": name, "schemas": list(environment.schemas)})
    else:
        say(f"Dropped {name}.")


def _plain(context: Context) -> Context:
    """Return the project as it is without an environment that was made here: the process may be in one."""
    from dataclasses import replace

    return replace(context, project=replace(context.project, home=None))


def _at(context: Context, environment: str) -> Context:
    from flows.ci.build import at_environment

    return at_environment(context, environment)


def _chosen(base: Context, ref: str | None, targets: list[str], readers: str) -> tuple[ControlRows, set[TableName]]:
    """Return all rows, and the targets that the environment is to have."""
    from flows.ci.choose import changed_targets, levels_of, with_readers
    from flows.impact.plan import plan_impact
    from metadata_sync.analysis.offline import OfflineColumns
    from metadata_sync.control.bundle import read_project
    from metadata_sync.rows.resolve import unknown_target

    bundle = read_project(base.project, base.settings.environment)
    if bundle.faults:
        raise MetadataError(bundle.faults)
    rows = bundle.rows
    known = {str(row.name): row.name for row in rows.transformations}
    for target in targets:
        if target not in known:
            raise unknown_target(target, rows)
    chosen: set[TableName] = {known[target] for target in targets}
    if ref is not None:
        impact = plan_impact(base, ref, OfflineColumns(base.profile.dialect))
        chosen |= changed_targets(impact.effects, rows)
    if not chosen:
        raise RequestError("No target changed whose rows could differ.", "Name one: --target, or --against a base.")
    return rows, with_readers(chosen, rows, levels_of(readers))


def _cut(since: str | None, sample: int | None) -> Cut | None:
    from flows.environments.samples import Cut, checked_since

    if since is None and sample is None:
        return None
    return Cut(2**62 if sample is None else sample, checked_since(since))


def _document(item: Environment) -> dict[str, Any]:
    return {
        "environment": item.name,
        "base": item.base,
        "targets": list(item.targets),
        "schemas": list(item.schemas),
        "created_at": item.created_at.isoformat(),
        "expires_at": item.expires_at.isoformat(),
    }
