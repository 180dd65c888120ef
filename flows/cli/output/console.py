"""What commands print: results on stdout, messages on stderr, one JSON document with `--json`."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import typer

from metadata_sync.text import visible

if TYPE_CHECKING:
    from rich.console import Console

    from flows.upkeep.problems import Problem
    from metadata_sync.errors import SluiceError

_UNSEEN: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What a terminal obeys and JSON lets pass; within a document it only stands in texts."""
JSON_VERSION: Final = 1
"""Of all documents. Fields may be added to a version; one that goes, or says something else, needs the next one."""

_PIPED_WIDTH: Final = 1000
"""Width of tables without a terminal: each row fits on one line, for grep and logs."""


_ASKS_FOR_COLOUR: Final = {"FORCE_COLOR", "TTY_COMPATIBLE"}
"""Variables that make Rich take a pipe for a terminal."""
_PLAIN: Final = {"markup": False, "highlight": False, "soft_wrap": True, "style": "bold"}
"""Options of `print` under which Rich changes nothing of a text."""


def _is_plain(texts: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether Rich would print these texts into a pipe as they are."""
    names_all = not texts or options.keys() >= {"markup", "highlight"}
    return names_all and options.items() <= _PLAIN.items() and all(isinstance(text, str) for text in texts)


class _Terminal:
    """A Rich console on which no text from a row, a file or a warehouse steers the terminal; made when it is used."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)

    def print(self, *texts: Any, **options: Any) -> None:
        """Print as Rich does. Plain text into a pipe is written as it is: importing Rich takes longer."""
        stream = sys.stderr if self._options.get("stderr") else sys.stdout
        is_terminal = stream.isatty() or not _ASKS_FOR_COLOUR.isdisjoint(os.environ)
        if is_terminal or not _is_plain(texts, options):
            self.console.print(*texts, **options)
        else:
            stream.write(" ".join(visible(text) for text in texts) + "\n")

    @cached_property
    def console(self) -> Console:
        """The console itself."""
        from rich.console import Console
        from rich.text import Text

        class SafeConsole(Console):
            def render_str(self, text: str, **options: Any) -> Text:
                """Render text as Rich does, with everything written out that a terminal would obey."""
                return super().render_str(visible(text), **options)

        return SafeConsole(soft_wrap=True, **self._options)


out = _Terminal(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
err = _Terminal(stderr=True)


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    err.print(message, highlight=False, markup=False)


def print_json(name: str, document: Mapping[str, Any]) -> None:
    """Print one JSON document, the command's whole output.

    Args:
        name: The kind of document; docs/reference/json.md lists the fields of each.
        document: Its content.
    """
    write_json({"json_format": f"{name}/{JSON_VERSION}", **document})


def write_json(document: Mapping[str, Any]) -> None:
    """Print a document whose format is somebody else's, such as SARIF."""
    text = json.dumps(document, indent=2, default=_to_json, ensure_ascii=False)
    sys.stdout.write(_UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n")


def _to_json(value: object) -> str:
    """Return a value as JSON's text; every instant in the same format."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of results on stdout; None shows as a dash. Into a pipe: a line per row, columns with tabs."""
    if not sys.stdout.isatty():
        for row in ((title,) if title else None, headers, *rows):
            if row is not None:
                sys.stdout.write("\t".join(_plain(cell) for cell in row) + "\n")
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) if title else None, title_justify="left", header_style="bold")
    for place, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    out.print(table, soft_wrap=False)


def print_problems(found: Sequence[Problem]) -> None:
    """Print what is wrong now, a block of lines for each problem."""
    if not found:
        return
    count = len(found)
    title = f"Wrong now: {count} {'problem' if count == 1 else 'problems'}"
    out.print(title, style="bold", highlight=False, markup=False)
    for item in found:
        since = f", since {item.since:%Y-%m-%d %H:%M} UTC" if item.since else ""
        lines = [f"  Why: {item.why}"] if item.why else []
        lines += [f"  Waiting: {', '.join(item.held_up)}"] if item.held_up else []
        lines += [f"  Next: {item.next_step}"]
        lines += [f"  Next run: {item.next_try:%Y-%m-%d %H:%M} UTC"] if item.next_try else []
        for line in (f"! {item.subject} {item.state}{since}", *lines):
            out.print(_wrapped(visible(line)), highlight=False, markup=False)
    out.print()


def _wrapped(line: str) -> str:
    """Return a line cut into lines that fit the terminal; into a pipe it stays one line."""
    if not sys.stdout.isatty():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, out.width, subsequent_indent=indent, break_on_hyphens=False)


def _plain(cell: object) -> str:
    """Return a cell on one line, with everything written out that a terminal would obey."""
    return "–" if cell is None else visible(" ".join(str(cell).split()))


@contextmanager
def progress(message: str, *, is_quiet: bool = False) -> Iterator[None]:
    """Show a spinner with a message while the block runs, on a terminal only."""
    if is_quiet or not sys.stderr.isatty():
        yield
        return
    from rich.markup import escape

    with err.status(escape(visible(message))):
        yield


def is_confirmed(question: str, *, yes: bool, as_json: bool) -> bool:
    """Ask a person before work that changes something; without a terminal, and with --json, only --yes says so.

    Args:
        question: What is asked.
        yes: Whether --yes was given.
        as_json: Whether the output is one JSON document.
    """
    return yes or (not as_json and sys.stdin.isatty() and bool(typer.confirm(question, err=True)))


def report_error(error: SluiceError, *, as_json: bool) -> None:
    """Print an error: what happened, to which row, and what to do."""
    from rich.markup import escape

    from metadata_sync.errors import MetadataError
    from metadata_sync.redact import redact, redact_text

    faults = error.faults if isinstance(error, MetadataError) else ()
    if as_json:
        body = {"message": error.message, "hint": error.hint, "subject": error.subject}
        print_json("error", {"error": redact({**body, "faults": [fault.as_dict() for fault in faults]})})
        return
    for fault in faults:
        say(redact_text(f"  {fault}"))
    err.print(f"[bold red]Error:[/] {escape(redact_text(error.message))}", highlight=False)
    if error.hint:
        say(error.hint)
