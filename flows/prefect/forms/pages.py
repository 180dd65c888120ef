"""The result of a form as Markdown for Prefect's UI. Pure text; all values are escaped."""

from __future__ import annotations

import json
from typing import Any, Final

from flows.prefect.pages.summary import escape
from metadata_sync.errors import Fault, MetadataError
from metadata_sync.redact import redact, redact_text
from metadata_sync.rows.merge import RowChange

_WIDTH: Final = 60
_DASH: Final = "–"


def change_line(change: RowChange) -> str:
    """Return the change in one line."""
    if change.before is None:
        return f"{change.id} added"
    parts = [f"{item.column} {_shown(item.old)} → {_shown(item.new)}" for item in change.columns]
    return f"{change.id}: {', '.join(parts)}"


def change_page(change: RowChange) -> str:
    """Return the change as a Markdown table."""
    rows = [f"| {item.column} | {escape(_shown(item.old))} | {escape(_shown(item.new))} |" for item in change.columns]
    return (
        "\n".join([f"## {escape(str(change.id))}", "", "| Column | Old | New |", "| --- | --- | --- |", *rows]) + "\n"
    )


def change_key(change: RowChange) -> str:
    """Return the artifact key of the changes of a row."""
    return "changes-" + change.id.key.replace("_", "-").replace(".", "-")


def fault_page(error: MetadataError) -> str:
    """Return every fault as a Markdown table."""
    rows = [f"| {' | '.join(escape(redact_text(text)) for text in _cells(fault))} |" for fault in error.faults]
    head = ["## Nothing was changed", "", "| Row | Column | What is wrong | What to do |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def _cells(fault: Fault) -> tuple[str, ...]:
    return fault.key, fault.column or _DASH, fault.message, fault.remedy


def _shown(value: Any) -> str:
    if value in (None, "", [], ()):
        return _DASH
    plain = redact(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
