"""dbt parses the same eight hundred macros, dbt's own and Sluice's, for each project anew: here once a process.

Two thirds of the time in which dbt parses a small project go into syntax trees that it only reads: it looks for the
names of macros in them. What dbt renders is compiled on another path, which this leaves alone.
"""

from __future__ import annotations

from dbt_common.clients.jinja import MacroFuzzEnvironment
from jinja2.nodes import Template


def remember_syntax_trees() -> None:
    """Let `parse` return the tree that it made of the same text before, for the rest of the process."""
    parse = MacroFuzzEnvironment.parse
    known: dict[str, Template] = {}

    def remembering(self: MacroFuzzEnvironment, source: str, *name: str | None) -> Template:
        if source not in known:
            known[source] = parse(self, source, *name)
        return known[source]

    MacroFuzzEnvironment.parse = remembering
