"""Which environments are protected, and who has which role."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, delete, func, insert, select

from metadata_sync.database.approval.model import Identity, ProposedRow, Role, folded
from metadata_sync.database.engine import to_utc
from metadata_sync.database.tables import environment_role, protected_environment
from metadata_sync.errors import StaleRowError, StoreError

TABLES: Final = frozenset({environment_role.name, protected_environment.name})
"""Tables of protection itself, which proposals change too."""


def is_protected(connection: Connection, environment: str) -> bool:
    """Whether rows of the environment change by approved proposals only."""
    return read_protection(connection, environment) is not None


def read_protection(connection: Connection, environment: str) -> dict[str, str | None] | None:
    """Return who protected the environment, and why; None: it is not protected."""
    columns = protected_environment.c
    query = select(columns.protected_by, columns.reason).where(columns.environment == environment)
    found = connection.execute(query).mappings().one_or_none()
    return None if found is None else dict(found)


def protect(connection: Connection, environment: str, who: Identity, reason: str | None, now: datetime) -> None:
    """Protect an environment."""
    values = {"environment": environment, "protected_by": who.name, "protected_at": to_utc(now), "reason": reason}
    connection.execute(insert(protected_environment), [values])


def read_grants(connection: Connection, environment: str) -> dict[Role, tuple[str, ...]]:
    """Return the identities of each role that was granted, as they are compared."""
    columns = environment_role.c
    query = select(columns.role, columns.identity).where(columns.environment == environment).order_by(*columns)
    found: dict[Role, tuple[str, ...]] = {}
    for role, identity in connection.execute(query):
        found[Role(role)] = (*found.get(Role(role), ()), identity)
    return found


def is_granted(connection: Connection, environment: str, role: Role, name: str) -> bool:
    """Whether a role was granted to this very identity."""
    return folded(name) in read_grants(connection, environment).get(role, ())


def require(connection: Connection, environment: str, role: Role, who: Identity) -> None:
    """Refuse an identity without a role.

    Raises:
        StoreError: When the role was granted to others, and not to this identity.
    """
    granted = read_grants(connection, environment).get(role, ())
    if granted and folded(who.name) not in granted:
        raise StoreError(
            f"{who} may not {role} in {environment}; nothing was changed.",
            f"The role {role!r} has: {', '.join(granted)}. `sluice protection show` lists all roles.",
        )


def grant_row(role: Role, identity: str) -> ProposedRow:
    """Return the row of a grant."""
    name = folded(identity)
    return ProposedRow("environment_role", f"{role}.{name}", None, {"role": role.value, "identity": name})


def protection_row(environment: str) -> ProposedRow:
    """Return the row that takes the protection off."""
    return ProposedRow("protected_environment", environment, {"is_protected": True}, None)


def write_rows(connection: Connection, environment: str, rows: list[ProposedRow]) -> None:
    """Write rows of protection and roles.

    Raises:
        StaleRowError: When one differs from its `before`.
    """
    for row in rows:
        table = environment_role if row.table == environment_role.name else protected_environment
        given = {"environment": environment, **(row.before or row.after or {})}
        values = {name: value for name, value in given.items() if name in table.c}
        here = and_(*(table.c[column.name] == values[column.name] for column in table.primary_key))
        is_there = bool(connection.execute(select(func.count()).select_from(table).where(here)).scalar_one())
        if is_there != (row.before is not None):
            raise StaleRowError(
                f"{row.table}[{row.key}] {'is there already' if is_there else 'is not there'}; nothing was written.",
                "`sluice protection show` shows what there is.",
            )
        connection.execute(delete(table).where(here) if row.after is None else insert(table).values(values))
