"""Identifiers: the strict grammar of every name that reaches SQL, a path or a selector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

MAX_IDENTIFIER_LENGTH: Final = 63
"""PostgreSQL's limit in bytes; DuckDB has none and Redshift's is 127."""

MAX_TABLE_NAME_LENGTH: Final = 2 * MAX_IDENTIFIER_LENGTH + 1
"""Of `schema.table`."""

_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


def is_identifier(text: str) -> bool:
    """Tell whether text may name a schema, table or column: lower case, digits, underscore, at most 63 characters.

    >>> is_identifier("dim_aircraft"), is_identifier("Dim"), is_identifier("x; drop"), is_identifier("1st")
    (True, False, False, False)
    """
    return len(text) <= MAX_IDENTIFIER_LENGTH and _IDENTIFIER.fullmatch(text) is not None


def is_slug(text: str) -> bool:
    """Tell whether text may name a pipeline, job group or environment: lower case, digits, `_` and `-`.

    >>> is_slug("flights_hourly"), is_slug("a b")
    (True, False)
    """
    return len(text) <= MAX_IDENTIFIER_LENGTH and _SLUG.fullmatch(text) is not None


def quote_identifier(name: str) -> str:
    """Quote a name for SQL, in the form that DuckDB, PostgreSQL and Redshift share.

    >>> quote_identifier('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table as rows and SELECTs name it: `schema.table`."""

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `schema.table`.

        Raises:
            ValueError: When text is not two identifiers joined by one dot.
        """
        schema, dot, table = text.partition(".")
        if not dot or not is_identifier(schema) or not is_identifier(table):
            raise ValueError(f"{text!r} is not schema.table in lower case letters, digits and underscores")
        return cls(schema, table)

    @property
    def model_name(self) -> str:
        """Name of the generated dbt model and of its files, e.g. `dwh__dim_aircraft`."""
        return f"{self.schema}__{self.table}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"
