"""Materialized views: PostgreSQL's own behind Redshift's words.

sqlglot keeps these statements as text, so they are read here; whatever else stands in them is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.redshift_standin.errors import not_known
from tests.redshift_standin.expressions.names import literal

NAME = r"(?P<name>[\w.\"]+)"
COMMENTS = r"(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*"
CREATE = re.compile(
    rf"create\s+materialized\s+view\s+{NAME}\s+(?P<options>.*?)\bas\s+{COMMENTS}(?P<query>\(?\s*(with|select)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
OPTIONS = re.compile(
    r"\s*(backup\s+(yes|no)\s*)?(diststyle\s+(?P<diststyle>even|all|key)\s*)?(distkey\s*\(\s*(?P<distkey>[\w\"]+)\s*\)\s*)?"
    r"(sortkey\s*\((?P<sortkey>[^)]*)\)\s*)?(auto\s+refresh\s+(?P<auto>yes|no)\s*)?",
    re.IGNORECASE,
)
REFRESH = re.compile(rf"refresh\s+materialized\s+view\s+{NAME}(\s+(cascade|restrict))?", re.IGNORECASE)
ALTER = re.compile(rf"alter\s+materialized\s+view\s+{NAME}\s+auto\s+refresh\s+(?P<auto>yes|no)", re.IGNORECASE)
DROP = re.compile(
    rf"drop\s+materialized\s+view\s+(?P<exists>if\s+exists\s+)?{NAME}(?P<cascade>\s+cascade)?", re.IGNORECASE
)
ABOUT_VIEWS = re.compile(r"(create|refresh|alter|drop)\s+materialized\s+view\b", re.IGNORECASE)
ATTRIBUTES = ("diststyle", "distkey", "sortkey")


@dataclass(frozen=True)
class ViewStatement:
    """A statement about a materialized view.

    Attributes:
        kind: For the journal.
        sql: What PostgreSQL runs.
        after: Statements of the stand-in's own.
        target: The view.
    """

    kind: str
    sql: str
    after: tuple[str, ...]
    target: str


def read_view_statement(text: str, translate: Callable[[str], str]) -> ViewStatement:
    """Read a statement; translate turns the view's query into PostgreSQL's.

    Raises:
        RedshiftError: When it holds anything else.
    """
    if match := CREATE.fullmatch(text):
        return _create(match, translate)
    if match := REFRESH.fullmatch(text):
        name = _folded(match["name"])
        return ViewStatement("refresh materialized view", f"refresh materialized view {name}", (), name)
    if match := ALTER.fullmatch(text):
        name = _folded(match["name"])
        after = (_set_attribute(name, "auto refresh", match["auto"]),)
        return ViewStatement("alter materialized view", f"select {literal(name)}::regclass", after, name)
    if match := DROP.fullmatch(text):
        name = _folded(match["name"])
        words = ["drop materialized view", "if exists" if match["exists"] else "", name, match["cascade"] or ""]
        return ViewStatement("drop materialized view", " ".join(words), (), name)
    raise not_known(text[:80])


def _create(match: re.Match[str], translate: Callable[[str], str]) -> ViewStatement:
    options = OPTIONS.fullmatch(match["options"])
    if options is None:
        raise not_known(f"a materialized view with {match['options'].strip()}")
    name = _folded(match["name"])
    query = match["query"].strip()
    while query.startswith("(") and query.endswith(")"):
        query = query[1:-1].strip()
    after = [_set_attribute(name, key, options[key]) for key in ATTRIBUTES if options[key]]
    after.append(_set_attribute(name, "auto refresh", options["auto"] or "no"))
    after.append(_set_attribute(name, "query", match.group()))
    create = f"create materialized view {name} as {translate(query)}"
    return ViewStatement("create materialized view", create, tuple(after), name)


def _set_attribute(name: str, key: str, value: str) -> str:
    kept = value if key == "query" else value.replace('"', "").replace(" ", "").lower()
    return f"select rs_catalog.set_attribute({literal(name)}::regclass, {literal(key)}, {literal(kept)})"


def _folded(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.replace('"', "").lower().split("."))
