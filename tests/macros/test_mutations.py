"""The tests can fail: each rule of the loads, broken on purpose, is caught by the oracle.

That the log row stands in the load's transaction has its mutant in test_transactions.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import histories as h
from tests.support.dbt_project import DbtProject
from tests.support.postgres_cluster import LINGUISTIC, Cluster, database
from tests.support.postgres_project import PostgresProject

SEED = 7
LOADS = 3  # the first, one on it, and one that comes late
V_ONLY = (2,)
# The kind of target that shows it, the macro's file, what stands there, what is put there.
Mutant = tuple[str, str, str, str]
MUTANTS: dict[str, Mutant] = {
    "a delete outranks an upsert at a tie": (
        "two",
        "strategies/staging/winners_sql.sql",
        'terms.append("_sluice_deleted")',
        'terms.append("_sluice_deleted desc")',
    ),
    "the lesser content wins a tie": ("one", "strategies/staging/winners_sql.sql", '~ " desc"', '~ " asc"'),
    "NULL is the greatest content": (
        "two",
        "strategies/staging/winners_sql.sql",
        "is null then 1 else 0 end",
        "is null then 0 else 1 end",
    ),
    "NULL differs from NULL": (
        "two",
        "helpers/expressions.sql",
        'left ~ " is not distinct from " ~ right',
        'left ~ " = " ~ right',
    ),
    "keys are compared without their case": (
        "one",
        "helpers/expressions.sql",
        'left ~ "." ~ name ~ " = " ~ right ~ "." ~ name)',
        '"lower(cast(" ~ left ~ "." ~ name ~ " as text)) = lower(cast(" ~ right ~ "." ~ name ~ " as text))")',
    ),
    "deletes of the past are forgotten": (
        "two",
        "strategies/scd2/scd2_event.sql",
        "where side._sluice_deleted = 1",
        "where side._sluice_deleted = 2",
    ),
    "a version goes on across a delete": (
        "two",
        "strategies/scd2/scd2_version.sql",
        "_sluice_was_deleted is null or _sluice_was_deleted = 1",
        "_sluice_was_deleted is null",
    ),
    "unchanged events are not kept": (
        "two",
        "strategies/scd2/scd2_sql.sql",
        "and _sluice_touches = 1\n{%- endmacro %}",
        "and _sluice_touches = 2\n{%- endmacro %}",
    ),
    "the anchor may be the changed version": (
        "two",
        "strategies/scd2/scd2_anchor.sql",
        "stored.valid_from < change",
        "stored.valid_from <= change",
    ),
    "an older event overwrites a newer one": (
        "one",
        "strategies/scd1/scd1_event.sql",
        "or event.{{ load.at }} >= {{ stored_at }}",
        "or 1 = 1",
    ),
    "a deleted key is forgotten": (
        "one",
        "strategies/scd1/scd1_sql.sql",
        'load.events ~ " where _sluice_deleted = 1"',
        'load.events ~ " where _sluice_deleted = 2"',
    ),
    "a range that was read before is added again": (
        "raw",
        "strategies/staging/stage_range.sql",
        'sluice.combined([met, stored], "except")',
        'sluice.combined([met], "except")',
    ),
}
# What PostgreSQL says in other words than DuckDB.
POSTGRES_MUTANTS: dict[str, Mutant] = {
    "NULL differs from NULL": (
        "two",
        "helpers/expressions.sql",
        '" or (" ~ left ~ " is null and " ~ right ~ " is null))"',
        '")"',
    ),
    "text is ordered as people do": ("one", "strategies/staging/winners_sql.sql", "name ~ ' collate \"C\"'", "name"),
    "a version that ends stays open": (
        "two",
        "strategies/scd2/scd2_sql.sql",
        "{%- do statements.append(sluice.close_sql(load)) -%}",
        "",
    ),
}
# No rule is broken: keys with one new event take the path of those with several.
GENERAL_PATH = (
    ("strategies/scd2/scd2_anchor.sql", "having count(*) > 1", "having count(*) > 0"),
    ("strategies/scd2/stage_scd2.sql", "_sluice_new_count > 1", "_sluice_new_count > 0"),
)
DENSE = h.Shape(80, 400, in_order=False, told_twice=True)
IN_ORDER = h.Shape(20, 20, in_order=True)


def _differs(project: DbtProject, shape: h.Shape, kind: str) -> list[str]:
    h.add_models(project, 1, [kind])
    h.empty_warehouse(project)
    (drawn,) = h.histories(SEED, [shape])
    h.load_all(project, [drawn[:LOADS]], LOADS)
    return h.differs(project, [drawn[:LOADS]], V_ONLY, [kind])


@pytest.mark.parametrize("name", MUTANTS)
def test_oracle_differs_when_a_rule_is_broken(tmp_path: Path, name: str) -> None:
    project = DbtProject(tmp_path)
    kind, *patch = MUTANTS[name]
    project.patch_macro(*patch)
    assert _differs(project, DENSE, kind) != []


@pytest.mark.postgres
@pytest.mark.parametrize("name", POSTGRES_MUTANTS)
def test_oracle_differs_when_a_rule_is_broken_on_postgres(postgres_cluster: Cluster, tmp_path: Path, name: str) -> None:
    with database(postgres_cluster, LINGUISTIC) as url:
        project = PostgresProject(tmp_path, url)
        kind, *patch = POSTGRES_MUTANTS[name]
        project.patch_macro(*patch)
        assert _differs(project, DENSE, kind) != []


def _takes_the_general_path(project: DbtProject) -> bool:
    """Load keys in order, for which the fast path would do, with that path closed."""
    for path, old, new in GENERAL_PATH:
        project.patch_macro(path, old, new)
    assert _differs(project, IN_ORDER, "two") == []
    script = (project.root / "target/run/sluice/models/two_0.sql").read_text()
    return "create temporary table sluice_anchor" in script and "sluice_version_gone" in script


def test_the_general_path_gives_the_same_when_the_fast_one_would_do(tmp_path: Path) -> None:
    assert _takes_the_general_path(DbtProject(tmp_path))


@pytest.mark.postgres
def test_the_general_path_gives_the_same_on_postgres(postgres_cluster: Cluster, tmp_path: Path) -> None:
    with database(postgres_cluster, LINGUISTIC) as url:
        assert _takes_the_general_path(PostgresProject(tmp_path, url))
