"""The check-up of the warehouse's role: SELECTs of rows run as it, so it needs the rights of loads and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from flows.context import Context
from flows.doctor.finding import CheckFinding, Level
from flows.warehouse.connection import Warehouse, open_warehouse
from flows.warehouse.profile import SLUICE_SCHEMA, Profile

_REMEDY: Final = "Use a role of its own with the grants of docs/security.md."
_POWERS: Final = """
    select
        r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
        (
            select string_agg(g.rolname, ', ' order by g.rolname) from pg_roles as g
            where g.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
                and pg_has_role(g.oid, 'usage')
        )
    from pg_roles as r where r.rolname = current_user
"""
_POWER_NAMES: Final = (
    *("superuser", "may create roles", "may create databases", "may replicate"),
    "bypasses row security",
)
_FOREIGN: Final = """
    select distinct n.nspname
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and (
            has_table_privilege(c.oid, 'insert') or has_table_privilege(c.oid, 'update')
            or has_table_privilege(c.oid, 'delete')
        )
    order by 1
"""
_REDSHIFT_POWERS: Final = "select usesuper, usecreatedb from pg_user where usename = current_user"
_REDSHIFT_POWER_NAMES: Final = ("superuser", "may create databases")


def examine_role(context: Context) -> Iterator[CheckFinding]:
    """Compare the role's rights with those that loads need; the embedded warehouse knows no roles."""
    profile = context.profile
    if profile.is_embedded:
        return
    warehouse = open_warehouse(profile, wait_seconds=0)
    try:
        powers = _powers(warehouse, profile)
        foreign = _foreign_schemas(warehouse, _own_schemas(context, profile)) if profile.dialect == "postgres" else []
    finally:
        warehouse.close()
    if powers:
        yield CheckFinding(
            "warehouse role", Level.WARN, f"has more rights than loads need: {', '.join(powers)}", _REMEDY
        )
    if foreign:
        message = f"may write tables of schemas that no row loads: {', '.join(foreign)}"
        yield CheckFinding("warehouse role", Level.WARN, message, _REMEDY)
    if not powers and not foreign:
        looked = "superuser, roles, server files, other schemas" if profile.dialect == "postgres" else "superuser"
        yield CheckFinding("warehouse role", Level.OK, f"has no more rights than loads need (checked: {looked})")


def _powers(warehouse: Warehouse, profile: Profile) -> list[str]:
    if profile.dialect == "redshift":
        rows = warehouse.query(_REDSHIFT_POWERS)
        return [name for row in rows for name, has in zip(_REDSHIFT_POWER_NAMES, row, strict=True) if has]
    rows = warehouse.query(_POWERS)
    found = [name for row in rows for name, has in zip(_POWER_NAMES, row[:5], strict=True) if has]
    return found + [f"member of {row[5]}" for row in rows if row[5]]


def _own_schemas(context: Context, profile: Profile) -> Collection[str]:
    rows = context.store.read_rows()
    schemas = {SLUICE_SCHEMA, *(row.target_schema for row in rows.transformations)}
    return {profile.physical_schema(schema) for schema in schemas} | {str(profile.values.get("schema", "public"))}


def _foreign_schemas(warehouse: Warehouse, own: Collection[str]) -> list[str]:
    return [str(name) for (name,) in warehouse.query(_FOREIGN) if name not in own]
