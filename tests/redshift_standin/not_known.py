"""What Redshift knows and the stand-in does not: it says so by name, and never passes it on to PostgreSQL."""

from __future__ import annotations

from sqlglot import exp

from metadata_sync.sql.redshift.rule import function_name
from tests.redshift_standin.errors import not_known

FUNCTIONS = frozenset(
    """
    approx_distinct approx_quantile array_flatten bpcharcmp bttext_pattern_cmp checksum collate crc32 difference
    farm_fingerprint farmfingerprint64 fnv_hash from_hex from_varbyte func_sha1 get_array_length hll hll_cardinality
    hll_combine hll_create_sketch is_array is_bigint is_boolean is_char is_decimal is_float is_integer is_object
    is_scalar is_smallint is_varchar json_parse json_serialize json_serialize_to_varbyte json_typeof murmur3_32_hash
    object ratio_to_report sha sha1 soundex split_to_array subarray to_varbyte
    """.split()  # noqa: SIM905
)
SPATIAL = "st_"
ORDERED_SETS = (exp.Median, exp.PercentileCont, exp.PercentileDisc, exp.WithinGroup)


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
        "the type super": isinstance(node, exp.DataType) and node.this is exp.DataType.Type.SUPER,
        "a path into a SUPER value": isinstance(node, exp.Bracket)
        or (
            isinstance(node, exp.Dot)
            and isinstance(node.this, exp.Column)
            and not isinstance(node.expression, exp.Func)
        ),
        "EXCLUDE": isinstance(node, exp.Star) and bool(node.args.get("except_")),
        "CONNECT BY": isinstance(node, exp.Connect),
        "GROUP BY ALL": isinstance(node, exp.Group) and bool(node.args.get("all")),
        "a temporary table #name": isinstance(node, exp.Table)
        and isinstance(node.this, exp.Identifier)
        and (bool(node.this.args.get("temporary")) or str(node.this.this).startswith("#")),
        "a SUPER path in FROM": isinstance(node, exp.Unnest),
        "OVER after an ordered set": isinstance(node, exp.Window) and isinstance(node.this, ORDERED_SETS),
    }
    return next((name for name, is_it in constructs.items() if is_it), None)
