"""Policies of a team: which rows break them, and which files say nothing that rows have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from metadata_sync.control.policies import find_broken, read_policies
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow


def rows() -> ControlRows:
    target: dict[str, Any] = {"pipeline_id": "shop", "sql_path": "a.sql", "load_type": "scd2", "business_key": ["id"]}
    columns = [{"name": "id", "type": "int", "description": "its number", "tests": ["not_null"]}]
    pipeline: dict[str, Any] = {"template": "presentation", "pipeline_name": "x"}
    return ControlRows(
        pipelines=(
            PipelineRow.model_validate({**pipeline, "pipeline_id": "shop", "owner": "ada", "sla_minutes": 90}),
            PipelineRow.model_validate({**pipeline, "pipeline_id": "lost"}),
        ),
        transformations=(
            TransformationRow.model_validate(
                {**target, "target_schema": "mart", "target_table": "dim_a", "column_list": columns}
            ),
            TransformationRow.model_validate(
                {
                    **target,
                    "target_schema": "dwh",
                    "target_table": "Oddly",
                    "pipeline_id": "lost",
                    "load_type": "append",
                }
            ),
        ),
    )


def project(tmp_path: Path, *policies: dict[str, Any]) -> Project:
    folder = tmp_path / "dbt_project"
    folder.mkdir()
    (folder / "policies.yml").write_text(yaml.safe_dump({"policies": list(policies)}))
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        ({"rows": "pipelines", "require": "owner"}, ["lost: It has no owner."]),
        ({"rows": "transformations", "require": ["owner"]}, ["dwh.Oddly: Its pipeline has no owner."]),
        ({"rows": "transformations", "where": {"target_schema": "mart"}, "require": ["owner"]}, []),
        ({"rows": "transformations", "require": "column_tests"}, ["dwh.Oddly: None of its columns has a data test."]),
        (
            {"rows": "transformations", "require": "column_descriptions", "where": {"load_type": ["append", "scd1"]}},
            ["dwh.Oddly: Not every column of it has a description."],
        ),
        ({"rows": "transformations", "require": "unit_test"}, ["dwh.Oddly: It has no test file."]),
        (
            {"rows": "transformations", "matches": {"target_table": "(dim|fact)_[a-z_]+"}},
            ["dwh.Oddly: It is 'Oddly', which does not match (dim|fact)_[a-z_]+."],
        ),
        (
            {"rows": "transformations", "allow": {"load_type": ["scd1", "scd2"]}},
            ["dwh.Oddly: It is append, and only scd1, scd2 are allowed."],
        ),
        ({"rows": "pipelines", "at_most": {"sla_minutes": 90}}, ["lost: It is not set, and at most 90 is allowed."]),
        (
            {"rows": "pipelines", "at_most": {"sla_minutes": 60}},
            ["shop: It is 90, and at most 60 is allowed.", "lost: It is not set, and at most 60 is allowed."],
        ),
        ({"rows": "pipelines", "allow": {"is_active": [True]}}, []),
        ({"rows": "sources", "require": "incremental_key"}, []),
    ],
)
def test_rows_that_break_a_policy_are_named(tmp_path: Path, policy: dict[str, Any], broken: list[str]) -> None:
    team = project(tmp_path, {"name": "ours", **policy})
    (tmp_path / "dbt_project" / "unit_tests").mkdir()
    (tmp_path / "dbt_project" / "unit_tests" / "mart.dim_a.yml").write_text("target: mart.dim_a\n")
    found = [item.fault for item in find_broken(rows(), read_policies(team), team)]
    assert [f"{fault.key}: {fault.message}" for fault in found] == broken
    assert {fault.rule for fault in found} <= {"policy: ours"}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"rows": "tables", "require": "owner"}, "rows: 'tables' is none of sources, pipelines, transformations"),
        ({"rows": "pipelines", "require": "ownr"}, "pipelines have no 'ownr'.\nDid you mean 'owner'?"),
        ({"rows": "pipelines", "require": "unit_test"}, "pipelines have no 'unit_test'"),
        ({"rows": "pipelines", "where": {"owners": "a"}, "require": "owner"}, "no 'owners'"),
        ({"rows": "pipelines"}, "policy 1 demands nothing"),
        ({"rows": "pipelines", "matches": {"owner": "("}}, "matches.owner is no regular expression"),
        ({"rows": "pipelines", "require": "owner", "severity": "fatal"}, "severity: Input should be"),
        (
            {"rows": "pipelines", "requires": "owner"},
            "not permitted.\nDid you mean 'require'?",
        ),
        ({"require": "owner"}, "rows: Field required"),
    ],
)
def test_policies_that_say_nothing_are_refused(tmp_path: Path, policy: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_policies(project(tmp_path, {"name": "ours", **policy}))
    assert message in f"{refused.value.message}\n{refused.value.hint}"


@pytest.mark.parametrize(
    "text", ["", "- a\n", "policies: owner\n", "policies: []\nmore: 1\n", "a: [\n", "policies: [x]\n"]
)
def test_file_that_holds_no_policies_is_refused(tmp_path: Path, text: str) -> None:
    team = project(tmp_path)
    (tmp_path / "dbt_project" / "policies.yml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"dbt_project/policies\.yml"):
        read_policies(team)


def test_project_without_the_file_has_no_policies(tmp_path: Path) -> None:
    assert read_policies(Project(tmp_path)) == ()
