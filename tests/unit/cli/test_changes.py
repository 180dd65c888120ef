"""What `sluice control apply` shows of a changed list: the elements that differ."""

from __future__ import annotations

import pytest

from flows.cli.output.changes import changed_lines

A, B = {"name": "a", "type": "integer"}, {"name": "b", "type": "varchar", "description": "text"}


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (None, "x", ["c: – → x"]),
        ("x" * 100, "y", [f"c: {'x' * 79}… → y"]),
        ([], [A], ['c: – → [{"name": "a", "type": "integer"}]']),
        ([A], [A, B], ["c: 1 of 2 elements differ", "  + b (type: varchar, description: text)"]),
        ([A, B], [B], ["c: 1 of 2 elements differ", "  - a (type: integer)"]),
        ([A, B], [A | {"type": "bigint"}, B], ["c: 1 of 2 elements differ", "  ~ a: type: integer → bigint"]),
        ([A, B], [B, A], ["c:", "  order: b, a"]),
        (["p", "q"], ["q", "r"], ["c: 2 of 3 elements differ", "  - p", "  + r"]),
        ([{"table": "l.o", "driving": True}], [{"table": "l.o", "driving": False}], [
            "c: 1 of 1 elements differ", "  ~ l.o: driving: true → false"]),
        ([A, A], [A], ["c: 1 of 2 elements differ", '  - {"name": "a", "type": "integer"} (type: integer)']),
        ([1, 2], [2, 3], ["c: 2 of 3 elements differ", "  - 1", "  + 3"]),
    ],
)  # fmt: skip
def test_a_list_shows_the_elements_that_differ(old: object, new: object, lines: list[str]) -> None:
    assert list(changed_lines("c", old, new)) == lines


def test_long_lists_show_what_differs_and_no_cut_texts() -> None:
    columns = [{"name": f"column_{number}", "type": "varchar"} for number in range(200)]
    after = [*columns[:150], {"name": "column_150", "type": "text"}, *columns[151:]]
    assert list(changed_lines("column_list", columns, after)) == [
        "column_list: 1 of 200 elements differ",
        "  ~ column_150: type: varchar → text",
    ]
