"""`sluice env`: what changed is loaded in an environment of its own, the rest is read where another one has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.context import load_context
from flows.environments.environment import find_environment, opened
from flows.run.leases import LeaseKeeper
from tests.flows.ci.test_build import EVERY_SCHEMA, NAMED, TOTAL, content, loaded, read_only, written_schemas
from tests.flows.impact.test_plan import edit, git, invoke, root
from tests.flows.lifecycle.test_on_servers import Shop, shop

__all__ = ["loaded", "root", "shop"]


def made(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = invoke("env", *arguments, "--json")
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_environment_on_duckdb(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(loaded)
    edit(loaded, NAMED, "c.name,", "upper(c.name) as name,")
    found = made("create", "pr_123", "--from", "dev", "--against", "HEAD")
    assert found["loaded"] == {"mart.named": "loaded"}
    assert content(loaded) == before

    monkeypatch.setenv("SLUICE_ENVIRONMENT", "pr_123")
    monkeypatch.setenv("SLUICE_DBT_TARGET", "dev")
    status = json.loads(invoke("status", "--json").stdout)
    assert "mart.named" in json.dumps(status)
    assert "mart.city" not in json.dumps(status)
    assert "Nothing is due" in invoke("run").stdout
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "dev")
    monkeypatch.delenv("SLUICE_DBT_TARGET")

    diff = made("diff", "pr_123", code=1)
    assert diff["targets"] == [
        {"target": "mart.named", "rows": 2, "state": "2 of 2 changed (name 100.0%)"},
    ]
    (listed,) = made("list")["environments"]
    assert (listed["environment"], listed["base"], listed["targets"]) == ("pr_123", "dev", ["mart.named"])
    made("drop", "pr_123")
    assert made("list")["environments"] == []
    assert list((loaded / ".sluice/environments").iterdir()) == []
    assert content(loaded) == before


def test_news_of_the_base_reach_the_environment(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made("create", "mine", "--from", "dev", "--target", "mart.named")
    more = "customer_id,name,city,changed_at,landed_at\n3,Grace,Arlington,2024-02-01 13:00,2024-02-02 06:00\n"
    (loaded / "lake/customers/2024-02-02.csv").write_text(more)
    assert invoke("run").exit_code == 0
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "mine")
    result = invoke("run")
    assert "1 loaded" in result.stdout, result.output
    (path,) = (loaded / ".sluice/environments/mine").rglob("mine.duckdb")
    with duckdb.connect(str(path), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from mart.named").fetchone() == (3,)


def test_expired_environments_go_and_running_ones_stay(loaded: Path) -> None:
    made("create", "old", "--from", "dev", "--target", "mart.named")
    note = loaded / ".sluice/environments/old/environment.json"
    values = json.loads(note.read_text())
    note.write_text(json.dumps({**values, "expires_at": "2020-01-01T00:00:00+00:00"}))
    made("create", "new", "--from", "dev", "--target", "mart.city", "--sample", "1")
    assert [item["environment"] for item in made("list")["environments"]] == ["new"]
    context = load_context()
    own = opened(context, find_environment(context.project, "new"))
    with LeaseKeeper(own.store, run_id="r1", held_by="ann") as keeper:
        assert not keeper.take(["mart.city"])
        assert "new is running: mart.city is being loaded by" in str(invoke("env", "drop", "new").exception)
    own.store.close()
    second = invoke("env", "create", "third", "--from", "new", "--target", "mart.city")
    assert "new was itself made from another one" in f"{second.output} {second.exception}"
    assert [item["environment"] for item in made("list")["environments"]] == ["new"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "dev", "--from", "dev", "--target", "mart.named"), "cannot be its name"),
        (("create", "Bad Name", "--from", "dev", "--target", "mart.named"), "cannot be its name"),
        (("create", "x", "--from", "nowhere", "--target", "mart.named"), "has no target 'nowhere'"),
        (("create", "x", "--from", "dev", "--target", "mart.nothing"), "There is no transformation"),
        (("create", "x", "--from", "dev"), "No target changed"),
        (("create", "x", "--from", "dev", "--against", "nothing"), "There is no commit, branch or tag"),
        (("create", "x", "--from", "dev", "--target", "mart.named", "--since", "soon"), "neither a date nor a number"),
        (("drop", "x"), "There is no environment 'x'"),
        (("diff", "x"), "There is no environment 'x'"),
    ],
)
def test_bad_requests_leave_nothing(root: Path, arguments: tuple[str, ...], message: str) -> None:
    result = invoke("env", *arguments)
    assert result.exit_code != 0
    assert message in f"{result.output} {result.exception}"
    assert not list((root / ".sluice").glob("environments/*"))


def test_base_that_was_never_loaded_leaves_nothing(root: Path) -> None:
    result = invoke("env", "create", "x", "--from", "dev", "--target", "mart.named")
    assert "dev has loaded nothing yet" in str(result.exception)
    assert not list((root / ".sluice").glob("environments/*"))


@pytest.mark.postgres
def test_environment_on_a_server(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path = shop.context.project.root
    (folder / ".gitignore").write_text(".sluice/\ndbt_project/models/generated/\n*.log\ntarget/\n")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        git(folder, *arguments)
    monkeypatch.chdir(folder)
    base = shop.context.settings.environment
    monkeypatch.setenv("SLUICE_ENVIRONMENT", base)
    schemas = shop.query(EVERY_SCHEMA)
    written = read_only(shop, monkeypatch)
    edit(folder, TOTAL, "sum(amount)", "2 * sum(amount)")
    found = made("create", "pr_1", "--from", base, "--against", "HEAD")
    assert found["loaded"] == {"mart.region_total": "loaded"}
    assert found["schemas"] == ["pr_1_mart", "pr_1_sluice"]
    assert set(shop.query(EVERY_SCHEMA)) - set(schemas) == {("pr_1_mart",), ("pr_1_sluice",)}
    assert shop.query("select sum(amount) from pr_1_mart.region_total") == shop.query(
        f"select 2 * sum(amount) from {shop.prefix}mart.region_total"
    )
    assert "changed" in made("diff", "pr_1", code=1)["targets"][0]["state"]
    taken = invoke("env", "create", "pr_1", "--from", base, "--against", "HEAD")
    assert "There is an environment pr_1 already" in str(taken.exception)
    shop.query("drop schema pr_1_mart cascade")  # by somebody else
    assert "has no table in environment pr_1" in made("diff", "pr_1", code=1)["targets"][0]["state"]
    made("drop", "pr_1")
    assert shop.query(EVERY_SCHEMA) == schemas
    assert all(name.startswith("pr_1_") for name in written_schemas(written())), written()
