"""docs/reference/json.md lists every format that a command prints, as the tests have seen it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from docs.reference import json_formats
from tests.support.json_formats import fields_of, known, unknown_fields

REPOSITORY = Path(__file__).parents[2]


def printed() -> set[str]:
    """Return the formats that the command line prints."""
    calls = (
        node
        for path in sorted((REPOSITORY / "flows" / "cli").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print_json"
    )
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_format_is_listed() -> None:
    assert set(known()) == printed()


def test_page_is_made_from_what_was_recorded() -> None:
    assert json_formats.PAGE.read_text(encoding="utf-8") == json_formats.page(known())


@pytest.mark.parametrize(
    ("document", "unknown"),
    [
        ({"rows": 1}, []),
        ({"rows": 1.5}, []),
        ({"rows": None}, []),
        ({"rows": "1"}, ["rows: string"]),
        ({"targets": []}, []),
        ({"targets": [{"name": "a"}]}, []),
        ({"targets": [{"nmae": "a"}]}, ["targets[].nmae: string"]),
        ({"by_table": {"dwh.a": 1, "b": 2}}, []),
        ({"by_table": {"b": 2}}, ["by_table.b: integer"]),
        ({"old": {"anything": [1]}}, []),
    ],
)
def test_field_that_is_not_listed_is_found(document: dict[str, object], unknown: list[str]) -> None:
    recorded = {
        "f": {
            "rows": ["integer"],
            "targets[].name": ["string"],
            "by_table.*": ["integer"],
            "old": ["any"],
            "x": ["null"],
        }
    }
    found = unknown_fields("f", document, recorded)
    assert [item for item in found if not item.startswith("old.")] == unknown
    assert unknown_fields("g", document, recorded) == ["the whole format g"]


def test_fields_are_named_by_their_paths() -> None:
    document = {"a": [{"b": None}, {"b": 1}], "c": {"dwh.t": {"d": True}}, "e": {}}
    assert fields_of("f", document) == {"a[].b": {"null", "integer"}, "c.*.d": {"boolean"}, "e": {"object"}}
