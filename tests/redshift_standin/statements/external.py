"""External schemas and tables: their columns are in SVV_EXTERNAL_COLUMNS and in no catalog of the database.

A table holds what INSERT wrote (r_CREATE_EXTERNAL_TABLE.html), and the Parquet files of its LOCATION, once the
stand-in's S3 has its bucket (`spectrum`). sqlglot cannot parse these statements, so they are read here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.redshift_standin.errors import RedshiftError, not_known
from tests.redshift_standin.expressions.names import literal

PART = r'(?:"[^"]+"|\w+)'
SCHEMA = re.compile(
    rf"create\s+external\s+schema\s+(?P<exists>if\s+not\s+exists\s+)?(?P<name>{PART})\s+from\s+(?P<source>data\s+catalog\b|\w+).*",
    re.IGNORECASE | re.DOTALL,
)
TABLE = re.compile(
    rf"create\s+external\s+table\s+(?P<schema>{PART})\.(?P<name>{PART})\s*\((?P<columns>.*?)\)\s*"
    r"(partitioned\s+by\s*\((?P<parts>.*?)\)\s*)?(row\s+format\s+.*?)?stored\s+as\s+(?P<format>\w+).*?location\s+'(?P<location>s3://[^']+)'.*",
    re.IGNORECASE | re.DOTALL,
)
PARTITION = re.compile(
    rf"alter\s+table\s+(?P<schema>{PART})\.(?P<name>{PART})\s+add\s+(if\s+not\s+exists\s+)?"
    r"partition\s*\((?P<values>[^)]*)\)\s*location\s+'(?P<location>s3://[^']+)'",
    re.IGNORECASE,
)
ABOUT_EXTERNAL = re.compile(r"create\s+external\s+(schema|table)\b", re.IGNORECASE)
NESTED = re.compile(r"(array|struct|map)\s*<", re.IGNORECASE)
TYPES = {"int": "integer", "double": "double precision", "float": "real", "varbyte": "varbyte"}


@dataclass(frozen=True)
class External:
    """What to run for a statement.

    Attributes:
        sql: For PostgreSQL.
        after: The stand-in's own statements.
    """

    sql: str
    after: tuple[str, ...] = ()


def read_external(text: str, *, is_in_block: bool) -> External:
    """Read a statement.

    Raises:
        RedshiftError: When it holds anything else, or stands in a transaction block.
    """
    if match := SCHEMA.fullmatch(text):
        if not match["source"].lower().startswith("data"):
            raise not_known(f"CREATE EXTERNAL SCHEMA … FROM {match['source']}")
        return External(f"create schema {match['exists'] or ''}{_folded(match['name'])}")
    if is_in_block:
        raise RedshiftError("25001", "CREATE EXTERNAL TABLE cannot run inside a transaction block")
    match = TABLE.fullmatch(text)
    if match is None:
        raise RedshiftError("42601", f"syntax error: {text[:80]}")
    parts = _columns(match["parts"] or "")
    columns = ", ".join(f"{name} {kind}" for name, kind in _columns(match["columns"]) + parts)
    table = f"{_folded(match['schema'])}.{_folded(match['name'])}"
    keys = "".join(f", {literal(name.strip(chr(34)))}" for name, _ in parts)
    place = f"{literal(match['location'])}, {str(match['format'].lower() == 'parquet').lower()}"
    made = f"select rs_catalog.make_external({literal(table)}, {place}{keys})"
    return External(f"create table {table} ({columns})", (made,))


def read_partition(match: re.Match[str]) -> str:
    """Read ALTER TABLE … ADD PARTITION (r_ALTER_TABLE_external-table.html)."""
    table = f"{_folded(match['schema'])}.{_folded(match['name'])}"
    values = dict(re.findall(r"(\w+)\s*=\s*'([^']*)'", match["values"]))
    place = f"{literal(table)}::regclass, {literal(json.dumps(values))}, {literal(match['location'])}"
    return f"insert into rs_catalog.external_partition values ({place})"


def _columns(text: str) -> list[tuple[str, str]]:
    found = []
    for column in re.split(r",(?![^(<]*[)>])", text):
        name, _, kind = column.strip().partition(" ")
        if name:
            written = kind.strip().lower()
            found.append((_folded(name), "json" if NESTED.match(written) else TYPES.get(written, written)))
    return found


def _folded(name: str) -> str:
    return f'"{name.strip(chr(34)).lower()}"'
