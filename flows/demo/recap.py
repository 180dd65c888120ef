"""What the runs did, read from the control database, and one plane's history, read from the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from flows.demo.landing import LATE_DAY, WEEK_END
from metadata_sync.database import ControlStore
from metadata_sync.database.journals.entries import DecisionEntry, LoadEntry
from metadata_sync.loads import RowCounts

_DECISIONS_OF_A_RUN: Final = 100

# The plane with the most versions among those in which a late row split a version that had been loaded before.
_SPLIT_PLANE: Final = """
with neighbours as (
    select
        tailnum, carrier, base_airport, valid_from, valid_to,
        lag(base_airport) over (partition by tailnum order by valid_from) as airport_before,
        lead(base_airport) over (partition by tailnum order by valid_from) as airport_after,
        count(*) over (partition by tailnum) as version_count
    from dwh.dim_aircraft
)

select tailnum
from neighbours
where
    carrier = 'B6'
    and base_airport = 'LGA'
    and cast(valid_from as date) = $late_day
    and cast(valid_to as date) <= $week_end
    and airport_before = airport_after
order by version_count desc, tailnum
limit 1
"""

_HISTORY: Final = """
select
    tailnum, carrier_name, base_airport, valid_from, valid_to, is_current,
    cast(valid_from as date) = $late_day and base_airport = 'LGA' as is_late
from dwh.dim_aircraft
where tailnum = $tailnum
order by valid_from
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision of one run on one target, and its result.

    Attributes:
        target: `schema.table`.
        action: run, skip or hold.
        reason: Why, for people.
        windows: The window that was read of each driving source, for people.
        rows: How many rows were read and written; None when nothing ran.
        seconds: How long the load took; None when nothing ran.
    """

    target: str
    action: str
    reason: str
    windows: str
    rows: RowCounts | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class PlaneVersion:
    """A row of dwh.dim_aircraft; is_late marks the version that a late row created."""

    tailnum: str
    carrier_name: str
    base_airport: str
    valid_from: datetime
    valid_to: datetime | None
    is_current: bool
    is_late: bool


def outcomes_since(store: ControlStore, instant: datetime) -> tuple[Outcome, ...]:
    """Return the last decision on each target after an instant, and its result, by target."""
    recent = (item for item in store.latest_decisions(limit=_DECISIONS_OF_A_RUN) if item.decided_at >= instant)
    last_decisions: dict[str, DecisionEntry] = {}
    for decision in recent:  # newest first
        last_decisions.setdefault(decision.target, decision)
    loads = {load.target: load for load in store.latest_loads().newest if load.finished_at >= instant}
    return tuple(_outcome(decision, loads.get(target)) for target, decision in sorted(last_decisions.items()))


def history_of_a_split_plane(warehouse: Path) -> tuple[PlaneVersion, ...]:
    """Return all versions of one plane whose history a late row split; read-only.

    Args:
        warehouse: File of the embedded warehouse; no other process may have it open for writing.
    """
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        plane = connection.execute(_SPLIT_PLANE, {"late_day": LATE_DAY, "week_end": WEEK_END}).fetchone()
        if plane is None:
            return ()
        rows = connection.execute(_HISTORY, {"late_day": LATE_DAY, "tailnum": plane[0]}).fetchall()
    return tuple(PlaneVersion(*row) for row in rows)


def _outcome(decision: DecisionEntry, load: LoadEntry | None) -> Outcome:
    ran = load if load is not None and decision.action == "run" else None
    return Outcome(
        target=decision.target,
        action=decision.action,
        reason=decision.message,
        windows="\n".join(str(window) for window in ran.windows) if ran else "",
        rows=ran.rows if ran else None,
        seconds=ran.seconds if ran else None,
    )
