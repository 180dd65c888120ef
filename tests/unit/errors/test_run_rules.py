"""A run checks the rules of its team at once, and builds the default ones only when it meets a failure."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flows.errors.rules import DEFAULT_RULES
from flows.errors.run_rules import FILE_NAME, RunRules
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project


def test_rules_are_the_default_ones_when_the_team_has_none(project: Project) -> None:
    assert tuple(RunRules(project)) == DEFAULT_RULES


def test_a_broken_file_of_the_team_is_refused_before_any_failure(project: Project) -> None:
    project.dbt_dir.mkdir()
    (project.dbt_dir / FILE_NAME).write_text("rules: 5")
    with pytest.raises(ConfigurationError, match=FILE_NAME):
        RunRules(project)


@pytest.mark.processes
def test_an_engine_that_meets_no_failure_imports_no_classification() -> None:
    script = "import sys, flows.engine.execution, flows.run.outcome; print('flows.errors.classify' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
