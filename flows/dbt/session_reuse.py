"""Which of dbt's sessions may serve another node, and those that wait for one."""

from __future__ import annotations

import logging
import re
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlparse

from flows.warehouse.kept import MOST_IDLE_SECONDS

logger = logging.getLogger(__name__)

_COMMENT: Final = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_READ: Final = re.compile(r"\(*\s*(select|with|show)\b", re.IGNORECASE)
_INTO: Final = re.compile(r"\binto\b", re.IGNORECASE)
_HARMLESS: Final = re.compile(
    r"(begin|commit|rollback|end|start\s+transaction|insert|update|delete|merge|truncate|copy|unload|drop|grant|revoke"
    r"|comment|analyze|vacuum|refresh)\b",
    re.IGNORECASE,
)
_SLUICE: Final = re.compile(
    r"(create\s+(local\s+)?temp(orary)?\s+table\s+\"?sluice_|set\s+query_group\b|reset\s+query_group\b)", re.IGNORECASE
)
"""Sluice's temporary tables and its label: each load drops those that stand, and sets the label anew."""
_TEMPORARY: Final = re.compile(r"\bcreate\s+(local\s+)?temp(orary)?\b", re.IGNORECASE)
_OBJECT: Final = re.compile(
    r"(create\s+(or\s+replace\s+)?(external\s+)?(table|view|materialized\s+view|schema|library)"
    r"|alter\s+(table|view|materialized\s+view|schema|default\s+privileges))\s+(?!(if\s+not\s+exists\s+)?\"?#)",
    re.IGNORECASE,
)
"""Objects that are not of the session; a name that begins with # is a temporary table's."""


def is_read(sql: str) -> bool:
    """Whether a statement only reads.

    >>> is_read("/* node */ select 1"), is_read("select 1 into x"), is_read("select 1; delete from t")
    (True, False, False)
    """
    parts = _statements(sql)
    return len(parts) == 1 and bool(_READ.match(parts[0])) and not _INTO.search(parts[0])


def leaves_session_as_it_was(sql: str) -> bool:
    """Whether statements leave neither a setting nor a temporary table, cursor or prepared statement behind.

    What is not known to be harmless counts as not: such a session is closed after its node, as dbt does.

    >>> leaves_session_as_it_was("create temporary table sluice_stage as select 1")
    True
    >>> [leaves_session_as_it_was(sql) for sql in ("set search_path to x", "create temp table t (i int)", "call p()")]
    [False, False, False]
    """
    return all(_is_harmless(part) for part in _statements(sql))


def _is_harmless(part: str) -> bool:
    if _READ.match(part):
        return not _INTO.search(part) and "set_config" not in part.lower()
    return any(pattern.match(part) for pattern in (_HARMLESS, _SLUICE, _OBJECT))


def _statements(sql: str) -> list[str]:
    """Split a text into statements without comments."""
    bare = _COMMENT.sub(" ", sql)
    parts = sqlparse.split(bare) if ";" in bare else [bare]
    return [text for part in parts if (text := part.strip(" \n\t;"))]


@dataclass(slots=True, eq=False)
class Session:
    """A session of dbt's.

    Attributes:
        handle: The driver's connection.
        credentials: What it logged in with.
        backend_pid: The server's number of it.
        is_clean: Whether another node may use it.
        thread: The thread whose temporary tables it holds; None: it holds none. Macros name them by their thread, and
            the catalog shows those of all sessions: only this thread may use the session again.
        idle_since: When it was given back, monotonic seconds.
    """

    handle: Any
    credentials: Any
    backend_pid: int
    is_clean: bool = True
    thread: str | None = None
    idle_since: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether the server has not hung up: nothing may have arrived since the last answer.

        The driver can be asked for this by a statement only, so its socket is looked at.
        """
        try:
            readable, _, _ = select.select([self.handle._usock], [], [], 0)
        except (OSError, ValueError, AttributeError):
            return False
        return not readable


class IdleSessions:
    """Sessions that wait for their next node, until dbt's command ends.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[int, Session] = {}
        self._idle: list[Session] = []

    def note(self, session: Session) -> None:
        """Take note of a session that was just opened."""
        with self._lock:
            self._open[id(session.handle)] = session

    def hear(self, handle: Any, sql: str) -> None:
        """Note what a statement leaves in its session."""
        if not leaves_session_as_it_was(sql):
            self.spoil(handle)
        if _TEMPORARY.search(sql):
            with self._lock:
                session = self._open.get(id(handle))
                if session is not None:
                    session.thread = threading.current_thread().name

    def spoil(self, handle: Any) -> None:
        """Let a session serve no other node: its state is not known."""
        with self._lock:
            session = self._open.get(id(handle))
            if session is not None:
                session.is_clean = False

    def give_back(self, handle: Any) -> bool:
        """Let a session wait for its next node; False: it must be closed."""
        with self._lock:
            session = self._open.pop(id(handle), None)
            if session is None or not session.is_clean:
                return False
            session.idle_since = self._clock()
            self._idle.append(session)
        return True

    def take(self, credentials: Any) -> Session | None:
        """Return a session that waits and still stands; others are closed. None: open one."""
        thread = threading.current_thread().name
        while (session := self._pop(thread)) is not None:
            is_fresh = self._clock() - session.idle_since <= MOST_IDLE_SECONDS
            if is_fresh and session.credentials is credentials and session.is_alive:
                self.note(session)
                return session
            _close(session)
        return None

    def close_all(self) -> None:
        """Close the sessions that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            _close(session)

    def _pop(self, thread: str) -> Session | None:
        """Take a session out: first the one with the thread's own tables, never one with another thread's."""
        with self._lock:
            usable = [session for session in self._idle if session.thread in (thread, None)]
            found = max(usable, key=lambda session: session.thread is not None, default=None)
            if found is not None:
                self._idle.remove(found)
            return found


def _close(session: Session) -> None:
    try:
        session.handle.close()
    except Exception as error:  # noqa: BLE001 - the server may have hung up, in any of the driver's and the system's ways
        logger.debug("dbt.session_lost error=%s", error)
