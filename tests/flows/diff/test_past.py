"""`sluice diff --against TIME|LOAD`: a history compared with what it says of an earlier moment; others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.init.scaffold import Warehouse, create_project
from tests.flows.diff.test_diff import MORE, compared, invoke

LABEL = """
defaults: {transformations: {pipeline_id: labels, schema: mart, increment: full}}
pipelines: [{pipeline_id: labels, template: presentation}]
transformations:
  - {table: label, load_type: scd2, business_key: customer_id, dependencies: dwh.dim_customer}
  - {table: latest, load_type: scd1, business_key: customer_id, dependencies: dwh.dim_customer}
"""
SELECT = "select c.customer_id, c.city from dwh.dim_customer as c where c.is_current\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has loaded twice: a history by the time of events, and one by the time of loads."""
    root = tmp_path / "shop"
    create_project(root, Warehouse.DUCKDB)
    (root / "dbt_project/control/labels.yml").write_text(LABEL)
    for name in ("label", "latest"):
        (root / f"dbt_project/transformations/{name}.sql").write_text(SELECT)
    monkeypatch.chdir(root)
    assert invoke("control", "apply", "--yes").exit_code == 0
    assert invoke("run").exit_code == 0
    (root / "lake/customers/2024-02-02.csv").write_text(MORE)
    assert invoke("run").exit_code == 0
    return root


def counts(found: dict[str, Any]) -> dict[str, int]:
    return {name: found[name] for name in ("equal", "changed", "only_here", "only_there")}


def test_content_at_a_time_and_after_a_load(root: Path) -> None:
    early = compared("dwh.dim_customer", "--against", "2024-01-31T23:00:00+00:00")
    assert counts(early)["only_here"] == 1  # a customer who came on the first of February
    assert counts(early)["changed"] == 1  # and one who moved then
    assert compared("dwh.dim_customer", "--against", "2999-01-01")["is_same"]
    assert counts(compared("dwh.dim_customer", "--against", "1999-01-01"))["only_here"] == 3

    with duckdb.connect(str(root / ".sluice/dev.duckdb"), read_only=True) as warehouse:
        query = "select distinct run_id, loaded_at from sluice.load_log where target = 'mart.label' order by loaded_at"
        (first, _), (last, _) = warehouse.execute(query).fetchall()
    after = counts(compared("mart.label", "--against", first))
    assert after == {"equal": 1, "changed": 1, "only_here": 1, "only_there": 0}
    assert compared("mart.label", "--against", last)["is_same"]


def test_what_keeps_no_past_is_refused_with_the_reason(root: Path) -> None:
    load = "20260101T000000Z-0a1b2c3d"
    for target, against, more, message in (
        ("mart.latest", "2024-02-01", (), "mart.latest is of type scd1, which keeps no earlier content"),
        ("dwh.dim_customer", load, (), "does not tell what a load left"),
        ("mart.label", load, (), f"The load log has no load {load}"),
        ("mart.label", "2024-02-01", ("--sample", "0.5"), "compared by business key and in full"),
        ("mart.nothing", "2024-02-01", (), "There is no transformation 'mart.nothing'"),
    ):
        result = invoke("diff", target, "--against", against, *more)
        assert message in str(result.exception)
