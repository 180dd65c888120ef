"""The demo's rows and SELECTs over real flights, one file a day, in a project of its own."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from flows.context import Context
from flows.demo.dataset import data_folder
from flows.engine.engine import execute, prepare
from flows.run.model import RunPlan, RunRequest, RunSummary, SilentObserver
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.rows.vocabulary import Engine
from metadata_sync.settings import Settings

REPOSITORY = Path(__file__).parents[2]
TARGETS = ("dwh.fact_flight", "dwh.dim_airport", "dwh.dim_aircraft", "dwh.aircraft_total")
"""append, SCD1, SCD2, and an SCD1 of groups that new flights touch."""

TOTALS = """
select f.tailnum, count(*) as flight_count, max(p.seats) as seats, max(f.recorded_at) as recorded_at
from lake.flights as f
left join lake.planes as p on p.tailnum = f.tailnum
where f.tailnum is not null
group by f.tailnum
"""

BROKEN = "dwh.broken"

FOR_FEW_ROWS = (
    "spark.sql.codegen.wholeStage=false spark.sql.codegen.factoryMode=NO_CODEGEN "
    "spark.sql.adaptive.enabled=false spark.sql.files.openCostInBytes=0"
)
"""A third of a job's processor time is code made for it; test_spark_values.py compares expressions with it."""

_FLIGHTS = """
create table flights as
select
    *,
    make_date(year, month, day) as flight_date,
    case
        -- one carrier's flights of one day come a week late
        when make_date(year, month, day) = date '2013-01-05' and carrier = 'B6'
            then timestamp '2013-01-13 08:00:00'
        else make_timestamp(year, month, day, 8, 0, 0) + interval 1 day
    end as recorded_at
from read_csv('{file}', header = true, nullstr = ['NA', ''], columns = {{
    year: 'integer', month: 'integer', day: 'integer', dep_time: 'integer', sched_dep_time: 'integer',
    dep_delay: 'integer', arr_time: 'integer', sched_arr_time: 'integer', arr_delay: 'integer', carrier: 'varchar',
    flight: 'integer', tailnum: 'varchar', origin: 'varchar', dest: 'varchar', air_time: 'integer',
    distance: 'integer', hour: 'integer', minute: 'integer', time_hour: 'timestamp'
}})
"""


def make_lake(lake: Path, first: date, last: date) -> None:
    """Write airports, airlines and planes, and the flights recorded from first to last, a file a day."""
    lake.mkdir(parents=True)
    with duckdb.connect() as connection:
        with zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive:
            connection.execute(_FLIGHTS.format(file=archive.extract("flights.csv", lake.parent)))
        for table in ("airlines", "airports", "planes"):
            (lake / table).mkdir()
            source = f"read_csv('{data_folder()}/{table}.csv', header = true, nullstr = ['NA', ''])"
            connection.execute(f"copy (select * from {source}) to '{lake}/{table}/{table}.parquet' (format parquet)")
        (lake / "flights").mkdir()
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            rows = f"select * exclude flight_date from flights where cast(recorded_at as date) = date '{day}'"
            connection.execute(
                f"copy ({rows} order by all) to '{lake}/flights/recorded_{day}.parquet' (format parquet)"
            )


def land(made: Path, lake: Path, until: date) -> None:
    """Let the files of a lake that was made arrive in another one, the flights up to a day."""
    for file in made.rglob("*.parquet"):
        place = lake / file.relative_to(made)
        if not place.exists() and (file.parent.name != "flights" or file.stem <= f"recorded_{until}"):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


@dataclass
class Heard(SilentObserver):
    """A run observer that keeps the sentences."""

    sentences: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@dataclass
class FlightsProject:
    """The project on disk."""

    root: Path
    heard: Heard = field(default_factory=Heard)

    def __post_init__(self) -> None:
        ignore = shutil.ignore_patterns("generated", "target", "logs", ".user.yml")
        shutil.copytree(REPOSITORY / "dbt_project", self.root / "dbt_project", ignore=ignore)
        shutil.copytree(REPOSITORY / "macros", self.root / "macros")
        shutil.copy2(REPOSITORY / "profiles.yml", self.root)
        (self.root / ".env").write_text(f"SLUICE_SPARK_LOCAL_CORES=1\nSLUICE_SPARK_OPTIONS={FOR_FEW_ROWS}\n")
        self.project = Project(self.root)
        self.context = Context(self.project, Settings(lock_wait_seconds=30), who="tester")

    @property
    def lake(self) -> Path:
        return self.root / ".sluice" / "lake"

    @property
    def warehouse(self) -> Path:
        return self.root / ".sluice" / "dev.duckdb"

    def apply(self, *, has_broken: bool = False, **pipeline: Any) -> None:
        """Apply the demo's rows of flights_hourly, each with a place for Spark's result."""
        path = self.root / "dbt_project" / "control" / "flights.yml"
        rows = yaml.safe_load((REPOSITORY / "dbt_project" / "control" / "flights.yml").read_text())
        rows["pipelines"] = [{**row, **pipeline} for row in rows["pipelines"] if row["pipeline_id"] == "flights_hourly"]
        rows["sources"] = [row for row in rows["sources"] if row["table"] != "weather"]
        rows["transformations"] = [row for row in rows["transformations"] if row["pipeline_id"] == "flights_hourly"]
        rows["transformations"].append(self._totals())
        if has_broken:
            select = "select f.flight, cast(f.tailnum as integer) as number, f.recorded_at from lake.flights as f\n"
            (self.root / "dbt_project" / "transformations" / "broken.sql").write_text(select)
            broken = {"target_schema": "dwh", "target_table": "broken", "sql_path": "transformations/broken.sql"}
            broken |= {"pipeline_id": "flights_hourly", "load_type": "append", "incremental_key": "recorded_at"}
            rows["transformations"].append(broken | {"dependencies": [{"table": "lake.flights", "driving": True}]})
            rows["transformations"] += self._refused()
        for row in rows["transformations"]:
            row["output_path"] = f".sluice/results/{row['target_table']}"
        path.write_text(yaml.safe_dump(rows))
        change_context = ChangeContext(self.project, self.context.store, self.context.columns, "tester")
        apply_plan(change_context, plan_files(change_context, prune=True))

    def _refused(self) -> list[dict[str, Any]]:
        """A row whose SELECT may not go to Spark, and one that reads it."""
        folder = self.root / "dbt_project" / "transformations"
        (folder / "refused.sql").write_text(
            "select f.flight, regexp_matches(f.tailnum, 'N1') as is_first, f.recorded_at from lake.flights as f\n"
        )
        (folder / "reader.sql").write_text("select r.flight, r.is_first, r.recorded_at from dwh.refused as r\n")
        common: dict[str, Any] = {"target_schema": "dwh", "pipeline_id": "flights_hourly"}
        common |= {"load_type": "scd1", "business_key": ["flight"], "sequence_by": ["recorded_at"]}
        return [
            common | {"target_table": name, "sql_path": f"transformations/{name}.sql",
                      "dependencies": [{"table": source, "driving": True}]}
            for name, source in (("refused", "lake.flights"), ("reader", "dwh.refused"))
        ]  # fmt: skip

    def _totals(self) -> dict[str, Any]:
        (self.root / "dbt_project" / "transformations" / "aircraft_total.sql").write_text(TOTALS)
        return {
            "target_schema": "dwh",
            "target_table": "aircraft_total",
            "sql_path": "transformations/aircraft_total.sql",
            "pipeline_id": "flights_hourly",
            "load_type": "scd1",
            "increment": "groups",
            "business_key": ["tailnum"],
            "sequence_by": ["recorded_at"],
            "dependencies": [
                {"table": "lake.flights", "driving": True, "recompute_by": ["tailnum"]},
                {"table": "lake.planes", "driving": False},
            ],
        }

    def plan(self, engine: Engine | None = None, cluster: str | None = None) -> RunPlan:
        return prepare(self.context, RunRequest(engine=engine, cluster=cluster, requested_by="tester"))

    def run(self, engine: Engine | None = None, cluster: str | None = None) -> RunSummary:
        return execute(self.context, self.plan(engine, cluster), self.heard)

    def statuses(self, summary: RunSummary) -> dict[str, str]:
        return {outcome.target: str(outcome.status) for outcome in summary.outcomes}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def differences(one: Path, other: Path, table: str) -> list[str]:
    """Compare a table in two warehouses: columns, types and rows, but for the columns that name the load."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        shapes = [
            [row[:2] for row in connection.execute(f"describe {side}.{table}").fetchall()] for side in ("one", "other")
        ]
        if shapes[0] != shapes[1]:
            return [f"{table}: {shapes[0]} and {shapes[1]}"]
        columns = ", ".join(f'"{name}"' for name, _ in shapes[0] if not name.startswith("_sluice"))
        found = []
        for left, right in (("one", "other"), ("other", "one")):
            rows = connection.execute(
                f"select {columns} from {left}.{table} except all select {columns} from {right}.{table} limit 3"
            ).fetchall()
            found += [f"{table}: only in {left}: {row}" for row in rows]
        return found
