"""`sluice ci --build`: what changed is loaded before and after from one sample, in a place of its own, and compared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.flows.impact.test_plan import CUSTOMER, edit, invoke, root
from tests.flows.impact.test_plan import git as run_git
from tests.flows.lifecycle.test_on_servers import Shop, shop
from tests.redshift_standin.journal import Entry
from tests.support.doc_pages import REPOSITORY

__all__ = ["root", "shop"]

NAMED = "transformations/named.sql"


def built(*arguments: str, base: str = "HEAD") -> dict[str, Any]:
    result = invoke("ci", "--against", base, "--build", *arguments, "--json")
    assert result.stdout, f"{result.output} {result.exception!r}"
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["passed"] == (result.exit_code == 0)
    (check,) = (item for item in document["checks"] if item["name"] == "rows of targets")
    return {
        "status": check["status"],
        "summary": check["summary"],
        "lines": check["lines"],
        **(document["built"] or {}),
    }


def states(document: dict[str, Any]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in document["lines"] if line.startswith(("dwh.", "mart.")))


@pytest.fixture
def loaded(root: Path) -> Path:
    """The project, its base environment loaded."""
    for path in (root / "dbt_project/unit_tests").glob("*.yml"):  # they hold what SELECTs did before
        path.unlink()
    assert invoke("control", "apply", "--yes").exit_code == 0
    result = invoke("run")
    assert result.exit_code == 0, result.output
    return root


def content(root: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(root / ".sluice/dev.duckdb"), read_only=True) as warehouse:
        tables = warehouse.sql("select schema_name, table_name from duckdb_tables() order by all").fetchall()
        return [
            (schema, table, warehouse.sql(f'select * from "{schema}"."{table}"').order("all").fetchall())
            for schema, table in tables
        ]


def test_what_changed_is_built_and_the_rest_is_read(loaded: Path) -> None:
    before = content(loaded)
    edit(loaded, NAMED, "c.name,", "upper(c.name) as name,")
    found = built()
    assert found["status"] == "passed"
    assert [item["target"] for item in found["targets"]] == ["mart.named"]
    assert found["summary"].startswith("1 of 4 targets built from 1 tables of dev: 1 with other rows")
    diff = found["targets"][0]["diff"]
    assert (diff["changed"], diff["equal"], diff["only_here"], diff["only_there"]) == (2, 0, 0, 0)
    assert [column["column"] for column in diff["columns"]] == ["name"]
    assert content(loaded) == before
    assert not list((loaded / ".sluice").glob("place-*"))


def test_readers_follow_as_far_as_asked(loaded: Path, tmp_path: Path) -> None:
    edit(loaded, CUSTOMER, "c.name,", "upper(c.name) as name,")
    assert sorted(states(built())) == ["dwh.dim_customer"]
    assert sorted(states(built("--readers", "1"))) == ["dwh.dim_customer", "mart.city", "mart.named"]
    result = invoke("ci", "--against", "HEAD", "--build", "--readers", "all", "--output", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "sluice.md").read_text()
    (run,) = json.loads((tmp_path / "out" / "sluice.sarif").read_text())["runs"]
    told = {
        item["message"]["text"].split(":")[0]: item["level"] for item in run["results"] if item["ruleId"] == "build"
    }
    assert told == {"dwh.dim_customer": "note", "mart.named": "note", "mart.top": "note"}
    assert 'name="rows of targets"' in (tmp_path / "out" / "junit.xml").read_text()
    assert "| `mart.city` | reads it | 2 | the same rows as before |" in text
    assert "| `mart.top` | reads it |" in text
    assert "Ada" not in text
    assert "ADA" not in text
    shown = invoke("ci", "--against", "HEAD", "--build", "--values").stdout
    assert "ADA" in shown


def test_new_target_column_and_filter(loaded: Path) -> None:
    edit(loaded, NAMED, "c.city as place from", "c.city as place, 1 as one from")
    edit(loaded, "transformations/city.sql", "group by", "where c.customer_id = 1 group by")
    (loaded / "dbt_project/transformations/fresh.sql").write_text("select n.name as label from mart.named as n\n")
    rows = "  - {table: fresh, business_key: label, dependencies: mart.named}\n"
    with (loaded / "dbt_project/control/marts.yml").open("a") as file:
        file.write(rows)
    found = built()
    told = states(found)
    assert told["mart.fresh"] == "new, 2 rows"
    assert told["mart.named"] == "column one is new"
    assert "only before" in told["mart.city"]


def test_formatting_builds_nothing(loaded: Path) -> None:
    edit(loaded, NAMED, "c.name,", "c.name  ,")
    assert built()["summary"] == "no target changed whose rows could differ: nothing was built."


def test_load_that_fails_fails_the_check_without_values(loaded: Path) -> None:
    edit(loaded, NAMED, "c.name,", "cast(c.name as integer) as name,")
    found = built()
    assert found["status"] == "failed"
    assert "could not be loaded" in states(found)["mart.named"]
    assert "Ada" not in json.dumps(found)
    assert not list((loaded / ".sluice").glob("place-*"))


def test_sample_and_window(loaded: Path) -> None:
    edit(loaded, NAMED, "c.name,", "upper(c.name) as name,")
    assert built("--sample", "1")["targets"][0]["rows"] == 1
    nothing = built("--since", "2999-01-01")
    assert nothing["samples"] == [{"name": "dwh.dim_customer", "rows": 0, "is_cut": True}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--readers", "some"), "is no number"),
        (("--since", "yesterday"), "neither a date nor a number"),
        (("--from", "nowhere"), "has no target 'nowhere'"),
        (("--against", "nothing"), "There is no commit, branch or tag 'nothing'"),
    ],
)
def test_bad_requests_are_refused(loaded: Path, arguments: tuple[str, ...], message: str) -> None:
    edit(loaded, NAMED, "c.name,", "upper(c.name) as name,")
    result = invoke("ci", "--against", "HEAD", "--build", *arguments)
    assert result.exit_code != 0
    assert message in f"{result.output} {result.exception}"


def test_base_environment_that_was_never_loaded(root: Path) -> None:
    for path in (root / "dbt_project/unit_tests").glob("*.yml"):
        path.unlink()
    edit(root, NAMED, "c.name,", "upper(c.name) as name,")
    found = built()
    assert found["status"] == "failed"
    assert "dev has loaded nothing yet; mart" not in found["summary"]
    assert "dwh.dim_customer would be read from it" in found["summary"]


def test_killed_and_stopped_builds_leave_nothing(loaded: Path) -> None:
    edit(loaded, NAMED, "c.name,", "upper(c.name) as name,")
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = _started(loaded)
        try:
            _wait(lambda: bool(list((loaded / ".sluice").glob("place-*/owner.json"))))
            process.send_signal(number)
            process.wait(60)
        finally:
            process.kill()
        left = list((loaded / ".sluice").glob("place-*"))
        assert bool(left) == (number == signal.SIGKILL)
    assert built()["status"] == "passed"
    assert not list((loaded / ".sluice").glob("place-*"))


def _started(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flows.cli", "ci", "--against", "HEAD", "--build"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


WRITES = {"insert", "update", "delete", "create", "drop", "alter", "truncate", "merge", "copy"}


def read_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Entry]]:
    """Go on as a role that can read and make schemas; on the stand-in return what is written from now on."""
    if shop.journal is not None:
        entries, begin = shop.journal.entries, len(shop.journal.entries)
        return lambda: [entry for entry in entries[begin:] if entry.kind in WRITES]
    ((database,),) = shop.query("select current_database()")
    name = f"reader_{database}"
    shop.query(f"create role {name} login password 'reads'")
    shop.query(f'grant create, connect on database "{database}" to {name}')
    for schema in ("shop", f"{shop.prefix}dwh", f"{shop.prefix}mart", f"{shop.prefix}sluice"):
        shop.query(f"grant usage on schema {schema} to {name}")
        shop.query(f"grant select on all tables in schema {schema} to {name}")
    monkeypatch.setenv("SLUICE_POSTGRES_USER", name)
    monkeypatch.setenv("SLUICE_POSTGRES_PASSWORD", "reads")
    return list


def written_schemas(entries: list[Entry]) -> set[str]:
    """The schemas of tables that statements wrote; temporary ones have none."""
    parts = [entry.target.replace('"', "").split(".") for entry in entries if entry.target is not None]
    return {names[-2] for names in parts if len(names) > 1}


def refused_before_it_is_merged(folder: Path) -> None:
    """A type that no load takes into the table that stands: the plan and the build say what the load would say."""
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "second")
    edit(folder, "transformations/fact_order.sql", "o.amount,", "cast(o.amount as double precision) as amount,")
    words = "amount is numeric(8,2) in dwh.fact_order, and the SELECT yields double precision"
    plan = invoke("plan", "--against", "HEAD")
    assert plan.exit_code == 1
    told = " ".join(plan.stdout.split())
    assert f"BREAKS: {words}" in told
    assert "BREAKS: amount is numeric" in told.replace(words, ""), "and so does the reader"
    found = built()
    assert found["status"] == "failed"
    assert words in states(found)["dwh.fact_order"]
    edit(
        folder,
        "transformations/fact_order.sql",
        "cast(o.amount as double precision)",
        "cast(o.amount / 8 as decimal(8, 2))",
    )
    assert invoke("plan", "--against", "HEAD").exit_code == 0
    assert built()["status"] == "passed"
    edit(folder, "transformations/fact_order.sql", "cast(o.amount / 8 as decimal(8, 2)) as amount", "o.amount")


EVERY_SCHEMA = "select nspname from pg_catalog.pg_namespace where nspname not like 'pg_%' order by 1"
TOTAL = "transformations/region_total.sql"


@pytest.mark.postgres
def test_server_is_read_and_never_written(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder: Path = shop.context.project.root
    shutil.rmtree(folder / ".git", ignore_errors=True)
    (folder / ".gitignore").write_text(".sluice/\ndbt_project/models/generated/\n*.log\ntarget/\n")
    run_git(folder, "init", "-q")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "first")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SLUICE_ENVIRONMENT", shop.context.settings.environment)
    schemas = shop.query(EVERY_SCHEMA)
    watermarks = shop.query(f"select target, source, load_id from {shop.prefix}sluice.watermark_control order by 1, 2")
    shop.query("create schema ci_202001010000_abcd_dwh")  # of a build that was killed, by whom it was made
    told = read_only(shop, monkeypatch)
    edit(folder, TOTAL, "sum(amount)", "2 * sum(amount)")
    found = built("--readers", "all")
    assert found["status"] == "passed", found
    assert states(found) == {"mart.region_total": "2 of 2 changed (amount 100.0%)"}
    edit(folder, "transformations/dim_region.sql", "o.amount,", "o.amount + 1 as amount,")
    found = built("--sample", "2")
    assert set(states(found)) == {"dwh.dim_region", "mart.region_total"}
    assert {item["name"]: item["rows"] for item in found["samples"]} == {"shop.orders": 2, "dwh.fact_order": 2}
    refused_before_it_is_merged(folder)
    if shop.journal is None:  # another role may not drop it
        shop.query("drop schema ci_202001010000_abcd_dwh")
    assert shop.query(EVERY_SCHEMA) == schemas
    assert all(name.startswith("ci_") for name in written_schemas(told())), told()
    assert watermarks == (
        shop.query(f"select target, source, load_id from {shop.prefix}sluice.watermark_control order by 1, 2")
    )
