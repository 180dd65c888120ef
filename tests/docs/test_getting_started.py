"""The page Getting started is followed, block by block, in a project of its own."""

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
from tests.support.project_copy import copy_project

pytestmark = pytest.mark.flows
PAGE = DOCS / "getting-started.md"
QUERY = "select customer_id, city, valid_from, valid_to, is_current from dwh.dim_customer order by 1, 3"


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
        assert f"`dbt_project/{name}`" in PAGE.read_text()
        (root / "dbt_project" / name).write_text(block.text)
        return ""
    shown = [shlex.split(line, comments=True) for line in block.text.splitlines() if line.startswith("sluice ")]
    return "".join(_execute(root, ["-m", "flows.cli", *words[1:]]) for words in shown if words[1] not in {"up", "down"})


def test_the_page_gives_the_table_that_it_shows(tmp_path: Path) -> None:
    copy_project(tmp_path, {})
    printed = "".join(_follow(tmp_path, block) for block in blocks(PAGE))

    assert "2 read, 2 inserted" in printed
    assert "nothing new" in printed
    with duckdb.connect(str(tmp_path / ".sluice" / "dev.duckdb"), read_only=True) as connection:
        rows = connection.execute(QUERY).fetchall()
    table = PAGE.read_text().split("| customer_id | city |")[1].split("\n\n")[0]
    shown = re.findall(r"^\| (\d) \| (\w+) \| ([\d: -]+) \| ([\d: -]+|NULL) \| (\w+) \|$", table, re.MULTILINE)
    assert [
        (str(key), city, f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}" if end else "NULL", str(is_current).lower())
        for key, city, start, end, is_current in rows
    ] == shown
    assert len(shown) == 3
