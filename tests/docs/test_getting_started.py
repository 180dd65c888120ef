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

pytestmark = pytest.mark.flows
FIRST, CHANGES = DOCS / "getting-started.md", DOCS / "daily-work" / "three-changes.md"


def _execute(root: Path, words: list[str]) -> str:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *words], cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def _follow(root: Path, block: Block) -> str:
    """Do what a block says in the project; return what its commands printed."""
    if block.language == "python":
        return _execute(root, ["-c", block.text])
    if block.language in {"sql", "yaml"}:
        name = {"sql": "transformations/dim_customer.sql", "yaml": "control/example.yml"}[block.language]
        assert f"`dbt_project/{name}`" in FIRST.read_text()
        path = root / "dbt_project" / name
        assert block.page != FIRST or path.read_text() == block.text, f"{block}: {path.name} is not what init writes"
        path.write_text(block.text)
        return ""
    return "".join(
        _command(root, line) for line in block.text.splitlines() if re.match(r"(SLUICE_\w+=\w+ )?sluice ", line)
    )


def _command(root: Path, line: str) -> str:
    """Run one command in the project's folder; `sluice init` in the folder above."""
    words = shlex.split(line, comments=True)
    environment = dict(word.split("=", 1) for word in words[: words.index("sluice")])
    arguments = words[words.index("sluice") + 1 :]
    if arguments[0] in {"up", "down"}:
        return ""
    return _sluice(root.parent if arguments[0] == "init" else root, arguments, environment)


def _sluice(folder: Path, words: list[str], environment: dict[str, str]) -> str:
    code, out, err = finish(start_sluice(words, folder, {**os.environ, "COLUMNS": "200", **environment}))
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
    root = tmp_path / "shop"
    printed = "".join(_follow(root, block) for block in blocks(FIRST))

    for shown in ("2 read, 2 inserted", "nothing new", "tried dwh.orders", "130 read, 120 inserted"):
        assert shown in printed, printed
    (cities,) = _shown(FIRST)
    assert _table(root, "dwh.dim_customer", "city") == cities
    assert len(cities) == 3
    assert (root / ".sluice" / "prod.duckdb").exists()
    _mistake_is_told_as_shown(root)

    corrected, corrections, added, additions, renamed = blocks(CHANGES)
    _follow(root, corrected)
    said = " ".join(_follow(root, corrections).split())
    assert "its SELECT has changed since its last load" in said
    assert "dwh.dim_customer matches its ledger" in said
    capitals, lengths = _shown(CHANGES)
    assert _table(root, "dwh.dim_customer", "city") == capitals
    _follow(root, added)
    assert "--fill name_length" in _follow(root, additions)
    assert _table(root, "dwh.dim_customer", "name_length") == lengths
    assert "dwh.dim_buyer matches its ledger" in _follow(root, renamed)
    assert _table(root, "dwh.dim_buyer", "city") == capitals


def _mistake_is_told_as_shown(root: Path) -> None:
    (block,) = [block for block in blocks(FIRST) if block.text.startswith("$ sluice validate")]
    path = root / "dbt_project/transformations/dim_customer.sql"
    before = path.read_text()
    path.write_text(before.replace("c.name", "c.nmae"))
    code, out, err = finish(start_sluice(["validate"], root, {**os.environ, "COLUMNS": "200"}))
    path.write_text(before)
    assert code == 3, out + err
    assert " ".join(block.text.split("\n", 1)[1].split()) in " ".join((out + err).split())
