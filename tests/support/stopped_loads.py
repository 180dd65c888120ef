"""Targets whose loads are stopped on the way: one increment that holds everything, and what must stand afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.support.dbt_project import DbtProject, driving

EVENTS = [
    ("1", "a", "x", False, 10, 1),
    ("2", "a", "x", False, 10, 1),
    ("3", "a", "x", False, 10, 1),
    ("4", "a", "x", False, 10, 1),
    ("5", "a", "x", False, 10, 1),
]
# A new key, a change, an unchanged event, a delete, a late event, several events of one key, a reject.
INCREMENT = [
    ("6", "a", "x", False, 20, 2),
    ("1", "b", "x", False, 20, 2),
    ("2", "a", "y", False, 20, 2),
    ("3", "a", "x", True, 20, 2),
    ("4", "c", "x", False, 5, 2),
    ("5", "b", "x", False, 20, 2),
    ("5", "c", "x", False, 30, 2),
    (None, "a", "x", False, 20, 2),
]
# What the SELECT yields is decided when it is compiled: the project is parsed once.
SELECT = """
select e.id, e.v, e.gone, e.happened, e.landed,
{% if env_var("WIDER", "") %} cast(e.u as varchar(20)) as u, e.happened + 1 as extra
{% else %} cast(e.u as varchar(9)) as u
{% endif %}
from {{ sluice.increment(source('lake', 'events')) }} as e
"""
WIDER = {"WIDER": "yes"}
COLUMNS = "id, v, u, gone, happened"
WIDE = f"{COLUMNS}, extra"
KEYED: dict[str, Any] = {"business_key": ["id"], "sequence_by": ["happened"]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "scd2": ("scd2", {**KEYED, "scd_columns": ["v"], "delete_when": "gone"}),
    "scd1": ("scd1", {**KEYED, "delete_when": "gone"}),
    "range": ("append", {"incremental_key": "landed"}),
}

State = list[list[tuple[object, ...]]]


def add_source(project: DbtProject) -> None:
    """Make the table that the targets read, empty."""
    project.source("events")
    project.execute(
        """create table lake.events
           (id varchar(9), v varchar(9), u varchar(20), gone boolean, happened integer, landed integer)"""
    )


def add_targets(project: DbtProject, names: Iterable[str]) -> None:
    """Write a model for each name; what stands before its first underscore is its kind."""
    for name in names:
        materialized, settings = KINDS[name.partition("_")[0]]
        dependencies = [driving("events", incremental_key="landed")]
        project.model(name, SELECT, materialized=materialized, dependencies=dependencies, **settings)


def state(project: DbtProject, name: str, columns: str = COLUMNS) -> State:
    """Rows of target, side table, rejects and log, without what differs from load to load."""
    versions = f"{columns}, valid_from, valid_to, is_current" if name.startswith("scd2") else columns
    queries = [
        f"select {versions} from dwh.{name}",
        f"select {columns}, _sluice_deleted from sluice.dwh__{name}__side",
        f"select reason from sluice.dwh__{name}__rejects",
        f"select window_start, window_end, rows_read, rows_inserted from sluice.load_log where target = 'dwh.{name}'",
    ]
    return [sorted(project.query(query), key=str) for query in queries]
