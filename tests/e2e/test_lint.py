"""What sync makes of the demo's SELECTs passes the project's own SQL linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.workspace import TARGETS, Workspace

REPOSITORY = Path(__file__).parents[2]
LINT = ("sqlfluff", "lint", "--config", ".ci/sqlfluff/models.cfg", "dbt_project/models")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *LINT], cwd=root, capture_output=True, text=True, check=False)


def test_generated_models_pass_sqlfluff(first_week: Workspace, tmp_path: Path) -> None:
    root = first_week.copy(tmp_path / "linted").root
    shutil.copy2(REPOSITORY / ".sqlfluff", root)
    shutil.copytree(REPOSITORY / ".ci", root / ".ci")
    models = sorted((root / "dbt_project" / "models").rglob("*.sql"))
    assert len(models) == len(TARGETS)
    done = lint(root)
    assert done.returncode == 0, done.stdout + done.stderr
    models[0].write_text(models[0].read_text().replace("select", "SELECT"))
    assert lint(root).returncode == 1
