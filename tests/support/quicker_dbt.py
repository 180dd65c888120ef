"""What dbt does anew at each of a thousand invocations in one process, and a test process does once or with less."""

from __future__ import annotations

import inspect
from functools import partial
from types import ModuleType
from typing import Any

from dbt_common.clients.jinja import MacroFuzzEnvironment
from jinja2.nodes import Template


def hurry_dbt() -> None:
    """Let dbt parse each macro once, and look at the stack quickly; for the rest of the process."""
    _remember_syntax_trees()
    _leave_sources_unread()


def _remember_syntax_trees() -> None:
    """Let `parse` return the tree that it made of the same text before.

    Two thirds of the time in which dbt parses a small project go into trees of the same eight hundred macros, which it
    only reads: it looks for names in them. What dbt renders is compiled on another path, which this leaves alone.
    """
    parse = MacroFuzzEnvironment.parse
    known: dict[str, Template] = {}

    def remembering(self: MacroFuzzEnvironment, source: str, *name: str | None) -> Template:
        if source not in known:
            known[source] = parse(self, source, *name)
        return known[source]

    setattr(MacroFuzzEnvironment, "parse", remembering)  # noqa: B010 (a type checker refuses the assignment of a method)


def _leave_sources_unread() -> None:
    """Let `inspect.stack` read no lines of source, and look for no module of code that has no file.

    Adapters ask for the stack at each flag and each connection. For each frame whose file is no module's, and xdist has
    some at its bottom, that goes through all modules: with Prefect, moto and Spark among them, most of what dbt took.
    """
    getmodule = inspect.getmodule

    def hurried(thing: Any, _filename: str | None = None) -> ModuleType | None:
        if inspect.isframe(thing) and thing.f_code.co_filename.startswith("<"):
            return None
        return getmodule(thing, _filename)

    setattr(inspect, "getmodule", hurried)  # noqa: B010 (as above)
    inspect.stack = partial(inspect.stack, context=0)
