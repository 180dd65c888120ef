"""Files, modules and packages that the documentation names are there: no page tells of a tree that was."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.support.doc_pages import DOCS, REPOSITORY, code_spans, name_of, pages

FOLDERS = "benchmarks|dbt_project|deploy|docs|flows|macros|metadata_sync|tests"
MADE_LATER = (
    "dbt_project/policies.yml",  # a team's own, as the next ones
    "dbt_project/error_rules.yml",
    "emr_instances.yml",
    "dbt_project/logs",
    "dbt_project/models",
    "dbt_project/target",
    "dbt_project/data_tests.yml",  # tests of a team's own, as the next one
    "defaults.yml",
    "sluice.md",  # of `sluice ci`
    "dbt_project/control/shop.yml",  # of the walk through Getting started
    "dbt_project/control/example.yml",  # of what `sluice init` writes, as the next two
    "macros/sluice_schema_name.sql",
    "packages.yml",  # dbt's own
    "flows/dbt/macros",  # in the wheel
    "dbt_project/transformations/dim_customer.sql",
    "dbt_project/transformations/dim_crew.sql",  # of an example of `sluice lint`
)
"""What a page may name although git does not have it: Sluice, dbt or the reader writes it."""
CURRENT = [page for page in pages() if page.name != "CHANGELOG.md"]  # a changelog may name what was


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"(?<![\w/.<-])(?:{FOLDERS})/[\w./<>*-]*\w/?", text)
    named += [span for span in code_spans(page) if re.fullmatch(r"[\w.-]+\.(toml|yml|txt|lock|md)", span)]
    missing = [path for path in named if not path.startswith(MADE_LATER) and not _exists(page, path)]
    assert missing == []


def _exists(page: Path, path: str) -> bool:
    folders = [REPOSITORY, page.parent, DOCS, REPOSITORY / "dbt_project", *REPOSITORY.glob("metadata_sync/sql/*/")]
    return any(any(folder.glob(path.rstrip("/"))) for folder in folders)


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_modules_exist_and_define_what_is_named(page: Path) -> None:
    named = re.findall(r"(?<![\w/.])(?:flows|metadata_sync)(?:\.\w+)+", page.read_text(encoding="utf-8"))
    assert [name for name in named if not _is_defined(name)] == []


def _is_defined(name: str) -> bool:
    path = REPOSITORY.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, _, attribute = name.rpartition(".")
    source = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    return source.is_file() and attribute in _names(source)


def _names(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    assigned = {target.id for target in targets if isinstance(target, ast.Name)}
    return assigned | {getattr(node, "name", "") for node in tree.body}


def test_architecture_shows_the_layers_of_the_import_contracts() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    (layers,) = [item["layers"] for item in contracts if item.get("containers") == ["flows"]]
    shown = re.findall(r"^\| (\d+) \| `flows/(\w+)(?:/|\.py)` \|", page, re.MULTILINE)
    assert sorted(shown) == sorted(
        (str(place), name) for place, layer in enumerate(layers, 1) for name in layer.split(" | ")
    )


def test_architecture_names_every_package_of_the_control_plane_and_every_folder_of_macros() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (REPOSITORY / "metadata_sync").glob("*/__init__.py")]
    folders = [path.name for path in (REPOSITORY / "macros").iterdir() if path.is_dir()]
    assert [name for name in packages if f"| `metadata_sync/{name}/` |" not in page] == []
    assert [name for name in folders if f"| `{name}/` |" not in page] == []
