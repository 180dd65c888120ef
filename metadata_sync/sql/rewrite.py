"""Rewriting: table names become Jinja by their place in the text; every other character stays as written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import sqlglot
from sqlglot import Dialect

from metadata_sync.rows.names import TableName, is_identifier, quote_identifier
from metadata_sync.sql.parse import ParsedSelect, TableRead
from metadata_sync.text import escape_jinja


def rewrite(select: ParsedSelect, relations: Mapping[TableName, str]) -> str:
    """Replace every table name by the Jinja that stands for it.

    Args:
        select: The parsed SELECT.
        relations: The Jinja of each table that the SELECT reads, e.g. `{{ source('lake', 'planes') }}`.

    Returns:
        The text of a dbt model: aliases are added where a table had none, a final semicolon is left out, braces are
        escaped.
    """
    return replace_tables(select, relations, escape_jinja)


def replace_tables(select: ParsedSelect, relations: Mapping[TableName, str], escape: Callable[[str], str] = str) -> str:
    """Replace every table name by another relation; see `rewrite`.

    Args:
        select: The parsed SELECT.
        relations: The text of each table that the SELECT reads.
        escape: What happens to all other text.
    """
    pieces: list[str] = []
    position = 0
    for read in select.reads:
        pieces.append(escape(select.text[position : read.start]))
        pieces.append(relations[read.name] + _alias(read, select.dialect))
        pieces.append(escape(_inner_comments(select.text[read.start : read.end], select.dialect)))
        position = read.end
    rest = select.text[position:]
    if select.semicolon is not None:
        final = select.semicolon - position
        rest = rest[:final] + rest[final + 1 :]
    return "".join([*pieces, escape(rest)])


def _alias(read: TableRead, dialect: str) -> str:
    if read.has_alias:
        return ""
    name = read.name.table
    return f" as {quote_identifier(name) if name in _keywords(dialect) else name}"


@cache
def _keywords(dialect: str) -> frozenset[str]:
    """Words that may not be an alias without quotes, and some that may: the first word of each keyword."""
    words = Dialect.get_or_raise(dialect).tokenizer_class.KEYWORDS
    return frozenset(word.split()[0].lower() for word in words if word[0].isalpha())


def needs_quotes(name: str) -> bool:
    """Whether a column's name stands in quotes in SQL that dbt writes: data tests name columns.

    >>> needs_quotes("order"), needs_quotes("orderName"), needs_quotes("order_name")
    (True, True, False)
    """
    return not is_identifier(name) or name in _reserved_words()


@cache
def _reserved_words() -> frozenset[str]:
    """Words that one of the warehouses takes for no name of a column without quotes."""
    generators = (Dialect.get_or_raise(dialect).generator_class for dialect in ("duckdb", "redshift"))
    return frozenset(word for generator in generators for word in generator.RESERVED_KEYWORDS)


def _inner_comments(written: str, dialect: str) -> str:
    """Keep what stands between the parts of a name, when it is more than blanks."""
    first, dot, last = sqlglot.tokenize(written, dialect=dialect)
    between = written[first.end + 1 : dot.start] + written[dot.end + 1 : last.start]
    return between if between.strip() else ""
