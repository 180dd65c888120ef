"""`sluice init`: a new project by an installed wheel, and Sluice added to a dbt project of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from flows.doctor.versions import compare_versions
from flows.init.adopt import add_to_dbt_project, plan_additions
from flows.init.scaffold import Ci, Warehouse, create_project, project_files
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project, find_project

pytestmark = pytest.mark.flows
REPOSITORY = Path(__file__).parents[3]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str | Path, cwd: Path, site: Path) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PREFECT_"))}
    environ = {
        **inherited,
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "200",
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_project_of_an_installed_wheel_loads_and_plain_dbt_builds_it(tmp_path: Path) -> None:
    """The first commands of docs/getting-started.md, by the wheel alone; `dbt clean` and `--version` as well."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("flows", "metadata_sync", "macros"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(REPOSITORY / name, source)
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "dist", ".")
    run(*PIP, *build, cwd=source, site=site)
    (wheel,) = (source / "dist").glob("sluice_data-*.whl")
    run(*PIP, "install", "--no-deps", "--no-index", "--no-compile", "--target", site, wheel, cwd=tmp_path, site=site)
    shutil.rmtree(source)
    sluice, root = site / "bin" / "sluice", tmp_path / "Läden Köln"

    assert "sluice run" in run(sluice, "init", root.name, cwd=tmp_path, site=site)
    assert "2 passed" in run(sluice, "test", cwd=root, site=site)
    copied = "{table: raw.customers, pipeline_id: customers_daily, load_type: append, copy: lake.customers}"
    (root / "dbt_project" / "control" / "copies.yml").write_text(f"transformations: [{copied}]")
    run(sluice, "control", "apply", "--yes", cwd=root, site=site)
    assert run(sluice, "run", cwd=root, site=site).count(": 2 read, 2 inserted") == 2
    link = root / "dbt_project" / "dbt_packages" / "sluice"
    assert link.readlink() == site / "flows" / "dbt" / "macros"
    with duckdb.connect(str(root / ".sluice" / "dev.duckdb"), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from dwh.dim_customer where is_current").fetchall() == [(2,)]
        assert warehouse.execute("select name, city from raw.customers order by 1").fetchall()[0] == ("Ada", "London")
    dbt = Path(sys.executable).with_name("dbt")
    assert "ERROR=0" in run(dbt, "build", "--project-dir", "dbt_project", cwd=root, site=site)
    assert "macros: the package's 0.1.0" in run(sluice, "--version", cwd=root, site=site)


@pytest.mark.parametrize("warehouse", list(Warehouse))
def test_files_are_complete_after_init_was_stopped_anywhere(tmp_path: Path, warehouse: Warehouse) -> None:
    root = tmp_path / "shop"
    files = project_files(root, warehouse)
    for name, text in files.items():
        if name.endswith(".yml"):
            assert yaml.safe_load(text)
        assert "@" not in text.replace("actions/checkout@v4", "").replace("actions/setup-python@v5", "")
    (root / ".git").mkdir(parents=True)
    for stopped_after, name in enumerate(files):
        for written in list(files)[:stopped_after]:
            (root / written).parent.mkdir(parents=True, exist_ok=True)
            (root / written).write_text(files[written])
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(files[name][:9])
        create_project(root, warehouse)
        assert {path: (root / path).read_text() for path in files} == files
        assert create_project(root, warehouse) == []
        for path in files:
            (root / path).unlink()


@pytest.mark.parametrize(
    ("ci", "file", "variables"),
    [
        (Ci.GITHUB, ".github/workflows/sluice.yml", {"BASE": "origin/main"}),
        (Ci.GITLAB, ".gitlab-ci.yml", {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_DEFAULT_BRANCH": "main"}),
    ],
)
def test_check_of_a_pull_request_runs_as_written(tmp_path: Path, ci: Ci, file: str, variables: dict[str, str]) -> None:
    """The project itself is the first pull request: its base holds no project yet."""
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    commands = [("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "empty")]
    for command in (*commands, ("update-ref", "refs/remotes/origin/main", "HEAD")):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    create_project(tmp_path, Warehouse.DUCKDB, ci)
    assert [path.name for path in (tmp_path / ".github", tmp_path / ".gitlab-ci.yml") if path.exists()] == [
        Path(file).parts[0]
    ]
    document = yaml.safe_load((tmp_path / file).read_text())
    job = document["sluice"] if ci is Ci.GITLAB else document["jobs"]["check"]
    lines = job["script"] if ci is Ci.GITLAB else [str(step.get("run", "")) for step in job["steps"]]
    environ = {**os.environ, **(job.get("env") or job.get("variables")), **variables}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    for line in [line for line in lines if line.startswith("sluice ")]:
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert "## Sluice: passed" in (tmp_path / "reports" / "sluice.md").read_text()


def test_folder_with_something_else_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"README\.md, notes\.txt"):
        create_project(tmp_path, Warehouse.DUCKDB)
    with pytest.raises(ConfigurationError, match="is a file"):
        create_project(tmp_path / "notes.txt", Warehouse.DUCKDB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "notes.txt"]
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    with pytest.raises(ConfigurationError, match="is a dbt project") as refused:
        create_project(tmp_path, Warehouse.DUCKDB)
    assert "--from-dbt" in refused.value.hint


def test_team_may_change_and_delete_what_init_wrote(tmp_path: Path) -> None:
    create_project(tmp_path, Warehouse.DUCKDB)
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "dbt_project" / "control" / "example.yml").unlink()
    assert create_project(tmp_path, Warehouse.DUCKDB) == []
    assert (tmp_path / "README.md").read_text() == "ours"


def test_dbt_project_gets_additions_only(tmp_path: Path) -> None:
    for name, text in {
        "dbt_project.yml": "name: shop\nprofile: shop\n",
        "profiles.yml": "shop: {}\n",
        "models/own.sql": "select 1 as id\n",
        "snapshots/s.sql": "-- mine\n",
        "packages.yml": "packages: []\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".gitignore").write_text("target/\ndbt_packages/")
    added = {".gitignore", "packages.yml"}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name not in added}
    assert plan_additions(tmp_path) == add_to_dbt_project(tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / ".gitignore").read_text() == "target/\ndbt_packages/\n.sluice/\nmodels/generated/\n"
    assert (tmp_path / "packages.yml").read_text() == "packages:\n  - local: .sluice/macros\n"
    (tmp_path / "control" / "README.md").write_text("the team's")
    assert add_to_dbt_project(tmp_path) == []
    assert find_project(tmp_path / "models") == Project(tmp_path)
    assert Project(tmp_path).dbt_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("dbt_project.yml", "name: sluice\n", "named sluice"),
        ("dbt_project.yml", "name: shop\nmodel-paths: [sql]\n", "model-paths"),
        ("control/rows.yml", "{}", "control"),
        ("models/generated/x.sql", "select 1", "models/generated"),
        ("macros/names.sql", "{% macro generate_schema_name(a, b) %}x{% endmacro %}", "generate_schema_name"),
    ],
)
def test_names_that_are_taken_are_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigurationError, match=reason):
        add_to_dbt_project(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_versions_of_project_and_package_are_compared(tmp_path: Path) -> None:
    create_project(tmp_path, Warehouse.DUCKDB)
    assert {item.level for item in compare_versions(Project(tmp_path))} == {"ok"}
    (tmp_path / "requirements.txt").write_text("dbt-core\nsluice_data[postgres]>=99 ; python_version > '3'\n")
    copy = tmp_path / "dbt_project" / "dbt_packages" / "sluice"
    copy.mkdir(parents=True)
    (copy / "dbt_project.yml").write_text("name: sluice\nversion: 0.0.9\n")
    package, macros = compare_versions(Project(tmp_path))
    assert (package.level, package.remedy) == ("fail", "pip install -U -r requirements.txt")
    assert macros.level == "fail"
    assert "0.0.9" in macros.message
