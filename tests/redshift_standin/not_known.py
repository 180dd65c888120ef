"""What Redshift knows and the stand-in does not: it says so by name, and never passes it on to PostgreSQL."""

from __future__ import annotations

from sqlglot import exp

from metadata_sync.sql.redshift.rule import function_name
from tests.redshift_standin.errors import not_known

FUNCTIONS = frozenset(["checksum", "farm_fingerprint", "farmfingerprint64", "object_transform"])
SPATIAL = "st_"


def refuse_unknown(node: exp.Expr) -> None:
    """Refuse a part of a statement that has no counterpart in PostgreSQL.

    Raises:
        RedshiftError: With its name.
    """
    name = function_name(node)
    if name in FUNCTIONS or name.startswith(SPATIAL):
        raise not_known(f"{name}()")
    found = _construct(node)
    if found is not None:
        raise not_known(found)


def _construct(node: exp.Expr) -> str | None:
    constructs = {
        "CONNECT BY NOCYCLE": isinstance(node, exp.Connect) and bool(node.args.get("nocycle")),
    }
    return next((name for name, is_it in constructs.items() if is_it), None)
