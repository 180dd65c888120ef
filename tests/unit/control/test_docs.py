"""docs/reference/control-tables.md says what the tables are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import JSON, CheckConstraint, Table

from metadata_sync.database.tables import metadata
from tests.support.control_support import read_text

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "control-tables.md").read_text(encoding="utf-8")


def documented(table: str) -> dict[str, tuple[str, str]]:
    """Return column → (default, meaning) of a table's section."""
    section = PAGE.split(f"### {table}\n")[1].split("\n#")[0]
    found = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, flags=re.MULTILINE)
    return {column: (default, meaning) for column, default, meaning in found}


def default_of(table: Table, column: str) -> str:
    (wanted,) = [item for item in table.columns if item.name == column]
    if wanted.server_default is None:
        return "null" if wanted.nullable else "–"
    given = wanted.server_default.arg  # type: ignore[attr-defined]
    text = str(getattr(given, "text", given))
    return "[]" if isinstance(wanted.type, JSON) else text or "empty"


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_column_is_documented_with_its_default(name: str) -> None:
    table = metadata.tables[name]
    assert list(documented(name)) == [column.name for column in table.columns]
    assert {column: default for column, (default, _) in documented(name).items()} == {
        column.name: default_of(table, column.name) for column in table.columns
    }


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_word_is_documented(name: str) -> None:
    for check in metadata.tables[name].constraints:
        if isinstance(check, CheckConstraint) and str(check.name).endswith("_word"):
            column, words = re.fullmatch(r"(\w+) IN \((.+)\)", str(check.sqltext)).groups()  # type: ignore[union-attr]
            meaning = documented(name)[column][1]
            for word in words.split(", "):
                assert f"`{word[1:-1]}`" in meaning, f"{name}.{column}: {word}"


@pytest.mark.parametrize(("heading", "end"), [("Editing by YAML", "Any number"), ("Writing less", "The `defaults:`")])
def test_the_examples_are_in_order(tmp_path: Path, heading: str, end: str) -> None:
    section = PAGE.split(f"# {heading}\n")[1].split(f"\n{end}")[0]
    example = "\n".join(line.removeprefix("    ") for line in section.splitlines() if line.startswith("    "))
    bundle = read_text(tmp_path, example)
    assert bundle.faults == ()
    (row,) = bundle.rows.transformations
    assert (row.key, row.load_type.value, row.sql_path) == (
        "dwh.dim_aircraft",
        "scd2",
        "transformations/dim_aircraft.sql",
    )
