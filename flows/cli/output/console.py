"""What commands print: results on stdout, messages on stderr, one JSON document with `--json`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from metadata_sync.errors import MetadataError, SluiceError
from metadata_sync.redact import redact, redact_text
from metadata_sync.text import visible

_UNSEEN: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What a terminal obeys and JSON lets pass; within a document it only stands in texts."""
_PIPED_WIDTH: Final = 1000
"""Width of tables without a terminal: each row fits on one line, for grep and logs."""


class _Terminal(Console):
    """A console on which no text from a row, a file or a warehouse steers the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render text as Rich does, with everything written out that a terminal would obey."""
        return super().render_str(visible(text), **options)


out = _Terminal(soft_wrap=True, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
err = _Terminal(stderr=True, soft_wrap=True)


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    err.print(escape(message), highlight=False)


def print_json(document: Any) -> None:
    """Print one JSON document, the command's whole output."""
    text = json.dumps(document, indent=2, default=str, ensure_ascii=False)
    sys.stdout.write(_UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n")


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of results on stdout; None shows as a dash."""
    table = Table(title=escape(title) if title else None, title_justify="left", header_style="bold")
    for place, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    out.print(table)


@contextmanager
def progress(message: str, *, is_quiet: bool = False) -> Iterator[None]:
    """Show a spinner with a message while the block runs, on a terminal only."""
    if is_quiet or not err.is_terminal:
        yield
        return
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
    faults = error.faults if isinstance(error, MetadataError) else ()
    if as_json:
        body = {"message": error.message, "hint": error.hint, "subject": error.subject}
        print_json({"error": redact({**body, "faults": [fault.as_dict() for fault in faults]})})
        return
    for fault in faults:
        say(redact_text(f"  {fault}"))
    err.print(f"[bold red]Error:[/] {escape(redact_text(error.message))}", highlight=False)
    if error.hint:
        say(error.hint)
