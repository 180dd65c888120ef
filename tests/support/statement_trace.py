"""Who sends what: each statement of a run on the Redshift stand-in, with its session and the code that sent it."""

from __future__ import annotations

import re
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from redshift_connector.cursor import Cursor

from tests.redshift_standin.journal import Entry, Journal

_OURS = re.compile(r".*/((?:flows|metadata_sync)/.*)\.py$")
_DBT = re.compile(r'"(?:node_id|connection_name)": "([^"]+)"')
_SHOWN_CALLERS = 3
_SHOWN_CHARACTERS = 110


@dataclass
class Trace:
    """The statements of a run.

    Attributes:
        entries: As the stand-in heard them.
        callers: Text of a statement → the callers that sent it, in order.
    """

    entries: Sequence[Entry] = ()
    callers: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))

    @property
    def login_count(self) -> int:
        """Sessions that sent a statement."""
        return len({entry.session for entry in self.entries})

    def matching(self, pattern: str) -> list[Entry]:
        """Statements whose text holds a pattern."""
        return [entry for entry in self.entries if re.search(pattern, entry.sql, re.IGNORECASE | re.DOTALL)]

    def __str__(self) -> str:
        """Return one line per statement: session, caller, text; BEGIN and COMMIT of a driver have no caller."""
        left = {sql: deque(callers) for sql, callers in self.callers.items()}
        lines = [f"{len(self.entries)} statements, {self.login_count} logins"]
        for entry in self.entries:
            sent = left.get(entry.sql.strip())
            caller = sent.popleft() if sent else "driver"
            text = " ".join(re.sub(r"/\*.*?\*/", "", entry.sql, flags=re.DOTALL).split())
            lines.append(f"{entry.session:4} {caller:50} {text[:_SHOWN_CHARACTERS]}")
        return "\n".join(lines)


@contextmanager
def traced(journal: Journal) -> Iterator[Trace]:
    """Trace what this process sends to the stand-in inside the block. The journal is cleared before.

    Args:
        journal: The stand-in's.
    """
    trace = Trace()

    def note(sql: object) -> None:
        text = (sql.decode() if isinstance(sql, bytes) else str(sql)).strip()
        trace.callers[text].append(_caller(text))

    with pytest.MonkeyPatch.context() as patch:
        _listen(patch, psycopg.Connection, note)
        _listen(patch, Cursor, note)
        journal.clear()
        yield trace
    trace.entries = tuple(journal.entries)


def _listen(patch: pytest.MonkeyPatch, driver: Any, note: Any) -> None:
    execute = driver.execute

    def noted(self: object, sql: object, *arguments: object, **options: object) -> object:
        note(sql)
        return execute(self, sql, *arguments, **options)

    patch.setattr(driver, "execute", noted)


def _caller(sql: str) -> str:
    """Return dbt's node or connection, or the innermost functions of Sluice."""
    found: list[str] = []
    frame = sys._getframe(2)
    while frame is not None and len(found) < _SHOWN_CALLERS:
        ours = _OURS.match(frame.f_code.co_filename)
        if ours and not ours[1].endswith("connection"):
            found.append(f"{ours[1].rpartition('/')[2]}.{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    named = _DBT.search(sql)
    return f"dbt:{named[1]}" if named else " < ".join(found) or "dbt"
