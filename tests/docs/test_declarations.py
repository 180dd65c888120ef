"""The ten tables that docs/benchmarks.md compares: Sluice's are in order, and the figures are those counted."""

from __future__ import annotations

from pathlib import Path

from benchmarks.declarations.__main__ import FOLDER, TABLES, declared, report
from tests.support.control_support import read_text
from tests.support.doc_pages import DOCS


def test_declarations_are_in_order_and_short(tmp_path: Path) -> None:
    bundle = read_text(tmp_path, (FOLDER / "sluice.yml").read_text())
    assert bundle.faults == ()
    assert sorted(row.target_table for row in bundle.rows.transformations) == sorted(TABLES)
    ours, theirs = declared("sluice.yml"), [declared("sqlmesh.sql"), declared("dbt.yml")]
    for table in TABLES:
        assert 0 < len(ours[table]) <= min(len(tool[table]) for tool in theirs)
    assert "\n".join(report()) in (DOCS / "benchmarks.md").read_text()
