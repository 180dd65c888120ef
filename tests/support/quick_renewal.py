"""The flow `run` in a process that renews the lease of its slot every few seconds instead of every 225."""

from __future__ import annotations

import prefect.concurrency._leases

from flows.prefect.run_flow import run

__all__ = ["run"]

prefect.concurrency._leases._RENEWAL_FRACTION = 0.01  # Prefect has no setting for it
