"""`sluice plan --against REF`: what a branch changes, what it reaches, what breaks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.init.scaffold import Warehouse, create_project

MARTS = """
defaults: {transformations: {pipeline_id: marts, schema: mart, load_type: scd1, increment: full}}
pipelines:
  - {pipeline_id: marts, template: presentation, owner: ann, alert_channel: data-ops}
transformations:
  - {table: city, business_key: city, dependencies: dwh.dim_customer}
  - {table: named, business_key: customer_id, dependencies: dwh.dim_customer}
  - {table: top, business_key: name, dependencies: mart.named}
"""
SELECTS = {
    "city": "select c.city, count(*) as customers from dwh.dim_customer as c group by c.city",
    "named": "select c.customer_id, c.name, c.city as place from dwh.dim_customer as c",
    "top": "select n.name, count(*) as n from mart.named as n group by n.name",
}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.email=a@example.com", "-c", "user.name=ann"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project three deep, committed below the top of its repository."""
    root = tmp_path / "team" / "shop"
    create_project(root, Warehouse.DUCKDB)
    (root / "dbt_project/control/marts.yml").write_text(MARTS)
    for name, text in SELECTS.items():
        (root / f"dbt_project/transformations/{name}.sql").write_text(f"{text}\n")
    git(tmp_path / "team", "init", "-q")
    git(tmp_path / "team", "add", "-A")
    git(tmp_path / "team", "commit", "-qm", "first")
    monkeypatch.chdir(root)
    return root


def edit(root: Path, name: str, before: str, after: str) -> None:
    path = root / "dbt_project" / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def planned(ref: str = "HEAD") -> dict[str, dict[str, Any]]:
    result = invoke("plan", "--against", ref, "--json")
    assert result.exit_code in {0, 1}, f"{result.output} {result.exception}"
    document = json.loads(result.stdout)
    assert document["is_broken"] == (result.exit_code == 1)
    return {item["row"].partition("[")[2][:-1]: item for item in document["changes"]}


CUSTOMER = "transformations/dim_customer.sql"


def test_nothing_changed(root: Path) -> None:
    del root
    assert planned() == {}


def test_formula_reaches_the_columns_that_follow_and_no_others(root: Path) -> None:
    edit(root, CUSTOMER, "c.name,", "upper(c.name) as name,")
    (change,) = planned().values()
    assert change["select"]["kinds"] == ["changed expression"]
    assert change["columns"] == ["mart.named.name"]
    assert change["rows"] == ["mart.top"]  # name is its key, and groups its rows
    assert change["effects"] == [
        "name: new rows follow; rows that stand keep what they have until `sluice restate dwh.dim_customer`"
    ]
    assert change["owners"] == ["customers_daily", "marts (ann, data-ops)"]


def test_restatement_is_told_with_what_loads_have_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(root, CUSTOMER, "c.name,", "upper(c.name) as name,")
    assert planned()["dwh.dim_customer"]["restating"] is None, "no load is known"
    assert not (root / ".sluice" / "control.db").exists(), "a plan writes nothing"
    assert invoke("control", "apply", "--yes").exit_code == 0
    assert invoke("run").exit_code == 0
    (root / "lake/customers/2024-02-02.csv").write_text(
        "customer_id,name,city,changed_at,landed_at\n1,Ada,Paris,2024-02-01 12:00,2024-02-02 06:00\n"
    )
    assert invoke("run").exit_code == 0
    monkeypatch.setenv("SLUICE_CHUNK_ROWS", "2")
    found = planned()["dwh.dim_customer"]["restating"]
    assert (found["rows"], found["chunks"], found["usd"]) == (3, 2, None)
    assert 0 < found["seconds"] < 60
    assert (
        "`sluice restate dwh.dim_customer` would read about 3 rows in 2 chunks: "
        in invoke("plan", "--against", "HEAD", "--markdown").output
    )
    edit(root, CUSTOMER, "upper(c.name) as name,", "c.name,  -- as before")
    assert planned()["dwh.dim_customer"]["restating"] is None, "nothing is derived anew"


def test_column_that_decides_versions_reaches_rows(root: Path) -> None:
    edit(root, CUSTOMER, "c.city,", "upper(c.city) as city,")
    (change,) = planned().values()
    assert set(change["rows"]) >= {"mart.city"}
    edit(root, CUSTOMER, "from lake.customers as c", "from lake.customers as c where c.customer_id > 1")
    (change,) = planned().values()
    assert change["select"]["parts"] == ["filter"]
    assert change["rows"] == ["mart.city", "mart.named", "mart.top"]


def test_column_that_is_read_cannot_go_unseen(root: Path) -> None:
    edit(root, CUSTOMER, "    c.name,\n", "")
    (change,) = planned().values()
    assert change["broken"] == ["dropping name breaks mart.named.name, line 1"]
    assert change["tests"] == ["dbt_project/unit_tests/dwh.dim_customer.yml"]
    text = invoke("plan", "--against", "HEAD", "--markdown")
    assert text.exit_code == 1
    assert "- BREAKS: dropping name breaks mart.named.name, line 1" in text.stdout
    assert "- tests: dbt_project/unit_tests/dwh.dim_customer.yml" in text.stdout
    assert "**`transformation_control[dwh.dim_customer]`** — dropped column" in text.stdout


def test_settings_layout_and_rows(root: Path) -> None:
    edit(root, "control/example.yml", '"0 6 * * *"', '"0 7 * * *"')
    edit(root, "control/example.yml", "scd_columns: city ", "scd_columns: name ")
    edit(root, CUSTOMER, "select\n", "SELECT  -- again\n")
    edit(root, "control/marts.yml", MARTS.splitlines()[-1], "")
    found = planned()
    assert found["customers_daily"]["effects"] == ["schedule: no row changes by it"]
    customer = found["dwh.dim_customer"]
    assert customer["select"]["kinds"] == ["formatting"]
    assert "nothing: the SELECT means what it meant" in customer["effects"]
    assert {item["column"] for item in customer["settings"]} == {"scd_columns"}
    assert customer["rows"] == ["mart.city", "mart.named"]
    assert found["mart.top"]["kind"] == "removed"


def test_row_that_others_read_cannot_be_removed_unseen(root: Path) -> None:
    edit(root, "control/marts.yml", MARTS.splitlines()[-2], "")
    assert planned()["mart.named"]["broken"] == ["mart.top reads it"]


def test_branch_is_compared_with_its_base(root: Path) -> None:
    git(root, "checkout", "-qb", "wip")
    edit(root, CUSTOMER, "c.name,", "c.name, length(c.name) as letters,")
    git(root, "commit", "-qam", "letters")
    assert planned() == {}
    (change,) = planned("HEAD~1").values()
    assert change["select"]["added"] == ["letters"]
    assert "restate dwh.dim_customer --fill letters" in change["effects"][0]
    assert "reaches nothing else" in invoke("plan", "--against", "HEAD~1").output


def test_ref_that_does_not_exist_and_folder_without_git(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref in ("nowhere", "--help", "HEAD; rm -rf x"):
        assert "There is no commit, branch or tag" in str(invoke("plan", f"--against={ref}").exception)
    edit(root, "control/marts.yml", "owner: ann", "ownr: ann")
    assert "ownr" in str(invoke("plan", "--against", "HEAD").exception.faults)  # type: ignore[union-attr]
    create_project(tmp_path / "alone", Warehouse.DUCKDB)
    monkeypatch.chdir(tmp_path / "alone")
    assert "is in no git repository" in str(invoke("plan", "--against", "HEAD").exception)


def test_source_that_cannot_be_reached_is_planned_without(root: Path) -> None:
    edit(root, "control/example.yml", "location: lake/customers", "location: lake/elsewhere")
    edit(root, CUSTOMER, "c.name,", "lower(c.name) as name,")
    assert planned()["dwh.dim_customer"]["columns"] == ["mart.named.name"]


def test_files_that_no_commit_has_are_named(root: Path) -> None:
    """Edited, added, and staged ones, below the top of the repository; a clean tree names none."""
    assert json.loads(invoke("plan", "--against", "HEAD", "--json").stdout)["uncommitted"] == []
    edit(root, "transformations/named.sql", "c.name,", "upper(c.name) as name,")
    (root / "dbt_project/transformations/größe 1.sql").write_text("select 1 as one\n")
    edit(root, "transformations/top.sql", "as n ", "as number ")
    git(root, "add", "dbt_project/transformations/top.sql")
    (root / "notes.txt").write_text("none of the project's")
    names = {f"dbt_project/transformations/{name}.sql" for name in ("named", "größe 1", "top")}
    assert set(json.loads(invoke("plan", "--against", "HEAD", "--json").stdout)["uncommitted"]) == names
    for command in (
        ("plan", "--against", "HEAD"),
        ("plan", "--against", "HEAD", "--markdown"),
        ("ci", "--against", "HEAD"),
    ):
        told = " ".join(invoke(*command).output.split())
        assert "Not committed, and looked at as they are:" in told
        assert "größe 1.sql" in told
