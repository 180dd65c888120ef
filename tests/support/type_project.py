"""A project whose targets hold every type of a warehouse in every place of a load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metadata_sync.sql.type_rules import Place, key_kind, type_problem
from metadata_sync.sql.types import type_parts
from tests.support.type_samples import Sample

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Column:
    """A sample with the name of its columns."""

    name: str
    sample: Sample


@dataclass(frozen=True)
class TypeProject:
    """What the sources hold, and the rows that read them.

    Attributes:
        dialect: The warehouse's SQL.
        samples: Its types.
        kinds: Types that only the warehouse knows, and what they are.
    """

    dialect: str
    samples: Sequence[Sample]
    kinds: dict[str, str]

    def is_right(self, sample: Sample, place: Place) -> bool:
        """Whether the contract says that a type loads right at a place."""
        kind = self.kinds.get(sample.known_as.removesuffix("[]"))
        return type_problem("v", sample.known_as, place, self.dialect, kind) is None

    def columns(self, place: Place) -> list[Column]:
        """Return the samples that load right at a place."""
        named = (Column(f"c{number}", sample) for number, sample in enumerate(self.samples))
        return [column for column in named if self.is_right(column.sample, place)]

    def refused(self, place: Place) -> list[Column]:
        """Return the samples that are refused at a place."""
        named = (Column(f"c{number}", sample) for number, sample in enumerate(self.samples))
        return [column for column in named if not self.is_right(column.sample, place)]

    @property
    def ordered(self) -> list[Column]:
        """Types that order events and cut no windows."""
        windows = {column.name for column in self.columns(Place.INCREMENTAL)}
        ordered = [column for column in self.columns(Place.SEQUENCE) if column.name not in windows]
        return [*{type_parts(column.sample.known_as)[0]: column for column in reversed(ordered)}.values()]

    @property
    def windows(self) -> list[Column]:
        """Types that cut windows; of the integers, which one rule reads, the narrowest and the widest."""
        found = self.columns(Place.INCREMENTAL)
        integers = [column for column in found if key_kind(column.sample.known_as) == "integer"]
        return [column for column in found if column not in integers[1:-1]]

    def sources(self) -> list[str]:
        """Return the statements that make the sources, with the rows of the first load.

        `shop.wide` has two columns of every type: `c…`, which is tracked, and `d…`, which is not. Its row i holds a
        value of type i, and row 1000 + i too.
        """
        named = [Column(f"c{number}", sample) for number, sample in enumerate(self.samples)]
        pairs = ", ".join(f"{c.name} {c.sample.type}, d{c.name[1:]} {c.sample.type}" for c in named)
        singles = ", ".join(f"{c.name} {c.sample.type}" for c in named)
        statements = [
            f"create table shop.wide (id integer, landed_at timestamp, {pairs})",
            f"create table shop.single (id integer, landed_at timestamp, {singles})",
        ]
        for number, column in enumerate(self.columns(Place.COLUMN)):
            for first in (0, 1000):
                names = f"id, landed_at, {column.name}, d{column.name[1:]}"
                values = f"{first + number}, '2024-01-01', {column.sample.lesser}, {column.sample.lesser}"
                statements.append(f"insert into shop.wide ({names}) values ({values})")
        for column in self.ordered:
            statements += [self._single(column, value) for value in (column.sample.greater, column.sample.lesser)]
        keys = self.columns(Place.KEY)
        statements.append(f"create table shop.keys (v integer, landed_at timestamp, {_typed(keys)})")
        statements += self.keys("2024-01-01", 1)
        for column in self.windows:
            table = f"shop.window_{column.name}"
            statements.append(f"create table {table} (id integer, v {column.sample.type})")
            statements.append(f"insert into {table} values (1, {column.sample.lesser})")
        return statements

    def changes(self) -> list[str]:
        """Return the statements that write the rows of the second load."""
        statements = []
        for number, column in enumerate(self.columns(Place.COLUMN)):
            lesser, greater = column.sample.lesser, column.sample.greater
            for first, tracked in ((0, greater), (1000, lesser)):
                names = f"id, landed_at, {column.name}, d{column.name[1:]}"
                values = f"{first + number}, '2024-01-02', {tracked}, {greater}"
                statements.append(f"insert into shop.wide ({names}) values ({values})")
        later = [f"insert into shop.window_{c.name} values (1, {c.sample.greater})" for c in self.windows]
        return [*statements, *later, *self.keys("2024-01-02", 2)]

    def keys(self, landed_at: str, value: int) -> list[str]:
        """Return keys that differ in one column each, and the key that holds no greater value."""
        columns = self.columns(Place.KEY)
        rows = []
        for changed in [None, *columns]:
            key = [c.sample.greater if c is changed else c.sample.lesser for c in columns]
            rows.append(f"({value}, '{landed_at}', {', '.join(key)})")
        return [f"insert into shop.keys values {row}" for row in rows]

    def _single(self, column: Column, value: str) -> str:
        number = int(column.name[1:])
        return f"insert into shop.single (id, landed_at, {column.name}) values ({number}, '2024-01-01', {value})"

    def rows(self) -> Rows:
        """Return the rows of all types that load right."""
        both = [*self.columns(Place.COLUMN)]
        tracked = [column.name for column in both]
        targets = [
            target("columns", "shop.wide", load_type="scd2", business_key=["id"], scd_columns=tracked),
            target("keys", "shop.keys", load_type="scd1", business_key=[c.name for c in self.columns(Place.KEY)]),
        ]
        targets += [
            target(f"order_{c.name}", "shop.single", load_type="scd2", business_key=["id"], sequence_by=["v"])
            for c in self.ordered
        ]
        windows = self.windows
        targets += [
            target(f"window_{c.name}", f"shop.window_{c.name}", load_type="scd1", business_key=["id"]) for c in windows
        ]
        sources = [window_source(name, "landed_at") for name in ("wide", "single", "keys")]
        return {
            "sources": [*sources, *(window_source(f"window_{c.name}", "v") for c in windows)],
            "pipelines": [{"pipeline_id": "types", "pipeline_name": "Types", "template": "presentation"}],
            "transformations": targets,
        }

    def selects(self) -> dict[str, str]:
        """Return the SELECTs of `rows`."""
        both = ", ".join(f"w.{c.name}, w.d{c.name[1:]}" for c in self.columns(Place.COLUMN))
        keys = ", ".join(f"k.{c.name}" for c in self.columns(Place.KEY))
        ordered = {
            f"order_{c.name}": f"select s.id, s.{c.name} as v, cast(s.{c.name} as varchar(100)) as t "
            f"from shop.single as s where s.{c.name} is not null"
            for c in self.ordered
        }
        windows = {f"window_{c.name}": f"select w.id, w.v from shop.window_{c.name} as w" for c in self.windows}
        return {
            "columns": f"select w.id, w.landed_at, {both} from shop.wide as w",
            "keys": f"select k.v, k.landed_at, {keys} from shop.keys as k",
            **ordered,
            **windows,
        }

    def refused_rows(self) -> tuple[Rows, dict[str, str]]:
        """Return one target for each type and place that the contract refuses, and their SELECTs."""
        targets, selects = [], {}
        settings: dict[Place, dict[str, Any]] = {
            Place.COLUMN: {"business_key": ["id"]},
            Place.KEY: {"business_key": ["v"]},
            Place.SEQUENCE: {"business_key": ["id"], "sequence_by": ["v"]},
            Place.INCREMENTAL: {"business_key": ["id"]},
        }
        for place in Place:
            for column in self.refused(place):
                name = f"refused_{place.name.lower()}_{column.name}"
                refused = target(name, "shop.wide", load_type="scd1", **settings[place])
                if place is Place.INCREMENTAL:
                    refused["dependencies"][0]["incremental_key"] = column.name
                yielded = f"w.{column.name}" + ("" if place is Place.INCREMENTAL else " as v")
                selects[name] = f"select w.id, w.landed_at, {yielded} from shop.wide as w"
                targets.append(refused)
        rows = self.rows()
        return {**rows, "sources": [window_source("wide", "landed_at")], "transformations": targets}, selects


def _typed(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.sample.type}" for column in columns)


def window_source(table: str, key: str) -> dict[str, Any]:
    """Return the row of a source with an incremental key."""
    return {"schema": "shop", "table": table, "kind": "warehouse", "incremental_key": key}


def target(table: str, source: str, **values: Any) -> dict[str, Any]:
    """Return the row of a target of one source."""
    return {
        "target_schema": "dwh",
        "target_table": table,
        "pipeline_id": "types",
        "sql_path": f"transformations/{table}.sql",
        "dependencies": [{"table": source, "driving": True}],
        **values,
    }
