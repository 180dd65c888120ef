"""Functions in SQL: PostgreSQL's own behind Redshift's words (r_CREATE_FUNCTION.html). Other languages are refused.

sqlglot keeps these statements as text, so they are read here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.redshift_standin.errors import RedshiftError, not_known

PART = r'(?:"[^"]+"|\w+)'
NAME = rf"(?P<name>{PART}(?:\.{PART}){{0,2}})"
CREATE = re.compile(
    rf"create\s+(?P<replace>or\s+replace\s+)?function\s+{NAME}\s*\((?P<arguments>.*?)\)\s*returns\s+(?P<returns>[\w\s(),]+?)\s+"
    r"(?P<volatility>volatile|stable|immutable)\s+as\s+(?P<quote>\$\w*\$|')(?P<body>.*)(?P=quote)\s*language\s+(?P<language>\w+)",
    re.IGNORECASE | re.DOTALL,
)
DROP = re.compile(
    rf"drop\s+function\s+(?P<exists>if\s+exists\s+)?{NAME}\s*\((?P<arguments>[^)]*)\)\s*(?P<how>cascade|restrict)?",
    re.IGNORECASE,
)
ABOUT_FUNCTIONS = re.compile(r"(create(\s+or\s+replace)?|drop)\s+function\b", re.IGNORECASE)
TYPES = {"super": "json", "float": "double precision", "varbinary": "varbyte"}


def read_function_statement(text: str, translate: Callable[[str], str]) -> str:
    """A statement about a function for PostgreSQL; translate turns its body into PostgreSQL's.

    Raises:
        RedshiftError: When it holds anything else.
    """
    if match := DROP.fullmatch(text):
        exists, how = match["exists"] or "", match["how"] or ""
        return f"drop function {exists}{_folded(match['name'])}({_types(match['arguments'])}) {how}"
    match = CREATE.fullmatch(text)
    if match is None:
        raise RedshiftError("42601", f"syntax error: {text[:80]}")
    if match["language"].lower() != "sql":
        raise not_known(f"CREATE FUNCTION … LANGUAGE {match['language']}")
    returns = _types(match["returns"])
    body = f"select ({translate(match['body'].strip().rstrip(';'))})::{returns}"
    create = f"create {match['replace'] or ''}function {_folded(match['name'])}({_types(match['arguments'])})"
    return f"{create} returns {returns} language sql {match['volatility']} as $rs${body}$rs$"


def _types(text: str) -> str:
    words = re.split(r",(?![^(]*\))", text)
    return ", ".join(TYPES.get(word.strip().lower(), word.strip()) for word in words)


def _folded(name: str) -> str:
    parts = re.findall(PART, name)[-2:]
    return ".".join(f'"{part.strip(chr(34)).lower()}"' for part in parts)
