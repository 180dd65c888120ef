"""The reference pages say what the code does: every command and every setting."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from flows.spark.settings import EmrSettings, SparkSettings
from metadata_sync.settings import Settings
from tests.support.doc_pages import DOCS, REPOSITORY, name_of, pages

SETTINGS = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
MODELS: tuple[type[BaseModel], ...] = (Settings, SparkSettings, EmrSettings)
NAME = r"SLUICE_[A-Z]+(?:_[A-Z]+)*"
WEBHOOK = "SLUICE_CHANNEL_<NAME>"


def _documented(section: str) -> dict[str, list[str]]:
    """Return variable → the other cells of its line, in a section of the page."""
    text = SETTINGS.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "| `" in line]
    return {cells[0].strip("` "): cells[1:] for cells in lines}


def _of_models() -> Iterator[tuple[str, Any]]:
    for model in MODELS:
        for name, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            yield f"{model.model_config.get('env_prefix', 'SLUICE_')}{name}".upper(), default


def _named_in_code() -> set[str]:
    """Return every variable whose name stands in quotes in code, macros or the profile."""
    files = [REPOSITORY / "profiles.yml"]
    for folder, suffixes in (("flows", ".py"), ("metadata_sync", ".py"), ("macros", ".sql"), ("dbt_project", ".sql")):
        files += [path for path in (REPOSITORY / folder).rglob(f"*{suffixes}") if "target" not in path.parts]
    found: set[str] = set()
    for path in files:
        found.update(re.findall(rf"""["']({NAME})["']""", path.read_text(encoding="utf-8")))
    return found


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_commands", DOCS / "reference" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_reference_is_what_the_command_line_gives() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert page == _generator().render(), "run: python docs/reference/commands.py"


def test_every_command_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    words = [found[0] for found in _generator().commands()]
    assert len(words) > 20
    assert re.findall(r"^## (sluice .+)$", page, re.MULTILINE) == words


def test_every_setting_that_the_code_reads_is_documented_and_no_other() -> None:
    own = set(_documented("Set by Sluice itself"))
    read = {name for name, _ in _of_models()} | _named_in_code()
    assert set(_documented("All settings")) - {WEBHOOK} == read - own
    assert own <= read
    assert WEBHOOK in _documented("All settings")


def _as_shown(default: Any) -> str:
    """Return a default as the page writes it."""
    if isinstance(default, dict):
        return json.dumps(default)
    if default is None or default == ():
        return "–"
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_defaults_are_those_of_the_code() -> None:
    documented = {name: cells[0].strip("`") for name, cells in _documented("All settings").items()}
    of_code = {name: _as_shown(default) for name, default in _of_models()}
    assert {name: documented[name] for name in of_code} == of_code


def test_defaults_of_the_profile_are_those_of_the_page() -> None:
    documented = _documented("All settings")
    profile = (REPOSITORY / "profiles.yml").read_text()
    found = re.findall(r"env_var\('(SLUICE_(?:POSTGRES|REDSHIFT)_\w+)', '(.*?)'\)", profile)
    assert len(found) > 10
    assert {name: documented[name][0].strip("`") for name, _ in found} == {name: value or "–" for name, value in found}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_pages_name_no_setting_that_nothing_reads(page: Any) -> None:
    named = set(re.findall(NAME, page.read_text(encoding="utf-8")))
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("*.py") if "docs" not in path.parts)
    known = set(_documented("All settings")) | set(_documented("Set by Sluice itself")) | set(re.findall(NAME, tests))
    prefixes = {"SLUICE_EMR", "SLUICE_CHANNEL", "SLUICE_SPARK"}
    unknown = {name for name in named - known - prefixes if not name.startswith("SLUICE_CHANNEL_")}
    assert unknown == set()
