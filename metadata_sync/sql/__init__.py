"""The team's SELECTs: parsed, checked and rewritten. Pure functions over text and sqlglot trees.

text ──parse──▶ ParsedSelect ──▶ checks      problems of form, of tables, of functions
                     │     ├──▶ columns     names that the SELECT yields
                     │     ├──▶ increments  does it suit rows / groups
                     └─────┴──▶ rewrite     table names → Jinja, every other character as written
"""

from metadata_sync.sql.parse import ParsedSelect, TableRead, parse_select

__all__ = ["ParsedSelect", "TableRead", "parse_select"]
