"""Code in the documentation is what it is said to be: YAML, JSON, SQL, Python, and commands that exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import typer
import yaml

from flows.cli import app
from tests.support.doc_pages import REPOSITORY, Block, blocks, commands, name_of, pages

BLOCKS = [block for page in pages() for block in blocks(page)]
LANGUAGES = {"", "yaml", "json", "sql", "python"}
DIALECTS = {"postgres.md": "postgres", "redshift.md": "redshift"}


def _of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def test_every_block_has_a_language_that_is_checked() -> None:
    assert {str(block): block.language for block in BLOCKS if block.language not in LANGUAGES} == {}
    assert all(_of(language) for language in LANGUAGES)


@pytest.mark.parametrize("block", _of("yaml"), ids=str)
def test_yaml_can_be_read(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), Mapping)


@pytest.mark.parametrize("block", _of("json"), ids=str)
def test_json_can_be_read(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", _of("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", _of("sql"), ids=str)
def test_sql_can_be_parsed(block: Block) -> None:
    text = re.sub(r"\{\{\s*config\(.*?\}\}", "", block.text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "some_table", text, flags=re.DOTALL)
    if text.lstrip().startswith("from "):
        text = f"select 1 {text}"
    assert sqlglot.parse(text, read=DIALECTS.get(block.page.name, "duckdb"))


@cache
def _group() -> tuple[Any, Any]:
    group = typer.main.get_command(app)
    return group, group.make_context("sluice", [], resilient_parsing=True)


def _fault(text: str) -> str | None:
    """Return what is wrong with a command as a page shows it; None: it exists, with these options."""
    words = shlex.split(re.sub(r"[\[\]]", "", text).replace("…", " … "), comments=True)[1:]
    command, context = _group()
    while words and hasattr(command, "list_commands") and not words[0].startswith(("-", "…")):
        name = words.pop(0)
        if "|" in name or name.isupper():
            return None
        child = command.get_command(context, name)
        if child is None:
            return f"there is no command {name!r}"
        command, context = child, child.make_context(name, [], parent=context, resilient_parsing=True)
        words = command.completed(words) if hasattr(command, "completed") else words
    if context.info_name == "dbt":
        return None
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"unknown options {unknown}" if unknown else None


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_commands_exist_with_their_options(page: Path) -> None:
    faults = {text: fault for text in commands(page) if (fault := _fault(text))}
    assert faults == {}


def test_commands_are_found_in_all_their_forms() -> None:
    found = [text for page in pages() for text in commands(page)]
    assert len(found) > 100
    assert _fault("sluice nonsense") == "there is no command 'nonsense'"
    assert _fault("sluice run --nonsense") == "unknown options ['--nonsense']"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^\s*)make ([a-z-]+)\b", page.read_text(), re.MULTILINE)) <= targets
