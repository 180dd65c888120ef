"""What was said to the stand-in, in which transaction; and the faults it is asked to have."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

NODE = re.compile(r'/\*.*?"node_id": "[\w.]*?\.(\w+)".*?\*/', re.DOTALL)


def node_of(sql: str) -> str | None:
    """Short name of the node that dbt names in its comment."""
    match = NODE.search(sql)
    return match[1] if match else None


@dataclass
class Entry:
    """One statement of a client.

    Attributes:
        session: Number of its connection.
        transaction: Number of the BEGIN … COMMIT in which it ran; None outside.
        sql: As the client sent it.
        kind: Of the statement: insert, begin, select, ….
        node: dbt's node that sent it, by its short name; BEGIN and COMMIT, which name none, go with what came before.
        target: Table that it writes.
        error: What it failed with.
        is_done: Whether PostgreSQL ran it to its end.
    """

    session: int
    transaction: int | None
    sql: str
    kind: str
    target: str | None = None
    node: str | None = None
    error: str | None = None
    is_done: bool = False


class Action(StrEnum):
    """What a fault does."""

    ERROR = "error"  # the statement fails
    DROP = "drop"  # the connection breaks before the statement runs
    DROP_AFTER = "drop_after"  # it runs, and the connection breaks before the client hears of it
    MEANWHILE = "meanwhile"  # something else happens first; then it runs


@dataclass
class Fault:
    """A failure on demand.

    Attributes:
        pattern: Regular expression that the statement's text must hold.
        message: Error text.
        code: SQLSTATE.
        detail: Further text of the error.
        node: dbt's node that must have sent it; None: anybody.
        skip: How many such statements pass before.
        count: How many statements it still hits.
        action: What happens.
        within: Regular expression that an earlier statement of the same transaction must hold; empty: any place.
        meanwhile: What happens first; the statement waits for it.
    """

    pattern: str
    message: str = "injected"
    code: str = "XX000"
    detail: str = ""
    node: str | None = None
    skip: int = 0
    count: int = 1
    action: Action = Action.ERROR
    within: str = ""
    meanwhile: Callable[[], object] | None = None
    met: int = 0
    hits: int = 0

    def is_meant(self, entry: Entry) -> bool:
        """Whether a statement is of those that the fault may hit."""
        is_of_node = self.node is None or self.node == entry.node
        return is_of_node and bool(re.search(self.pattern, entry.sql, re.IGNORECASE | re.DOTALL))


@dataclass
class Journal:
    """All that was said since the start or the last clear()."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: Entry) -> None:
        with self._lock:
            self.entries.append(entry)

    def clear(self) -> None:
        """Forget statements and faults."""
        with self._lock:
            self.entries.clear()
            self.faults.clear()

    def fault_for(self, entry: Entry) -> Fault | None:
        """The fault that this statement has, which is then used once."""
        with self._lock:
            for fault in self.faults:
                if fault.is_meant(entry) and self._has_earlier(fault.within, entry.transaction):
                    fault.met += 1
                    if fault.skip < fault.met <= fault.skip + fault.count:
                        fault.hits += 1
                        return fault
        return None

    def _has_earlier(self, pattern: str, transaction: int | None) -> bool:
        return not pattern or any(
            transaction is not None
            and entry.transaction == transaction
            and re.search(pattern, entry.sql, re.IGNORECASE)
            for entry in self.entries
        )

    def matching(self, pattern: str) -> list[Entry]:
        """Statements whose text holds a pattern."""
        return [entry for entry in self.entries if re.search(pattern, entry.sql, re.IGNORECASE | re.DOTALL)]

    def writes(self, tables: Sequence[str]) -> list[Entry]:
        """Statements that changed rows of these tables (`schema.table`)."""
        wanted = {tuple(table.split(".")) for table in tables}
        return [
            entry
            for entry in self.entries
            if entry.target and entry.is_done and tuple(entry.target.replace('"', "").split(".")[-2:]) in wanted
        ]
