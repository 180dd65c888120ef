"""`sluice onboard` on PostgreSQL and the Redshift stand-in: tables of the warehouse, asked and loaded there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.flows.lifecycle.test_on_servers import Shop, shop

__all__ = ["shop"]

CLIENTS = (
    "create table shop.clients (client_id integer not null, is_vip boolean, name varchar(20), updated_at timestamp)",
    "insert into shop.clients values (1, true, 'Ada', '2024-01-01'), (2, false, 'Bo', '2024-01-02')",
    "insert into shop.clients values (3, null, 'Ada', '2024-01-02')",
)


@pytest.mark.postgres
def test_table_of_a_server_is_proposed_and_loaded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for statement in CLIENTS:
        shop.query(statement)
    shop.query("create schema trial_202001010000_abcd_dwh")  # of a trial that was killed
    root: Path = shop.context.project.root
    monkeypatch.chdir(root)
    monkeypatch.setenv("SLUICE_ENVIRONMENT", shop.context.settings.environment)

    done = CliRunner().invoke(app, ["onboard", "shop.clients", "--json", "--yes"])

    assert done.exit_code == 0, f"{done.output} {done.exception}"
    (target,) = json.loads(done.stdout)["targets"]
    assert target["tried"] == {"rows": 3, "rejected": 0}
    assert target["forecast"]["first"]["rows"] == 3
    assert not shop.query("select nspname from pg_catalog.pg_namespace where nspname like 'trial%'")
    found = {choice["setting"]: choice["value"] for choice in target["settings"]}
    assert found == {
        "load_type": "scd1",
        "business_key": ["client_id"],
        "incremental_key": "updated_at",
        "sequence_by": ["updated_at"],
    }
    assert CliRunner().invoke(app, ["control", "apply", "--yes"]).exit_code == 0
    assert shop.run()["dwh.clients"] == "loaded"
    assert shop.query(f"select client_id, name from {shop.prefix}dwh.clients order by 1")[0] == (1, "Ada")

    select = root / "vips.sql"
    select.write_text("select c.client_id, c.name, c.updated_at from shop.clients as c where c.is_vip")
    report = CliRunner().invoke(app, ["onboard", "vips.sql", "--json", "--yes"])
    assert report.exit_code == 0, f"{report.output} {report.exception}"
    assert json.loads(report.stdout)["targets"][0]["tried"] == {"rows": 1, "rejected": 0}
    assert "from shop.clients" in (root / "dbt_project" / "transformations" / "vips.sql").read_text()

    files = CliRunner().invoke(app, ["onboard", "dbt_project"])
    assert "files are read on DuckDB" in str(files.exception)
