"""What a statement that writes may not be on Redshift. Read in AWS's guide, not tried on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from metadata_sync.sql.redshift.rule import Rule, holds


def _whens(node: exp.Expr) -> list[exp.Expr]:
    whens = node.args.get("whens")
    return list(whens.expressions) if whens else []


def _wide_merge(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Merge):
        return None
    if any(when.args.get("condition") for when in _whens(node)):
        return "WHEN … AND"
    if any(when.args.get("source") for when in _whens(node)):
        return "BY SOURCE"
    matched = sorted(bool(when.args.get("matched")) for when in _whens(node))
    return None if matched == [False, True] else f"{len(matched)} WHEN clause{'' if len(matched) == 1 else 's'}"


def _merge_from_query(node: exp.Expr) -> str | None:
    is_query = isinstance(node, exp.Merge) and not isinstance(node.args.get("using"), exp.Table)
    return "MERGE … USING (SELECT …)" if is_query else None


def _target_alias(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Update | exp.Delete | exp.Merge):
        return None
    return str(node.this.alias) if isinstance(node.this, exp.Table) and node.this.alias else None


def _qualified_set(node: exp.Expr) -> str | None:
    for term in node.expressions if isinstance(node, exp.Update) else ():
        if isinstance(term.this, exp.Column) and term.this.table:
            return term.this.sql()
    return None


def _written_with(node: exp.Expr) -> str | None:
    return "MERGE after WITH" if isinstance(node, exp.Merge) and node.args.get("with_") else None


def _create(kind: str, word: str, holds_more: Callable[[exp.Expr], bool]) -> Callable[[exp.Expr], str | None]:
    def find(node: exp.Expr) -> str | None:
        is_meant = isinstance(node, exp.Create) and str(node.kind).upper() == kind and holds_more(node)
        return word if is_meant else None

    return find


def _other_object(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Command) and str(node.this).upper() == "CREATE":
        word = str(node.expression).split()[0].upper()
        return f"CREATE {word}" if word in {"TRIGGER", "RULE", "EXTENSION", "DOMAIN", "AGGREGATE", "OPERATOR"} else None
    if isinstance(node, exp.Create) and str(node.kind).upper() in {"INDEX", "SEQUENCE", "TYPE"}:
        return f"CREATE {str(node.kind).upper()}"
    return None


def _partitioned(node: exp.Expr) -> str | None:
    if isinstance(node, exp.PartitionedByProperty):
        return "PARTITION BY"
    return "INHERITS" if isinstance(node, exp.InheritsProperty) else None


def _several_actions(node: exp.Expr) -> str | None:
    count = len(node.args.get("actions") or ()) if isinstance(node, exp.Alter) else 0
    return f"{count} actions" if count > 1 else None


def _altered_type(node: exp.Expr) -> str | None:
    kind = node.args.get("dtype") if isinstance(node, exp.AlterColumn) else None
    return kind.sql(dialect="redshift").lower() if kind is not None and kind.this != exp.DataType.Type.VARCHAR else None


def _alone(node: exp.Expr) -> str | None:
    """Statements that run outside of transactions only."""
    if isinstance(node, exp.AlterColumn):
        return "ALTER TABLE … ALTER COLUMN"
    if not isinstance(node, exp.Command):
        return "CREATE DATABASE" if isinstance(node, exp.Create) and str(node.kind).upper() == "DATABASE" else None
    rest = node.expression.name if isinstance(node.expression, exp.Expr) else node.expression
    words = " ".join(f"{node.this} {rest}".upper().split())
    if words.startswith("VACUUM"):
        return "VACUUM"
    return "ALTER TABLE … APPEND" if words.startswith("ALTER TABLE") and " APPEND " in words else None


RULES: Final = (
    Rule(
        "on_conflict",
        "r_INSERT_30.html",
        "Redshift's INSERT has no {found}.",
        "Delete the rows that are there, then insert.",
        holds(exp.OnConflict, word="ON CONFLICT"),
    ),
    Rule(
        "returning",
        "r_INSERT_30.html",
        "Redshift's statements have no {found}.",
        "Read the rows by a SELECT.",
        holds(exp.Returning, word="RETURNING"),
    ),
    Rule(
        "merge_clauses",
        "r_MERGE.html",
        "MERGE takes one WHEN MATCHED and one WHEN NOT MATCHED, without conditions; this has {found}.",
        "Write UPDATE, DELETE and INSERT.",
        _wide_merge,
    ),
    Rule(
        "merge_source",
        "r_MERGE.html",
        "{found}: the source of a MERGE is a table.",
        "Write the rows to a temporary table first.",
        _merge_from_query,
    ),
    Rule(
        "merge_with",
        "r_MERGE.html",
        "{found} is not part of Redshift's MERGE.",
        "Write the rows to a temporary table first.",
        _written_with,
    ),
    Rule(
        "target_alias",
        "r_UPDATE.html",
        "The target of UPDATE, DELETE and MERGE takes no alias ({found}).",
        "Use the table's own name.",
        _target_alias,
    ),
    Rule(
        "qualified_set",
        "r_UPDATE.html",
        "SET takes a column without its table; this is {found}.",
        "Leave the table out.",
        _qualified_set,
    ),
    Rule(
        "create_if_not_exists_as",
        "r_CREATE_TABLE_AS.html",
        "Redshift has no {found}.",
        "Create the table first, or drop it before.",
        _create(
            "TABLE",
            "CREATE TABLE IF NOT EXISTS … AS",
            lambda node: bool(node.args.get("exists")) and node.args.get("expression") is not None,
        ),
    ),
    Rule(
        "create_or_replace_table",
        "r_CREATE_TABLE_NEW.html",
        "Redshift has no {found}.",
        "Drop the table, or rename another one into its place.",
        _create("TABLE", "CREATE OR REPLACE TABLE", lambda node: bool(node.args.get("replace"))),
    ),
    Rule(
        "other_object",
        "c_unsupported-postgresql-features.html",
        "Redshift has no {found}.",
        "Leave it out; SORTKEY and DISTKEY take the place of indexes.",
        _other_object,
    ),
    Rule(
        "check_constraint",
        "c_unsupported-postgresql-features.html",
        "Redshift has no {found} constraints.",
        "Test the rows by a data test.",
        holds(exp.CheckColumnConstraint, exp.Check, word="CHECK"),
    ),
    Rule(
        "partitioned",
        "c_unsupported-postgresql-features.html",
        "Redshift's tables have no {found}.",
        "Use a SORTKEY, or an external table.",
        _partitioned,
    ),
    Rule(
        "several_actions",
        "r_ALTER_TABLE.html",
        "ALTER TABLE does one thing at a time; this has {found}.",
        "Write a statement for each.",
        _several_actions,
    ),
    Rule(
        "altered_type",
        "r_ALTER_TABLE.html",
        "ALTER COLUMN … TYPE changes the length of a varchar only, not a column to {found}.",
        "Rebuild the table.",
        _altered_type,
    ),
    Rule(
        "alone",
        "r_ALTER_TABLE.html",
        "{found} cannot run between BEGIN and COMMIT.",
        "Run it before or after the transaction.",
        _alone,
        in_transaction=True,
    ),
    Rule(
        "truncate_commits",
        "r_TRUNCATE.html",
        "{found} commits the transaction that it stands in.",
        "Write DELETE.",
        holds(exp.TruncateTable, word="TRUNCATE"),
        in_transaction=True,
    ),
)
"""Rules for what is written."""
