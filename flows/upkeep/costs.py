"""Reads what loads took of a Redshift warehouse, and keeps it: the warehouse itself forgets it after seven days."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flows.context import Context
from flows.reports.cost import Prices
from flows.warehouse.connection import open_warehouse
from flows.warehouse.query_history import KEPT, History, read_history
from metadata_sync.errors import ConfigurationError

REDSHIFT: Final = "redshift"
_SERVERLESS_HOST: Final = ".redshift-serverless."


def prices_of(context: Context) -> Prices:
    """Return what the warehouse costs, as the settings say."""
    settings = context.settings
    return Prices(settings.redshift_usd_per_hour, settings.redshift_usd_per_rpu_hour)


def has_history(context: Context) -> bool:
    """Whether the environment's warehouse keeps a history of statements with the labels of loads."""
    return context.profile.type == REDSHIFT


def read_costs(context: Context, now: datetime) -> History:
    """Read the whole history and store what the loads in it took.

    A load of which the history has forgotten a part keeps what was stored of it.

    Args:
        context: The project.
        now: UTC.

    Returns:
        What the history tells.

    Raises:
        ConfigurationError: When the warehouse keeps no such history.
        SoftRunError: When it cannot be reached.
        HardRunError: When the user may not read the history.
    """
    if not has_history(context):
        raise ConfigurationError(
            f"Only Redshift keeps a history that says what each load took; environment "
            f"{context.settings.environment!r} runs on {context.profile.type}.",
            "`sluice savings` and `sluice status` show how long loads took.",
        )
    host = str(context.profile.values.get("host", ""))
    is_serverless = _SERVERLESS_HOST in host or context.settings.redshift_usd_per_rpu_hour is not None
    warehouse = open_warehouse(context.profile, wait_seconds=context.settings.lock_wait_seconds)
    try:
        history = read_history(warehouse, now - KEPT, now, is_serverless=is_serverless)
    finally:
        warehouse.close()
    known = {(cost.run_id, cost.target): cost.statement_count for cost in context.store.load_costs(now - 2 * KEPT)}
    context.store.write_load_costs(
        cost for cost in history.loads if cost.statement_count >= known.get((cost.run_id, cost.target), 0)
    )
    return history
