"""What PostgreSQL takes and Redshift refuses, a rule each.

Read in AWS's Redshift Database Developer Guide, not tried on a cluster; `page` names the page under
https://docs.aws.amazon.com/redshift/latest/dg/. Wording is Redshift's where somebody reported it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from tests.redshift_standin.errors import RedshiftError

DATA_TYPES = {
    getattr(exp.DataType.Type, name)
    for name in [
        "ARRAY",
        "BIT",
        "BIGSERIAL",
        "HSTORE",
        "INET",
        "JSON",
        "JSONB",
        "MONEY",
        "SERIAL",
        "SMALLSERIAL",
        "UUID",
        "XML",
    ]
}
FUNCTIONS = frozenset(
    [
        "array_agg",
        "clock_timestamp",
        "generate_series",
        "json_agg",
        "jsonb_agg",
        "pg_advisory_lock",
        "pg_sleep",
        "pg_try_advisory_lock",
        "string_agg",
        "string_to_array",
        "unnest",
        "width_bucket",
        "gen_random_uuid",
        "to_jsonb",
        "row_to_json",
        "format_type",
        "xmlagg",
    ]
)
LEADER_ONLY = frozenset(["current_schema", "current_schemas", "has_schema_privilege", "has_table_privilege", "version"])
CATALOGS = ("pg_catalog", "information_schema")


@dataclass(frozen=True)
class Rule:
    """One construct that Redshift refuses.

    Attributes:
        name: Of the rule.
        page: AWS page that says so.
        message: What Redshift answers.
        applies: Whether a node of the statement is the construct.
        code: SQLSTATE of the answer.
    """

    name: str
    page: str
    message: str
    applies: Callable[[exp.Expression], bool]
    code: str = "42601"


def check(tree: exp.Expression) -> None:
    """Raise the first refusal that a statement meets.

    Raises:
        RedshiftError: With the rule's message.
    """
    for node in tree.walk():
        for rule in RULES:
            if rule.applies(node):
                raise RedshiftError(rule.code, rule.message)


def _function_name(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def _is_function(node: exp.Expression) -> bool:
    # string_agg, generate_series and unnest have classes of their own; LISTAGG stays a call in our dialect
    if isinstance(node, exp.GroupConcat | exp.GenerateSeries | exp.Explode | exp.Unnest | exp.ExplodingGenerateSeries):
        return True
    return _function_name(node) in FUNCTIONS


def _is_values_table(node: exp.Expression) -> bool:
    return isinstance(node, exp.Values) and isinstance(node.parent, exp.From | exp.Join | exp.Subquery | exp.CTE)


def _whens(node: exp.Expression) -> list[exp.Expression]:
    whens = node.args.get("whens")
    return list(whens.expressions) if whens else []


def _is_wide_merge(node: exp.Expression) -> bool:
    if not isinstance(node, exp.Merge):
        return False
    whens = _whens(node)
    extended = any(when.args.get("condition") or when.args.get("source") for when in whens)
    matched = [bool(when.args.get("matched")) for when in whens]
    return extended or sorted(matched) != [False, True]


def _is_merge_from_query(node: exp.Expression) -> bool:
    return isinstance(node, exp.Merge) and not isinstance(node.args.get("using"), exp.Table)


def _has_target_alias(node: exp.Expression) -> bool:
    if not isinstance(node, exp.Update | exp.Delete | exp.Merge):
        return False
    return isinstance(node.this, exp.Table) and bool(node.this.alias)


def _is_qualified_set(node: exp.Expression) -> bool:
    if not isinstance(node, exp.Update):
        return False
    return any(isinstance(term.this, exp.Column) and term.this.table for term in node.expressions)


def _is_create(node: exp.Expression, kind: str) -> bool:
    return isinstance(node, exp.Create) and str(node.kind).upper() == kind


def _reads_user_table(node: exp.Expression) -> bool:
    select = node.find_ancestor(exp.Select)
    tables = select.find_all(exp.Table) if select else ()
    return any(
        table.db.lower() not in CATALOGS and not table.name.lower().startswith(("pg_", "svv_", "stv_"))
        for table in tables
    )


def _is_leader_only_on_table(node: exp.Expression) -> bool:
    return _function_name(node) in LEADER_ONLY and _reads_user_table(node)


def _is_correlated_lateral(node: exp.Expression) -> bool:
    return isinstance(node, exp.Lateral)


RULES = (
    Rule("on_conflict", "r_INSERT_30.html", 'syntax error at or near "on"', lambda n: isinstance(n, exp.OnConflict)),
    Rule(
        "returning", "r_INSERT_30.html", 'syntax error at or near "returning"', lambda n: isinstance(n, exp.Returning)
    ),
    Rule(
        "distinct_on",
        "c_unsupported-postgresql-features.html",
        "SELECT DISTINCT ON is not supported",
        lambda n: isinstance(n, exp.Distinct) and bool(n.args.get("on")),
        "0A000",
    ),
    Rule("filter", "r_Aggregate_Functions.html", 'syntax error at or near "("', lambda n: isinstance(n, exp.Filter)),
    Rule(
        "is_distinct_from",
        "c_unsupported-postgresql-functions.html",
        'syntax error at or near "distinct"',
        lambda n: isinstance(n, exp.NullSafeEQ | exp.NullSafeNEQ),
    ),
    Rule("lateral", "r_FROM_clause30.html", 'syntax error at or near "lateral"', _is_correlated_lateral),
    Rule("values_table", "r_FROM_clause30.html", 'syntax error at or near "values"', _is_values_table),
    Rule(
        "collate", "r_SELECT_synopsis.html", 'syntax error at or near "collate"', lambda n: isinstance(n, exp.Collate)
    ),
    Rule(
        "functions",
        "c_unsupported-postgresql-functions.html",
        "function does not exist: not supported by Redshift",
        _is_function,
        "42883",
    ),
    Rule(
        "leader_only",
        "c_sql-functions-leader-node-compute-node.html",
        "Specified types or functions (one per INFO message) not supported on Redshift tables.",
        _is_leader_only_on_table,
        "0A000",
    ),
    Rule(
        "data_types",
        "c_unsupported-postgresql-datatypes.html",
        "type is not supported by Redshift",
        lambda n: isinstance(n, exp.DataType) and n.this in DATA_TYPES,
        "42704",
    ),
    Rule("merge_clauses", "r_MERGE.html", "MERGE takes one WHEN MATCHED and one WHEN NOT MATCHED", _is_wide_merge),
    Rule("merge_source", "r_MERGE.html", "MERGE source must be a table", _is_merge_from_query),
    Rule("target_alias", "r_UPDATE.html", "syntax error: a target table takes no alias", _has_target_alias),
    Rule("qualified_set", "r_UPDATE.html", "syntax error: SET takes an unqualified column", _is_qualified_set),
    Rule(
        "create_if_not_exists_as",
        "r_CREATE_TABLE_AS.html",
        'syntax error at or near "not"',
        lambda n: _is_create(n, "TABLE") and bool(n.args.get("exists")) and n.args.get("expression") is not None,
    ),
    Rule(
        "create_or_replace_table",
        "r_CREATE_TABLE_NEW.html",
        'syntax error at or near "table"',
        lambda n: _is_create(n, "TABLE") and bool(n.args.get("replace")),
    ),
    Rule(
        "create_index",
        "c_unsupported-postgresql-features.html",
        "SQL command not supported on Redshift: CREATE INDEX",
        lambda n: _is_create(n, "INDEX"),
        "0A000",
    ),
)
