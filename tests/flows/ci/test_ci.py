"""`sluice ci`: one command for a pull request, without warehouse and control database; its reports."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.flows.impact.test_plan import CUSTOMER, edit, invoke, root

__all__ = ["root"]


def checked(*arguments: str) -> dict[str, tuple[str, str]]:
    result = invoke("ci", *arguments, "--json")
    document = json.loads(result.stdout)
    assert document["passed"] == (result.exit_code == 0)
    return {check["name"]: (check["status"], check["summary"]) for check in document["checks"]}


def test_pull_request_that_is_in_order(root: Path) -> None:
    edit(root, CUSTOMER, "c.name,", "upper(c.name) as name,")
    (root / "dbt_project/unit_tests/dwh.dim_customer.yml").unlink()  # it holds what the SELECT did before
    assert checked("--against", "HEAD") == {
        "rows and SELECTs": ("passed", "7 rows: no fault found; columns of sources were not looked up."),
        "policies": ("skipped", "there is no dbt_project/policies.yml."),
        "SQL on Redshift": ("skipped", "the warehouse is duckdb."),
        "change": (
            "passed",
            "1 row changed against HEAD. Not committed, and looked at as they are: "
            "dbt_project/transformations/dim_customer.sql, dbt_project/unit_tests/dwh.dim_customer.yml.",
        ),
        "tests of targets": ("skipped", "there is no test in dbt_project/unit_tests."),
    }
    assert not (root / ".sluice" / "control.db").exists()
    assert not (root / ".sluice" / "dev.duckdb").exists()


def test_tests_of_targets_fail_with_their_rows(root: Path) -> None:
    assert checked()["tests of targets"] == ("passed", "2 of 2 passed.")
    edit(root, CUSTOMER, "c.name,", "upper(c.name) as name,")
    result = invoke("ci", "--against", "HEAD")
    assert result.exit_code == 1
    assert "✗ tests of targets: 1 of 2 passed." in result.stdout
    assert "values follow in mart.named.name" in result.stdout


def test_policies_of_the_team_fail_or_warn_with_their_lines(root: Path, tmp_path: Path) -> None:
    path = root / "dbt_project" / "policies.yml"
    owner = {"name": "owners", "rows": "pipelines", "require": "owner", "reason": "Ask who is called at night."}
    names = {"name": "names", "rows": "transformations", "matches": {"target_table": "x.*"}, "severity": "warn"}
    path.write_text(yaml.safe_dump({"policies": [names]}))
    assert checked()["policies"] == ("passed", "1 policy: 0 faults, 4 warnings.")
    path.write_text(yaml.safe_dump({"policies": [owner, names]}))
    result = invoke("ci", "--output", str(tmp_path / "reports"))
    assert result.exit_code == 1
    assert "✗ policies: 2 policies: 1 fault, 4 warnings." in result.stdout
    assert "pipeline_control[customers_daily].owner: It has no owner. Ask who is called at night." in result.stdout
    assert "warning: dbt_project/control/example.yml:" in result.stdout
    (run,) = json.loads((tmp_path / "reports" / "sluice.sarif").read_text())["runs"]
    levels = {item["ruleId"]: item["level"] for item in run["results"]}
    assert levels == {"policy: owners": "error", "policy: names": "warning"}
    path.write_text("policies: none\n")
    assert checked()["policies"][0] == "failed"


def test_reports_name_files_and_lines(root: Path, tmp_path: Path) -> None:
    edit(root, "control/example.yml", "scd_columns: city ", "scd_columns: cty ")
    edit(root, CUSTOMER, "    c.name,\n", "")
    folder = tmp_path / "reports"
    result = invoke("ci", "--against", "HEAD", "--output", str(folder))
    assert result.exit_code == 1
    text = (folder / "sluice.md").read_text()
    assert text.startswith("<!-- sluice ci -->\n## Sluice: failed\n")
    assert "BREAKS: dropping name breaks mart.named" in text
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("5", "3")
    (run,) = json.loads((folder / "sluice.sarif").read_text())["runs"]
    places = [item["locations"][0]["physicalLocation"] for item in run["results"]]
    lines = (root / "dbt_project/control/example.yml").read_text().splitlines()
    (line,) = [
        place["region"]["startLine"] for place in places if place["artifactLocation"]["uri"].endswith("example.yml")
    ]
    assert "cty" in lines[line - 1]


def test_comment_stays_below_what_one_holds(root: Path) -> None:
    from flows.ci.checks import Check, Checked, Status
    from flows.ci.report import markdown

    del root
    many = tuple(f"line {number} " + "ü" * 4000 for number in range(40))
    text = markdown(Checked((Check("rows", Status.FAILED, "many", many),)))
    assert len(text.encode()) <= 60_000


@pytest.mark.parametrize(("arguments", "message"), [(("--against", "nowhere"), "There is no commit"), ((), "")])
def test_ref_that_does_not_exist_fails_its_check_only(root: Path, arguments: tuple[str, ...], message: str) -> None:
    del root
    found = checked(*arguments)["change"]
    assert (found[0], message in found[1]) == ("failed" if message else "skipped", True)


def test_reports_that_cannot_be_written_are_a_clear_error(root: Path) -> None:
    (root / "taken").write_text("a file")
    result = invoke("ci", "--output", str(root / "taken"))
    assert "cannot be written" in str(result.exception)
