"""Redshift's SQL as sqlglot reads it, minus the rewrites that change what a statement says."""

from __future__ import annotations

from typing import ClassVar, Final

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.dialect import DialectType
from sqlglot.dialects.redshift import Redshift

# sqlglot turns these into other dialects' near equivalents (GETDATE into CURRENT_TIMESTAMP with a zone, DATEDIFF
# into AGE, DECODE into a NULL-unsafe CASE, MOD into %). Kept as plain calls they stay what the author wrote.
_KEPT: Final = frozenset(
    [
        "ADD_MONTHS",
        "CHARINDEX",
        "COLLATE",
        "CONVERT_TIMEZONE",
        "DATEADD",
        "DATEDIFF",
        "DATE_ADD",
        "DATE_DIFF",
        "DATE_PART",
        "DECODE",
        "GETDATE",
        "JSON_PARSE",
        "LAST_DAY",
        "LEN",
        "JSON_EXTRACT_PATH_TEXT",
        "LISTAGG",
        "MOD",
        "MONTHS_BETWEEN",
        "NOW",
        "NVL2",
        "REGEXP_COUNT",
        "REGEXP_INSTR",
        "REGEXP_REPLACE",
        "REGEXP_SUBSTR",
        "SHA2",
        "SPLIT_PART",
        "SPLIT_TO_ARRAY",
        "STRTOL",
        "TO_CHAR",
        "TO_TIMESTAMP",
        "TRUNC",
    ]
)


class PlainRedshift(Redshift):
    """Redshift with its own functions kept as calls."""

    def tokenize(self, sql: str, dialect: DialectType = None) -> list[Token]:
        """Read `#` that stands alone as the operator XOR, not as the begin of a name (r_OPERATOR_SYMBOLS.html)."""
        tokens: list[Token] = super().tokenize(sql, dialect)
        for token in tokens:
            if token.text == "#" and token.token_type is TokenType.VAR:
                token.token_type = TokenType.HASH
        return tokens

    class Parser(Redshift.Parser):  # type: ignore[misc, valid-type] # sqlglot declares it as a variable
        """A parser that knows fewer functions, and reads `list[0]` as an element of a column called list."""

        ARRAY_CONSTRUCTORS: ClassVar = {"ARRAY": exp.Array}
        PLACEHOLDER_PARSERS: ClassVar = {
            **Redshift.Parser.PLACEHOLDER_PARSERS,
            # the operator @ is ABS (r_OPERATOR_SYMBOLS.html); there are no parameters of that form
            TokenType.PARAMETER: lambda parser: exp.Abs(this=parser._parse_unary()),
        }
        FUNCTIONS: ClassVar = {name: make for name, make in Redshift.Parser.FUNCTIONS.items() if name not in _KEPT}
        FUNCTION_PARSERS: ClassVar = {
            name: parse for name, parse in Redshift.Parser.FUNCTION_PARSERS.items() if name not in _KEPT
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {
            name: parse for name, parse in Redshift.Parser.NO_PAREN_FUNCTION_PARSERS.items() if name not in _KEPT
        }
