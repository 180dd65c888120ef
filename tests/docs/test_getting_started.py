"""The pages Getting started and Three changes are followed, block by block, in one project."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.doc_pages import DOCS, REPOSITORY, Block, blocks
from tests.support.engine_project import finish
from tests.support.forked_sluice import start_sluice
from tests.support.project_copy import copy_project

pytestmark = pytest.mark.flows
FIRST, CHANGES = DOCS / "getting-started.md", DOCS / "daily-work" / "three-changes.md"


def _execute(root: Path, words: list[str]) -> str:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *words], cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def _follow(root: Path, block: Block) -> str:
    """Do what a block says; return what its commands printed."""
    if block.language == "python":
        return _execute(root, ["-c", block.text])
    if block.language in {"sql", "yaml"}:
        name = {"sql": "transformations/dim_customer.sql", "yaml": "control/shop.yml"}[block.language]
        assert f"`dbt_project/{name}`" in FIRST.read_text()
        (root / "dbt_project" / name).write_text(block.text)
        return ""
    shown = [shlex.split(line, comments=True) for line in block.text.splitlines() if line.startswith("sluice ")]
    return "".join(_sluice(root, words[1:]) for words in shown if words[1] not in {"up", "down"})


def _sluice(root: Path, words: list[str]) -> str:
    code, out, err = finish(start_sluice(words, root, {**os.environ, "COLUMNS": "200"}))
    assert code == 0, f"{words}\n{out}\n{err}"
    return out + err


def _table(root: Path, target: str, column: str) -> list[tuple[str, ...]]:
    query = f"select customer_id, {column}, valid_from, valid_to, is_current from {target} order by 1, 3"
    with duckdb.connect(str(root / ".sluice" / "dev.duckdb"), read_only=True) as connection:
        rows = connection.execute(query).fetchall()
    return [
        (str(key), str(value), f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}" if end else "NULL", str(now).lower())
        for key, value, start, end, now in rows
    ]


def _shown(page: Path) -> list[list[tuple[str, ...]]]:
    """The tables of a page, in their order."""
    line = r"^\| (\d) \| (\w+) \| ([\d: -]+) \| ([\d: -]+|NULL) \| (\w+) \|$"
    parts = page.read_text().split("| customer_id |")[1:]
    return [re.findall(line, part.split("\n\n")[0], re.MULTILINE) for part in parts]


def test_pages_give_the_tables_that_they_show(tmp_path: Path) -> None:
    copy_project(tmp_path, {})
    printed = "".join(_follow(tmp_path, block) for block in blocks(FIRST))

    assert "2 read, 2 inserted" in printed
    assert "nothing new" in printed
    (cities,) = _shown(FIRST)
    assert _table(tmp_path, "dwh.dim_customer", "city") == cities
    assert len(cities) == 3

    corrected, corrections, added, additions, renamed = blocks(CHANGES)
    _follow(tmp_path, corrected)
    said = " ".join(_follow(tmp_path, corrections).split())
    assert "its SELECT has changed since its last load" in said
    assert "dwh.dim_customer matches its ledger" in said
    capitals, lengths = _shown(CHANGES)
    assert _table(tmp_path, "dwh.dim_customer", "city") == capitals
    _follow(tmp_path, added)
    assert "--fill name_length" in _follow(tmp_path, additions)
    assert _table(tmp_path, "dwh.dim_customer", "name_length") == lengths
    assert "dwh.dim_buyer matches its ledger" in _follow(tmp_path, renamed)
    assert _table(tmp_path, "dwh.dim_buyer", "city") == capitals
