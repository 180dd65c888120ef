"""The `sluice` command: one module per command, imported when the command is called.

| module | commands |
| --- | --- |
| `init` | `init` |
| `control` | `control apply`, `export`, `list`, `set`, `history`; `activate`, `deactivate` |
| `sync` | `sync`, `validate` |
| `status` | `plan`, `status`, `why` |
| `run`, `backfill`, `heal` | the command of the same name |
| `ledger` | `verify`, `rebuild` |
| `lifecycle` | `rename`, `retire` |
| `promote` | `promote`, `rollback` |
| `explain`, `freshness`, `savings`, `cost`, `lineage`, `lake`, `size` | the command of the same name |
| `doctor`, `lint`, `classify`, `dbt`, `deploy` | the command of the same name |
| `server` | `up`, `down` |
| `alert`, `emr` | `alert test`, `emr sweep` |
| `commands` | the commands by panel, with their first sentences |
| `output/` | tables, progress, JSON and shared options |

Never imported at module level: Prefect, dbt, boto3, a warehouse driver (a command must start quickly).
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from copy import copy
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from flows.cli.commands import COMMANDS, PANELS
from metadata_sync.errors import SluiceError

_PANELS: Final = {command: panel for panel, group in PANELS.items() for command in group}

_OBJECTS_PER_COLLECTION: Final = 100_000
"""Imports create many long-lived objects. With Python's default, scanning them takes a tenth of the start-up time."""


class _CommandModules(dict[str, Any]):
    """The commands by name; a command's module is imported when the command is looked up."""

    def get(self, name: str, default: Any = None) -> Any:
        """Import a command; the default when there is none of this name."""
        if name not in self:
            return default
        part = typer.Typer(add_completion=False)
        importlib.import_module(f"flows.cli.{COMMANDS[name]}").register(part)
        command = typer.main.get_group(part).commands[name]
        setattr(command, "rich_help_panel", _PANELS[name])  # noqa: B010 - typer's commands have it, click's type has not
        return command


class CommandGroup(TyperGroup):
    """The group `sluice`: a command pays only for its own imports."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _CommandModules(dict.fromkeys(COMMANDS))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; it lists commands by their first sentences, and imports none."""
        listing = copy(self)
        listing.commands = {
            name: TyperCommand(name, help=entry.summary, rich_help_panel=panel)
            for panel, group in PANELS.items()
            for name, entry in group.items()
        }
        TyperGroup.format_help(listing, ctx, formatter)


app = typer.Typer(
    name="sluice",
    cls=CommandGroup,
    help="Control rows become gated, exactly-once dbt models.",
    epilog="For example: sluice control apply && sluice run && sluice status",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _project_lines() -> tuple[str, ...]:
    """Compare the package with the project that the command was called in; there may be none."""
    from flows.doctor.versions import compare_versions
    from metadata_sync.project import find_project

    try:
        project = find_project()
    except SluiceError:
        return ()
    return tuple(
        f"{item.check}: {item.message}{' · ' if item.remedy else ''}{item.remedy}" for item in compare_versions(project)
    )


def _say_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version as version_of

        names = ("sluice-data", "dbt-core", "prefect", "duckdb")
        typer.echo(" · ".join(f"{name.removesuffix('-data')} {version_of(name)}" for name in names))
        for line in _project_lines():
            typer.echo(line)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something goes wrong, and log details.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the versions of Sluice and what it runs on.", callback=_say_version),
    ] = False,
) -> None:
    """Run metadata-driven pipelines."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def main() -> None:
    """Entry point: run the command and turn an error into a message and an exit code."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    try:
        app()
    except SluiceError as error:
        if "--debug" in sys.argv:
            raise
        from flows.cli.output.console import report_error

        report_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
