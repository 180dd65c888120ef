"""The command line in processes of its own: what it prints, how it ends, what it imports, two of them at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.engine_project import REPOSITORY, TOTALS_BY_HAND, Workshop, control_rows, finish, run_json

HEAVY = ("prefect", "dbt", "boto3", "psycopg")

LIGHT_COMMANDS = (
    ["--help"],
    ["run", "--help"],
    ["status"],
    ["freshness"],
    ["savings", "--since", "7d"],
    ["why", "dwh.fact_order"],
    ["plan"],
    ["run"],
    ["run", "--json"],
)

RUN_LIGHT_COMMANDS = f"""
import sys
from flows.cli import app, main
for arguments in {LIGHT_COMMANDS!r}:
    sys.argv = ["sluice", *arguments]
    app.registered_commands.clear()
    app.registered_groups.clear()
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (arguments, stop.code)
    roots = {{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r})
    assert not roots, (arguments, roots)
"""


def test_commands_that_load_nothing_import_neither_prefect_nor_dbt(workshop: Workshop) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_LIGHT_COMMANDS],
        cwd=workshop.root,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")


UNNEEDED = {
    ("--help",): {"pydantic", "sqlalchemy", "yaml", "jinja2", "sqlglot", "duckdb"},
    ("status",): {
        "sqlglot",
        "duckdb",
        "jinja2",
        "tenacity",
        "rich",
        "pydantic_settings",
        "sqlalchemy.dialects.postgresql",
    },
    ("why", "dwh.fact_order"): {"sqlglot", "duckdb", "jinja2", "tenacity", "pydantic_settings"},
    ("sync", "--check"): {"sqlglot", "duckdb", "jinja2", "tenacity", "rich", "pydantic_settings"},
    ("run",): {"sqlglot", "jinja2", "rich", "pydantic_settings", "sqlalchemy.dialects.postgresql"},
}
"""Command → modules that it does not need when nothing has changed; each costs a processor 20 to 150 ms."""


@pytest.mark.parametrize("command", UNNEEDED, ids=" ".join)
def test_commands_import_only_what_they_need(workshop: Workshop, command: tuple[str, ...]) -> None:
    finish(workshop.sluice("run"))  # what follows finds nothing changed
    heavy = UNNEEDED[command] | set(HEAVY)
    script = (
        "import atexit, sys; from flows.cli import main\n"
        f"atexit.register(lambda: print(*sorted({heavy!r} & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['sluice', *{command!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workshop.root,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, [""]), done.stderr


def test_run_says_why_nothing_is_due(workshop: Workshop) -> None:
    code, out, err = finish(workshop.sluice("run"))
    _, document = run_json(workshop, "run")

    assert (code, err) == (0, "")
    assert "Nothing is due" in out
    for target in ("dwh.fact_order", "dwh.customer", "dwh.dim_region", "mart.region_total"):
        assert target in out
    assert out.count("2013-01-02 12:09:00") == 4, "watermark and maximum of two targets"
    assert document["is_due"] is False
    assert {item["decision"] for item in document["targets"]} == {"skip"}


def test_run_prints_a_line_per_target_and_a_summary(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    code, out, err = finish(workshop.sluice("run"))

    assert code == 0, err
    assert "running without it" in err
    assert "✓ dwh.fact_order loaded" in err
    assert "Running with dbt" not in out + err
    assert "3 loaded, 1 skipped" in out


def test_run_ends_with_1_while_a_row_is_off_that_the_framework_switched_off(workshop: Workshop) -> None:
    store = workshop.context.store
    row = next(row for row in store.read_rows().transformations if str(row.name) == "dwh.fact_order")
    off = row.model_copy(update={"is_active": False, "deactivated_by": DeactivatedBy.FRAMEWORK, "comments": "value"})
    store.write([RowChange(row, off)], "framework", "framework", None)

    off_run, ignoring = (finish(workshop.sluice("run", *arguments)) for arguments in ((), ("--ignore-off",)))
    status = finish(workshop.sluice("status"))

    assert (off_run[0], ignoring[0]) == (1, 0)
    assert "Off since a failure: dwh.fact_order" in off_run[2]
    assert status[1].startswith("Wrong now: 1 problem\n! dwh.fact_order is off\n")
    assert "\ndwh.fact_order\toff, success\t" in status[1]


def test_status_why_and_plan_tell_what_happened(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    status = {item["target"]: item for item in run_json(workshop, "status")[1]["targets"]}
    why = run_json(workshop, "why", "dwh.fact_order")[1]
    plan = run_json(workshop, "plan")[1]

    assert status["dwh.fact_order"]["last_status"] == "success"
    assert status["dwh.fact_order"]["last_load"]["rows"]["inserted"] == 20
    assert status["dwh.fact_order"]["is_active"] is True
    assert (why["decision"], why["reason"]) == ("run", "first_load")
    assert (plan["rows"], plan["drifted"], plan["faults"]) == ([], [], [])
    planned = {item["target"]: item for item in plan["run"]["targets"]}
    assert planned["dwh.fact_order"]["decision"] == "run"
    assert planned["dwh.fact_order"]["engine"]["engine"] == "warehouse"
    assert planned["dwh.fact_order"]["windows"][0]["end"] == "2013-01-03 12:04:00.000000"
    assert planned["mart.region_total"]["decision"] == "wait"
    assert planned["dwh.dim_region"]["decision"] == "skip"


def test_freshness_tells_what_is_late_and_ends_so_when_it_is_asked_to(workshop: Workshop) -> None:
    rows = control_rows()
    rows["sources"][0]["freshness_minutes"] = 60
    rows["transformations"][0]["freshness_minutes"] = 1_000_000
    workshop.apply(rows)

    code, found = run_json(workshop, "freshness")
    checked = finish(workshop.sluice("freshness", "--check"))
    well = finish(workshop.sluice("freshness", "dwh.fact_order", "--check"))

    assert (code, found["late"]) == (0, ["lake.orders"])
    table = {item["table"]: item for item in found["tables"]}
    assert table["lake.orders"]["newest_at"] == "2013-01-02T12:09:00+00:00"
    assert table["dwh.fact_order"]["state"] == "fresh"
    assert (checked[0], well[0]) == (1, 0)
    assert "1 late" in checked[1]


def test_why_tells_the_decision_that_stood_at_a_time(workshop: Workshop) -> None:
    first = workshop.context.store.latest_decisions("dwh.fact_order", limit=1)[0]
    workshop.run()

    _, now = run_json(workshop, "why", "dwh.fact_order")
    _, then = run_json(workshop, "why", "dwh.fact_order", "--at", first.decided_at.isoformat(" "))
    never = finish(workshop.sluice("why", "dwh.fact_order", "--at", "2013-01-02 02:00"))
    wrong = finish(workshop.sluice("why", "dwh.fact_order", "--at", "two o'clock"))

    assert (now["decision"], now["reason"], now["last_run"]["status"]) == ("skip", "nothing_new", "success")
    assert now["remedy"] == "It would run with a new or changed file of lake.orders."
    assert (then["decision"], then["reason"], then["run_id"]) == ("run", "first_load", first.run_id)
    assert then["engine"]["engine"] == "warehouse"
    assert "No decision on dwh.fact_order is recorded until 2013-01-02 02:00 UTC" in never[2]
    assert (never[0], wrong[0]) == (2, 2)


def test_plan_shows_rows_and_models_that_are_pending_and_changes_nothing(workshop: Workshop) -> None:
    path = workshop.root / "dbt_project" / "control" / "rows.yml"
    path.write_text(path.read_text().replace("pipeline_name: Orders", "pipeline_name: All orders"))
    workshop.write_select("dim_region", "select r.region, upper(r.label) as label from lake.regions as r")

    code, plan = run_json(workshop, "plan")
    again = run_json(workshop, "plan")[1]

    assert code == 0
    assert [(item["row"], item["columns"]) for item in plan["rows"]] == [
        ("pipeline_control[orders]", ["pipeline_name"])
    ]
    assert plan["drifted"] == ["orders/dwh__dim_region.sql"]
    assert again["rows"] == plan["rows"]


def test_doctor_finds_what_is_wrong(workshop: Workshop) -> None:
    well, findings = run_json(workshop, "doctor")
    for path in (workshop.lake / "regions").iterdir():
        path.unlink()
    ill, worse = run_json(workshop, "doctor")

    assert (well, ill) == (0, 3)
    found, later = (
        {item["check"]: item["level"] for item in document["findings"] if not item["check"].startswith("support of")}
        for document in (findings, worse)
    )  # what is supported depends on the day
    assert set(found.values()) == {"ok"}
    assert {check: level for check, level in later.items() if level != "ok"} == {"lake lake.regions": "fail"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "nope"], 2, "There is no pipeline 'nope'"),
        (["run", "--job-group", "nope"], 2, "There is no job group 'nope'"),
        (["savings", "--since", "yesterday"], 2, "is not a time span"),
        (["why", "dwh.nope"], 2, "There is no transformation 'dwh.nope'"),
        (["dbt", "build", "--target", "redshift"], 2, "contradicts environment 'dev'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_refused(workshop: Workshop, arguments: list[str], code: int, words: str) -> None:
    ended, out, err = finish(workshop.sluice(*arguments))

    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_environment_without_target_is_refused(workshop: Workshop) -> None:
    code, _, err = finish(workshop.sluice("run", SLUICE_ENVIRONMENT="stage"))

    assert code == 2
    assert "has no target 'stage'" in err


def test_two_runs_at_once_load_everything_once(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    processes = [workshop.sluice("run") for _ in range(2)]
    ended = [finish(process) for process in processes]

    assert [code for code, _, _ in ended] == [0, 0], ended
    assert sum("✓ dwh.fact_order loaded" in err for _, _, err in ended) == 1
    (waited,) = [err for _, _, err in ended if "waiting up to" in err]
    assert any(f"process {process.pid}" in waited for process in processes)
    assert workshop.query("select count(*), count(distinct order_id) from dwh.fact_order") == [(25, 25)]
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)


def test_run_that_may_not_wait_says_who_holds_the_warehouse(workshop: Workshop) -> None:
    from flows.engine.engine import hold_warehouse

    with hold_warehouse(workshop.context, "a long load"):
        code, out, err = finish(workshop.sluice("run", SLUICE_LOCK_WAIT_SECONDS="0.2"))

    assert (code, out) == (1, "")
    assert f"process {os.getpid()} (a long load)" in err
    assert "Nothing was changed" in err


def test_killed_run_leaves_nothing_half_done(workshop: Workshop) -> None:
    """Kill a run at random moments, then run again: the result is that of an undisturbed run."""
    random_source = random.Random(20130101)
    workshop.land_orders("day_2b", range(25, 30), "2013-01-03 18:00:00")
    began = time.monotonic()
    assert finish(workshop.sluice("run"))[0] == 0
    whole = time.monotonic() - began
    kills = 0
    for day in range(3, 6):
        workshop.land_orders(f"day_{day}", range(day * 10, day * 10 + 10), f"2013-01-0{day} 12:00:00")
        process = workshop.sluice("run")
        try:
            process.wait(timeout=whole * random_source.uniform(0.1, 0.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
            kills += 1
        process.communicate()
        time.sleep(0.1)

    code, out, err = finish(workshop.sluice("run"))

    assert kills, f"no run was killed, though the one before them took {whole:.1f} s"
    assert code == 0, (out, err)
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)
    assert workshop.query("select count(*), count(distinct order_id) from dwh.fact_order") == [(55, 55)]
    assert workshop.query("select count(*) from dwh.customer where is_current") == [(3,)]
    status = {item["target"]: item for item in run_json(workshop, "status")[1]["targets"]}
    logged = dict(workshop.query("select target, max(load_id) from sluice.load_log group by target"))
    assert {target: item["last_load"]["load_id"] for target, item in status.items()} == logged
