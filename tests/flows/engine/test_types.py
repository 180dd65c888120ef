"""Every type in every place of a load: it loads right, or validate refuses it. docs/types.md is written from here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from flows.context import Context, reading
from flows.engine.engine import execute, prepare
from flows.run.model import RunRequest
from flows.warehouse.columns import table_columns
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.settings import Settings
from metadata_sync.sql.type_rules import Place
from metadata_sync.validation.select_rules import select_faults
from tests.redshift_standin.fixture import running
from tests.support import name_samples, type_tables
from tests.support.history_project import DuckDbFile, PostgresDatabase, Warehouse
from tests.support.postgres_cluster import Cluster, database
from tests.support.project_copy import copy_project
from tests.support.type_project import TypeProject
from tests.support.type_samples import DUCKDB, KINDS, POSTGRES, PREPARE, REDSHIFT

WAREHOUSES = (
    "duckdb",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin]),
)
SAMPLES = {"duckdb": DUCKDB, "postgres": POSTGRES, "redshift": REDSHIFT}


class World:
    """A project with every type, loaded twice."""

    def __init__(self, root: Path, types: TypeProject, settings: Settings, warehouse: Warehouse) -> None:
        self.types = types
        self.warehouse = warehouse
        copy_project(root, types.selects() | name_samples.selects(types.dialect))
        for name, rows in (("types", types.rows()), ("names", name_samples.rows(types.dialect))):
            (root / "dbt_project" / "control" / f"{name}.yml").write_text(yaml.safe_dump(rows, allow_unicode=True))
        self.context = Context(Project(root), settings, who="tester")

    def load(self, due: int) -> None:
        """Load what is new: as many targets as are due."""
        summary = execute(self.context, prepare(self.context, RunRequest(requested_by="tester")))
        failed = {outcome.target: outcome.error for outcome in summary.outcomes if outcome.error}
        assert failed == {}
        assert len([outcome for outcome in summary.outcomes if str(outcome.status) == "loaded"]) == due

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query over targets."""
        return self.warehouse.query(query.replace("dwh.", f"{self.warehouse.prefix}dwh."))


@pytest.fixture(scope="module", params=WAREHOUSES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every type of one warehouse, loaded twice."""
    name = request.param
    root = tmp_path_factory.mktemp(name) / "project"
    types = TypeProject(name, SAMPLES[name], KINDS[name])
    with pytest.MonkeyPatch.context() as patch:
        if name == "duckdb":
            yield _loaded(World(root, types, Settings(), DuckDbFile(root / ".sluice" / "dev.duckdb")))
            return
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        with database(cluster) as url:
            if name == "postgres":
                for part, value in conninfo_to_dict(url).items():
                    variable = {"dbname": "DATABASE"}.get(part, part.upper())
                    patch.setenv(f"SLUICE_POSTGRES_{variable}", str(value))
                yield _loaded(World(root, types, Settings(environment=name), PostgresDatabase(url)))
                return
            with running(url) as standin:
                for variable, value in standin.environment().items():
                    patch.setenv(variable, value)
                yield _loaded(
                    World(root, types, Settings(environment=name), PostgresDatabase(standin.url, "redshift_"))
                )


def _loaded(world: World) -> World:
    dialect = world.types.dialect
    sources = [*world.types.sources(), *name_samples.sources(dialect)]
    world.warehouse.execute(";".join(["create schema shop", *PREPARE[dialect], *sources]))
    change = ChangeContext(world.context.project, world.context.store, world.context.columns, "tester")
    apply_plan(change, plan_files(change))
    again = 2 + len(world.types.windows) + len(name_samples.roles(dialect))
    world.load(again + len(world.types.ordered))
    world.warehouse.execute(";".join([*world.types.changes(), *name_samples.changes(dialect)]))
    world.load(again)
    return world


def test_columns_keep_their_types_and_values(world: World) -> None:
    columns = world.types.columns(Place.COLUMN)
    with reading(world.context, world.context.profile) as warehouse:
        stored = {c.name: c.type for c in table_columns(warehouse, f"{world.warehouse.prefix}dwh", "columns")}
        came = {c.name: c.type for c in table_columns(warehouse, "shop", "wide")}
    assert {name: type_ for name, type_ in stored.items() if name in came} == {
        name: type_ for name, type_ in came.items() if name in stored
    }
    names = ", ".join(f"cast(t.{c.name} as varchar(100)), cast(t.d{c.name[1:]} as varchar(100))" for c in columns)
    source = world.rows(f"select t.id, {names} from shop.wide as t order by t.id, t.landed_at")
    target = world.rows(f"select t.id, {names} from dwh.columns as t order by t.id, t.valid_from")
    for number, column in enumerate(columns):
        for rows in (source, target):
            assert [row[1 + 2 * number] for row in rows if row[0] == number] != [None, None], column.sample.type
    assert [row for row in target if row[0] < 1000] == [row for row in source if row[0] < 1000]  # a version each
    assert [row for row in target if row[0] >= 1000] == [row for row in source if row[0] >= 1000][1::2]  # the last


def test_keys_stay_apart(world: World) -> None:
    keys = world.types.columns(Place.KEY)
    assert world.rows("select v, count(*) from dwh.keys group by v") == [(2, len(keys) + 1)]


def test_event_times_order_a_history(world: World) -> None:
    for column in world.types.ordered:
        name, number = column.name, int(column.name[1:])
        came = f"select cast(s.{name} as varchar(100)) from shop.single as s where s.id = {number} order by s.{name}"
        loaded = f"select cast(valid_from as varchar(100)) from dwh.order_{name} where v = valid_from order by v"
        assert world.rows(loaded) == world.rows(came), column.sample.type


def test_incremental_keys_lose_nothing(world: World) -> None:
    for column in world.types.windows:
        came = f"select cast(max(v) as varchar(100)) from shop.window_{column.name}"
        loaded = f"select cast(v as varchar(100)) from dwh.window_{column.name}"
        assert world.rows(loaded) == world.rows(came), column.sample.type


def test_names_of_every_kind_stand_in_every_place(world: World) -> None:
    for number, (_, key, times, tracked, untracked) in enumerate(name_samples.roles(world.types.dialect)):
        columns = ", ".join(name_samples.quoted(name) for name in (*key, *times, *tracked, *untracked))
        versions = world.rows(f"select valid_from, valid_to, {columns} from dwh.names_{number} order by valid_from")
        assert versions == [(1, 2, *[1] * 9), (2, None, 1, 1, *[2] * 7)]


def test_rows_stay_valid_with_the_column_lists_that_were_taken(world: World) -> None:
    catalog = Catalog(world.context.store.read_stored().rows, world.context.project, world.context.columns)
    assert [row.key for row in catalog.rows.transformations if not row.column_list] == []
    with world.context.columns.connected():
        assert select_faults(catalog) == ()


def test_docs_show_what_was_proved() -> None:
    assert type_tables.PAGE.read_text(encoding="utf-8") == type_tables.render()


def test_refused_types_are_refused_at_validate_with_reason_and_remedy(world: World) -> None:
    rows, selects = world.types.refused_rows()
    for name, select in selects.items():
        (world.context.project.dbt_dir / "transformations" / f"{name}.sql").write_text(select + "\n")
    catalog = Catalog(ControlRows.model_validate(rows), world.context.project, world.context.columns)
    with world.context.columns.connected():
        faults = select_faults(catalog)
    found = {fault.key: fault for fault in faults}
    assert set(found) == {f"dwh.{name}" for name in selects}
    assert len(faults) == len(selects)
    assert {fault.rule for fault in faults} == {"column_type"}
    assert all(fault.remedy for fault in faults)
