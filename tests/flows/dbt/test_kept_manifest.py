"""A kept manifest is used while all that dbt would parse is as it was, and never after that."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.dbt.kept_manifest import KeptManifest
from flows.warehouse.profile import dbt_environment, load_profile
from metadata_sync.settings import load_settings
from tests.support.lineages import Lineage

USED = "dbt gets a part of the manifest"
PARSED = "dbt parses the project"
MODEL = "models/staging/m00.sql"


@pytest.fixture
def lineage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Lineage:
    """A project whose manifest is kept."""
    caplog.set_level(logging.DEBUG, "flows.dbt")
    lineage = Lineage(tmp_path / "shop", 3)
    (lineage.project.dbt_dir / MODEL).write_text("select 1 as id, {{ doubled('7') }} as amount")
    compiled(lineage)
    return lineage


def compiled(lineage: Lineage, model: str = "m00") -> str:
    """Compile a model as a run does."""
    found = lineage.runner([model]).compile([model], variables={})
    return found.sql.get(model, str(found.errors))


def is_cut(lineage: Lineage, *models: str) -> bool:
    """Tell whether these models get a part of the manifest."""
    settings = load_settings(lineage.project)
    kept = KeptManifest(lineage.project, load_profile(lineage.project, settings))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dbt_environment(lineage.project, settings).items():
            patch.setenv(name, value)
        return kept.cut(kept.observe(), models or ["m00"]) is not None


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(dbt_dir: Path) -> None:
        text = (dbt_dir / name).read_text()
        assert old in text
        (dbt_dir / name).write_text(text.replace(old, new))

    return change


def add(name: str, text: str) -> Callable[[Path], None]:
    def change(dbt_dir: Path) -> None:
        (dbt_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (dbt_dir / name).write_text(text)

    return change


def add_package(dbt_dir: Path) -> None:
    add("dbt_packages/more/dbt_project.yml", "name: more\nversion: 1.0.0\nconfig-version: 2\n")(dbt_dir)
    add("packages.yml", LISTED)(dbt_dir)


LISTED = "packages:\n  - local: ../.sluice/macros\n  - local: dbt_packages/more\n"
CHANGES = {
    "package": add_package,
    "SQL of the model": edit(MODEL, "select 1", "select 3"),
    "SQL of another model": edit("models/marts/daily/m01.sql", "select", "select "),
    "macro": edit("macros/macros.sql", "* {{", "+ {{"),
    "settings of models": edit("models/settings.yml", "Model m00.", "The model m00."),
    "dbt_project.yml": edit("dbt_project.yml", "version: 1.0.0", "version: 1.0.1"),
    "vars": edit("dbt_project.yml", "profile: shop", "profile: shop\nvars: {least: 1}"),
    "profile": edit("../profiles.yml", "threads: 1", "threads: 2"),
    "macro of a package": add("dbt_packages/more/macros/more.sql", "{% macro more() %}2{% endmacro %}"),
    "new data test": add("tests/fresh.sql", "select * from {{ ref('m00') }} where false"),
    "settings in a new file": add(
        "models/new/more.yml", "models: [{name: kept_more, description: more}]\nversion: 2\n"
    ),
    "new model": add("models/new/m99.sql", "select 1 as id"),
    "deleted data test": lambda dbt_dir: (dbt_dir / "tests/pair_1.sql").unlink(),
    "renamed data test": lambda dbt_dir: (dbt_dir / "tests/pair_2.sql").rename(dbt_dir / "tests/pair_9.sql"),
    "packages.yml": add("packages.yml", f"# the same\n{LISTED}"),
}


def test_kept_manifest_is_not_used_after_a_change(lineage: Lineage, caplog: pytest.LogCaptureFixture) -> None:
    for name, change in CHANGES.items():
        change(lineage.project.dbt_dir)
        caplog.clear()

        compiled(lineage)

        assert "a file changed since" in caplog.text or "profile" in caplog.text, name
        assert USED not in caplog.text, name
    caplog.clear()
    compiled(lineage)
    assert USED in caplog.text


def test_kept_manifest_is_used_while_nothing_changed_and_is_the_new_one_after_a_change(
    lineage: Lineage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    before = compiled(lineage)
    assert USED in caplog.text
    assert PARSED not in caplog.text
    CHANGES["SQL of the model"](lineage.project.dbt_dir)
    compiled(lineage)
    caplog.clear()

    after = compiled(lineage)

    assert USED in caplog.text
    assert (before.split(",")[0], after.split(",")[0]) == ("select 1 as id", "select 3 as id")


def test_change_of_the_same_size_and_time_is_noticed(lineage: Lineage, caplog: pytest.LogCaptureFixture) -> None:
    path = lineage.project.dbt_dir / MODEL
    times = path.stat()
    path.write_text(path.read_text().replace("select 1", "select 3"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    caplog.clear()

    assert not is_cut(lineage)
    assert "a file changed since" in caplog.text


@pytest.mark.parametrize("name", ["SHOP_FACTOR", "DBT_INDIRECT_SELECTION"])
def test_kept_manifest_is_not_used_when_an_environment_variable_changed(
    lineage: Lineage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "cautious" if name.startswith("DBT_") else "5")
    caplog.clear()

    compiled(lineage)

    assert USED not in caplog.text
    assert PARSED in caplog.text


def test_model_that_was_deleted_is_not_found(lineage: Lineage, caplog: pytest.LogCaptureFixture) -> None:
    (lineage.project.dbt_dir / MODEL).unlink()
    caplog.clear()

    with pytest.raises(Exception, match="m00"):
        compiled(lineage)

    assert USED not in caplog.text


@pytest.mark.parametrize("name", ["manifest-dev.sqlite", "manifest-dev.json"])
def test_file_that_ends_too_early_is_not_used(lineage: Lineage, name: str) -> None:
    path = lineage.project.state_dir / name
    origin = lineage.project.state_dir / "manifest-dev.json"
    content, origin_text = path.read_bytes(), origin.read_bytes()
    for length in (0, 10, len(content) // 3, len(content) - 1):
        origin.write_bytes(origin_text)
        path.write_bytes(content[:length])
        if is_cut(lineage):  # what is missing belongs to other models
            assert length == len(content) - 1
    origin.write_bytes(origin_text)
    path.write_bytes(content[: len(content) // 2])

    assert compiled(lineage).startswith("select 1")

    assert is_cut(lineage)  # dbt parsed, and its manifest was kept


def test_record_with_another_content_is_not_used(lineage: Lineage, caplog: pytest.LogCaptureFixture) -> None:
    path = lineage.project.state_dir / "manifest-dev.sqlite"
    content = path.read_bytes()
    assert content.count(b"doubled('7')")
    path.write_bytes(content.replace(b"doubled('7')", b"doubled('8')"))

    assert not is_cut(lineage)

    assert "is damaged" in caplog.text


def test_records_of_another_parse_are_not_used(lineage: Lineage, caplog: pytest.LogCaptureFixture) -> None:
    path = lineage.project.state_dir / "manifest-dev.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "token": "another"}))

    assert not is_cut(lineage)

    assert "belongs to another parse" in caplog.text


@pytest.mark.parametrize(
    "macro",
    [
        "{% macro walk() %}{% for node in graph.nodes.values() %}{{ node.name }}{% endfor %}{% endmacro %}",
        "{% macro walk() %}{{ register_upstream_external_models() }}{% endmacro %}",
    ],
)
def test_project_whose_macros_walk_the_graph_is_parsed(
    lineage: Lineage, caplog: pytest.LogCaptureFixture, macro: str
) -> None:
    (lineage.project.dbt_dir / "macros/walk.sql").write_text(macro)
    compiled(lineage)

    assert not is_cut(lineage)
    assert "macro.shop.walk may walk the graph" in caplog.text


@pytest.mark.parametrize("name", ["m00+", "+m00", "tag:daily", "state:modified", "staging", "versioned", "report"])
def test_selection_that_is_more_than_the_name_of_one_node_is_not_cut(
    lineage: Lineage, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert not is_cut(lineage, "m00", name)

    assert f"{name} is not the name of one node" in caplog.text


def test_model_that_was_not_in_the_scope_is_found(lineage: Lineage) -> None:
    runner = lineage.runner(["m00"])
    runner.compile(["m00"], variables={})

    assert "m05" in runner.compile(["m05"], variables={}).sql
