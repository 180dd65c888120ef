"""Expressions of Redshift as PostgreSQL computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from metadata_sync.sql.redshift.from_paths import FromPath
from tests.redshift_standin.dates import DATE_FUNCTIONS, extract, rewrite_date, truncate
from tests.redshift_standin.not_known import refuse_unknown
from tests.redshift_standin.queries import Columns, rewrite_queries
from tests.redshift_standin.super_paths import resolve_paths
from tests.redshift_standin.windows import rewrite_window

# Catalogs of PostgreSQL's that show other things on Redshift
CATALOGS = frozenset(
    {("information_schema", "views"), ("information_schema", "columns"), ("", "pg_views"), ("pg_catalog", "pg_views")}
)
LAYOUT_COLUMNS = frozenset({"attisdistkey", "attsortkeyord"})
LAYOUT_CATALOGS = frozenset({"pg_class", "pg_attribute"})
MOST_BYTES = 65535  # varchar(max)
UNSIZED_DECIMAL = "decimal(18, 0)"  # DECIMAL without precision and scale (r_Numeric_types201.html)
TYPES = {
    exp.DataType.Type.SUPER: "json",
    exp.DataType.Type.VARBINARY: "varbyte",
    exp.DataType.Type.BINARY: "varbyte",
    exp.DataType.Type.HLLSKETCH: "hllsketch",
}
SUPER_ARGUMENTS = {"array_contains": 1, "array_position": 1, "array_positions": 1}
"""Functions with an argument that may be any value, and its place."""
RESERVED = frozenset(
    [
        "array",
        "asymmetric",
        "concurrently",
        "current_catalog",
        "current_role",
        "fetch",
        "lateral",
        "placing",
        "returning",
        "symmetric",
    ]
)
"""Words that name something on Redshift and not in PostgreSQL."""
OWN = frozenset({"to_date"})
"""Functions that PostgreSQL has, too, with other answers."""
BYTES = (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR)


def to_postgres(
    tree: exp.Expr, views: Mapping[tuple[str, str], str], columns: Columns, paths: Sequence[FromPath] = ()
) -> exp.Expr:
    """Rewrite a parsed statement.

    Args:
        tree: Statement or query; it is changed.
        views: Late-binding views to put in place, (schema, name) → SELECT in PostgreSQL's words.
        columns: Asks the database for the columns of a query, which is rewritten before.
        paths: SUPER paths that stood in FROM, by their number.
    """
    for node in tree.walk():
        refuse_unknown(node)

    def described(query: exp.Select) -> Sequence[str]:
        return columns(to_postgres(query, views, columns, paths))

    rewrite_queries(tree, described)
    resolve_paths(tree, paths)
    for window in reversed(list(tree.find_all(exp.Window))):
        window.replace(rewrite_window(window)) if window is not tree else None
    for node in reversed(list(tree.walk())):  # what lies within comes first
        rewritten = _rewrite(node)
        if node is tree:
            tree = rewritten
        elif rewritten is not node:
            node.replace(rewritten)
    has_layout = any(column.name in LAYOUT_COLUMNS for column in tree.find_all(exp.Column))
    for table in list(tree.find_all(exp.Table)):
        if (table.db, table.name) in CATALOGS or (has_layout and table.name in LAYOUT_CATALOGS):
            table.set("db", exp.to_identifier("rs_catalog"))
        query = views.get((table.db, table.name))
        if query is not None and isinstance(table.parent, exp.From | exp.Join):
            body = sqlglot.parse_one(query, dialect="postgres")
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
            table.replace(exp.Subquery(this=to_postgres(body, views, columns), alias=alias))
    return tree


def is_unsized_decimal(kind: exp.Expr | None) -> bool:
    """DECIMAL or NUMERIC without precision and scale."""
    return isinstance(kind, exp.DataType) and kind.this is exp.DataType.Type.DECIMAL and not kind.expressions


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Identifier):
        node.set("this", node.this.lower())
        if node.this.startswith("#") or node.this in RESERVED:
            node.set("quoted", True)
    elif isinstance(node, exp.Anonymous):
        return _rewrite_call(node)
    elif type(node) in CALLS:
        return CALLS[type(node)](node)
    elif isinstance(node, exp.DataType) and node.this in TYPES:
        return exp.DataType.build(TYPES[node.this], dialect="postgres", udt=True)
    elif isinstance(node, exp.WithinGroup | exp.Concat):  # CONCAT with NULL is NULL (r_CONCAT.html)
        return _within_group(node) if isinstance(node, exp.WithinGroup) else _joined(node.expressions)
    elif isinstance(node, exp.Avg):
        return exp.Dot(
            this=exp.to_identifier("rs_catalog"), expression=exp.Anonymous(this="avg", expressions=[node.this])
        )
    elif isinstance(node, exp.CurrentTimestamp) and node.args.get("sysdate"):
        return exp.Anonymous(this="rs_catalog.sysdate")
    elif isinstance(node, exp.Cast):  # TRY_CAST is one, too
        return _rewrite_try_cast(node) if isinstance(node, exp.TryCast) else _rewrite_cast(node)
    return node


def _rewrite_call(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in OWN:
        node.set("this", f"rs_catalog.{name}")
    if name in DATE_FUNCTIONS:
        return rewrite_date(node, name)
    if name == "hll_create_sketch":
        node.expressions[0].replace(exp.cast(node.expressions[0].copy(), "text"))
    if name == "decode" and len(node.expressions) > len(("value", "encoding")):
        return _decode(node.expressions)
    if name == "listagg":
        return _listagg(node)
    if name == "object":
        return exp.Anonymous(this="rs_object", expressions=[_to_super(item) for item in node.expressions])
    if name == "collate":
        return _collate(node)
    if name in SUPER_ARGUMENTS:
        place = SUPER_ARGUMENTS[name]
        node.expressions[place].replace(_to_super(node.expressions[place]))
    if name == "nvl2":
        value, given, missing = node.expressions
        return exp.Case(ifs=[exp.If(this=value.is_(exp.null()).not_(), true=given)], default=missing)
    return node


def _sized(node: exp.Expr) -> exp.Expr:
    """A decimal that stands alone in the select list has the precision and scale that it is written with."""
    if node.is_string or "." not in node.this or not isinstance(node.parent, exp.Alias | exp.Select):
        return node
    whole, _, fraction = node.this.lstrip("0").partition(".")
    if not (whole + fraction).isdigit():
        return node
    return exp.cast(node.copy(), f"decimal({max(len(whole) + len(fraction), 1)}, {len(fraction)})")


def _into(node: exp.Expr) -> exp.Expr:
    """SELECT INTO #name makes a temporary table (r_SELECT_INTO.html)."""
    if node.this.name.startswith("#"):
        node.set("temporary", True)
    return node


def _to_super(value: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="rs_catalog.to_super", expressions=[value.copy()])


def _collate(node: exp.Anonymous) -> exp.Expr:
    value, name = node.expressions
    if name.name.lower() in ("case_sensitive", "cs"):
        return value
    return exp.Collate(this=value.copy(), expression=exp.to_identifier("rs_case_insensitive", quoted=True))


def _count_distinct(node: exp.Expr) -> exp.Expr:
    """An exact count in place of an approximate one."""
    return exp.Count(this=exp.Distinct(expressions=[node.this.copy()]))


def _array(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="rs_array", expressions=[_to_super(item) for item in node.expressions])


def _quantile(node: exp.Expr) -> exp.Expr:
    order = exp.Order(expressions=[exp.Ordered(this=node.this.copy())])
    return exp.WithinGroup(this=exp.PercentileDisc(this=node.args["quantile"].copy()), expression=order)


CALLS: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Array: _array,
    exp.Extract: extract,
    exp.DateTrunc: truncate,
    exp.TimestampTrunc: truncate,
    exp.Into: _into,
    exp.Literal: _sized,
    exp.ApproxDistinct: _count_distinct,
    exp.Hll: _count_distinct,
    exp.ApproxQuantile: _quantile,
}


def _joined(texts: list[exp.Expr]) -> exp.Expr:
    first, *rest = texts
    joined: exp.Expr = exp.cast(first.copy(), "text")
    for text in rest:
        joined = exp.DPipe(this=joined, expression=text.copy())
    return exp.Paren(this=joined)


def _decode(arguments: list[exp.Expr]) -> exp.Expr:
    """DECODE takes NULL for equal to NULL (r_DECODE_expression.html)."""
    value, *rest = arguments
    pairs = zip(rest[::2], rest[1::2], strict=False)
    ifs = [exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=found), true=result) for found, result in pairs]
    return exp.Case(ifs=ifs, default=rest[-1] if len(rest) % 2 else None)


def _listagg(node: exp.Anonymous) -> exp.Expr:
    """LISTAGG is STRING_AGG, with no separator by default (r_LISTAGG.html)."""
    value, *separators = node.expressions
    if isinstance(value, exp.Distinct):
        separators = [*value.expressions[1:], *separators]
    kept = value.expressions[0] if isinstance(value, exp.Distinct) else value
    text = exp.cast(kept.copy(), "text")
    first = exp.Distinct(expressions=[text]) if isinstance(value, exp.Distinct) else text
    return exp.Anonymous(this="string_agg", expressions=[first, *(separators or [exp.Literal.string("")])])


def _within_group(node: exp.WithinGroup) -> exp.Expr:
    """PostgreSQL orders the rows of STRING_AGG inside its brackets; with DISTINCT only by the text itself."""
    call, order = node.this, node.expression
    if not isinstance(call, exp.Anonymous) or call.name != "string_agg" or not isinstance(order, exp.Order):
        return node
    first, separator = call.expressions
    terms = [item.copy() for item in order.expressions]
    if isinstance(first, exp.Distinct):
        terms = [exp.Ordered(this=first.expressions[0].copy(), desc=item.args.get("desc")) for item in terms[:1]]
    return exp.Anonymous(this="string_agg", expressions=[first, exp.Order(this=separator, expressions=terms)])


def _rewrite_cast(node: exp.Cast) -> exp.Expr:
    """An explicit cast to varchar(n) cuts at n bytes (r_Character_types.html); DECIMAL alone is DECIMAL(18,0)."""
    kind = node.to
    made = {"JSON": "to_super", "VARBYTE": "varbyte_of"}.get(kind.sql("postgres").upper())
    if made is not None:
        return exp.Anonymous(this=f"rs_catalog.{made}", expressions=[node.this.copy()])
    if is_unsized_decimal(kind):
        kind = exp.DataType.build(UNSIZED_DECIMAL)
        node.set("to", kind)
    if kind.expressions and kind.expressions[0].name.lower() == "max":
        kind = exp.DataType.build(f"varchar({MOST_BYTES})")
        node.set("to", kind)
    if kind.this not in BYTES or not kind.expressions or isinstance(node.this, exp.Null):
        return node
    cut = exp.Anonymous(
        this="rs_catalog.cut_bytes", expressions=[exp.cast(node.this, "text"), kind.expressions[0].this]
    )
    return exp.Cast(this=cut, to=kind.copy())


def _rewrite_try_cast(node: exp.TryCast) -> exp.Expr:
    """PostgreSQL has none, and sqlglot would write a plain cast."""
    if is_unsized_decimal(node.to):
        node.set("to", exp.DataType.build(UNSIZED_DECIMAL))
    kind = exp.Literal.string(node.to.sql("postgres"))
    return exp.Anonymous(
        this="rs_catalog.try_cast", expressions=[node.this, kind, exp.cast(exp.null(), node.to.copy())]
    )
