"""`sluice protection` and `sluice proposals`: two identities, an override that is told, roles of runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.context import load_context
from flows.impact.brought import ProposalPlan
from flows.init.scaffold import Warehouse, create_project
from flows.prefect.pages.proposals import proposal_page
from flows.upkeep.monitor import monitor
from metadata_sync.errors import SluiceError

Run = Callable[..., Result]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project whose rows are applied."""
    root = tmp_path / "shop"
    create_project(root, Warehouse.DUCKDB)
    monkeypatch.chdir(root)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    return root


@pytest.fixture
def run(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(who: str, *command: str) -> Result:
        monkeypatch.setenv("GITHUB_ACTOR", who)
        return CliRunner().invoke(app, command)

    assert call("ada", "control", "apply", "--yes").exit_code == 0
    assert call("ada", "protection", "on", "--reason", "it is production").exit_code == 0
    return call


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A webhook that keeps what it receives."""
    received: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SLUICE_ALERT_CHANNEL", "ops")
    monkeypatch.setenv("SLUICE_CHANNEL_OPS", f"http://127.0.0.1:{server.server_port}/hook")
    yield received
    server.shutdown()
    server.server_close()


def _refused(done: Result, exit_code: int) -> SluiceError:
    assert isinstance(done.exception, SluiceError), done.output
    assert done.exception.exit_code == exit_code
    return done.exception


def _schedule() -> str | None:
    (row,) = load_context().store.read_rows().pipelines
    return row.schedule


def test_rows_pass_from_one_identity_to_another(run: Run, shop: Path) -> None:
    before = _schedule()
    error = _refused(run("ada", "control", "set", "pipeline", "customers_daily", "schedule=0 4 * * *"), 4)
    assert "proposals approve 1" in error.hint
    _refused(run("ada", "proposals", "approve", "1", "--yes"), 1)
    _refused(run("ADA ", "proposals", "approve", "1", "--yes"), 1)
    _refused(run("bob", "proposals", "approve", "1", "--yes", "--digest", "00000000"), 2)
    _refused(run("bob", "proposals", "approve", "1"), 2)
    assert _schedule() == before
    shown = json.loads(run("bob", "proposals", "show", "1", "--json").stdout)
    done = run("bob", "proposals", "approve", "1", "--yes", "--digest", shown["digest"][:12], "--json")
    assert json.loads(done.stdout)["decided_by"] == "bob"
    assert _schedule() == "0 4 * * *"
    (entry,) = json.loads(run("bob", "control", "history", "--limit", "1", "--json").stdout)["entries"]
    assert (entry["who"], entry["approved_by"], entry["proposal"]) == ("ada", "bob", 1)


def test_every_way_to_rows_is_a_proposal(run: Run, shop: Path) -> None:
    _refused(run("ada", "deactivate", "customers_daily", "--reason", "x"), 4)
    file = shop / "dbt_project" / "control" / "example.yml"
    file.write_text(file.read_text().replace("0 6 * * *", "0 7 * * *"))
    _refused(run("ada", "control", "apply", "--yes", "--reason", "later"), 4)
    _refused(run("ada", "control", "apply", "--yes", "--reason", "again"), 4)
    listed = json.loads(run("ada", "proposals", "list", "--json").stdout)["proposals"]
    assert [item["via"] for item in listed] == ["apply", "deactivate"]
    assert run("bob", "proposals", "reject", "1", "--reason", "not now").exit_code == 0
    assert "not now" in proposal_page(load_context().store.approvals.find(1), ProposalPlan())
    assert run("bob", "proposals", "list", "--all").exit_code == 0
    error = _refused(run("ada", "retire", "dwh.dim_customer", "--yes"), 1)
    assert "protected" in error.message


def test_an_approval_is_checked_like_the_change(run: Run, shop: Path) -> None:
    """A row that became invalid since it was proposed is not applied."""
    folder = shop / "dbt_project" / "transformations"
    (folder / "other.sql").write_text((folder / "dim_customer.sql").read_text())
    moved = "sql_path=transformations/other.sql"
    _refused(run("ada", "control", "set", "transformation", "dwh.dim_customer", moved), 4)
    (folder / "other.sql").unlink()
    _refused(run("bob", "proposals", "approve", "1", "--yes"), 3)
    assert load_context().store.approvals.find(1).status == "open"


def test_an_override_is_told(run: Run, channel: list[dict[str, Any]]) -> None:
    _refused(run("ada", "deactivate", "customers_daily", "--reason", "x"), 4)
    _refused(run("ada", "proposals", "approve", "1", "--yes", "--override", " "), 2)
    assert run("ada", "proposals", "approve", "1", "--yes", "--override", "alone at night").exit_code == 0
    assert any("Override" in json.dumps(item) and "alone at night" in json.dumps(item) for item in channel)


def test_an_override_past_the_command_is_told_once_by_the_monitor(run: Run, channel: list[dict[str, Any]]) -> None:
    _refused(run("ada", "deactivate", "customers_daily", "--reason", "x"), 4)
    approvals = load_context().store.approvals
    approvals.approve(1, approvals.find(1).digest, override="straight into the database")
    for _ in range(2):
        monitor(load_context())
    told = [item for item in channel if "Override" in json.dumps(item)]
    assert len(told) == 1
    assert "straight into the database" in json.dumps(told)


def test_protection_is_taken_off_by_two(run: Run) -> None:
    _refused(run("ada", "protection", "off", "--reason", "over"), 4)
    assert json.loads(run("ada", "protection", "show", "--json").stdout)["is_protected"]
    assert run("bob", "proposals", "approve", "1", "--yes").exit_code == 0
    assert not json.loads(run("ada", "protection", "show", "--json").stdout)["is_protected"]
    assert run("ada", "deactivate", "customers_daily", "--reason", "x").exit_code == 0


def test_roles_bind_runs(run: Run) -> None:
    _refused(run("ada", "protection", "grant", "run", "Carl"), 4)
    assert run("bob", "proposals", "approve", "1", "--yes").exit_code == 0
    _refused(run("ada", "run"), 1)
    assert run("carl", "run").exit_code == 0
    _refused(run("ada", "protection", "revoke", "run", "carl"), 4)
    _refused(run("ada", "protection", "grant", "restate", "carl"), 4)
    assert run("bob", "proposals", "approve", "3", "--yes").exit_code == 0
    for command in (
        ("restate", "--yes"),
        ("rebuild", "--yes"),
        ("accept", "--reason", "x"),
        ("backfill", "--from", "2024-01-01"),
    ):
        error = _refused(run("ada", command[0], "dwh.dim_customer", *command[1:]), 1)
        assert error.message == "ada may not restate in dev; nothing was changed."
