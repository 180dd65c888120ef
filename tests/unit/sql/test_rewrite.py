"""Rewriting touches table names and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.rewrite import rewrite

FLIGHTS = TableName("lake", "flights")
PLANES = TableName("lake", "planes")
RELATIONS = {
    FLIGHTS: "{{ sluice.increment(source('lake', 'flights')) }}",
    PLANES: "{{ source('lake', 'planes') }}",
    TableName("lake", "order"): "{{ source('lake', 'order') }}",
    TableName("dwh", "fact_flight"): "{{ ref('dwh__fact_flight') }}",
}


class _Sluice:
    @staticmethod
    def increment(relation: str) -> str:
        return f"(window of {relation})"


def rendered(model: str) -> str:
    """Render a model as dbt would: `source` and `ref` become plain words."""
    template = jinja2.Environment(keep_trailing_newline=True, autoescape=False).from_string(model)
    return template.render(
        sluice=_Sluice, source=lambda schema, table: f"[{schema} {table}]", ref=lambda name: f"[{name}]"
    )


def rewritten(text: str, dialect: str = "duckdb") -> str:
    select, problems = parse_select(text, dialect)
    assert select is not None, problems
    assert problems == ()
    return rewrite(select, RELATIONS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "select a from lake.flights f",
            "select a from {{ sluice.increment(source('lake', 'flights')) }} f",
        ),
        (
            "select flights.a from lake.flights",
            "select flights.a from {{ sluice.increment(source('lake', 'flights')) }} as flights",
        ),
        (
            "from lake.flights, lake.planes p",
            "from {{ sluice.increment(source('lake', 'flights')) }} as flights, {{ source('lake', 'planes') }} p",
        ),
        (
            'select a from LAKE . "planes"\twhere b',
            "select a from {{ source('lake', 'planes') }} as planes\twhere b",
        ),
        (
            "select a from lake /* left */ . -- right\n planes p",
            "select a from {{ source('lake', 'planes') }} /* left */  -- right\n  p",
        ),
        ("select a from lake.order", "select a from {{ source('lake', 'order') }} as \"order\""),
        (
            "select a from dwh.fact_flight;\n-- end\n",
            "select a from {{ ref('dwh__fact_flight') }} as fact_flight\n-- end\n",
        ),
        (
            "select 'lake.planes' as a -- lake.planes\nfrom lake.planes /* lake.planes */ p",
            "select 'lake.planes' as a -- lake.planes\nfrom {{ source('lake', 'planes') }} /* lake.planes */ p",
        ),
        (
            "with planes as (select * from lake.planes) select planes.a from planes",
            "with planes as (select * from {{ source('lake', 'planes') }} as planes) select planes.a from planes",
        ),
        (
            "select '{{ a }}{% b %}{# c #}{{{' as a /* {{ */",
            "select '{{ '{{' }} a }}{{ '{%' }} b %}{{ '{#' }} c #}{{ '{{' }}{' as a /* {{ '{{' }} */",
        ),
    ],
)
def test_table_names_become_references(text: str, expected: str) -> None:
    assert rewritten(text) == expected


@dataclass(frozen=True)
class Piece:
    """A stretch of text before and after rewriting and rendering."""

    before: str
    after: str


# Invisible characters are refused before anything is rewritten, U+FEFF among them.
_WORDS = st.text(st.characters(exclude_characters="'\"*/\\$\r\ufeff", exclude_categories=["Cc", "Cs"]), max_size=12)
_FRAGMENTS = st.sampled_from(
    ["lake.flights", "{{ x }}", "{% if %}", "{#", "#}", "}}", "{{{%", "é😀", "from lake.planes", ""]
)
_TEXT = st.builds(lambda a, b, c: a + b + c, _WORDS, _FRAGMENTS, _WORDS)
_BLANK = st.sampled_from([" ", "\n", "\t", "\n    ", "  "])
_COMMENT = st.one_of(_TEXT.map(lambda text: f"-- {text}\n"), _TEXT.map(lambda text: f"/* {text} */"))
_GAP = st.builds(lambda a, b, c: a + b + c, _BLANK, st.one_of(st.just(""), _COMMENT), _BLANK)
_LITERAL = _TEXT.map(lambda text: f"'{text}'")
_QUOTED = st.sampled_from(['"lake.flights"', '"{{ x }}"', '"é 😀"', '"from"', "plain", "Tailnum"])


def _same(text: str) -> Piece:
    return Piece(text, text)


@st.composite
def _table(draw: st.DrawFn) -> Piece:
    name, relation = draw(st.sampled_from([("flights", "(window of [lake flights])"), ("planes", "[lake planes]")]))
    written = draw(st.sampled_from([f"lake.{name}", f"LAKE.{name.title()}", f'"lake"."{name}"', f"lake . {name}"]))
    alias = draw(st.sampled_from(["", " as x", " x", ' "X y"', "\n/* lake.planes */ x"]))
    return Piece(written + alias, relation + (alias or f" as {name}"))


@st.composite
def selects(draw: st.DrawFn) -> Piece:
    """A SELECT with comments, strings, odd names and blanks wherever they may stand."""
    gap = lambda: _same(draw(_GAP))  # noqa: E731 - a piece of the list below
    parts = [gap(), _same("select"), gap(), _same(draw(_LITERAL)), gap(), _same("as a,"), gap(), _same(draw(_QUOTED))]
    if draw(st.booleans()):
        parts = [_same("with flights as (select 1 as b)"), *parts, _same(", (select max(b) from flights) as c")]
    parts += [gap(), _same("from"), gap(), draw(_table())]
    for _ in range(draw(st.integers(0, 3))):
        parts += [gap(), _same(draw(st.sampled_from(["join", "left join", "CROSS JOIN"]))), gap(), draw(_table())]
        parts += [gap()]
    if draw(st.booleans()):
        parts += [gap(), _same("where exists (select 1 from"), gap(), draw(_table()), gap(), _same(")"), gap()]
    return Piece("".join(part.before for part in parts), "".join(part.after for part in parts))


@given(selects())
def test_rewriting_leaves_everything_but_table_names_untouched(piece: Piece) -> None:
    assert rendered(rewritten(piece.before)) == piece.after


@given(st.text(st.sampled_from("{}%#'\" a\n\\-"), max_size=30))
def test_escaped_text_renders_as_it_is_written(text: str) -> None:
    from metadata_sync.text import escape_jinja

    assert rendered(escape_jinja(text)) == text
