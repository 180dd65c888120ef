"""Commands whose documents no other test parses: each prints one, with the name of its format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.init.scaffold import Warehouse, create_project


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project whose example is loaded; its definition has changed since."""
    root = tmp_path_factory.mktemp("json") / "shop"
    create_project(root, Warehouse.DUCKDB)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for command in (["control", "apply", "--yes"], ["run"], ["run"]):
            assert CliRunner().invoke(app, command).exit_code == 0
    select = root / "dbt_project" / "transformations" / "dim_customer.sql"
    select.write_text(select.read_text().replace("c.name,", "upper(c.name) as name,"))
    return root


@pytest.mark.parametrize(
    ("command", "name", "exit_code"),
    [
        (["accept", "dwh.dim_customer", "--reason", "seen"], "accept", 0),
        (["heal"], "heal", 0),
        (["lake", "lake.customers"], "lake", 0),
        (["savings", "--since", "2020-01-01"], "savings", 0),
        (["size", "customers_daily"], "size", 0),
        (["size", "customers_daily", "--bytes", "500GiB", "--sla", "60"], "size", 0),
        (["test", "create", "dwh.dim_customer", "--force"], "test-create", 0),
        (["why", "dwh.nothing"], "error", 2),
    ],
)
def test_command_prints_one_document_of_its_format(
    loaded: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], name: str, exit_code: int
) -> None:
    monkeypatch.chdir(loaded)
    done = CliRunner().invoke(app, [*command, "--json"])
    if done.exception is not None and not done.stdout:  # the program prints errors; see flows.cli.main
        from flows.cli.output.console import report_error
        from metadata_sync.errors import SluiceError

        assert isinstance(done.exception, SluiceError), done.output
        assert exit_code
        report_error(done.exception, as_json=True)
        return
    assert done.exit_code == exit_code, f"{done.output} {done.exception}"
    assert json.loads(done.stdout)["json_format"] == f"{name}/1"
