"""dbt's sessions on Redshift: they count in UTC, serve one node after the other, and send no BEGIN that nothing needs.

A zone changes the day of a TIMESTAMPTZ and the text of it, so rows would differ from those of DuckDB, PostgreSQL and
Spark. PostgreSQL's sessions read PGTZ (`flows.warehouse.profile.dbt_environment`); Redshift's driver passes neither an
option nor a variable on, so each session says it first (ADR 36).

dbt logs in once for each node and for each of its own questions, and puts BEGIN and ROLLBACK around single reads. A
login and a statement each cost tens to hundreds of milliseconds there (ADR 38):

* a session that a node leaves as it found it serves the next node (`flows.dbt.session_reuse`);
* BEGIN is sent with the first statement that needs it. A model's transaction covers every statement that it covered
  before; a data test or a catalog query that only reads, and a BEGIN followed by COMMIT, need none.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_timezone_config.html
"""

from __future__ import annotations

from typing import Any, Final

from flows.dbt.session_reuse import IdleSessions, Session, is_read
from flows.warehouse.profile import Profile

_FIRST: Final = "select pg_backend_pid(), set_config('timezone', 'UTC', false)"
"""dbt's own first question, which it cancels by, and the zone in one statement."""
_DUE: Final = "_sluice_begin_is_due"
_SINGLE_READS: Final = ("test.", "list_", "master")
"""Beginnings of the connections' names whose reads need no transaction: each of them is one statement."""


def count_in_utc(profile: Profile) -> None:
    """Let each session that dbt opens on Redshift in this process count in UTC, and be reused.

    The adapter gets a connection manager that differs from its own in what this module says. One call is enough for a
    process; further ones, and other warehouses, change nothing.

    Args:
        profile: The target; without Redshift the adapter is not imported.
    """
    if profile.type != "redshift":
        return
    from dbt.adapters.redshift.impl import RedshiftAdapter

    base: Any = RedshiftAdapter.ConnectionManager
    if not issubclass(base, _SluiceSessions):
        manager: Any = type(base.__name__, (_SluiceSessions, base), {"idle": IdleSessions()})
        RedshiftAdapter.ConnectionManager = manager


_Manager: Any = object
"""Stands for the adapter's connection manager, whose methods these ones call."""


class _SluiceSessions(_Manager):  # type: ignore[misc]
    """What differs from the adapter's own connection manager."""

    idle: IdleSessions

    @classmethod
    def open(cls, connection: Any) -> Any:
        """Let an idle session serve the connection, or log in."""
        if connection.state == "open":
            return connection
        kept = cls.idle.take(connection.credentials)
        if kept is None:
            return super().open(connection)
        connection.handle, connection.backend_pid, connection.state = kept.handle, kept.backend_pid, "open"
        return connection

    @classmethod
    def _get_backend_pid(cls, connection: Any) -> Any:
        """Send the first statement of a session: the adapter's `open` calls this."""
        handle = connection.handle
        with handle.cursor() as cursor:
            row = cursor.execute(_FIRST).fetchone()
        if not handle.autocommit:
            handle.commit()  # a transaction that is rolled back would take the setting with it
        cls.idle.note(Session(handle, connection.credentials, row[0]))
        return row[0]

    @classmethod
    def _close_handle(cls, connection: Any) -> None:
        if not cls.idle.give_back(connection.handle):
            super()._close_handle(connection)

    @classmethod
    def _rollback_handle(cls, connection: Any) -> None:
        if not _take_due(connection):
            super()._rollback_handle(connection)

    def cleanup_all(self) -> None:
        """Close all sessions, at the end of each of dbt's commands."""
        super().cleanup_all()
        self.idle.close_all()

    def add_begin_query(self) -> None:
        """Let the next statement that needs a transaction begin it."""
        setattr(self.get_thread_connection(), _DUE, True)

    def add_commit_query(self) -> Any:
        """Commit, unless nothing was sent since the transaction began."""
        return None if _take_due(self.get_thread_connection()) else super().add_commit_query()

    def add_query(self, sql: str, auto_begin: bool = True, *arguments: Any, **options: Any) -> Any:
        """Send statements, with the BEGIN that is due before the first that needs it."""
        connection = self.get_thread_connection()
        if auto_begin and not connection.transaction_open:
            self.begin()
        reads = is_read(sql) and str(connection.name).startswith(_SINGLE_READS)
        if not reads and _take_due(connection):
            super().add_query("BEGIN", auto_begin=False)
        handle = connection.handle
        self.idle.hear(handle, sql)
        try:
            return super().add_query(sql, False, *arguments, **options)  # noqa: FBT003 - the adapter passes it so
        except BaseException:
            self.idle.spoil(handle)
            raise


def _take_due(connection: Any) -> bool:
    """Whether a BEGIN of the connection was not sent yet; it is no longer due then."""
    is_due = getattr(connection, _DUE, False)
    setattr(connection, _DUE, False)
    return bool(is_due)
