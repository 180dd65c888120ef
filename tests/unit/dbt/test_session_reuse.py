"""dbt's sessions on Redshift: which statements leave one usable, and which idle one a node gets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from flows.dbt.session_reuse import IdleSessions, Session, is_read, leaves_session_as_it_was
from flows.warehouse.kept import MOST_IDLE_SECONDS


class Handle:
    """A driver's connection, as far as the pool looks at it."""

    def __init__(self) -> None:
        self._usock, self.server = socket.socketpair()
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self._usock.close()


CREDENTIALS = object()


@pytest.fixture
def handle() -> Iterator[Handle]:
    handle = Handle()
    yield handle
    handle.close()
    handle.server.close()


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "/* node */ with a as (select 1) select * from a",
        "BEGIN",
        "insert into t select 1; delete from t; update t set a = 1; commit",
        'create temporary table sluice_stage as select 1; create temporary table "sluice_event" as select 1',
        "set query_group to 'sluice run=1'",
        "create table dwh.t as select 1",
        "create or replace view dwh.v as select 1",
        "drop table if exists sluice_stage, sluice_event",
        "-- set search_path to x\nselect 1",
    ],
)
def test_statement_leaves_its_session_usable(sql: str) -> None:
    assert leaves_session_as_it_was(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "set search_path to other",
        "SET enable_case_sensitive_identifier TO true",
        "/* hook */ set session authorization other",
        "select set_config('timezone', 'Asia/Tokyo', false)",
        "create temp table mine (i int)",
        "create local temporary table mine (i int)",
        "create table #mine (i int)",
        "create table if not exists #mine (i int)",
        "select 1 as a into temp mine",
        "select 1 as a into #mine",
        "prepare p as select 1",
        "declare c cursor for select 1",
        "call load_all()",
        "use other",
        "reset all",
        "select 1; set timezone to 'Asia/Tokyo'",
        "lock dwh.t",
    ],
)
def test_statement_spoils_its_session(sql: str) -> None:
    assert not leaves_session_as_it_was(sql)


@pytest.mark.parametrize(
    "sql", ["select 1; select 2", "select 1 into t", "insert into t select 1", "begin", "set a to 1"]
)
def test_more_than_one_read_is_no_read(sql: str) -> None:
    assert not is_read(sql)


def _given_back(handle: Handle, *sent: str, thread: str | None = None) -> IdleSessions:
    idle = IdleSessions(clock=lambda: 0.0)
    idle.note(Session(handle, CREDENTIALS, 7))

    def work() -> None:
        for sql in sent:
            idle.hear(handle, sql)
        if not idle.give_back(handle):
            handle.close()

    worker = threading.Thread(target=work, name=thread)
    worker.start()
    worker.join()
    return idle


def test_session_serves_the_next_node(handle: Handle) -> None:
    idle = _given_back(handle, "select 1")
    taken = idle.take(CREDENTIALS)
    assert taken is not None
    assert (taken.handle, taken.backend_pid) == (handle, 7)
    assert idle.take(CREDENTIALS) is None


def test_spoiled_session_is_closed(handle: Handle) -> None:
    assert _given_back(handle, "set search_path to x").take(CREDENTIALS) is None
    assert handle.is_closed


def test_session_of_other_credentials_is_closed(handle: Handle) -> None:
    assert _given_back(handle).take(object()) is None
    assert handle.is_closed


def test_session_that_the_server_ended_is_closed(handle: Handle) -> None:
    idle = _given_back(handle)
    handle.server.close()
    assert idle.take(CREDENTIALS) is None
    assert handle.is_closed


def test_session_that_waited_for_long_is_closed(handle: Handle) -> None:
    now = [0.0]
    idle = IdleSessions(clock=lambda: now[0])
    idle.note(Session(handle, CREDENTIALS, 7))
    assert idle.give_back(handle)
    now[0] = MOST_IDLE_SECONDS + 1
    assert idle.take(CREDENTIALS) is None
    assert handle.is_closed


def test_session_with_temporary_tables_serves_only_the_thread_that_made_them(handle: Handle) -> None:
    idle = _given_back(handle, "create temporary table sluice_stage as select 1", thread="Thread-1")
    assert idle.take(CREDENTIALS) is None
    assert not handle.is_closed
    found: list[Session | None] = []
    worker = threading.Thread(target=lambda: found.append(idle.take(CREDENTIALS)), name="Thread-1")
    worker.start()
    worker.join()
    assert found[0] is not None


def test_idle_sessions_are_closed_at_the_end(handle: Handle) -> None:
    idle = _given_back(handle)
    idle.close_all()
    assert handle.is_closed
    assert idle.take(CREDENTIALS) is None
