"""SCD1 loads beside dbt's incremental models and beside the least statements that could do the same.

python benchmarks/scd1.py [--warehouses duckdb,postgres] [--sizes 20000,100000,500000] [--repeats 3]
    [--peers sqlmesh,dlt] [--json]
"""

from __future__ import annotations

from collections.abc import Iterator

from contest import Contest, Contestant
from events import COLUMNS, DELTA_LANDED, REPLAY_LANDED, Delivery, Events, expected_newest
from load_report import Finding, Goal, main

_LISTED = ", ".join(COLUMNS)


def _contestant(name: str, node: str) -> Contestant:
    return Contestant(name, f"select {_LISTED} from dwh.{node}", expected_newest(), node=node)


_SLUICE = _contestant("sluice", "scd1_sluice")
_MERGE = _contestant("incremental merge", "scd1_merge")
_DELETE_INSERT = _contestant("incremental delete+insert", "scd1_delete_insert")
_AUDIT = "cast('run' as varchar(64)) as run_id, cast(current_timestamp as timestamp) as loaded_at"
# Delete, insert: no events out of order, no deletes, no ties, no rejects, no log.
_FLOOR = Contestant(
    "floor",
    f"select {_LISTED} from dwh.scd1_floor",
    expected_newest(),
    first=[f"create table dwh.scd1_floor as select {_LISTED}, {_AUDIT} from raw.events"],
    delta=[
        f"""
        create temporary table staged as
        select {_LISTED} from raw.events where landed_at >= timestamp '{DELTA_LANDED}'
        """,
        "delete from dwh.scd1_floor as stored using staged where stored.id = staged.id",
        f"insert into dwh.scd1_floor select {_LISTED}, {_AUDIT} from staged",
    ],
)


def measure(contest: Contest, keys: int) -> Iterator[Finding | Goal]:
    """Measure one size in one warehouse."""
    events, contestants = Events(keys), [_SLUICE, _FLOOR, _MERGE, _DELETE_INSERT]
    first = contest.first_load(events, contestants)
    yield from (Finding("first load", name, cost) for name, cost in first.items())

    load = contest.delta_load(Delivery(events), contestants, keep="_loaded")
    yield from (Finding("in order", name, cost) for name, cost in load.items())
    yield Goal("in order", "floor", "statements", load["sluice"], load["floor"], at_most=2)
    worst = 1 / 0.9 if contest.warehouse.name == "postgres" else 1
    yield Goal("in order", _MERGE.name, "node", load["sluice"], load[_MERGE.name], at_most=0.3)
    yield Goal("in order", _DELETE_INSERT.name, "node", load["sluice"], load[_DELETE_INSERT.name], at_most=worst)

    again = contest.delta_load(Delivery(events, landed=REPLAY_LANDED), [_SLUICE], base="_loaded")
    if written := contest.rows_written("dwh.scd1_sluice"):
        raise RuntimeError(f"a replay wrote {written} rows")
    yield Finding("replay", "sluice", again["sluice"])
    yield Goal("replay", "in order", "node", again["sluice"], load["sluice"], at_most=1 / 3)


if __name__ == "__main__":
    main(__doc__ or "", "scd1", measure)
