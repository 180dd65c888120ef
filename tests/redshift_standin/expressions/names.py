"""Names and literals for PostgreSQL."""

from __future__ import annotations

import hashlib
import re

from sqlglot import exp

from tests.redshift_standin.protocol.wire import row_with

MOST_BYTES = 127
"""Of a name (r_names.html). CREATE TABLE would cut a longer one; here a rule of the lint refuses it."""
MOST_IN_POSTGRES = 63
KEPT_BYTES = 46
TOKENS = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?P<text>(?:[^']|'')*)'|\"(?P<quoted>[^\"]+)\"|(?P<word>[^\W\d][\w$]*)", re.DOTALL
)
_long: dict[bytes, bytes] = {}
"""Names that PostgreSQL knows by a shorter one: shorter → whole."""
_short: dict[str, str] = {}


def with_short_names(sql: str) -> str:
    """A statement in which each name that PostgreSQL would cut has a shorter one of its own.

    A literal that is such a name, as in questions to the catalog, has it, too.
    """
    return TOKENS.sub(_shorter, sql) if len(sql) > MOST_IN_POSTGRES else sql


def _shorter(match: re.Match[str]) -> str:
    if match["text"] is not None:
        return literal(_short[match["text"]]) if match["text"] in _short else match[0]
    name = match["quoted"] or match["word"]
    if name is None or not MOST_IN_POSTGRES < len(name.encode()) <= MOST_BYTES:
        return match[0]
    return match[0].replace(name, _stored(name.lower()))


def _stored(whole: str) -> str:
    if whole not in _short:
        start = whole.encode()[:KEPT_BYTES].decode(errors="ignore")
        _short[whole] = f"{start}_rs_{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
        _long[_short[whole].encode()] = whole.encode()
    return _short[whole]


def with_whole_names(body: bytes) -> bytes:
    """What PostgreSQL says, with the names that the client knows."""
    for short, whole in list(_long.items()):
        body = body.replace(short, whole)
    return body


def row_with_whole_names(body: bytes) -> bytes:
    """A row of PostgreSQL's answer, with the names that the client knows."""
    return row_with(body, with_whole_names) if _long else body


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def relation_name(table: exp.Expr | None) -> str:
    """`"schema"."table"` in lower case, as Redshift folds it even when quoted."""
    assert table is not None
    table = table if isinstance(table, exp.Table) else table.find(exp.Table)
    assert table is not None
    return ".".join(f'"{part.name.lower()}"' for part in table.parts if part.name)
