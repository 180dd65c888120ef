"""SCD2 loads beside dbt's snapshots and beside the least statements that could do the same.

python benchmarks/scd2.py [--warehouses duckdb,postgres] [--sizes 20000,100000,500000] [--repeats 3]
    [--peers sqlmesh,dlt] [--json]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from contest import Contest, Contestant
from events import (
    COLUMNS,
    CONTENT,
    DELTA_LANDED,
    REPLAY_LANDED,
    Delivery,
    Events,
    expected_newest,
    expected_versions,
)
from load_process import LoadCost
from load_report import Finding, Goal, main
from warehouses import Warehouse

_LISTED = ", ".join(COLUMNS)
_VERSIONS = f"select {_LISTED}, valid_from, valid_to from dwh."
_SLUICE = Contestant("sluice", f"{_VERSIONS}scd2_sluice", expected_versions(), node="scd2_sluice")
_TIMESTAMP = Contestant(
    "snapshot timestamp, delta feed",
    f"select {_LISTED}, dbt_valid_from, dbt_valid_to from dwh.scd2_timestamp",
    expected_versions(),
    node="scd2_timestamp",
)
# A check snapshot without updated_at dates its versions by the clock: only what is current can be compared.
_CHECK = Contestant(
    "snapshot check, delta feed",
    f"select {_LISTED} from dwh.scd2_check where dbt_valid_to is null",
    expected_newest(),
    node="scd2_check",
)
_MILLION_KEYS = 1_000_000
_LARGE_KEYS = 5 * _MILLION_KEYS


def _goals(warehouse: str, keys: int) -> Mapping[str, float]:
    """The largest ratio to each of the others that an increment in order may have."""
    floor = 1.2 if keys >= _LARGE_KEYS else 1.5
    if warehouse == "postgres":
        return {"floor": floor, _TIMESTAMP.name: 1 / 2.5}
    return {"floor": floor, _TIMESTAMP.name: 0.3 if keys >= _MILLION_KEYS else 0.5}


def _floor(warehouse: Warehouse) -> Contestant:
    """Stage, compare content, close, insert: no ledger, no late events, no ties, no rejects, no log."""
    differs = " or ".join(f"staged.{name} is distinct from stored.{name}" for name in CONTENT)
    return Contestant(
        "floor",
        f"{_VERSIONS}scd2_floor",
        expected_versions(),
        first=[
            f"""
            create table dwh.scd2_floor as
            select {_LISTED}, changed_at as valid_from, cast(null as timestamp) as valid_to, true as is_current,
                cast('run' as varchar(64)) as run_id, cast(current_timestamp as timestamp) as loaded_at
            from raw.events
            """
        ],
        delta=[
            f"""
            create temporary table staged as
            select {_LISTED} from raw.events where landed_at >= timestamp '{DELTA_LANDED}'
            """,
            *(["analyze staged"] if warehouse.name == "postgres" else []),
            f"""
            create temporary table fresh as
            select staged.*, stored.id is not null as is_known
            from staged
            left join (select * from dwh.scd2_floor where is_current) as stored on staged.id = stored.id
            where stored.id is null or ({differs})
            """,
            """
            update dwh.scd2_floor as stored set valid_to = fresh.changed_at, is_current = false
            from fresh where stored.id = fresh.id and stored.is_current and fresh.is_known
            """,
            f"""
            insert into dwh.scd2_floor
            select {_LISTED}, changed_at, null, true, 'run', cast(current_timestamp as timestamp) from fresh
            """,
        ],
    )


def measure(contest: Contest, keys: int) -> Iterator[Finding | Goal]:
    """Measure one size in one warehouse."""
    events, floor = Events(keys), _floor(contest.warehouse)
    snapshots = [_TIMESTAMP, _fed_everything(_TIMESTAMP), _CHECK, _fed_everything(_CHECK)]
    first = contest.first_load(events, [_SLUICE, floor, *snapshots])
    yield from _findings("first load", {name: first[name] for name in ("sluice", "floor")})
    yield Goal("first load", "floor", "statements", first["sluice"], first["floor"], at_most=1.5)

    load = contest.delta_load(Delivery(events), [_SLUICE, floor, *snapshots], keep="_loaded")
    yield from _findings("in order", load)
    for name, at_most in _goals(contest.warehouse.name, keys).items():
        share = "statements" if name == "floor" else "node"
        yield Goal("in order", name, share, load["sluice"], load[name], at_most=at_most)

    late = contest.delta_load(Delivery(events, is_late=True), [_SLUICE])
    yield from _findings("10 % late", late)
    yield Goal("10 % late", "in order", "node", late["sluice"], load["sluice"], at_most=1.5)

    again = contest.delta_load(Delivery(events, landed=REPLAY_LANDED), [_SLUICE], base="_loaded")
    if written := contest.rows_written("dwh.scd2_sluice"):
        raise RuntimeError(f"a replay wrote {written} rows")
    yield from _findings("replay", again)
    yield Goal("replay", "in order", "node", again["sluice"], load["sluice"], at_most=1 / 3)

    events = replace(events, events_per_key=5)
    many = contest.first_load(events, [_SLUICE, _copying(floor)])
    yield from _findings("first load, 5 events a key", many)
    yield Goal("first load, 5 events a key", "floor", "statements", many["sluice"], many["floor"], at_most=2)


def _fed_everything(contestant: Contestant) -> Contestant:
    name = contestant.name.replace("delta", "full")
    return replace(contestant, name=name, is_fed_everything=True)


def _copying(floor: Contestant) -> Contestant:
    """Return a floor that only copies: it does not know versions, so it is held to its events."""
    return replace(floor, found=f"select {_LISTED} from dwh.scd2_floor", expected=f"select {_LISTED} from raw.events")


def _findings(work: str, costs: Mapping[str, LoadCost]) -> Iterator[Finding]:
    return (Finding(work, name, cost) for name, cost in costs.items())


if __name__ == "__main__":
    main(__doc__ or "", "scd2", measure)
