"""Projects in the states that the story goes through: cloned, a week loaded, nine days loaded.

Each state is made once, also when xdist's workers share the tests: tests copy it before they change anything.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from flows.demo.landing import FIRST_DAY, LAKE_TABLES, open_lake
from tests.support.raw_flights import LAST_DAY, WEEK_END
from tests.support.workspace import Workspace, finish

REPOSITORY = Path(__file__).parents[2]
MakeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MakeOnce:
    """Return a function that makes a folder by its name, or returns the one that another worker made."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make(name: str, build: Callable[[Path], None]) -> Path:
        folder, made = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                build(folder)
                made.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def full_lake(made_once: MakeOnce) -> Path:
    """A lake in which all nine days have landed."""

    def build(folder: Path) -> None:
        with open_lake(folder) as lake:
            lake.land_reference_tables()
            lake.land_days(FIRST_DAY, LAST_DAY)
        assert {path.name for path in folder.iterdir()} == set(LAKE_TABLES)

    return made_once("lake", build)


@pytest.fixture(scope="session")
def clone(made_once: MakeOnce) -> Workspace:
    """The project as it stands in the repository: nothing landed, no databases."""

    def build(root: Path) -> None:
        ignore = shutil.ignore_patterns("generated", "target", "logs", "dbt_packages", ".user.yml")
        shutil.copytree(REPOSITORY / "dbt_project", root / "dbt_project", ignore=ignore)
        shutil.copytree(REPOSITORY / "macros", root / "macros")
        shutil.copy2(REPOSITORY / "profiles.yml", root)

    return Workspace(made_once("clone", build))


@pytest.fixture(scope="session")
def first_week(made_once: MakeOnce, clone: Workspace, full_lake: Path) -> Workspace:
    """The project after the first seven days were loaded."""

    def build(root: Path) -> None:
        workspace = clone.copy(root)
        workspace.land(full_lake, FIRST_DAY, WEEK_END)
        workspace.must_as_installed("control", "apply", "--yes")
        workspace.must_as_installed("run")

    return Workspace(made_once("first_week", build))


@pytest.fixture(scope="session")
def nine_days(made_once: MakeOnce, first_week: Workspace, full_lake: Path) -> Workspace:
    """The project after two more days, and the late rows, were loaded by a second run."""

    def build(root: Path) -> None:
        workspace = first_week.copy(root)
        workspace.land(full_lake, date(2013, 1, 8), LAST_DAY)
        process = workspace.start_run_and_await_write()
        began = time.monotonic()
        done = finish(process)
        assert done.code == 0, done.err
        workspace.write_seconds_file.write_text(str(time.monotonic() - began))

    return Workspace(made_once("nine_days", build))


@pytest.fixture
def fresh(clone: Workspace, tmp_path: Path) -> Workspace:
    """A project of this test's own, nothing landed."""
    return clone.copy(tmp_path / "project")


@pytest.fixture
def loaded(first_week: Workspace, tmp_path: Path) -> Workspace:
    """A project of this test's own, seven days loaded."""
    return first_week.copy(tmp_path / "project")
