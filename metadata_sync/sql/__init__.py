"""The team's SELECTs: parsed, checked and rewritten. Pure functions over text and sqlglot trees.

text ──parse──▶ ParsedSelect ──▶ checks      problems of form, of tables, of functions
                     │     ├──▶ columns     names that the SELECT yields
                     │     ├──▶ increments  does it suit rows / groups
                     └─────┴──▶ rewrite     table names → Jinja, every other character as written
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metadata_sync.sql.parse import ParsedSelect, TableRead, parse_select

__all__ = ["ParsedSelect", "TableRead", "parse_select"]


def __getattr__(name: str) -> Any:
    """Import the parser when it is asked for: much needs only the names and types of this package, not sqlglot."""
    if name not in __all__:
        raise AttributeError(name)
    from metadata_sync.sql import parse

    return getattr(parse, name)
