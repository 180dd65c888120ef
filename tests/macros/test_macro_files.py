"""The macro files themselves: documented as they are, and of a size that a person reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.dbt_project import FOLDERS, MACROS

_SIGNATURE = re.compile(r"\{%-? (macro|test|materialization) (\w+)(?:\(([^)]*)\)|, (\w+))")
FILES = sorted(MACROS.glob("*/**/*.sql"))


def _signatures() -> dict[str, list[str]]:
    found = {}
    for file in FILES:
        for kind, name, arguments, adapter in _SIGNATURE.findall(file.read_text()):
            known = {"macro": name, "test": f"test_{name}", "materialization": f"materialization_{name}_{adapter}"}[
                kind
            ]
            found[known] = [word.split("=")[0].strip() for word in arguments.split(",") if word.strip()]
    return found


def _documented() -> list[dict[str, Any]]:
    return [macro for file in sorted(MACROS.glob("*/**/*.yml")) for macro in yaml.safe_load(file.read_text())["macros"]]


def test_documented_arguments_are_the_signature() -> None:
    signatures = _signatures()
    for macro in _documented():
        assert [argument["name"] for argument in macro.get("arguments", [])] == signatures[macro["name"]], macro["name"]


def test_every_materialization_and_generic_test_is_documented() -> None:
    names = {macro["name"] for macro in _documented()}
    assert {name for name in _signatures() if name.startswith(("materialization_", "test_"))} <= names


def test_every_folder_is_a_macro_path() -> None:
    package = yaml.safe_load((MACROS / "dbt_project.yml").read_text())
    project = yaml.safe_load((MACROS.parent / "dbt_project/dbt_project.yml").read_text())
    folders = sorted(path.name for path in MACROS.iterdir() if path.is_dir())
    assert folders == sorted(FOLDERS) == sorted(package["macro-paths"])
    assert [f"../macros/{folder}" for folder in folders] == sorted(set(project["macro-paths"]) - {"macros"})


def test_a_load_on_redshift_drops_every_temporary_table_that_one_creates() -> None:
    """One statement clears the names, so that no CREATE needs a DROP before it."""
    text = "".join(file.read_text() for file in FILES)
    created = set(
        re.findall(r"(?:run_temporary|create_temporary|copy_parquet|temporary_sql)\(\s*load,\s*\"(\w+)\"", text)
    )
    listed = re.search(r"macro temporary_names\(\).*?endmacro", text, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"sluice_\w+", listed[0])) == created


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_macro_file_reads_well(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("{#-"), "a head that says what it is for"
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\t" not in text


def test_own_macros_are_called_by_their_package() -> None:
    """No macro may be taken for dbt's or a team's own of the same name."""
    names = "|".join(name for name in _signatures() if "__" not in name)
    for file in FILES:
        calls = re.sub(r"\{#-.*?-#\}|% macro \w+", "", file.read_text(), flags=re.DOTALL)
        assert not re.findall(rf"(?<![\w.])(?:{names})\(", calls), file


def test_the_benchmarks_project_has_every_folder_of_macros() -> None:
    project = yaml.safe_load((MACROS.parent / "benchmarks/load_project/dbt_project.yml").read_text())
    listed = {path.rpartition("/")[2] for path in project["macro-paths"] if path.startswith("../../macros/")}
    assert listed == {file.relative_to(MACROS).parts[0] for file in FILES}
