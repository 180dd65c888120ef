"""Identifiers: the strict grammar of every name that reaches SQL, a path or a selector."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

MAX_IDENTIFIER_LENGTH: Final = 63
"""Of schemas and tables: PostgreSQL's limit in bytes. DuckDB has none and Redshift's is 127."""

MAX_COLUMN_BYTES: Final = 127
"""Of a column's name: Redshift's limit. PostgreSQL's is lower, see `name_limit`."""

MAX_TABLE_NAME_LENGTH: Final = 2 * MAX_IDENTIFIER_LENGTH + 1
"""Of `schema.table`."""

_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")
_COLUMN: Final = re.compile(r"[^\W\d]\w*")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NAME_CHARACTERS: Final = re.compile(r"[\w $-]*")


def is_identifier(text: str) -> bool:
    """Tell whether text may name a schema, table or column: lower case, digits, underscore, at most 63 characters.

    >>> is_identifier("dim_aircraft"), is_identifier("Dim"), is_identifier("x; drop"), is_identifier("1st")
    (True, False, False, False)
    """
    return len(text) <= MAX_IDENTIFIER_LENGTH and _IDENTIFIER.fullmatch(text) is not None


def is_column_name(text: str) -> bool:
    """Tell whether text may name a column: letters of any case and language, digits, underscore.

    >>> is_column_name("orderName"), is_column_name("größe"), is_column_name("a b"), is_column_name('a"b')
    (True, True, False, False)
    """
    return len(text.encode(errors="replace")) <= MAX_COLUMN_BYTES and _COLUMN.fullmatch(text) is not None


def column_name_problem(text: str) -> tuple[str, str]:
    """Return why text may not name a column, and the remedy."""
    size = len(text.encode(errors="replace"))
    if size > MAX_COLUMN_BYTES:
        reason = f"Has {size} bytes, and a column's name at most {MAX_COLUMN_BYTES}, the limit of Redshift"
        return f"{reason} ({MAX_IDENTIFIER_LENGTH} on PostgreSQL).", "Write a shorter name."
    return "Is not a valid name of a column.", "Use letters, digits and '_', not a digit first."


def identifier_problem(text: str) -> tuple[str, str]:
    """Return why text may not name a schema or table, and the remedy."""
    if len(text) > MAX_IDENTIFIER_LENGTH and _IDENTIFIER.fullmatch(text):
        reason = f"Has {len(text)} characters, and a name at most {MAX_IDENTIFIER_LENGTH}, the limit of PostgreSQL."
        return reason, "Write a shorter name."
    remedy = f"Use lower case letters, digits and '_', at most {MAX_IDENTIFIER_LENGTH}, not a digit first."
    return "Is not a valid name.", remedy


@dataclass(frozen=True, slots=True)
class NameLimit:
    """How long a column's name may be.

    Attributes:
        size: Bytes.
        words: Whose limit it is, for a message.
    """

    size: int
    words: str


def name_limit(dialect: str) -> NameLimit:
    """Return the limit of a warehouse for the names of columns.

    Source: https://www.postgresql.org/docs/current/limits.html, https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
    """
    if dialect == "postgres":
        return NameLimit(MAX_IDENTIFIER_LENGTH, f"PostgreSQL's limit is {MAX_IDENTIFIER_LENGTH}")
    return NameLimit(MAX_COLUMN_BYTES, f"the limit is {MAX_COLUMN_BYTES}, that of Redshift")


def is_expression(text: str) -> bool:
    """Tell whether text that may be a column's name or an expression is an expression: it holds brackets or operators.

    >>> is_expression("landed_at"), is_expression("Order Id"), is_expression("date_trunc('day', landed_at)")
    (False, False, True)
    """
    return _NAME_CHARACTERS.fullmatch(text) is None


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


def quote_identifiers(names: Iterable[str]) -> str:
    """Quote names and join them with commas, as a list of columns; see `quote_identifier`."""
    return ", ".join(quote_identifier(name) for name in names)


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
