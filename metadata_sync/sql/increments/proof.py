"""The way in: prove that a SELECT suits its increment mode, or say what stands against it."""

from __future__ import annotations

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.functions import is_clock
from metadata_sync.sql.increments.queries import Queries
from metadata_sync.sql.increments.refusals import Refusals
from metadata_sync.sql.increments.relation import Relation
from metadata_sync.sql.increments.rule import IncrementRule
from metadata_sync.sql.parse import ParsedSelect


def increment_problems(select: ParsedSelect, rule: IncrementRule) -> list[Problem]:
    """Find what makes a SELECT unsuitable for its increment mode.

    Args:
        select: The parsed SELECT.
        rule: What its row asks for.

    Returns:
        One problem per construct, each with its line and the modes that are possible; none when the SELECT is proved
        to load right.
    """
    if rule.increment is Increment.FULL:
        return []
    refusals = Refusals(select, rule.increment)
    for node in select.tree.walk():
        if is_clock(node):
            what = f"calls {node.sql(select.dialect, comments=False)}, which gives another value at every run"
            refusals.add(node, what, needs_full=True, why="rows loaded earlier keep an old one")
    queries = Queries(select, rule, refusals)
    relation = queries.relation_of(select.tree, None)
    if relation.is_driven and rule.by_groups and rule.names_each_part:
        _check_output(select.tree, relation, rule, refusals)
    elif relation.is_driven and rule.range_key is not None:
        _check_range(select.tree, relation, rule, refusals)
    return refusals.problems


def _check_output(tree: exp.Expr, relation: Relation, rule: IncrementRule, refusals: Refusals) -> None:
    """The target finds the rows of a group by the columns of recompute_key: they must hold the group as it is."""
    for place, name in enumerate(rule.output_group):
        value = relation.columns.get(name.lower())
        if value is None and relation.rest is not None and relation.rest.table is not None:
            continue
        if value is not None and place not in value.carries:
            parts = " or ".join(dict.fromkeys(str(texts[place]) for texts in rule.driving.values()))
            why = "a load replaces the rows of a group by that column"
            refusals.add(tree, f"yields {name}, which is not always {parts}", why=why)


def _check_range(tree: exp.Expr, relation: Relation, rule: IncrementRule, refusals: Refusals) -> None:
    value = relation.columns.get((rule.range_key or "").lower())
    is_cast = value is not None and value.symbol is not None and isinstance(value.symbol.node, exp.Cast)
    if value is not None and 0 not in value.carries and not is_cast:  # types have rules of their own
        why = "an append without business_key replaces rows by that column"
        refusals.add(tree, f"yields {rule.range_key}, which is not always the source's own {rule.range_key}", why=why)
