"""The check-up of the warehouse's role, on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from flows.doctor.finding import Level
from flows.doctor.roles import examine_role
from flows.warehouse.profile import Profile
from metadata_sync.rows.model import ControlRows
from tests.support.probe_support import postgres_profile

pytestmark = pytest.mark.postgres


@dataclass
class _Store:
    def read_rows(self) -> ControlRows:
        return ControlRows()


@dataclass
class _Context:
    profile: Profile
    store: _Store


def findings(url: str) -> list[tuple[Level, str]]:
    context: Any = _Context(postgres_profile(url), _Store())
    return [(finding.level, finding.message) for finding in examine_role(context)]


def test_superuser_is_told_of(postgres_url: str) -> None:
    ((level, message),) = findings(postgres_url)

    assert level is Level.WARN
    assert "superuser" in message


def test_role_that_writes_elsewhere_is_told_of_and_a_plain_one_is_not(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("drop role if exists loader")
        server.execute(sql.SQL("create role loader login password {}").format(sql.Literal("loader-password")))
        server.execute(
            "create schema payroll; create table payroll.salary (id int); grant usage on schema payroll to loader"
        )
    own = make_conninfo(postgres_url, user="loader", password="loader-password")
    try:
        assert [level for level, _ in findings(own)] == [Level.OK]

        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute("grant insert on payroll.salary to loader; grant pg_read_server_files to loader")

        messages = [message for level, message in findings(own) if level is Level.WARN]
        assert any("pg_read_server_files" in message for message in messages)
        assert any("payroll" in message for message in messages)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute("drop owned by loader; drop role loader")
