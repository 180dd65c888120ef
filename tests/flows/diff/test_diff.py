"""`sluice diff` between environments: DuckDB files, and schemas of PostgreSQL and the Redshift stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.init.scaffold import Warehouse, create_project
from tests.flows.lifecycle.test_on_servers import Shop, shop

__all__ = ["shop"]

MORE = (
    "customer_id,name,city,changed_at,landed_at\n"
    "1,Ada,Paris,2024-02-01 12:00,2024-02-02 06:00\n"
    "3,Grace,Arlington,2024-02-01 13:00,2024-02-02 06:00\n"
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def compared(*arguments: str) -> dict[str, Any]:
    result = invoke("diff", *arguments, "--json")
    assert result.exit_code in {0, 1}, f"{result.output} {result.exception}"
    document: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code == 0) == document["is_same"]
    return document


def test_history_of_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path / "shop", Warehouse.DUCKDB)
    monkeypatch.chdir(tmp_path / "shop")
    for environment in ("prod", "dev"):
        monkeypatch.setenv("SLUICE_ENVIRONMENT", environment)
        assert invoke("control", "apply", "--yes").exit_code == 0
        missing = invoke("diff", "dwh.dim_customer", "--against", "prod")
        assert missing.exception is not None
        if environment == "dev":
            assert "has no table in environment dev" in str(missing.exception)
            Path("lake/customers/2024-02-02.csv").write_text(MORE)
        assert invoke("run").exit_code == 0

    found = compared("dwh.dim_customer", "--against", "prod")
    counts = {name: found[name] for name in ("equal", "changed", "moved", "only_here", "only_there")}
    assert counts == {"equal": 1, "changed": 0, "moved": 1, "only_here": 2, "only_there": 0}
    masked = json.dumps(found["examples"])
    assert "2024" not in masked
    assert "2024-02-01" in json.dumps(compared("dwh.dim_customer", "--against", "prod", "--values")["examples"])
    text = invoke("diff", "dwh.dim_customer", "--against", "prod").stdout
    assert "moved in time\t1" in text
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "prod")
    assert invoke("run").exit_code == 0
    assert compared("dwh.dim_customer", "--against", "dev")["is_same"]


BAD = [
    (("dwh.dim_customer", "--against", "dev"), "dev is this environment"),
    (("dwh.dim_customer", "--against", "nowhere"), "'nowhere' has no target"),
    (("dwh.nothing", "--against", "prod"), "There is no transformation 'dwh.nothing'"),
    (("nonsense", "--against", "prod"), "is not schema.table"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    create_project(tmp_path / "shop", Warehouse.DUCKDB)
    monkeypatch.chdir(tmp_path / "shop")
    assert invoke("control", "apply", "--yes").exit_code == 0
    result = invoke("diff", *arguments)
    assert result.exit_code not in {0}
    assert message in str(result.exception)


@pytest.mark.postgres
def test_tables_of_two_schemas(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    root, here = shop.context.project.root, shop.context.settings.environment
    profiles = shop.context.project.profiles_file
    document = yaml.safe_load(profiles.read_text())
    (outputs,) = [part["outputs"] for part in document.values() if "outputs" in part]
    outputs["other"] = outputs[here]
    profiles.write_text(yaml.safe_dump(document))
    monkeypatch.chdir(root)
    monkeypatch.setenv("SLUICE_ENVIRONMENT", here)
    shop.query("create schema other_dwh")
    ours, theirs = f"{shop.prefix}dwh.fact_order", "other_dwh.fact_order"
    shop.query(f"create table {theirs} as select order_id, region, amount, landed_at from {ours} where order_id < 3")
    shop.query(f"update {theirs} set amount = 99 where order_id = 2")
    shop.query(f"insert into {theirs} (order_id, region) values (null, 'x'), (7, 'a'), (7, 'b')")

    found = compared("dwh.fact_order", "--against", "other", "--key", "order_id")

    counts = {name: found[name] for name in ("equal", "changed", "only_here", "only_there")}
    assert counts == {"equal": 1, "changed": 1, "only_here": 1, "only_there": 0}
    assert [item["column"] for item in found["columns"]] == ["amount"]
    assert found["key_faults"]["other"] == {"null_rows": 1, "double_keys": 1}
    assert found["schema"] == []
    history = invoke("diff", "dwh.dim_region", "--against", "other")
    assert "has no table in environment other" in str(history.exception)
    shop.query(f"create table other_dwh.dim_region as select * from {shop.prefix}dwh.dim_region")
    assert compared("dwh.dim_region", "--against", "other")["is_same"]
