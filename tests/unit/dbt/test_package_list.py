"""dbt's list of packages: the macros are added to any list that can be extended by text, and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.dbt import package_list
from flows.dbt.package_list import ensure_listed, entry_of, is_listed, list_of, with_entry
from metadata_sync.errors import ConfigurationError

ENTRY = "../.sluice/macros"
EXTENDED = (
    "",
    "# nothing yet\n",
    "packages:\n",
    "packages: []\n",
    "packages: [ ]",
    "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n",
    'packages:\n- package: dbt-labs/dbt_utils\n  version: [">=1.0.0", "<2.0.0"]',
    "packages:\n    - git: https://example.com/x.git # pinned\n      revision: main\n    - local: ../shared\n\n\n",
    "packages:\r\n  - local: ../shared\r\n",
    "projects:\n  - name: other\npackages:\n  - local: ../shared\n",
    "# packages: of the team\npackages:\n  - local: ../shared\n# the end",
)
BY_HAND = (
    "packages:\n  - local: ../shared\nprojects:\n  - name: other\n",
    "packages: [{local: ../shared}]\n",
    "packages: {local: ../shared}\n",
    "{packages: []}",
    "packages:\n  - git: {{ env_var('REPO') }}\n   - local: x\n",
    "- local: ../shared\n",
)


@pytest.mark.parametrize("text", EXTENDED)
def test_macros_are_added_and_everything_else_stays(text: str) -> None:
    extended = with_entry(text, ENTRY)
    assert extended is not None
    before, after = yaml.safe_load(text) or {}, yaml.safe_load(extended)
    assert after["packages"] == [*(before.get("packages") or []), {"local": ENTRY}]
    assert {**after, "packages": None} == {**before, "packages": None}
    assert [line for line in text.splitlines() if "#" in line and line not in extended] == []
    assert is_listed(after, f"./{ENTRY}")


@pytest.mark.parametrize("text", BY_HAND)
def test_what_cannot_be_added_by_text_is_left_to_people(text: str) -> None:
    assert with_entry(text, ENTRY) is None


def test_list_is_written_where_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dbt = tmp_path / "dbt_project"
    dbt.mkdir()
    (dbt / "dependencies.yml").write_text("projects:\n  - name: other\n")
    monkeypatch.setattr(package_list, "version", lambda _name: "1.11.11")
    ensure_listed(tmp_path, dbt)
    assert list_of(dbt) is None, "dbt-core 1.11 needs no list"
    monkeypatch.setattr(package_list, "version", lambda _name: "1.12.0rc1")
    for _ in range(2):
        ensure_listed(tmp_path, dbt)
    assert yaml.safe_load((dbt / "packages.yml").read_text()) == {"packages": [{"local": entry_of(tmp_path, dbt)}]}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("packages.yml", "packages: []", "does not list"),
        ("packages.yml", "", "does not list"),
        ("dependencies.yml", "packages:\n  - local: ../shared\n", "does not list"),
        ("package-lock.yml", "packages:\n  - local: ../shared\n    name: shared\nsha1_hash: x\n", "dbt deps"),
    ],
)
def test_list_of_the_team_is_never_changed_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, reason: str
) -> None:
    monkeypatch.setattr(package_list, "version", lambda _name: "1.12.6")
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        ensure_listed(tmp_path, tmp_path)
    assert reason in f"{raised.value} {raised.value.hint}"
    assert (tmp_path / name).read_text() == text
