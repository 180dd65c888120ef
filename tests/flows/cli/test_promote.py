"""`sluice promote` and `sluice rollback` by the command line: a formula goes to production, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_project import SELECTS, Workshop, finish

FORMULA = SELECTS["fact_order"].replace("o.amount,", "o.amount * 2 as amount,")
PROD = {"SLUICE_ENVIRONMENT": "prod", "SLUICE_DBT_TARGET": "dev", "SLUICE_DUCKDB_PATH": ".sluice/prod.duckdb"}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A project that has run in dev and in prod."""
    workshop = Workshop(tmp_path / "project")
    workshop.create()
    workshop.close()
    for environment in ({}, PROD):
        for arguments in (("control", "apply", "--yes"), ("run",)):
            sluice(workshop, *arguments, **environment)
    return workshop


def sluice(workshop: Workshop, *arguments: str, code: int = 0, **environment: str) -> str:
    found, out, err = finish(workshop.sluice(*arguments, **environment))
    assert found == code, (arguments, out, err)
    return out + err


def document(workshop: Workshop, *arguments: str, **environment: str) -> dict[str, Any]:
    _, out, _ = finish(workshop.sluice(*arguments, "--json", **environment))
    found: dict[str, Any] = json.loads(out)
    return found


def amounts(workshop: Workshop) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(str(workshop.root / ".sluice/prod.duckdb"), read_only=True) as prod:
        return prod.sql(
            "select sum(amount) from dwh.fact_order union all select sum(amount) from mart.region_total"
        ).fetchall()


def test_a_formula_goes_to_production_and_back(workshop: Workshop) -> None:
    once = amounts(workshop)
    workshop.write_select("fact_order", FORMULA)
    sluice(workshop, "run")
    workshop.write_select("fact_order", SELECTS["fact_order"])  # the project of prod

    told = sluice(workshop, "promote", "--from", "dev", "--to", "prod", code=2, **PROD)
    assert "+select o.order_id, o.customer, o.region, o.amount * 2 as amount, o.landed_at" in told
    assert "mart.region_total.amount" in told
    assert "Pass --yes" in told
    assert "amount * 2" not in (workshop.root / "dbt_project/transformations/fact_order.sql").read_text()

    done = document(workshop, "promote", "--from", "dev", "--yes", "--reason", "release 41", **PROD)
    assert (done["applied"], done["from"], done["to"]) == (True, "dev", "prod")
    assert [item["sql_path"] for item in done["selects"]] == ["transformations/fact_order.sql"]
    sluice(workshop, "run", **PROD)
    assert amounts(workshop) == once, "rows that stand keep what they have"
    sluice(workshop, "restate", "dwh.fact_order", "--yes", **PROD)
    sluice(workshop, "run", **PROD)
    assert amounts(workshop) == [(2 * amount,) for (amount,) in once], "and the readers follow"

    assert done["change"] in sluice(workshop, "control", "history", **PROD).replace("\n", "")
    undone = document(workshop, "rollback", done["change"], "--yes", **PROD)
    assert undone["applied"]
    assert (workshop.root / "dbt_project/transformations/fact_order.sql").read_text() == SELECTS["fact_order"] + "\n"
    sluice(workshop, "restate", "dwh.fact_order", "--yes", **PROD)
    sluice(workshop, "run", **PROD)
    assert amounts(workshop) == once


def test_what_is_asked_for_wrongly_is_refused(workshop: Workshop) -> None:
    told = sluice(workshop, "promote", "--from", "stage", "--to", "prod", code=2)
    assert "This process works in dev, not in prod." in told
    assert "SLUICE_ENVIRONMENT=prod sluice promote --from stage --to prod" in told
    (workshop.root / ".sluice/environments/pr_1").mkdir(parents=True)
    assert "Merge the branch" in sluice(workshop, "promote", "--from", "pr_1", code=2)
    assert "is promoted into itself" in sluice(workshop, "promote", "--from", "dev", code=2)
    assert "stage has no rows" in sluice(workshop, "promote", "--from", "stage", code=2)
    assert "There is no change x in dev" in sluice(workshop, "rollback", "x", code=2)
