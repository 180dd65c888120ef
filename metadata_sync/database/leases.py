"""Leases: one per target, so that two runs do not load it at the same time. All times are of the database's clock.

A lease belongs to the token of one run. It ends when the run releases it, when it is not renewed in time, or when
another process finds that its holder has died. Leases only avoid useless work. Correctness does not depend on them: the
target's head row in the warehouse rejects the second of two loads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, RowMapping, and_, delete, insert, select, update

from metadata_sync.database.engine import database_now, to_utc
from metadata_sync.database.tables import target_lease
from metadata_sync.redact import redact_text


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """The holder of leases.

    Attributes:
        token: Unique token of the run.
        run_id: The run.
        held_by: Person or role, and what it does, for people.
        machine: Pid namespace of its process: processes in the same one can check whether it lives.
        pid: Its process id there.
        process: Start of its process, to tell it from a later one with the same pid.
    """

    token: str
    run_id: str
    held_by: str
    machine: str
    pid: int
    process: str


@dataclass(frozen=True, slots=True)
class Lease:
    """One target's lease.

    Attributes:
        target: `schema.table`.
        holder: Its holder.
        taken_at: When it was taken, UTC by the database's clock.
        expires_at: When it expires unless it is renewed, by the same clock.
        is_expired: Whether it had expired when it was read.
    """

    target: str
    holder: LeaseHolder
    taken_at: datetime
    expires_at: datetime
    is_expired: bool

    def __str__(self) -> str:
        holder = self.holder
        return (
            f"{holder.held_by} (run {holder.run_id}, process {holder.pid} on {holder.machine}, "
            f"since {self.taken_at:%Y-%m-%d %H:%M:%S} UTC)"
        )


def take(
    connection: Connection,
    environment: str,
    targets: Collection[str],
    holder: LeaseHolder,
    *,
    seconds: float,
    abandoned: Collection[str],
) -> tuple[Lease, ...]:
    """Take the leases of those targets that no other holder has; needs a transaction that locks writers.

    Args:
        connection: A writing transaction.
        environment: The environment.
        targets: The targets.
        holder: The new holder.
        seconds: Duration of the leases.
        abandoned: Tokens of dead holders, whose leases are taken over.

    Returns:
        The leases that other holders keep; the new holder has the leases of all other targets.
    """
    now = database_now(connection)
    wanted = target_lease.c.target.in_(sorted(targets))
    existing = _read(connection, environment, now, wanted)
    held_by_others = [
        lease
        for lease in existing
        if not lease.is_expired and lease.holder.token not in abandoned and lease.holder.token != holder.token
    ]
    free = sorted(set(targets) - {lease.target for lease in held_by_others})
    if free:
        here = and_(target_lease.c.environment == environment, target_lease.c.target.in_(free))
        connection.execute(delete(target_lease).where(here))
        until = now + timedelta(seconds=seconds)
        times = {"taken_at": to_utc(now), "renewed_at": to_utc(now), "expires_at": to_utc(until)}
        who = {**asdict(holder), "held_by": redact_text(holder.held_by)}
        connection.execute(
            insert(target_lease), [{"environment": environment, "target": name, **who, **times} for name in free]
        )
    return tuple(held_by_others)


def renew(connection: Connection, environment: str, token: str, seconds: float) -> frozenset[str]:
    """Extend the leases of a token to a number of seconds from now, and return the targets that it still holds."""
    now = database_now(connection)
    mine = and_(target_lease.c.environment == environment, target_lease.c.token == token)
    until = to_utc(now + timedelta(seconds=seconds))
    connection.execute(update(target_lease).where(mine).values(renewed_at=to_utc(now), expires_at=until))
    return frozenset(connection.execute(select(target_lease.c.target).where(mine)).scalars())


def give_back(connection: Connection, environment: str, token: str, targets: Collection[str]) -> None:
    """Release the leases of a token on targets."""
    columns = target_lease.c
    mine = and_(columns.environment == environment, columns.token == token, columns.target.in_(sorted(targets)))
    connection.execute(delete(target_lease).where(mine))


def read(connection: Connection, environment: str) -> tuple[Lease, ...]:
    """Return all leases, by target, including expired ones."""
    return tuple(_read(connection, environment, database_now(connection)))


def _read(connection: Connection, environment: str, now: datetime, *conditions: object) -> Sequence[Lease]:
    query = select(target_lease).where(target_lease.c.environment == environment, *conditions)  # type: ignore[arg-type]
    return [_lease(row, now) for row in connection.execute(query.order_by(target_lease.c.target)).mappings()]


def _lease(row: RowMapping, now: datetime) -> Lease:
    holder = LeaseHolder(row["token"], row["run_id"], row["held_by"], row["machine"], row["pid"], row["process"])
    taken_at, expires_at = (row[name].replace(tzinfo=UTC) for name in ("taken_at", "expires_at"))
    return Lease(row["target"], holder, taken_at, expires_at, is_expired=expires_at <= now)
