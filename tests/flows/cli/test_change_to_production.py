"""The page "From a change to production", typed command by command on three warehouses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString, cast

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.init.scaffold import Warehouse
from metadata_sync.errors import SluiceError
from tests.flows.impact.test_plan import edit, git, invoke
from tests.redshift_standin.fixture import running
from tests.support.doc_pages import DOCS, blocks
from tests.support.twelve_targets import CHAIN, create_orders, create_twelve

PAGE = DOCS / "daily-work" / "change-to-production.md"
FORMULA = "transformations/order_value.sql"
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(
    params=[
        Warehouse.DUCKDB,
        pytest.param(Warehouse.POSTGRES, marks=pytest.mark.postgres),
        pytest.param(Warehouse.REDSHIFT, marks=pytest.mark.postgres),
    ]
)
def query(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Query]:
    """The project, committed, and loaded in both environments; returns what reads production."""
    warehouse: Warehouse = request.param
    root = tmp_path / "shop"
    create_twelve(root, warehouse)
    monkeypatch.chdir(root)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    if warehouse is Warehouse.REDSHIFT:
        with running(postgres_url) as standin:
            for name, value in standin.environment().items():
                monkeypatch.setenv(name, value)
            ask = _server(standin.url)
            _load(root, ask)
            yield ask
        return
    if warehouse is Warehouse.POSTGRES:
        parts = conninfo_to_dict(postgres_url)
        names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DATABASE": "dbname"}
        for name, part in names.items():
            monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[part]))
        ask = _server(postgres_url)
    else:
        ask = _file(root / ".sluice" / "prod.duckdb")
    _load(root, None if warehouse is Warehouse.DUCKDB else ask)
    yield ask


def _server(url: str) -> Query:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(cast("LiteralString", sql))
            return cursor.fetchall() if cursor.description else []

    return ask


def _file(path: Path) -> Query:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return ask


def _load(root: Path, ask: Query | None) -> None:
    for statement in [] if ask is None else create_orders():
        assert ask is not None
        ask(statement)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    for environment in ("stage", "prod"):
        for words in ("control apply --yes", "run"):
            _typed(root, f"SLUICE_ENVIRONMENT={environment} sluice {words}")
    _typed(root, "SLUICE_ENVIRONMENT=prod sluice protection on --reason 'it is production'")


def _typed(root: Path, line: str) -> str:
    """Type a command, as ada or, when it approves, as bob; return what it printed."""
    words, code = shlex.split(line, comments=True), re.search(r"# exit code (\d)$", line)
    if words[0] == "git":
        git(root, *words[1:])
        return ""
    with pytest.MonkeyPatch.context() as patch:
        for word in words[: words.index("sluice")]:
            patch.setenv(*word.split("=", 1))
        patch.setenv("GITHUB_ACTOR", "bob" if "approve" in words else "ada")
        result = invoke(*words[words.index("sluice") + 1 :])
    error = result.exception
    found = error.exit_code if isinstance(error, SluiceError) else result.exit_code
    assert found == (int(code[1]) if code else 0), f"{line}\n{result.output}\n{error!r}\n{getattr(error, 'faults', ())}"
    return f"{result.output}{error if isinstance(error, SluiceError) else ''}"


def _follow(root: Path, until: str) -> dict[str, str]:
    """Type the commands of the page that were not typed yet, up to one that holds a text."""
    printed = {}
    for line in _lines(root):
        if "CHANGE" in line:
            history = _typed(root, "SLUICE_ENVIRONMENT=prod sluice control history --limit 1 --json")
            line = line.replace("CHANGE", json.loads(history)["entries"][0]["change_id"])  # noqa: PLW2901
        printed[line] = _typed(root, line)
        if until in line:
            return printed
    raise AssertionError(f"the page does not say {until}")


_LEFT: dict[Path, list[str]] = {}


def _lines(root: Path) -> Iterator[str]:
    left = _LEFT.setdefault(root, [line for block in blocks(PAGE) for line in block.text.splitlines()])
    while left:
        yield left.pop(0)


def _values(query: Query) -> dict[str, list[tuple[Any, ...]]]:
    return {
        target: query(f"select * from {target} order by 1")
        for target in ("dwh.fact_order", "mart.region_sum", "mart.region_orders")
    }


def _totals(query: Query) -> tuple[float, float]:
    ((rows,),) = query("select sum(net) from dwh.order_value")
    ((readers,),) = query("select sum(total) from mart.region_total")
    return float(rows), float(readers)


def test_page_is_followed_to_production_and_back(query: Query, tmp_path: Path) -> None:
    root = tmp_path / "shop"
    others = _values(query)
    assert _totals(query) == (50, 50)

    git(root, "switch", "-qc", "discount")
    edit(root, FORMULA, "f.amount as net", "cast(f.amount * 0.9 as decimal(10, 2)) as net")
    (plan,) = _follow(root, "plan").values()
    assert "mart.region_total.total" in plan
    assert not re.search(r"mart\.region_(?!total)", plan), "it reaches nothing else"
    (ci,) = _follow(root, "ci").values()
    assert "2 of 12 targets built" in ci
    assert "net 100.0%" in ci
    assert _totals(query) == (50, 50), "production is as it was"

    promotion = _follow(root, "promote").popitem()[1]
    assert _totals(query) == (50, 50)
    assert (root / "dbt_project" / FORMULA).read_text() == CHAIN["order_value"] + "\n"
    assert "cast(f.amount * 0.9 as decimal(10, 2)) as net" in promotion
    assert "waits as proposal 1" in promotion
    assert re.search(r"order_value\W+5\W+5\W+0\W+5 \(net 5\)", promotion), "the data of both"
    shown = _follow(root, "show").popitem()[1]
    assert "+select f.order_id, f.region, cast(f.amount * 0.9 as decimal(10, 2)) as net" in shown
    assert "mart.region_total.total" in shown

    _follow(root, "prod sluice run")
    assert _totals(query) == (45, 45), "the rows are derived again, and the readers follow"
    _follow(root, "rollback")
    assert _totals(query) == (45, 45)
    _follow(root, "prod sluice run")
    assert _totals(query) == (50, 50)
    assert (root / "dbt_project" / FORMULA).read_text() == CHAIN["order_value"] + "\n"
    assert list(_lines(root)) == []
    assert _values(query) == others, "no other target was written"
