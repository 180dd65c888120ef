"""Every type in every place of a load: it loads right, or validate refuses it. docs/types.md is written from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
        copy_project(root, types.selects())
        (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(types.rows()))
        self.context = Context(Project(root), settings, who="tester")

    def load(self) -> None:
        """Load what is new."""
        summary = execute(self.context, prepare(self.context, RunRequest(requested_by="tester")))
        failed = {outcome.target: outcome.error for outcome in summary.outcomes if outcome.error}
        assert failed == {}
        assert {str(outcome.status) for outcome in summary.outcomes} == {"loaded"}

    def rows(self, query: str) -> list[tuple[object, ...]]:
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
                yield _loaded(World(root, types, Settings(environment=name), PostgresDatabase(standin.url, "redshift_")))


def _loaded(world: World) -> World:
    world.warehouse.execute("create schema shop", *PREPARE.get(world.types.dialect, ()), *world.types.sources())
    change = ChangeContext(world.context.project, world.context.store, world.context.columns, "tester")
    apply_plan(change, plan_files(change))
    world.load()
    world.warehouse.execute(*world.types.changes())
    world.load()
    return world


def test_columns_keep_their_types_and_values(world: World) -> None:
    columns = world.types.columns(Place.COLUMN)
    with reading(world.context, world.context.profile) as warehouse:
        stored = {c.name: c.type for c in table_columns(warehouse, f"{world.warehouse.prefix}dwh", "columns")}
        came = {c.name: c.type for c in table_columns(warehouse, "shop", "wide")}
    assert {name: type_ for name, type_ in stored.items() if name in came} == {
        name: type_ for name, type_ in came.items() if name in stored
    }
    for number, column in enumerate(columns):
        tracked, untracked = column.name, f"d{column.name[1:]}"
        query = "select cast({0} as varchar(100)), cast({1} as varchar(100)) from {2} where id = {3} order by {4}"
        source = [world.rows(query.format(tracked, untracked, "shop.wide", first + number, "landed_at")) for first in (0, 1000)]
        target = [world.rows(query.format(tracked, untracked, "dwh.columns", first + number, "valid_from")) for first in (0, 1000)]
        assert target[0] == source[0], column.sample.type  # the tracked column opened a version
        assert target[1] == source[1][1:], column.sample.type  # the untracked one did not


def test_keys_stay_apart(world: World) -> None:
    keys = world.types.columns(Place.KEY)
    assert world.rows("select v, count(*) from dwh.keys group by v") == [(2, len(keys) + 1)]


def test_event_times_and_incremental_keys_order_a_history_and_lose_nothing(world: World) -> None:
    for column in (*world.types.ordered, *world.types.columns(Place.INCREMENTAL)):
        name = "window" if column in world.types.columns(Place.INCREMENTAL) else "order"
        source = "shop.window_{0}" if name == "window" else "shop.single"
        value = "v" if name == "window" else column.name
        came = world.rows(
            f"select cast({value} as varchar(100)) from {source.format(column.name)} where {value} is not null order by {value}"
        )
        loaded = world.rows(
            f"select cast(v as varchar(100)) from dwh.{name}_{column.name} "
            "where v = valid_from order by valid_from"
        )
        assert loaded == came, column.sample.type


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
