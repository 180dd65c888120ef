"""Translate a row's SELECT to Spark's SQL, or name every part of it that is not proved to mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import sqlglot
from sqlglot import ErrorLevel, TokenType, exp
from sqlglot.errors import SqlglotError

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import ParsedSelect
from metadata_sync.sql.spark import aggregates, instants, json_values, numbers, operators, texts
from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.kinds import UNKNOWN, parse_kind
from metadata_sync.sql.spark.query import Made, Queries
from metadata_sync.sql.spark.scope import Output, Scope, reference
from metadata_sync.sql.spark.sources import Cut, source_item, touched_groups
from metadata_sync.sql.spark.value import REMEDY, Refusal, Value

RULES = (aggregates, instants, json_values, numbers, operators, texts)
"""The modules whose rules are registered."""
_RESULT = "sluice_result"


def spark_select(
    select: ParsedSelect,
    columns: Mapping[TableName, Mapping[str, str]],
    cuts: Mapping[TableName, Cut],
    outputs: Mapping[str, str] | None = None,
) -> tuple[str | None, tuple[Problem, ...]]:
    """Write a SELECT for Spark.

    Args:
        select: The parsed SELECT.
        columns: Columns of every table that it reads, each with its type in the warehouse's words.
        cuts: Windows of driving sources; a source that is left out is read whole.
        outputs: The columns of the result with the warehouse's types, in order: each is cast as the warehouse casts
            it; None: they stay as they are.

    Returns:
        Spark SQL over views named as `view_name` names them, and no problem; or None and all problems.
    """
    tables = {
        name: tuple(Output(column, parse_kind(kind, select.dialect), kind) for column, kind in listed.items())
        for name, listed in columns.items()
    }
    touched = touched_groups(cuts, columns, select.dialect)
    past = tuple(_intervals_ago(select))
    queries = Queries(select.dialect, tables, lambda name, alias: source_item(name, alias, cuts, touched))
    queries.problems.extend(past)
    try:
        made = queries.query(select.tree, Scope())
        if not queries.problems:
            made = _finished(made, outputs, select)
    except Refusal as refusal:
        found = (*queries.problems, refusal.problem) if refusal.reason is not None else tuple(queries.problems)
        return None, tuple(dict.fromkeys(found))
    except RecursionError:
        return None, (Problem("spark_select", "It is nested too deeply.", REMEDY),)
    if queries.problems:
        return None, tuple(dict.fromkeys(queries.problems))
    try:
        return made.sql.sql("spark", unsupported_level=ErrorLevel.RAISE, comments=False, identify=True), ()
    except SqlglotError as error:
        return None, (Problem("spark_select", f"It cannot be written in Spark's SQL: {error}.", REMEDY),)


def _intervals_ago(select: ParsedSelect) -> Iterator[Problem]:
    """Find intervals whose text ends with `ago`: the parser leaves the word out."""
    tokens = sqlglot.tokenize(select.text, dialect=select.dialect)
    for before, token in pairwise(tokens):
        is_text = before.token_type is TokenType.INTERVAL and token.token_type is TokenType.STRING
        if is_text and token.text.strip().lower().endswith("ago"):
            message = f"Line {token.line}: INTERVAL '{token.text}' ends with ago, which is not taken."
            yield Problem("spark_select", message, "Subtract the interval, or write it with a minus.")


def _finished(made: Made, outputs: Mapping[str, str] | None, select: ParsedSelect) -> Made:
    """Cast the columns of the result to the types of the target."""
    kinds = {column.name.lower(): column.kind or UNKNOWN for column in made.columns}
    wanted = outputs or {}
    if any(name.lower() not in kinds for name in wanted):
        missing = next(name for name in wanted if name.lower() not in kinds)
        raise Refusal(select.tree, f"yields no {missing}", "Yield the columns of the column list.")
    casts = []
    for name, type_ in wanted.items():
        kind, own = parse_kind(type_, select.dialect), kinds[name.lower()]
        if kind is None:
            raise Refusal(select.tree, f"yields {name} as {type_}, a type that Spark does not have")
        value = Value(reference(name, _RESULT), own)
        casts.append(exp.Alias(this=convert(value, kind, select.tree), alias=exp.to_identifier(name, quoted=True)))
    if all(parse_kind(type_, select.dialect) == kinds[name.lower()] for name, type_ in wanted.items()):
        return made
    sql = exp.Select(expressions=casts, from_=exp.From(this=made.sql.subquery(_RESULT)))
    return Made(sql, tuple(Output(name, parse_kind(type_, select.dialect)) for name, type_ in wanted.items()))
