"""The `sluice` command. Each command lives in a module of this package; heavy imports stay inside its functions."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from typing import Annotated, Final

import typer

from flows.cli.output.console import report_error
from metadata_sync.errors import SluiceError

COMMAND_MODULES: Final = (
    "control",
    "sync",
    "run",
    "backfill",
    "ledger",
    "status",
    "freshness",
    "savings",
    "doctor",
    "server",
    "deploy",
    "lineage",
    "dbt",
    "classify",
    "alert",
    "heal",
    "lint",
    "size",
    "emr",
)
"""Modules of this package; each has a function `register(app)`."""

_OBJECTS_PER_COLLECTION: Final = 100_000
"""Imports make many objects that live on: looking for garbage among them takes a tenth of a command's start."""

app = typer.Typer(
    name="sluice",
    help="Control rows become gated, exactly-once dbt models.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something goes wrong, and log details.")
    ] = False,
) -> None:
    """Run metadata-driven pipelines."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def main() -> None:
    """Entry point: run the command and turn an error into a message and an exit code."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    for name in COMMAND_MODULES:
        importlib.import_module(f"flows.cli.{name}").register(app)
    try:
        app()
    except SluiceError as error:
        if "--debug" in sys.argv:
            raise
        report_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
