"""A table under its new name in a SELECT: only the name changes, and what it means stays."""

from __future__ import annotations

import pytest

from metadata_sync.rows.names import TableName
from metadata_sync.sql import ParsedSelect, parse_select
from metadata_sync.sql.definition import definition_hash
from metadata_sync.sql.renaming import former_hashes, rename_table

OLD = TableName("dwh", "fact")


def parsed(text: str, dialect: str = "duckdb") -> ParsedSelect:
    select, problems = parse_select(text, dialect)
    assert select is not None, problems
    return select


@pytest.mark.parametrize(
    ("text", "new", "renamed"),
    [
        ("select f.a from dwh.fact as f", "core.sale", "select f.a from core.sale as f"),
        ("select a\r\nfrom\tDWH.Fact  -- dwh.fact\r\n", "dwh.sale", "select a\r\nfrom\tDWH.sale  -- dwh.fact\r\n"),
        ('select a from "dwh" . /* of */ "fact" f', "core.sale", 'select a from "core" . /* of */ "sale" f'),
        ("select fact.a from dwh.fact", "dwh.sale", "select fact.a from dwh.sale as fact"),
        ("select fact.a from dwh.fact", "core.fact", "select fact.a from core.fact"),
        ("select Fact from dwh.Fact", "dwh.sale", "select Fact from dwh.sale as Fact"),
        (
            "select 1 from dwh.fact join x.sale using (a)",
            "dwh.sale",
            "select 1 from dwh.sale as fact join x.sale using (a)",
        ),
        (
            "select 1 from dwh.fact, dwh.fact_line, x.fact",
            "core.sale",
            "select 1 from core.sale as fact, dwh.fact_line, x.fact",
        ),
        (
            "with fact as (select 1) select 1 from fact, dwh.fact b",
            "a.b",
            "with fact as (select 1) select 1 from fact, a.b b",
        ),
        (
            "select 'dwh.fact' from dwh.fact union select 1 from dwh.fact",
            "a.b",
            "select 'dwh.fact' from a.b union select 1 from a.b",
        ),
        ("select a from dwh.fact", "dwh.order", "select a from dwh.order"),
    ],
)
def test_only_the_places_that_read_it_change(text: str, new: str, renamed: str) -> None:
    assert rename_table(parsed(text), OLD, TableName.parse(new)) == renamed


def test_former_hashes_are_those_of_the_select_before() -> None:
    new = TableName("core", "sale")
    for text in ("select fact.a from dwh.fact", "select f.a from dwh.fact as f", 'select a from "dwh"."fact"'):
        before = parsed(text)
        renamed = rename_table(before, OLD, new)
        assert renamed is not None
        assert definition_hash(before) in former_hashes(parsed(renamed), OLD, new)
        assert definition_hash(before) not in former_hashes(parsed(f"{renamed} where 1 = 1"), OLD, new)
