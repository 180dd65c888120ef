"""The tests can fail: each rule of the loads, broken on purpose, is caught by the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import histories as h

SEED = 7
V_ONLY = (2,)
MUTANTS = {
    "a delete outranks an upsert at a tie": (
        "helpers/expressions.sql",
        'terms.append("_sluice_deleted")',
        'terms.append("_sluice_deleted desc")',
    ),
    "the lesser content wins a tie": ("helpers/expressions.sql", '~ " desc"', '~ " asc"'),
    "NULL differs from NULL": (
        "helpers/expressions.sql",
        'left ~ " is not distinct from " ~ right',
        'left ~ " = " ~ right',
    ),
    "deletes of the past are forgotten": (
        "strategies/scd2_event.sql",
        "where side._sluice_deleted = 1",
        "where side._sluice_deleted = 2",
    ),
    "a version goes on across a delete": (
        "strategies/scd2_version.sql",
        "_sluice_was_deleted is null or _sluice_was_deleted = 1",
        "_sluice_was_deleted is null",
    ),
    "unchanged events are not kept": (
        "strategies/scd2_fast.sql",
        "where _sluice_touches = 1\n{%- endmacro %}",
        "where _sluice_touches = 2\n{%- endmacro %}",
    ),
    "the anchor may be the changed version": (
        "strategies/scd2_anchor.sql",
        "stored.valid_from < change",
        "stored.valid_from <= change",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_oracle_differs_when_a_rule_is_broken(tmp_path: Path, name: str) -> None:
    project = h.make_project(tmp_path, 1)
    project.patch_macro(*MUTANTS[name])
    h.empty_warehouse(project)
    drawn = h.histories(SEED, h.SHAPES[:1])
    h.load_all(project, drawn)
    assert h.differs(project, drawn, V_ONLY) != []
