"""What Redshift knows and the stand-in does not: it says so by name, and never passes it on to PostgreSQL."""

from __future__ import annotations

from sqlglot import exp

from metadata_sync.sql.redshift.rule import function_name
from tests.redshift_standin.errors import RedshiftError, not_known

FUNCTIONS = frozenset(
    """
    array_union checksum current_aws_account current_namespace current_session_arn default_iam_role farm_fingerprint
    farmfingerprint64 has_assumerole_privilege last_user_query_id object_transform pg_get_cols
    pg_get_grantee_by_iam_role pg_get_iam_role_by_user pg_get_session_roles pg_last_copy_count pg_last_copy_id
    pg_last_query_id pg_last_unload_count pg_last_unload_id slice_num
    """.split()  # noqa: SIM905
)
SPATIAL = ("st_", "h3_", "geometrytype", "addbbox", "dropbbox", "supportsbbox")


def refuse_unknown(node: exp.Expr) -> None:
    """Refuse a part of a statement that has no counterpart in PostgreSQL.

    Raises:
        RedshiftError: With its name.
    """
    name = function_name(node)
    if name in FUNCTIONS or name.startswith(SPATIAL):
        raise not_known(f"{name}()")
    if isinstance(node, exp.IntDiv):
        raise RedshiftError("42883", "function div does not exist")
    if isinstance(node, exp.Connect) and node.args.get("nocycle"):
        raise not_known("CONNECT BY NOCYCLE")
