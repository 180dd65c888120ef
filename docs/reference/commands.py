"""Writes commands.md beside this file from the command line itself. A test compares the two.

python docs/reference/commands.py
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from flows.cli import app

PAGE: Final = Path(__file__).with_suffix(".md")
HEAD: Final = """\
# Commands

Generated from the command line by `docs/reference/commands.py`. Edit the help texts in `flows/cli/`, not this page.

Every command works on the [project](settings.md#where-a-project-is) that holds the current folder. Results go to
stdout, messages to stderr; `--json` prints [one document](json.md) and nothing else. `sluice --debug COMMAND` shows a
traceback when something goes wrong.

| exit code | means |
| --- | --- |
| 0 | the command did its work, or nothing was due |
| 1 | work failed, or is held for a person |
| 2 | usage or settings are wrong, or a question could not be asked without a terminal |
| 3 | faults were found: in rows, SELECTs, generated files or the installation |
| 4 | the environment is [protected](../operations/approval.md): the change was stored as a proposal |
"""
FOOT: Final = """
## The scheduled checks

`monitor` has no command of its own: `sluice deploy` schedules it as a Prefect deployment
([Prefect](../operations/prefect.md#a-deployment-per-pipeline)).
"""


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Yield every command: its words, the command, its context."""
    group = typer.main.get_command(app)
    yield from _walk(group, group.make_context("sluice", [], resilient_parsing=True), "sluice")


def _walk(command: Any, context: Any, words: str) -> Iterator[tuple[str, Any, Any]]:
    if not hasattr(command, "list_commands"):
        yield words, command, context
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        inner = child.make_context(f"{words} {name}", [], parent=context, resilient_parsing=True)
        yield from _walk(child, inner, f"{words} {name}")


def render() -> str:
    """Return the whole page."""
    return HEAD + "".join(_section(*found) for found in commands()) + FOOT


def _section(words: str, command: Any, context: Any) -> str:
    prose, _, examples = str(command.help or "").partition("Examples:\n")
    usage = " ".join([words, *command.collect_usage_pieces(context)])
    lines = [f"\n## {words}\n", *(f"{_plain(part)}\n" for part in prose.strip().split("\n\n")), f"```\n{usage}\n```\n"]
    rows = [_row(parameter, context) for parameter in command.params]
    if any(rows):
        lines += ["| argument or option | meaning |\n| --- | --- |\n" + "\n".join(row for row in rows if row) + "\n"]
    if examples:
        shown = re.sub(r"\n{2,}", "\n", textwrap.dedent(examples)).strip()
        lines += [f"For example:\n\n```\n{shown}\n```\n"]
    return "\n".join(lines)


def _row(parameter: Any, context: Any) -> str | None:
    record = parameter.get_help_record(context)
    if record is None:
        return None
    name, meaning = (re.sub(r"\s+", " ", text).replace("|", "\\|") for text in record)
    return f"| `{name}` | {_plain(meaning)} |"


def _plain(text: str) -> str:
    """Return text as Markdown: <names> would be taken for HTML, and a single line needs no breaks."""
    return re.sub(r"<([A-Z]+)>", r"&lt;\1&gt;", re.sub(r"\s*\n\s*", " ", text.strip()))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
