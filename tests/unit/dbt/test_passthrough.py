"""What dbt leaves in its target folder is masked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flows.context import Context
from flows.dbt.passthrough import complete_arguments, mask_results
from flows.init.scaffold import Warehouse, create_project
from metadata_sync.project import Project
from metadata_sync.settings import Settings


@pytest.mark.parametrize(
    ("arguments", "added"),
    [
        (["build"], ["--project-dir", "--profiles-dir", "--target"]),
        (["--quiet", "build", "-s", "x"], ["--project-dir", "--profiles-dir", "--target"]),
        (["--log-format", "json", "run", "-t", "dev"], ["--project-dir", "--profiles-dir"]),
        (["ls", "--profiles-dir=."], ["--project-dir", "--target"]),
        (["--version"], []),
        (["--help"], []),
    ],
)
def test_dbt_reads_this_project_wherever_its_flags_stand(
    tmp_path: Path, arguments: list[str], added: list[str]
) -> None:
    create_project(tmp_path, Warehouse.DUCKDB)
    context = Context(Project(tmp_path), Settings(), who="test")
    completed = complete_arguments(context, context.profile, arguments)
    assert completed[: len(arguments)] == arguments
    assert completed[len(arguments) :: 2] == added


def test_results_of_this_run_are_masked_and_stay_json(tmp_path: Path) -> None:
    results = tmp_path / "run_results.json"
    earlier = tmp_path / "sources.json"
    document = {"results": [{"message": "cannot cast 'postgresql://etl:hunter2@db/x'", "execution_time": 0.5}]}
    for path in (results, earlier):
        path.write_text(json.dumps(document))
    os.utime(earlier, (1, 1))

    mask_results(tmp_path, since=2)

    assert json.loads(results.read_text())["results"] == [
        {"message": "cannot cast 'postgresql://etl:***@db/x'", "execution_time": 0.5}
    ]
    assert json.loads(earlier.read_text()) == document
