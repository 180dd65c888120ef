"""`sluice init`: create a project, or add Sluice to a dbt project."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output.console import out
from flows.init.scaffold import Ci, Warehouse, create_project
from metadata_sync.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("init")(init)


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of the new project.", show_default=False)
    ] = None,
    warehouse: Annotated[Warehouse, typer.Option("--warehouse", help="Where its tables will be.")] = Warehouse.DUCKDB,
    from_dbt: Annotated[
        Path | None,
        typer.Option("--from-dbt", metavar="PROJECT", help="Add Sluice to this dbt project.", show_default=False),
    ] = None,
    ci: Annotated[Ci, typer.Option("--ci", help="Whose CI checks its changes.")] = Ci.GITHUB,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --from-dbt: show what would be added, write nothing.")
    ] = False,
) -> None:
    """Create a project with an example that loads, or add Sluice to an existing dbt project.

    Writes files that are missing and changes none, but for lines that --from-dbt appends to .gitignore. A command that
    was interrupted can be run again. --from-dbt leaves models, profiles, packages and dbt_project.yml as they are.

    Examples:
        sluice init shop

        sluice init shop --warehouse redshift --ci gitlab

        sluice init --from-dbt path/to/dbt/project --dry-run
    """
    if from_dbt is not None:
        if folder is not None and folder.resolve() != from_dbt.resolve():
            raise ConfigurationError(
                f"DIR is {folder}, but Sluice is added inside the dbt project {from_dbt}.", "Leave DIR out."
            )
        _adopt(from_dbt, dry_run=dry_run)
        return
    if folder is None or dry_run:
        raise ConfigurationError(
            "--dry-run needs --from-dbt PROJECT." if folder else "sluice init needs the folder of the new project.",
            "For example: sluice init shop",
        )
    written = create_project(folder, warehouse, ci)
    if not written:
        out.print(f"{folder} is complete: nothing was written.", highlight=False)
        return
    _show("wrote", written)
    _next(
        folder, [] if warehouse is Warehouse.DUCKDB else ["set the variables and create the example's table: README.md"]
    )


def _adopt(project: Path, *, dry_run: bool) -> None:
    from flows.init.adopt import add_to_dbt_project, plan_additions

    additions = plan_additions(project) if dry_run else add_to_dbt_project(project)
    if not additions:
        out.print(f"{project} has all of Sluice: nothing was written.", highlight=False)
        return
    _show("would add" if dry_run else "added", additions)
    if not dry_run:
        out.print(
            "Nothing else was changed. The macros are linked into dbt_packages/, now and by each command of Sluice.",
            highlight=False,
        )
        out.print("Where packages.yml lists others too: dbt deps", highlight=False)


def _show(verb: str, names: list[str]) -> None:
    for name in names:
        out.print(f"{verb} {name}", markup=False, highlight=False, soft_wrap=True)


def _next(folder: Path, before: list[str]) -> None:
    steps = [*before, "sluice control apply", "sluice run"]
    if folder.resolve() != Path.cwd():
        steps.insert(0, f"cd {shlex.quote(os.fspath(folder))}")
    out.print("\nNext:")
    for step in steps:
        out.print(f"  {step}", markup=False, highlight=False, soft_wrap=True)
