"""Types and casts of Redshift as PostgreSQL has them."""

from __future__ import annotations

from sqlglot import exp

MOST_BYTES = 65535  # varchar(max)
UNSIZED_DECIMAL = "decimal(18, 0)"  # DECIMAL without precision and scale (r_Numeric_types201.html)
TYPES = {
    exp.DataType.Type.SUPER: "json",
    exp.DataType.Type.VARBINARY: "varbyte",
    exp.DataType.Type.BINARY: "varbyte",
    exp.DataType.Type.HLLSKETCH: "hllsketch",
    exp.DataType.Type.GEOMETRY: "geometry",
    exp.DataType.Type.GEOGRAPHY: "geography",
}
TEXTS = (exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT)
BYTES = (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR)


def is_unsized_decimal(kind: exp.Expr | None) -> bool:
    """DECIMAL or NUMERIC without precision and scale."""
    return isinstance(kind, exp.DataType) and kind.this is exp.DataType.Type.DECIMAL and not kind.expressions


def is_of_a_relation(node: exp.Expr) -> bool:
    """Whether an item of a select list is a column of the table or view that the statement creates."""
    above: exp.Expr | None = node.find_ancestor(exp.Select)
    while isinstance(above, exp.Select | exp.Subquery):
        above = above.parent
    return isinstance(above, exp.Create)


def rewrite_cast(node: exp.Cast) -> exp.Expr:
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
    if kind.this in TEXTS and not kind.expressions:
        return exp.Cast(this=node.this.copy(), to=_text_type(node))
    if kind.this not in BYTES or not kind.expressions or isinstance(node.this, exp.Null):
        return node
    cut = exp.Anonymous(
        this="rs_catalog.cut_bytes", expressions=[exp.cast(node.this, "text"), kind.expressions[0].this]
    )
    return exp.Cast(this=cut, to=kind.copy())


def _text_type(node: exp.Cast) -> exp.DataType:
    """VARCHAR without a length, and TEXT, are as long as what is cast (r_Character_types.html)."""
    value = node.this
    is_column = isinstance(node.parent, exp.Alias | exp.Select) and is_of_a_relation(node)
    if isinstance(value, exp.Literal) and value.is_string and is_column:
        return exp.DataType.build(f"varchar({max(len(value.this.encode()), 1)})")
    return exp.DataType.build("varchar")


def rewrite_try_cast(node: exp.TryCast) -> exp.Expr:
    """PostgreSQL has none, and sqlglot would write a plain cast."""
    if is_unsized_decimal(node.to):
        node.set("to", exp.DataType.build(UNSIZED_DECIMAL))
    if isinstance(node.this, exp.Literal) and node.this.is_string:
        node.set("this", exp.cast(node.this.copy(), "varchar"))
    kind = exp.Literal.string(node.to.sql("postgres"))
    return exp.Anonymous(
        this="rs_catalog.try_cast", expressions=[node.this, kind, exp.cast(exp.null(), node.to.copy())]
    )
