"""Redshift's SQL as the stand-in reads it: functions whose PostgreSQL form sqlglot would get wrong stay calls."""

from __future__ import annotations

from typing import ClassVar, Final

from metadata_sync.sql.redshift import PlainRedshift

_KEPT: Final = frozenset(
    """
    ARRAYS_OVERLAP ARRAY_CONCAT ARRAY_CONTAINS ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_FLATTEN ARRAY_INTERSECTION
    ARRAY_POSITION ARRAY_SORT ARRAY_UNION FARMFINGERPRINT64 FARM_FINGERPRINT GETBIT INITCAP IS_ARRAY
    JSON_ARRAY_LENGTH JSON_TYPEOF LOWER_HEX SHA SHA1 SOUNDEX SUBARRAY TIMESTAMP_CMP TO_DATE TO_HEX TO_NUMBER
    TO_VARBYTE TRANSLATE
    """.split()  # noqa: SIM905
)


class StandinRedshift(PlainRedshift):
    """PlainRedshift with still fewer functions."""

    class Parser(PlainRedshift.Parser):
        """A parser that knows fewer functions."""

        FUNCTIONS: ClassVar = {name: make for name, make in PlainRedshift.Parser.FUNCTIONS.items() if name not in _KEPT}
