"""One connection: reads the client's messages, plans each statement, lets PostgreSQL run it."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.redshift_standin.errors import RedshiftError, not_known
from tests.redshift_standin.expressions.names import row_with_whole_names, with_whole_names
from tests.redshift_standin.journal import Action, Entry, Fault, node_of
from tests.redshift_standin.protocol import wire
from tests.redshift_standin.protocol.authentication import ask_password, log_in
from tests.redshift_standin.protocol.wire import Stream, message
from tests.redshift_standin.statements.translation import Plan, failing, translate

if TYPE_CHECKING:
    from tests.redshift_standin.server import Standin

STARTUP_KEPT = ("user", "database", "application_name")
SYSTEM_TABLE = re.compile(r'relation "(?:pg_catalog\.)?((?:stl|stv|svl|svv|sys|svcs)_\w+)" does not exist')
REDSHIFT_VERSION = b"server_version\x008.0.2\0"
IN_BLOCK = b"T"
IDLE = b"I"
LOCKED_KINDS = ("insert", "update", "delete", "merge", "copy")
LATE_VIEWS = """select n.nspname, c.relname, l.definition from rs_catalog.late_binding_view l
    join pg_class c on c.oid = l.viewoid join pg_namespace n on n.oid = c.relnamespace"""


class DroppedError(Exception):
    """A fault broke the connection."""


@dataclass
class Prepared:
    """A statement between Parse and Execute."""

    plan: Plan
    entry: Entry
    fault: Fault | None = None
    was_executed: bool = False


@dataclass
class Session:
    """A client and its connection to PostgreSQL.

    Attributes:
        number: Of the connection.
        status: PostgreSQL's word for the transaction: I idle, T in a block, E in a failed one.
        transaction: Number of the block.
        node: dbt's node that was heard last.
        types: The stand-in's own types → Redshift's.
    """

    standin: Standin
    client: Stream
    number: int
    status: bytes = IDLE
    transaction: int | None = None
    node: str | None = None
    prepared: dict[bytes, Prepared] = field(default_factory=dict)
    server: Stream | None = None
    asked_for_utf8: bool = False
    types: dict[int, int] = field(default_factory=dict)

    @property
    def backend(self) -> Stream:
        assert self.server is not None
        return self.server

    def run(self) -> None:
        """Serve the client until one side hangs up."""
        try:
            if self._start():
                self._serve()
        except (wire.ConnectionClosedError, DroppedError, OSError):
            pass  # either side may hang up at any time: PostgreSQL then rolls back
        finally:
            self.client.close()
            if self.server is not None:
                self.server.close()

    def _start(self) -> bool:
        code, body = self.client.read_startup()
        while code == wire.SSL_REQUEST:
            self.client.write(b"N" if self.standin.tls is None else b"S")
            if self.standin.tls is not None:
                self.client = Stream(self.standin.tls.wrap_socket(self.client.socket, server_side=True))
            code, body = self.client.read_startup()
        if code == wire.CANCEL_REQUEST:
            return False
        address = (self.standin.cluster_host, self.standin.cluster_port)
        self.server = Stream(socket.create_connection(address))
        given = wire.parameters(body)
        self.asked_for_utf8 = given.get("client_encoding", "").lower() in ("utf8", "utf-8")
        kept = {name: given[name] for name in STARTUP_KEPT if name in given}
        isolation = self.standin.isolation.postgres_level.replace(" ", "\\ ")
        lock_timeout = round(self.standin.lock_timeout_seconds * 1_000)
        options = f"-c default_transaction_isolation={isolation} -c lock_timeout={lock_timeout}"
        user, password = self.standin.identity(given.get("user", ""), ask_password(self.client))
        self.backend.write(wire.startup({**kept, "user": user, "options": options}))
        refusal = log_in(self.backend, user, password)
        if refusal is not None:
            self.client.write(refusal)
            return False
        self.types = self.standin.prepare(given.get("database", ""))
        self.client.write(message(b"R", wire.INT.pack(0)))
        self._greet()
        return True

    def _greet(self) -> None:
        while True:
            kind, body = self.backend.read()
            if kind == b"S" and body.startswith(b"server_version\0"):
                body = REDSHIFT_VERSION
            if kind == b"S" and body == b"client_encoding\0UTF8\0" and not self.asked_for_utf8:
                body = b"client_encoding\0UNICODE\0"
            self.client.write(message(kind, body))
            if kind == b"Z":
                return

    def _serve(self) -> None:
        batch: list[tuple[bytes, bytes]] = []
        while True:
            kind, body = self.client.read()
            if kind == b"X":
                return
            if kind == b"Q":
                self._simple(body)
                continue
            if kind != b"H":
                batch.append((kind, body))
            if kind == b"S":
                self._answer(batch)
                batch = []

    def _answer(self, batch: Sequence[tuple[bytes, bytes]]) -> None:
        kinds = dict(batch)
        if b"P" in kinds:
            self._parse(batch)
        elif b"B" in kinds:
            self._execute_prepared(batch, kinds[b"B"].split(b"\0", 2)[1])
        else:
            self.backend.write(*(message(kind, body) for kind, body in batch))
            self._relay(None)

    def _simple(self, body: bytes) -> None:
        """The simple protocol, one statement at a time; psycopg speaks it."""
        prepared = self._plan(body.rstrip(b"\0").decode())
        refusal = self._lock(prepared.plan)
        if refusal is not None:
            prepared.entry.error = wire.error_fields(refusal).get("M")
            self.client.write(message(b"E", self._as_redshift(refusal)), message(b"Z", self.status))
            return
        self.backend.write(message(b"Q", prepared.plan.sql.encode() + b"\0"))
        self._relay(prepared)

    def _parse(self, batch: Sequence[tuple[bytes, bytes]]) -> None:
        messages = []
        for kind, body in batch:
            if kind == b"P":
                name, rest = body.split(b"\0", 1)
                sql, types = rest.split(b"\0", 1)
                prepared = self.prepared[name] = self._plan(sql.decode())
                # Before PostgreSQL's own parse takes its weaker lock: to raise it later would be a deadlock.
                refusal = self._lock(prepared.plan)
                if refusal is not None:
                    prepared.entry.error = wire.error_fields(refusal).get("M")
                    self.client.write(message(b"E", self._as_redshift(refusal)), message(b"Z", self.status))
                    return
                messages.append(message(kind, name + b"\0" + prepared.plan.sql.encode() + b"\0" + types))
            else:
                messages.append(message(kind, body))
        self.backend.write(*messages)
        self._relay(prepared, ends=b"E" in dict(batch))

    def _execute_prepared(self, batch: Sequence[tuple[bytes, bytes]], name: bytes) -> None:
        """Execute a statement; one that the driver executes again, without Parse, is heard again."""
        prepared = self.prepared[name]
        if prepared.was_executed:
            prepared = self.prepared[name] = self._plan(prepared.entry.sql)
        prepared.was_executed = True
        if prepared.fault is not None and prepared.plan.kind == "refused":
            self.backend.write(message(b"Q", prepared.plan.sql.encode() + b"\0"))
            self._relay(prepared)
        else:
            self._execute(batch, prepared)

    def _execute(self, batch: Sequence[tuple[bytes, bytes]], prepared: Prepared) -> None:
        self.backend.write(*(message(kind, body) for kind, body in batch))
        self._relay(prepared)

    def _plan(self, sql: str) -> Prepared:
        try:
            self.standin.look_at_files(sql)
            views = self._late_views() if self.standin.has_late_views and self.status != b"E" else None
            plan = translate(sql, is_in_block=self.status == IN_BLOCK, views=views, columns=self._columns)
        except RedshiftError as refusal:
            plan = failing(refusal)
        self.node = node_of(sql) or self.node
        entry = Entry(self.number, self.transaction, sql, plan.kind, plan.target, self.node)
        fault = self.standin.journal.fault_for(entry)
        self.standin.journal.add(entry)
        if plan.kind == "create late-binding view":
            self.standin.has_late_views = True
        if fault is not None and fault.action is Action.DROP:
            entry.error = "connection dropped"
            raise DroppedError
        if fault is not None and fault.meanwhile is not None:
            fault.meanwhile()
        if fault is not None and fault.action is Action.ERROR:
            plan = failing(RedshiftError(fault.code, fault.message, fault.detail))
        return Prepared(plan, entry, fault)

    def _late_views(self) -> dict[tuple[str, str], str]:
        rows, _, _ = self.query(LATE_VIEWS)
        return {(str(row[0]), str(row[1])): str(row[2]) for row in rows}

    def _columns(self, query: str) -> list[wire.Column]:
        return self._described(f"select * from ({query}) as rs_described limit 0")[1]

    def _lock(self, plan: Plan) -> bytes | None:
        if plan.kind not in LOCKED_KINDS or self.status != IN_BLOCK or plan.target is None:
            return None
        return self.query(f"lock table {plan.target} in share row exclusive mode")[2]

    def _described(self, sql: str) -> tuple[list[list[str | None]], list[wire.Column]]:
        """Run a statement of the stand-in's own; raise its error."""
        rows, columns, refusal = self.query(sql)
        if refusal is not None:
            fields = wire.error_fields(self._as_redshift(refusal))
            raise RedshiftError(fields.get("C", "XX000"), fields.get("M", ""), fields.get("D", ""))
        return rows, columns

    def query(self, sql: str) -> tuple[list[list[str | None]], list[wire.Column], bytes | None]:
        """Run a statement of the stand-in's own in the client's transaction: rows, columns, and the error if any."""
        self.backend.write(message(b"Q", sql.encode() + b"\0"))
        rows, columns, refusal = [], [], None
        while True:
            kind, body = self.backend.read()
            if kind == b"T":
                columns = wire.columns(body)
            elif kind == b"D":
                rows.append(wire.row(body))
            elif kind == b"E":
                refusal = body
            elif kind == b"Z":
                self.status = body
                return rows, columns, refusal

    def _relay(self, prepared: Prepared | None, *, ends: bool = True) -> None:
        """Pass PostgreSQL's answer on; after the last message of a statement its consequences follow."""
        messages: list[bytes] = []
        failed = False
        while True:
            kind, body = self.backend.read()
            if kind == b"C":
                body = self._tag(body, prepared)
            elif kind == b"T":
                body = with_whole_names(wire.as_redshift(body, self.types))
            elif kind == b"D":
                body = row_with_whole_names(body)
            elif kind == b"E":
                failed = True
                body = self._as_redshift(body)
                if prepared is not None:
                    prepared.entry.error = wire.error_fields(body).get("M")
            elif kind == b"Z":
                break
            messages.append(message(kind, body))
        self.status = body
        if prepared is not None and ends and not failed:
            refusal = self._finish(prepared)
            if refusal is not None:
                prepared.entry.error = wire.error_fields(refusal).get("M")
                messages = [message(b"E", self._as_redshift(refusal))]
        self._count_transaction(prepared if ends else None)
        self.client.write(*messages, message(b"Z", self.status))

    def _finish(self, prepared: Prepared) -> bytes | None:
        try:
            if prepared.plan.transfer is not None:
                for statement in prepared.plan.transfer.statements(self.standin.lake, self._described):
                    self._described(statement)
            for statement in prepared.plan.after:
                self._described(statement)
        except RedshiftError as refusal:
            if self.status == IN_BLOCK:  # let PostgreSQL fail as well: the transaction is aborted
                self.query(failing(refusal).sql)
            return wire.error(refusal.code, refusal.message, refusal.detail)
        prepared.entry.is_done = True
        if prepared.fault is not None and prepared.fault.action is Action.DROP_AFTER:
            raise DroppedError
        return None

    def _count_transaction(self, prepared: Prepared | None) -> None:
        if self.status == IDLE:
            self.transaction = None
        elif self.transaction is None:
            self.transaction = self.standin.next_transaction()
            if prepared is not None:
                prepared.entry.transaction = self.transaction

    def _tag(self, body: bytes, prepared: Prepared | None) -> bytes:
        if prepared is not None and prepared.plan.tag:
            return prepared.plan.tag.encode() + b"\0"
        return b"SELECT\0" if body.startswith(b"SELECT ") else body  # Redshift counts no rows of a SELECT

    def _as_redshift(self, body: bytes) -> bytes:
        fields = wire.error_fields(body)
        return with_whole_names(self.standin.isolation.conflict(fields) or _reworded(fields) or body)


def _reworded(fields: dict[str, str]) -> bytes | None:
    """PostgreSQL's errors that Redshift words otherwise."""
    text = fields.get("M", "")
    if fields.get("C") == "23514" and "rs_bytes_" in text:
        return wire.error("22001", "Value too long for character type", fields.get("D", ""))
    if fields.get("C") == "428C9":
        return wire.error("0A000", "cannot set an identity column to a value")
    if fields.get("C") == "23502":
        return wire.error("23502", f"Cannot insert a NULL value into column {fields.get('c', '')}")
    if fields.get("C") == "22P02" and "type integer" in text:
        value = text.partition('"')[2]
        return wire.error("XX000", f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Integer ", f"context: {value}")
    if fields.get("C") == "42P01" and (unknown := SYSTEM_TABLE.match(text)):
        refusal = not_known(unknown[1])
        return wire.error(refusal.code, refusal.message)
    return None
