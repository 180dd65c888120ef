"""Plain SQL against a protected environment: refused by triggers, on PostgreSQL whoever tries it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from metadata_sync.database import ControlStore, Via
from metadata_sync.database.approval.triggers import KEYS
from metadata_sync.errors import ApprovalNeededError
from metadata_sync.rows.merge import RowChange, all_rows, replaced
from tests.support.control_support import pipeline, rows, source, transformation

ROWS = rows(source("lake.flights"), pipeline(), transformation("dwh.fact", backfill_start=4))

SLIPS = (
    "UPDATE transformation_control SET max_rejects = 5",
    "UPDATE source_control SET environment = 'dev2'",
    "UPDATE transformation_control SET declared = '{}'",
    "UPDATE pipeline_control SET schedule = '@daily'",
    "UPDATE source_control SET location = '/elsewhere'",
    "DELETE FROM transformation_control",
    "INSERT INTO pipeline_control (environment, pipeline_id, pipeline_name, template) SELECT environment, 'x', 'x', "
    "template FROM pipeline_control",
    "DELETE FROM protected_environment",
    "UPDATE protected_environment SET environment = 'other'",
    "INSERT INTO environment_role VALUES ('dev', 'ci', 'mallory')",
    "UPDATE control_audit SET who = 'bob'",
    "DELETE FROM control_audit",
    "DELETE FROM proposal",
    "DELETE FROM proposal_row",
    "UPDATE proposal_row SET after = '{}'",
)
"""Refused on both databases."""

FORGERIES = (
    "TRUNCATE protected_environment",
    "TRUNCATE transformation_control",
    "UPDATE proposal SET status = 'approved', decided_by = 'bob', decided_account = 'bob', decided_at = now()",
    "UPDATE proposal SET proposed_by = 'bob', proposed_account = 'bob'",
    "UPDATE proposal SET status = 'approved', decided_by = 'bob', decided_in_ci = true",
    "UPDATE proposal SET status = 'approved', is_override = true, decision_reason = ' '",
    "INSERT INTO proposal_row VALUES ('dev', 1, 'pipeline_control', 'x', null, '{}', null)",
    "INSERT INTO proposal (environment, number, status, via, proposed_by, proposed_account, proposed_at, digest, "
    "base_digest, decided_by) VALUES ('dev', 9, 'approved', 'set', 'bob', 'bob', now(), '', '', 'ada')",
    'INSERT INTO control_audit (environment, change_id, position, changed_at, who, via, "table", key, "column", '
    "approved_by, proposal) VALUES ('dev', 'z', 0, now(), 'ada', 'set', 't', 'k', 'c', 'bob', 1)",
    "UPDATE transformation_control SET is_active = false, deactivated_by = 'framework'",
    "CREATE TEMP TABLE protected_environment (environment text); UPDATE transformation_control SET max_rejects = 5",
    "SET search_path = pg_temp, public; UPDATE transformation_control SET max_rejects = 5",
    "SET CONSTRAINTS ALL IMMEDIATE; UPDATE transformation_control SET max_rejects = 5",
    "DELETE FROM protected_environment; UPDATE transformation_control SET max_rejects = 5; "
    "INSERT INTO protected_environment VALUES ('dev', 'ada', now())",
    "ALTER TABLE transformation_control DISABLE TRIGGER ALL; UPDATE transformation_control SET max_rejects = 5",
    "SET session_replication_role = replica; UPDATE transformation_control SET max_rejects = 5",
    "SET SESSION AUTHORIZATION bob; UPDATE proposal SET status = 'approved'",
    "CREATE OR REPLACE FUNCTION sluice_protected(env text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
)
"""Refused on PostgreSQL, which knows who asks."""


@pytest.fixture
def prod(store: ControlStore) -> ControlStore:
    """A protected environment with rows and one proposal."""
    changes = [RowChange(before=None, after=row, declared=row) for row in all_rows(ROWS)]
    store.write(changes, "ada", Via.APPLY, "first")
    store.approvals.protect("it is production")
    row = ROWS.transformations[0]
    with pytest.raises(ApprovalNeededError):
        store.write([RowChange(row, replaced(row, max_rejects=7))], "ada", Via.SET, None)
    return store


@pytest.fixture
def mallory(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A session of a role that may write all tables, of a protected environment with one proposal of its own."""
    with ControlStore.open(postgres_url, "dev") as store:
        changes = [RowChange(before=None, after=row, declared=row) for row in all_rows(ROWS)]
        store.write(changes, "ada", Via.APPLY, "first")
        store.approvals.protect("it is production")
        with store._engine.begin() as connection:
            for role in ("mallory", "bob"):
                connection.execute(
                    text(
                        f"DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'pw'; "
                        "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
                    )
                )
                connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        url = store._engine.url.set(drivername="postgresql", username="mallory", password="pw")
    mine = url.render_as_string(hide_password=False)
    row = ROWS.transformations[0]
    with ControlStore.open(mine, "dev") as own, pytest.raises(ApprovalNeededError):
        own.write([RowChange(row, replaced(row, max_rejects=7))], "ada", Via.SET, None)
    with psycopg.connect(mine, autocommit=True) as session:
        yield session


@pytest.mark.parametrize("statement", SLIPS)
def test_plain_sql_is_refused(prod: ControlStore, statement: str) -> None:
    before = prod.read_rows()
    with pytest.raises(Exception, match=r"approved proposals only"), prod._engine.begin() as connection:
        connection.execute(text(statement))
    assert prod.read_rows() == before
    assert prod.approvals.protection()[0] is not None


@pytest.mark.postgres
@pytest.mark.parametrize("statement", [*SLIPS, *FORGERIES])
def test_a_role_with_all_rights_on_the_tables_changes_nothing(mallory: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.Error), mallory.transaction():
        mallory.execute(statement)
    found = mallory.execute("SELECT max_rejects, is_active FROM public.transformation_control").fetchall()
    assert found == [(None, True)]
    assert mallory.execute("SELECT status FROM public.proposal").fetchall() == [("open",)]
    assert mallory.execute("SELECT count(*) FROM public.protected_environment").fetchone() == (1,)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "then",
    [
        "UPDATE transformation_control SET max_rejects = 8",
        "UPDATE transformation_control SET max_rejects = 7",
        "UPDATE transformation_control SET max_rejects = 7, comments = 'x'",
        "UPDATE pipeline_control SET schedule = '@daily'",
    ],
)
def test_an_override_by_sql_carries_only_its_rows_with_their_audit(mallory: psycopg.Connection, then: str) -> None:
    """An approved proposal in the transaction: other rows, other values, and changes without audit are refused."""
    stamp = "UPDATE proposal SET status = 'approved', is_override = true, decision_reason = 'night'"
    with pytest.raises(psycopg.Error, match=r"approved proposals only"), mallory.transaction():
        mallory.execute(f"{stamp}; {then}")
    assert mallory.execute("SELECT status FROM proposal").fetchall() == [("open",)]


@pytest.mark.postgres
def test_names_are_those_of_the_session(mallory: psycopg.Connection) -> None:
    """A proposal by SQL in another's name bears the session's."""
    mallory.execute("SET ROLE mallory")
    mallory.execute(
        "INSERT INTO proposal (environment, number, status, via, proposed_by, proposed_account, proposed_in_ci, "
        "proposed_at, digest, base_digest) VALUES ('dev', 2, 'open', 'set', 'bob', 'bob', true, now(), '', '')"
    )
    found = mallory.execute("SELECT proposed_by, proposed_account, proposed_in_ci FROM proposal WHERE number = 2")
    assert found.fetchall() == [("mallory", "mallory", False)]


def test_every_table_of_rows_and_protection_is_guarded(store: ControlStore) -> None:
    kind = store._engine.dialect.name
    query = {
        "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'sluice_%'",
        "postgresql": "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'sluice_guard'",
    }[kind]
    with store._engine.connect() as connection:
        assert set(connection.execute(text(query)).scalars()) >= KEYS.keys()


def test_other_environments_are_written_as_before(prod: ControlStore) -> None:
    with ControlStore(prod._engine, "stage") as stage:
        stage.write([RowChange(None, row) for row in all_rows(ROWS)], "ada", Via.APPLY, None)
        assert stage.read_rows() == ROWS
