"""The macros as a package in a project of somebody else: installed by dbt deps, models written by hand, no metadata."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString, cast
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONSUMER = ROOT / "tests" / "consumer_project"
SOURCE = """
create table raw.customer_events (
    customer_id integer, city varchar(20), phone varchar(20), is_deleted boolean,
    changed_at timestamp, landed_at integer
)
"""
FIRST = [(1, "Rome", "1", False, "2024-01-01", 1), (2, "Oslo", "2", False, "2024-01-02", 1)]
SECOND = [(1, "Bern", "1", False, "2024-01-09", 2), (2, "Oslo", "3", True, "2024-01-08", 2)]
LATE = [(1, "Rome", "4", False, "2024-01-05", 3), (1, "Oslo", "4", False, "2024-01-03", 3)]
HISTORY = [
    (1, "Rome", "1", 1, 3),
    (1, "Oslo", "4", 3, 5),
    (1, "Rome", "4", 5, 9),
    (1, "Bern", "1", 9, None),
    (2, "Oslo", "2", 2, 8),
]


def _forget_connections() -> None:
    """Close what dbt keeps for the process: after a failed load the next project would write to this one's file."""
    from dbt.adapters import factory
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    adapters: Any = factory
    adapters.cleanup_connections()
    adapters.reset_adapters()
    manager: Any = DuckDBConnectionManager
    manager.close_all_connections()


class Shop:
    """A copy of the consumer's project, on DuckDB or on PostgreSQL."""

    def __init__(self, root: Path, package: dict[str, str], postgres_url: str | None = None) -> None:
        self.root = root
        self._url = postgres_url
        shutil.copytree(CONSUMER, root)
        (root / "packages.yml").write_text(yaml.safe_dump({"packages": [package]}))

    def dbt(self, *words: str) -> Any:
        """Run a dbt command that must succeed; returns what dbt returns."""
        from dbt.cli.main import dbtRunner

        target = ["--target", "postgres"] if self._url else []
        quiet = ["--quiet", "--log-level-file", "none"]
        with _environment(self._variables()), contextlib.chdir(self.root):
            try:
                ended = dbtRunner().invoke([*quiet, *words, *(target if words[0] != "deps" else [])])
            finally:
                _forget_connections()
        failed = [item.message for item in getattr(ended.result, "results", ()) if item.status in ("error", "fail")]
        assert ended.success, (ended.exception, failed)
        return ended.result

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        if self._url:
            with psycopg.connect(self._url) as connection:
                return connection.execute(cast("LiteralString", sql)).fetchall()
        with duckdb.connect(str(self.root / "shop.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        if self._url:
            with psycopg.connect(self._url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(cast("LiteralString", statement))
            return
        with duckdb.connect(str(self.root / "shop.duckdb")) as connection:
            for statement in statements:
                connection.execute(statement)

    def land(self, rows: list[tuple[object, ...]]) -> None:
        """Write events to the source."""
        self.execute("insert into raw.customer_events values " + ", ".join(str(row) for row in rows))

    def _variables(self) -> dict[str, str]:
        if self._url is None:
            return {}
        parts = urlsplit(self._url)
        return {
            "SHOP_HOST": str(parts.hostname),
            "SHOP_PORT": str(parts.port),
            "SHOP_USER": str(parts.username),
            "SHOP_PASSWORD": str(parts.password),
            "SHOP_DATABASE": parts.path[1:],
        }


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _check_story(shop: Shop) -> None:
    """Two batches and a late one, beside every command that a project's engineers use."""
    shop.execute("create schema raw", SOURCE)
    shop.land(FIRST)
    shop.dbt("build")
    shop.land(SECOND)
    shop.dbt("build")
    shop.land(LATE)
    shop.dbt("build")
    versions = "customer_id, city, phone, extract(day from valid_from), extract(day from valid_to)"
    assert shop.query(f"select {versions} from analytics.customers order by customer_id, valid_from") == HISTORY
    assert shop.query("select customer_id, city from analytics.addresses order by 1") == [(1, "Bern"), (2, "Oslo")]
    assert shop.query("select city, customer_count from analytics_marts.cities order by 1") == [("Bern", 1)]
    assert shop.query("select count(*) from analytics.changes") == [(6,)]
    assert shop.query("select count(*) from analytics.first_changes") == [(6,)]
    assert shop.query("select count(distinct target) from analytics_sluice.load_log") == [(5,)]

    before = shop.query("select * from analytics.customers order by customer_id, valid_from")
    results = shop.dbt("build").results
    assert {item.message for item in results if item.node.resource_type == "model"} == {"SKIP nothing new"}
    shop.dbt("build", "--empty")
    shop.dbt("test", "--select", "customers")
    shop.dbt("compile")
    shop.dbt("list")
    shop.dbt("docs", "generate")
    assert shop.query("select * from analytics.customers order by customer_id, valid_from") == before


def test_package_works_when_it_is_installed_from_a_folder(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", {"local": str(ROOT / "macros")})
    shop.dbt("deps")
    _check_story(shop)


@pytest.mark.postgres
def test_package_works_when_it_is_installed_from_git_and_the_warehouse_is_postgres(
    tmp_path: Path, postgres_url: str
) -> None:
    origin = tmp_path / "origin"
    shutil.copytree(ROOT / "macros", origin / "macros")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", str(origin)]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "macros"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    package = {"git": f"file://{origin}", "subdirectory": "macros", "revision": "main"}
    shop = Shop(tmp_path / "shop", package, postgres_url)
    shop.dbt("deps")
    _check_story(shop)
