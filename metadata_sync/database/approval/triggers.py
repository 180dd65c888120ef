"""Triggers that hold plain SQL to the approval of a protected environment.

They are made anew after each migration, because migrations may make tables anew and add columns. SQLite knows no
sessions: there they stop slips, not intent. PostgreSQL's are in `postgres`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, text

from metadata_sync.database.approval import postgres
from metadata_sync.database.approval.desk import AUTOMATIC_COLUMNS
from metadata_sync.database.tables import ROW_TABLES, environment_role, proposal, proposal_row, protected_environment
from metadata_sync.rows.model import ROW_TYPES, TransformationRow

KEYS: Final = {
    **{row_type.control_table: row_type.key_columns for row_type in ROW_TYPES},
    environment_role.name: ("role", "identity"),
    protected_environment.name: ("environment",),
}
"""Guarded table → the columns of which a proposal's key consists."""

_TABLES: Final = {
    **ROW_TABLES,
    environment_role.name: environment_role,
    protected_environment.name: protected_environment,
}


def drop_triggers(connection: Connection) -> None:
    """Remove the triggers, so that a migration can change rows and tables."""
    if connection.dialect.name == "postgresql":
        for statement in postgres.drop_statements(connection):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        return
    found = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'sluice_%'"))
    for name in found.scalars().all():
        connection.execute(text(f'DROP TRIGGER "{name}"'))


def create_triggers(connection: Connection) -> None:
    """Create the triggers of this version."""
    statements = _sqlite() if connection.dialect.name == "sqlite" else postgres.create_statements(connection, KEYS)
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})  # % is no placeholder


def _sqlite() -> Iterator[str]:
    for name, key in KEYS.items():
        for event, rows in {"INSERT": ("NEW",), "DELETE": ("OLD",), "UPDATE": ("OLD", "NEW")}.items():
            if name == protected_environment.name and event == "INSERT":
                continue
            conditions = " OR ".join(_is_refused(name, key, row) for row in rows)
            columns = f" OF {_guarded_columns(name)}" if event == "UPDATE" else ""
            yield _refusing(f"{name}_{event.lower()}", f"{event}{columns} ON {name}", conditions)
    open_only = "OLD.status <> 'open' AND OLD.applied_in IS NULL"
    yield _refusing("proposal_update", f"UPDATE ON {proposal.name}", open_only)
    yield _refusing("proposal_delete", f"DELETE ON {proposal.name}", "true")
    for event in ("UPDATE", "DELETE"):
        yield _refusing(f"proposal_row_{event.lower()}", f"{event} ON {proposal_row.name}", "true")
        on_audit = "EXISTS (SELECT 1 FROM protected_environment p WHERE p.environment = OLD.environment)"
        yield _refusing(f"control_audit_{event.lower()}", f"{event} ON control_audit", on_audit)


def _refusing(name: str, event: str, condition: str) -> str:
    message = "a protected environment changes by approved proposals only (sluice proposals)"
    return f"CREATE TRIGGER sluice_{name} BEFORE {event} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _is_refused(table: str, key: tuple[str, ...], row: str) -> str:
    """Return the condition that a row's environment is protected and no proposal that is being applied covers it."""
    covering = " || '.' || ".join(f'{row}."{column}"' for column in key)
    protected = f"EXISTS (SELECT 1 FROM protected_environment p WHERE p.environment = {row}.environment)"  # noqa: S608 - constants
    conditions = (
        "r.environment = p.environment",
        "r.number = p.number",
        f"p.environment = {row}.environment",
        "p.applied_in IS NOT NULL",
        "p.status = 'approved'",
        f"r.\"table\" = '{table}'",
        f"r.key = {covering}",
    )
    applied = f"EXISTS (SELECT 1 FROM proposal p, proposal_row r WHERE {' AND '.join(conditions)})"  # noqa: S608 - constants
    return f"({protected} AND NOT {applied})"


def _guarded_columns(table: str) -> str:
    own = AUTOMATIC_COLUMNS if table == TransformationRow.control_table else frozenset()
    return ", ".join(f'"{column.name}"' for column in _TABLES[table].columns if column.name not in own)
