"""`sluice lint`: which files it reads, in which forms it answers, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.cli.lint import register

GOOD = "select a.b from lake.a as a\n"
BAD = "select\n    a.b,\n    string_agg(a.c, ',') as c\nfrom {{ sluice.increment(\n    source('lake', 'a')\n) }} as a\n"
WARNED = "select cast(a.b as text) as b from lake.a as a\n"

Lint = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dbt = tmp_path / "dbt_project"
    for folder in ("transformations", "models/generated", "target/compiled"):
        (dbt / folder).mkdir(parents=True)
    (dbt / "dbt_project.yml").write_text("name: x\n")
    (tmp_path / "profiles.yml").write_text("x: {}\n")
    (dbt / "transformations/good.sql").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lint() -> Lint:
    if "lint" not in {command.name for command in app.registered_commands}:
        register(app)
    return lambda *arguments: CliRunner().invoke(app, ["lint", *arguments])


def test_clean_project_passes(project: Path, lint: Lint) -> None:
    done = lint()
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 files with 1 statements: 0 errors" in done.stderr


def test_faults_are_found_in_models_with_their_line_and_exit_code(project: Path, lint: Lint) -> None:
    (project / "dbt_project/models/generated/bad.sql").write_text(BAD)
    done = lint()
    assert done.exit_code == 3
    (line,) = done.stdout.splitlines()
    assert line.startswith("dbt_project/models/generated/bad.sql:3:18: error functions: Redshift has no string_agg().")


def test_warnings_alone_are_no_failure(project: Path, lint: Lint) -> None:
    (project / "dbt_project/transformations/warned.sql").write_text(WARNED)
    done = lint()
    assert done.exit_code == 0
    assert "warning unsized_text" in done.stdout


def test_jinja_statements_are_named_and_read_as_compiled(project: Path, lint: Lint) -> None:
    (project / "dbt_project/models/loop.sql").write_text("{% for a in b %}select {{ a }}{% endfor %}")
    (project / "dbt_project/target/compiled/loop.sql").write_text("select a from b fetch first 1 rows only")
    done = lint()
    assert (done.exit_code, done.stdout) == (0, "")
    assert "not read: dbt_project/models/loop.sql." in done.stderr
    assert "target/compiled/loop.sql:1" in lint("dbt_project/target").stdout


def test_forms_for_programs_hold_the_same_finding(project: Path, lint: Lint) -> None:
    path = "dbt_project/transformations/bad.sql"
    (project / path).write_text(BAD)
    document = json.loads(lint(path, "--json").stdout)
    (finding,) = document["findings"]
    assert (finding["file"], finding["line"], finding["rule"]) == (path, 3, "functions")
    assert document["errors"] == 1
    sarif = json.loads(lint(path, "--format", "sarif").stdout)
    (run,) = sarif["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (path, 3)
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    annotation = lint(path, "--format", "github").stdout.strip()
    assert annotation.startswith(f"::error file={path},line=3,col=18,title=functions::Redshift has no string_agg().")
    assert "\n" not in annotation


def test_missing_file_is_a_usage_error(project: Path) -> None:
    from flows.lint.files import find_files
    from metadata_sync.errors import ConfigurationError
    from metadata_sync.project import Project

    with pytest.raises(ConfigurationError, match=r"There is no file or folder nowhere\.sql"):
        find_files(Project(project), [Path("nowhere.sql")])
