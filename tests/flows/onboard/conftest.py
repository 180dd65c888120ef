"""A project without tables, and `sluice` in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.init.scaffold import Warehouse, create_project

Sluice = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `sluice init` writes it, without its example."""
    create_project(tmp_path / "shop", Warehouse.DUCKDB)
    root = tmp_path / "shop"
    (root / "dbt_project" / "control" / "example.yml").unlink()
    shutil.rmtree(root / "lake")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def sluice(root: Path) -> Sluice:
    del root
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=True)


def proposals(result: Result) -> dict[str, dict[str, Any]]:
    """Return target → setting → choice."""
    document = json.loads(result.stdout)
    return {item["target"]: {choice["setting"]: choice for choice in item["settings"]} for item in document["targets"]}
