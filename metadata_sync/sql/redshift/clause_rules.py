"""What AWS's pages restrict in clauses that Redshift has: windows, recursion, PIVOT, QUALIFY, views, sizes of types.

Read in AWS's guide, not tried on a cluster.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from metadata_sync.sql.redshift.rule import Rule, function_name

_TYPE: Final = exp.DataType.Type
_UNORDERED: Final = frozenset({"median", "percentile_cont", "percentile_disc", "ratio_to_report", "listagg"})
"""Window functions without an ORDER BY of their own (their pages, r_WF_….html)."""
_UNFRAMED: Final = _UNORDERED | {
    "cume_dist", "dense_rank", "lag", "lead", "ntile", "percent_rank", "rank", "row_number",
}  # fmt: skip
_PIVOTED: Final = frozenset({"avg", "count", "max", "min", "sum"})
_MOST_TEXT: Final = 65535
_MOST_CHARACTERS: Final = 4096
_MOST_DIGITS: Final = 38
_MOST_SCALE: Final = 37
_BYTES: Final = {
    **dict.fromkeys((_TYPE.VARCHAR, _TYPE.NVARCHAR), _MOST_TEXT),
    **dict.fromkeys((_TYPE.CHAR, _TYPE.NCHAR, _TYPE.BPCHAR), _MOST_CHARACTERS),
}


def _called(window: exp.Window) -> exp.Expr:
    """The function of a window, without WITHIN GROUP and the treatment of NULLs."""
    called = window.this
    while isinstance(called, exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        called = called.this
    assert isinstance(called, exp.Expr)
    return called


def _window_clause(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Window):
        return None
    called = _called(node)
    name = function_name(called)
    if name in _UNORDERED and node.args.get("order"):
        return f"ORDER BY in the window of {name}()"
    if name in _UNFRAMED and node.args.get("spec"):
        return f"frame in the window of {name}()"
    is_distinct = isinstance(called, exp.AggFunc) and isinstance(called.this, exp.Distinct)
    return f"DISTINCT in a window: {name}()" if is_distinct and name != "listagg" else None


def _recursion(node: exp.Expr) -> str | None:
    """WITH RECURSIVE joins a seed and a plain SELECT by UNION ALL."""
    clause = node.parent
    if not isinstance(node, exp.CTE) or not isinstance(clause, exp.With) or not clause.args.get("recursive"):
        return None
    union = node.this
    if not isinstance(union, exp.SetOperation) or not _reads(union.expression, node.alias):
        return None
    if not isinstance(union, exp.Union) or union.args.get("distinct"):
        return f"{type(union).__name__.upper()} instead of UNION ALL"
    step = union.expression
    for word, key in {"DISTINCT": "distinct", "GROUP BY": "group", "ORDER BY": "order", "LIMIT": "limit"}.items():
        if step.args.get(key) or union.args.get(key):
            return word
    aggregates = [item for item in step.find_all(exp.AggFunc) if not isinstance(item.parent, exp.Window)]
    return f"{function_name(aggregates[0])}()" if aggregates else None


def _reads(query: exp.Expr, name: str) -> bool:
    return any(not table.db and table.name.lower() == name.lower() for table in query.find_all(exp.Table))


def _pivot(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Pivot) or node.args.get("unpivot"):
        return None
    for item in node.expressions:
        call = item.unalias()
        if function_name(call) not in _PIVOTED:
            return str(call.sql(dialect="redshift"))
        if isinstance(call, exp.Count) and isinstance(call.this, exp.Star):
            return "COUNT(*)"
    fields = [field for field in node.args.get("fields") or () if isinstance(field, exp.In)]
    values = [value for field in fields for value in (field.args.get("query"), *field.expressions) if value is not None]
    return "a query in IN" if any(value.find(exp.Query) for value in values) else None


def _qualify(node: exp.Expr) -> str | None:
    """At least one window function must stand in the select list or in QUALIFY."""
    if not isinstance(node, exp.Qualify) or not isinstance(node.parent, exp.Select):
        return None
    places = [node.this, *node.parent.expressions]
    return None if any(place.find(exp.Window) for place in places) else "QUALIFY without a window function"


def _materialized(node: exp.Expr) -> str | None:
    properties = node.args.get("properties")
    if not isinstance(node, exp.Create) or properties is None or not properties.find(exp.MaterializedProperty):
        return None
    query = node.expression
    for word, key in {"ORDER BY": "order", "LIMIT": "limit", "OFFSET": "offset"}.items():
        if isinstance(query, exp.Query) and query.unnest().args.get(key):
            return word
    return None


def _too_large(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.DataType):
        return None
    sizes = [int(part.name) for part in node.expressions if part.name.isdigit()]
    if not sizes:
        return None
    if node.this is _TYPE.DECIMAL:
        is_over = sizes[0] > _MOST_DIGITS or (len(sizes) > 1 and sizes[1] > _MOST_SCALE)
    else:
        is_over = node.this in _BYTES and not 0 < sizes[0] <= _BYTES[node.this]
    return node.sql(dialect="redshift").lower() if is_over else None


def _composite(node: exp.Expr) -> str | None:
    """A field of a whole row: `(f).id`."""
    if not isinstance(node, exp.Dot) or not isinstance(node.this, exp.Paren):
        return None
    row, select = node.this.this, node.find_ancestor(exp.Select)
    if not isinstance(row, exp.Column) or row.table or select is None:
        return None
    holders = [select.args.get("from_"), *(select.args.get("joins") or [])]
    names = {holder.this.alias_or_name.lower() for holder in holders if holder is not None}
    return f"({row.name}).{node.expression.name}" if row.name.lower() in names else None


def _several_set(node: exp.Expr) -> str | None:
    terms = node.expressions if isinstance(node, exp.Update) else ()
    return "SET (…) = (…)" if any(isinstance(term.this, exp.Tuple) for term in terms) else None


def _typed_columns(node: exp.Expr) -> str | None:
    """CREATE TABLE … AS names columns, and takes their types from the query."""
    is_query = isinstance(node, exp.Create) and isinstance(node.expression, exp.Query)
    if not is_query or not isinstance(node.this, exp.Schema):
        return None
    typed = [item for item in node.this.expressions if isinstance(item, exp.ColumnDef) and item.args.get("kind")]
    return f"types of columns ({typed[0].name} …)" if typed else None


RULES: Final = (
    Rule(
        "window_clause",
        "r_Window_function_synopsis.html",
        "Redshift takes no {found}.",
        "Leave it out; number or join the rows in a common table expression.",
        _window_clause,
    ),
    Rule(
        "recursion",
        "r_WITH_clause.html",
        "A recursive common table expression joins a seed and a plain SELECT by UNION ALL; this has {found}.",
        "Write UNION ALL, and aggregate or sort in the query that reads it.",
        _recursion,
    ),
    Rule(
        "pivot",
        "r_FROM_clause-pivot-unpivot-examples.html",
        "PIVOT takes COUNT, SUM, MIN, MAX or AVG of an expression, and values in IN; this has {found}.",
        "Write sum(case when … then … end).",
        _pivot,
    ),
    Rule(
        "qualify",
        "r_QUALIFY_clause.html",
        "Redshift has no {found}.",
        "Write WHERE.",
        _qualify,
    ),
    Rule(
        "materialized_view",
        "materialized-view-create-sql-command.html",
        "The SELECT of a materialized view has no {found}.",
        "Sort or cut in the query that reads the view.",
        _materialized,
    ),
    Rule(
        "type_size",
        "c_Supported_data_types.html",
        "Redshift has no {found}: char has up to 4096 bytes, varchar 65535, decimals 38 digits and a scale of 37.",
        "Write a size that Redshift has.",
        _too_large,
    ),
    Rule(
        "composite",
        "c_unsupported-postgresql-features.html",
        "Redshift has no composite types: {found}.",
        "Name the column: table.column.",
        _composite,
    ),
    Rule(
        "typed_columns",
        "r_CREATE_TABLE_AS.html",
        "CREATE TABLE … AS takes no {found}.",
        "Cast in the SELECT.",
        _typed_columns,
    ),
    Rule(
        "several_set",
        "r_UPDATE.html",
        "Redshift's UPDATE has no {found}.",
        "Set column by column.",
        _several_set,
    ),
)
"""Rules for clauses."""
