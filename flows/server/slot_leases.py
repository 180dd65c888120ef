"""Gives the leases of Prefect's slots their whole time again when the server starts.

A run renews the lease of its slot every 225 s, and can do so only while the server answers. When the server was away
for longer than the lease, it would take the lease away as it starts, and Prefect would then end the run that still
holds it ("410 Gone"). A run that is really gone loses its slot through the reconciler, which looks at its process.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prefect.server.concurrency.lease_storage import ConcurrencyLeaseStorage

LEASE_SECONDS: Final = 300
"""Duration of the lease of a run's slot: Prefect's default."""
_PAGE: Final = 1_000


async def renew_leases(storage: ConcurrencyLeaseStorage) -> int:
    """Let every lease, expired or not, last for its whole time from now on.

    Args:
        storage: Where the server keeps its leases.

    Returns:
        The number of leases.

    Raises:
        OSError: When the leases cannot be read or written.
    """
    expired = await storage.read_expired_lease_ids(_PAGE)
    leases = [*expired, *await storage.read_active_lease_ids(_PAGE)]
    return [await storage.renew_lease(lease, timedelta(seconds=LEASE_SECONDS)) for lease in leases].count(True)
