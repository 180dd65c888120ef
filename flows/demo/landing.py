"""Write raw CSV rows as Parquet files into a local lake, like an ingestion job: one file per table and landing.

A day's rows land the next morning, at `recorded_at`. A few rows of one day arrive four days late.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from flows.demo.dataset import data_folder, unzip_flights

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST_DAY: Final = date(2013, 1, 1)
WEEK_END: Final = date(2013, 1, 7)
LATE_DAY: Final = date(2013, 1, 5)
LAST_DAY: Final = date(2013, 1, 9)
"""The late rows land with this day's."""

REFERENCE_TABLES: Final = ("airlines", "airports", "planes")
LAKE_TABLES: Final = (*REFERENCE_TABLES, "flights", "weather")

_LANDING_HOUR_UTC: Final = time(8)
"""Three in the morning in New York: the day is over."""

_READ_FLIGHTS: Final = """
create table flights as
select
    raw.*,
    -- JetBlue's departures from LaGuardia on one day land late, with those of the last day
    case
        when make_date(year, month, day) = $late_day and carrier = 'B6' and origin = 'LGA' then $late_recorded_at
        else make_timestamp(year, month, day, 8, 0, 0) + interval '1 day'
    end as recorded_at
from read_csv(
    $csv,
    header = true,
    nullstr = ['NA', ''],
    columns = {
        year: 'integer', month: 'integer', day: 'integer',
        dep_time: 'integer', sched_dep_time: 'integer', dep_delay: 'integer',
        arr_time: 'integer', sched_arr_time: 'integer', arr_delay: 'integer',
        carrier: 'varchar', flight: 'integer', tailnum: 'varchar', origin: 'varchar', dest: 'varchar',
        air_time: 'integer', distance: 'integer', hour: 'integer', minute: 'integer', time_hour: 'timestamp'
    }
) as raw
where make_date(year, month, day) between $first_day and $last_day
"""

_READ_WEATHER: Final = """
create table weather as
select
    raw.*,
    make_date(year, month, day) as weather_date,
    make_timestamp(year, month, day, 8, 0, 0) + interval '1 day' as recorded_at
from read_csv(
    $csv,
    header = true,
    nullstr = ['NA', ''],
    columns = {
        origin: 'varchar', year: 'integer', month: 'integer', day: 'integer', hour: 'integer',
        temp: 'double', dewp: 'double', humid: 'double', wind_dir: 'integer', wind_speed: 'double',
        wind_gust: 'double', precip: 'double', pressure: 'double', visib: 'double', time_hour: 'timestamp'
    }
) as raw
where make_date(year, month, day) between $first_day and $last_day
"""

_LANDINGS: Final = {
    "flights": """
        select * from flights where recorded_at = $recorded_at
        order by year, month, day, sched_dep_time, carrier, flight, origin
    """,
    "weather": "select * from weather where recorded_at = $recorded_at order by origin, time_hour",
}

_REFERENCE: Final = "select * from read_csv($csv, header = true, nullstr = ['NA', ''])"


@dataclass(frozen=True, slots=True)
class Landing:
    """What one call landed.

    Attributes:
        files: Parquet files written.
        row_count: Rows in them.
    """

    files: int
    row_count: int


class Lake:
    """The demo's lake: a folder per table, Parquet files in them.

    Args:
        folder: The lake's folder; created when something lands.
        connection: DuckDB with the raw days, from `open_lake`.
    """

    def __init__(self, folder: Path, connection: DuckDBPyConnection) -> None:
        self.folder = folder
        self._connection = connection

    def land_reference_tables(self) -> Landing:
        """Land airlines, airports and planes, one file each."""
        counts = [
            self._write(
                _REFERENCE, {"csv": str(data_folder() / f"{table}.csv")}, self.folder / table / f"{table}.parquet"
            )
            for table in REFERENCE_TABLES
        ]
        return Landing(len(counts), sum(counts))

    def land_days(self, first: date, last: date) -> Landing:
        """Land the flights and the weather of each day from first to last, both included: one file a day and table."""
        counts = [
            self._write(query, {"recorded_at": recorded_at}, self.folder / table / _file_name(recorded_at))
            for recorded_at in map(recorded_when, _days(first, last))
            for table, query in _LANDINGS.items()
        ]
        return Landing(len(counts), sum(counts))

    def _write(self, query: str, parameters: dict[str, object], path: Path) -> int:
        """Write a query's rows to a file atomically and return their number."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        copied = self._connection.execute(
            f"copy ({query}) to $unfinished (format parquet)", {**parameters, "unfinished": str(unfinished)}
        ).fetchone()
        unfinished.replace(path)
        return int(copied[0]) if copied else 0


@contextmanager
def open_lake(folder: Path) -> Iterator[Lake]:
    """Read the raw days and yield the lake they can land in.

    Args:
        folder: The lake's folder; it is created when needed.

    Raises:
        ConfigurationError: When the data is not installed.
    """
    import duckdb

    span = {"first_day": FIRST_DAY, "last_day": LAST_DAY}
    with TemporaryDirectory(prefix="sluice-demo-") as scratch, duckdb.connect() as connection:
        late = {"late_day": LATE_DAY, "late_recorded_at": recorded_when(LAST_DAY)}
        connection.execute(_READ_FLIGHTS, {"csv": str(unzip_flights(Path(scratch))), **span, **late})
        connection.execute(_READ_WEATHER, {"csv": str(data_folder() / "weather.csv"), **span})
        yield Lake(folder, connection)


def recorded_when(day: date) -> datetime:
    """Return the instant, UTC without a zone as in the lake, at which the rows of a day land."""
    return datetime.combine(day + timedelta(days=1), _LANDING_HOUR_UTC)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _file_name(recorded_at: datetime) -> str:
    return f"recorded_{recorded_at:%Y-%m-%d}.parquet"
