"""A slice of the matrix that proves DuckDB and Spark equal; `make spark-matrix` runs the whole of it."""

from __future__ import annotations

from pathlib import Path

from sqlglot import exp

from metadata_sync.sql import parse_select
from metadata_sync.sql.spark.expressions import allowed_nodes
from tests.equality.compare import compare_expressions, compare_selects
from tests.equality.engines import Lake, Verdict
from tests.equality.expressions import expressions
from tests.equality.heavy import HEAVY
from tests.equality.selects import TABLES, selects
from tests.equality.values import column_types, rows_sql

ROWS = 60
EVERY = 23
"""One of so many expressions is tried."""


def _differing(verdicts: list[Verdict]) -> dict[str, list[str]]:
    return {verdict.shape: verdict.differences for verdict in verdicts if verdict.outcome == "differs"}


def test_a_slice_of_expressions_gives_the_same_cells(tmp_path: Path) -> None:
    lake = Lake(tmp_path, {"v": (rows_sql(ROWS, seed=7), column_types())})

    found = compare_expressions(lake, [*dict.fromkeys(expressions())][::EVERY], ROWS, (False,))

    assert _differing(found) == {}
    assert sum(verdict.outcome == "equal" for verdict in found) > 50
    assert sum(verdict.outcome == "refused" for verdict in found) > 5


def test_a_slice_of_selects_gives_the_same_rows(tmp_path: Path) -> None:
    found = compare_selects(Lake(tmp_path, TABLES), [*selects()][::9], (True,))

    assert _differing(found) == {}
    assert sum(verdict.outcome == "equal" for verdict in found) > 15


def test_fifty_heavy_selects_may_go_to_spark(tmp_path: Path) -> None:
    """The whole matrix compares their cells; what is refused yields JSON itself."""
    lake = Lake(tmp_path, TABLES)

    refused = [text for text in HEAVY if lake.translate(text)[1]]

    assert len(HEAVY) - len(refused) >= 50
    assert all("json_extract(payload" in text for text in refused)


def test_every_rule_is_tried_by_the_matrix() -> None:
    shapes = [f"select {text} as x from lake.v" for text in expressions()]
    parsed = [parse_select(text, "duckdb")[0] for text in [*shapes, *selects()]]

    tried = {type(node) for select in parsed if select is not None for node in select.tree.walk()}

    never_parsed = {exp.DateTrunc, exp.Day, exp.WeekOfYear}
    """Nodes of other dialects for what DuckDB's parser writes otherwise."""
    assert allowed_nodes() - tried <= never_parsed
