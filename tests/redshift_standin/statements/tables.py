"""CREATE TABLE: what Redshift keeps of it that PostgreSQL does not know, and the other way round."""

from __future__ import annotations

from sqlglot import exp

from tests.redshift_standin.errors import not_known
from tests.redshift_standin.expressions.casts import MOST_BYTES, UNSIZED_DECIMAL, is_unsized_decimal

TEXT_SIZE = 256  # TEXT, and VARCHAR without a length, in a column definition (r_Character_types.html)
NOT_ENFORCED = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)


def make_temporary(create: exp.Expr) -> None:
    """A table whose name begins with # is temporary (r_CREATE_TABLE_NEW.html)."""
    table = create.find(exp.Table)
    if table is not None and table.name.startswith("#"):
        properties = create.args.get("properties") or exp.Properties(expressions=[])
        if not any(isinstance(option, exp.TemporaryProperty) for option in properties.expressions):
            properties.append("expressions", exp.TemporaryProperty())
        create.set("properties", properties)


def take_attributes(create: exp.Expr) -> dict[str, str]:
    """Take DISTSTYLE, DISTKEY, SORTKEY, BACKUP and ENCODE out of a CREATE TABLE.

    Returns:
        Attribute → value; columns joined by commas.
    """
    found: dict[str, str] = {}
    properties = create.args.get("properties")
    kept = []
    for option in properties.expressions if properties else []:
        if isinstance(option, exp.DistStyleProperty):
            found["diststyle"] = option.this.name.lower()
        elif isinstance(option, exp.DistKeyProperty):
            found["distkey"] = option.this.name.lower()
        elif isinstance(option, exp.SortKeyProperty):
            found["sortkey"] = ",".join(_names(option.this))
        elif isinstance(option, exp.TemporaryProperty):
            kept.append(option)
        elif not isinstance(option, exp.BackupProperty):
            raise not_known(f"{type(option).__name__} of a table")
    create.set("properties", exp.Properties(expressions=kept) if kept else None)
    for column in create.find_all(exp.ColumnDef):
        constraints = []
        for constraint in column.args.get("constraints") or []:
            if isinstance(constraint.kind, exp.EncodeColumnConstraint):
                found[f"encode {column.name.lower()}"] = constraint.kind.this.name.lower()
            else:
                constraints.append(constraint)
        column.set("constraints", constraints)
    return found


def _names(columns: object) -> list[str]:
    listed = columns if isinstance(columns, list) else getattr(columns, "expressions", None) or [columns]
    return [column.name.lower() for column in listed]


def declare_types(create: exp.Expr) -> None:
    """Give columns Redshift's widths, and drop the keys that Redshift takes and does not enforce."""
    schema = create.this
    if not isinstance(schema, exp.Schema):
        return
    kept = []
    for part in schema.expressions:
        if isinstance(part, exp.PrimaryKey | exp.ForeignKey | exp.Constraint | exp.UniqueColumnConstraint):
            continue
        if isinstance(part, exp.ColumnDef):
            declare_type(part)
        kept.append(part)
    schema.set("expressions", kept)


def declare_type(column: exp.ColumnDef) -> None:
    """One column: TEXT is varchar(256), DECIMAL is decimal(18,0), PRIMARY KEY only means NOT NULL."""
    kind = column.args.get("kind")
    if isinstance(kind, exp.DataType):
        size = kind.expressions[0].name.lower() if kind.expressions else ""
        if kind.this == exp.DataType.Type.TEXT or (kind.this == exp.DataType.Type.VARCHAR and not size):
            column.set("kind", exp.DataType.build(f"varchar({TEXT_SIZE})"))
        elif is_unsized_decimal(kind):
            column.set("kind", exp.DataType.build(UNSIZED_DECIMAL))
        elif size == "max":
            column.set("kind", exp.DataType.build(f"varchar({MOST_BYTES})"))
    constraints = []
    for constraint in column.args.get("constraints") or []:
        kind = constraint.kind
        if isinstance(kind, exp.GeneratedAsIdentityColumnConstraint) and "on_null" not in kind.args:
            kind.set("this", True)  # IDENTITY(…) alone takes no value of the user's (r_CREATE_TABLE_NEW.html)
        if isinstance(constraint.kind, exp.PrimaryKeyColumnConstraint):
            constraints.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
        elif not isinstance(constraint.kind, NOT_ENFORCED):
            constraints.append(constraint)
    column.set("constraints", constraints)
