"""The stand-in: listens on loopback, a thread for each connection, PostgreSQL behind.

| place | what it holds |
| --- | --- |
| `server`, `fixture`, `journal`, `errors` | the stand-in, what tests take of it, what was said to it and its faults |
| `protocol/` | a connection: messages on the wire, logging in, a client's session |
| `statements/` | one statement as PostgreSQL runs it, by kind; the rules that refuse it |
| `expressions/` | what stands within statements: clauses of SELECT, calls, casts, dates, decimals, SUPER paths, names |
| `database/` | what a database has beyond PostgreSQL's: functions, types, system views |
| `suite` | dbt-redshift's own tests on it (`make redshift-suite`) |
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.redshift_standin.journal import Journal
from tests.redshift_standin.protocol import wire
from tests.redshift_standin.protocol.session import Session
from tests.redshift_standin.statements.lake import Lake
from tests.redshift_standin.statements.spectrum import Spectrum

TYPES = {"json": 4000, "varbyte": 6551, "hllsketch": 2935, "geometry": 3000, "geography": 3001}
"""Types of the stand-in's own, and how the wire numbers them on Redshift."""
PREPARED = ["catalog", "functions", "blanks", "super", "hashes", "aggregates", "system_views"]
PREPARATIONS = tuple(Path(__file__).parent / "database" / f"{name}.sql" for name in PREPARED)


class Isolation(StrEnum):
    """Isolation level of the database (https://docs.aws.amazon.com/redshift/latest/dg/c_serializable_isolation.html)."""

    SNAPSHOT = "snapshot"
    SERIALIZABLE = "serializable"

    @property
    def postgres_level(self) -> str:
        return "serializable" if self is Isolation.SERIALIZABLE else "repeatable read"

    def conflict(self, fields: dict[str, str]) -> bytes | None:
        """Redshift's words for PostgreSQL's serialization failure."""
        if fields.get("C") != "40001":
            return None
        detail = f"stand-in: {fields.get('M')}"
        if self is Isolation.SERIALIZABLE:
            return wire.error("XX000", "1023", f"Serializable isolation violation on table; {detail}")
        return wire.error("XX000", "could not complete because of conflict with concurrent transaction", detail)


@dataclass
class Standin:
    """A database that answers as Redshift would.

    Attributes:
        url: PostgreSQL's, of the database behind.
        isolation: Snapshot is what new clusters and serverless have.
        journal: What clients said, and the faults to have.
        lock_timeout_seconds: How long a statement waits for a lock.
        port: On loopback.
        tls: What it proves who it is with; without, it speaks plain text only.
        temporary_logins: Users and passwords of AWS's that were shown to it.
    """

    url: str
    isolation: Isolation = Isolation.SNAPSHOT
    journal: Journal = field(default_factory=Journal)
    has_late_views: bool = False
    lock_timeout_seconds: float = 30
    port: int = 0
    tls: ssl.SSLContext | None = None
    temporary_logins: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.cluster_host, self.cluster_port = str(parts.hostname), int(parts.port or 5432)
        self._user, self._password, self._database = parts.username, parts.password, parts.path[1:]
        self._transactions = itertools.count(1)
        self._sessions = itertools.count(1)
        self._prepared: dict[str, dict[int, int]] = {}
        self._preparing = threading.Lock()
        self._open: list[Session] = []
        self._threads: list[threading.Thread] = []

    @cached_property
    def lake(self) -> Lake:
        """S3, started when it is first asked for."""
        return Lake()

    @cached_property
    def spectrum(self) -> Spectrum:
        """What reads the files of external tables."""
        return Spectrum(self.url, self.lake)

    def look_at_files(self, statement: str) -> None:
        """Show external tables as S3 holds them now, when a test has started it."""
        if "lake" in self.__dict__:
            self.spectrum.refresh(statement)

    def start(self) -> None:
        """Prepare the database and listen."""
        self.prepare(self._database)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    def prepare(self, database: str) -> dict[int, int]:
        """Give a database Redshift's catalog, when it has none yet; returns its own types → Redshift's."""
        with self._preparing:
            if database not in self._prepared:
                url = urlsplit(self.url)._replace(path=f"/{database}").geturl()
                with psycopg.connect(url, autocommit=True) as connection:
                    # Redshift's default; a user may have another zone (r_timezone_config.html)
                    zone = sql.SQL("alter database {} set timezone = 'UTC'").format(sql.Identifier(database))
                    connection.execute(zone)
                    for file in PREPARATIONS:
                        connection.execute(file.read_bytes())
                    rows = connection.execute("select oid, typname from pg_type where typname = any(%s)", [list(TYPES)])
                    self._prepared[database] = {oid: TYPES[name] for oid, name in rows}
            return self._prepared[database]

    def stop(self) -> None:
        """Hang up on everybody."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self._open:
            self.drop(session)
        for thread in self._threads:
            thread.join(timeout=10)
        if "lake" in self.__dict__:
            self.lake.stop()

    def drop(self, session: Session) -> None:
        """Break a connection, as when a cluster restarts."""
        for stream in (session.client, session.server):
            if stream is not None:
                with contextlib.suppress(OSError):  # its own thread, or the other end, was quicker to close it
                    stream.socket.shutdown(socket.SHUT_RDWR)

    def identity(self, user: str, password: str) -> tuple[str, str]:
        """PostgreSQL's user and password for a client's; a user that AWS named may be anybody."""
        if not user.startswith(("IAM:", "IAMA:", "IAMR:")):
            return user, password
        self.temporary_logins.append((user, password))
        return str(self._user), str(self._password)

    def next_transaction(self) -> int:
        return next(self._transactions)

    def profile(self, **changes: object) -> dict[str, object]:
        """dbt's output for this database, with the settings that our profile states."""
        return {
            "type": "redshift",
            "host": "127.0.0.1",
            "port": self.port,
            "user": self._user,
            "password": self._password,
            "dbname": self._database,
            "schema": "public",
            "sslmode": "disable",
            "retries": 0,
            "retry_all": False,
            "autocommit": True,
            **changes,
        }

    def environment(self) -> dict[str, str]:
        """The variables that make the repository's profiles.yml lead here."""
        values = {name: self.profile()[name] for name in ("host", "port", "user", "password", "dbname", "sslmode")}
        values["database"] = values.pop("dbname")
        return {f"SLUICE_REDSHIFT_{name.upper()}": str(value) for name, value in values.items()}

    def _run(self, work: object) -> None:
        thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            session = Session(self, wire.Stream(connection), next(self._sessions))
            self._open.append(session)
            self._run(session.run)
