"""dbt's sessions on Redshift count in UTC, whatever zone the user or the workgroup is set to.

A zone changes the day of a TIMESTAMPTZ and the text of it, so rows would differ from those of DuckDB, PostgreSQL and
Spark. PostgreSQL's sessions read PGTZ (`flows.warehouse.profile.dbt_environment`); Redshift's driver passes neither an
option nor a variable on, so each session says it first (ADR 36).

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_timezone_config.html
"""

from __future__ import annotations

from typing import Any, Final

from flows.warehouse.profile import Profile

_SET_UTC: Final = "set timezone to 'UTC'"
_MARK: Final = "counts_in_utc"


def count_in_utc(profile: Profile) -> None:
    """Let each session that dbt opens on Redshift in this process begin with `set timezone to 'UTC'`.

    The adapter gets a connection manager that opens a connection as its own does, and then sends the statement. One
    call is enough for a process; further ones, and other warehouses, change nothing.

    Args:
        profile: The target; without Redshift the adapter is not imported.
    """
    if profile.type != "redshift":
        return
    from dbt.adapters.redshift.impl import RedshiftAdapter

    if not hasattr(RedshiftAdapter.ConnectionManager, _MARK):
        RedshiftAdapter.ConnectionManager = _with_utc(RedshiftAdapter.ConnectionManager)


def _with_utc(manager: Any) -> Any:
    """Return the adapter's connection manager with sessions in UTC."""

    def open_in_utc(cls: Any, connection: Any) -> Any:
        was_open = connection.state == "open"
        opened = manager.open.__func__(cls, connection)
        if not was_open:
            with opened.handle.cursor() as cursor:
                cursor.execute(_SET_UTC)
            if not opened.handle.autocommit:
                opened.handle.commit()  # a transaction that is rolled back would take the setting with it
        return opened

    return type(manager.__name__, (manager,), {"open": classmethod(open_in_utc), _MARK: True})
