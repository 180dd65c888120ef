"""docs/concepts/loads-compared.md is executed: what it says of Sluice and of dbt's snapshots is what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.dbt_project import DbtProject, driving

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "loads-compared.md"
WAYS = ("Sluice", "snapshot, timestamp", "snapshot, check")
BATCHES = 4
COLUMNS = "batch integer, id varchar, took_effect timestamp, carrier varchar, note varchar, is_deleted boolean"
SELECT = """
select e.id, e.took_effect, e.carrier, e.note, e.is_deleted
from {{ sluice.increment(source('lake', 'case_%d')) }} as e
"""


@dataclass(frozen=True)
class Case:
    """One table of the page.

    Attributes:
        title: Its heading.
        events: (batch, id, day, carrier or None, note or None, is a delete).
        said: Way → the history that the page tells.
    """

    title: str
    events: tuple[tuple[int, str, int, str | None, str | None, bool], ...]
    said: dict[str, str]


def read_cases() -> list[Case]:
    """The cases of the page."""
    return list(_cases(PAGE.read_text()))


def _cases(page: str) -> Iterator[Case]:
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in body.splitlines() if "|" in line]
        events = tuple(_event(row) for row in rows if row[0].isdigit())
        yield Case(title, events, {row[0]: row[1] for row in rows if row[0] in WAYS})


def _event(row: list[str]) -> tuple[int, str, int, str | None, str | None, bool]:
    batch, day, carrier, note = row
    is_deleted = carrier == "*delete*"
    kept = None if is_deleted or carrier == "NULL" else carrier.strip("'")
    return int(batch), "a", int(day), kept, note or None, is_deleted


CASES = read_cases()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """(Title, way) → history: every case at once, one dbt run a batch."""
    project = DbtProject(tmp_path_factory.mktemp("compared"), threads=2)
    project.execute("create schema lake", "create schema delta")
    for number, _ in enumerate(CASES):
        project.execute(f"create table lake.case_{number} ({COLUMNS})", f"create table delta.case_{number} ({COLUMNS})")
        project.source(f"case_{number}")
        project.source(f"case_{number}", schema="delta")
        project.model(
            f"two_{number}",
            SELECT % number,
            materialized="scd2",
            business_key=["id"],
            sequence_by=["took_effect"],
            scd_columns=["carrier"],
            delete_when="is_deleted",
            dependencies=[driving(f"case_{number}", incremental_key="batch")],
        )
        _write_snapshots(project, number)
    for batch in range(1, BATCHES + 1):
        for number, case in enumerate(CASES):
            _land(project, number, case, batch)
        result = project.run(command="build")
        assert result.success, result.messages
    return {
        (case.title, way): _history(project, name, way)
        for number, case in enumerate(CASES)
        for name, way in zip((f"two_{number}", f"time_{number}", f"check_{number}"), WAYS, strict=True)
    }


def _write_snapshots(project: DbtProject, number: int) -> None:
    """Both strategies, fed the batch alone, as an incremental feed does; check is told the event time, too."""
    common = {"unique_key": "id", "updated_at": "took_effect", "schema": "dwh"}
    snapshots = [
        {
            "name": f"{name}_{number}",
            "relation": f"source('delta', 'case_{number}')",
            "config": {**common, "strategy": strategy, **settings},
        }
        for name, strategy, settings in (
            ("time", "timestamp", {}),
            ("check", "check", {"check_cols": ["carrier", "is_deleted"]}),
        )
    ]
    project.write(f"snapshots/case_{number}.yml", yaml.safe_dump({"snapshots": snapshots}))


def _land(project: DbtProject, number: int, case: Case, batch: int) -> None:
    project.execute(f"delete from delta.case_{number}")
    rows = [
        (arrived, key, f"2024-01-{day:02}", carrier, note, is_deleted)
        for arrived, key, day, carrier, note, is_deleted in case.events
        if arrived == batch
    ]
    for schema in ("lake", "delta") if rows else ():
        columns = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
        project.execute(f"insert into {schema}.case_{number} values {columns}")


def _literal(value: object) -> str:
    return "null" if value is None else repr(value)


def _history(project: DbtProject, name: str, way: str) -> str:
    start, end = ("valid_from", "valid_to") if way == "Sluice" else ("dbt_valid_from", "dbt_valid_to")
    rows = project.query(
        f"select carrier, note, is_deleted, day({start}), day({end}) from dwh.{name} order by {start}, {end}, carrier"
    )
    return " · ".join(_version(*row) for row in rows) or "–"


def _version(carrier: str | None, note: str | None, is_deleted: bool, start: int, end: int | None) -> str:
    what = "deleted" if is_deleted else "NULL" if carrier is None else carrier or "''"
    return f"{what}{f'/{note}' if note else ''} {start}–{end if end is not None else ''}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_history_is_what_the_page_says(found: dict[tuple[str, str], str], case: Case, way: str) -> None:
    assert found[case.title, way] == case.said[way]


def test_page_counts_how_often_each_way_is_right(found: dict[tuple[str, str], str]) -> None:
    right = {
        way: sum(_undeleted(found[case.title, way]) == found[case.title, "Sluice"] for case in CASES) for way in WAYS
    }
    page = PAGE.read_text()
    assert f"timestamp strategy: {right['snapshot, timestamp']} of {len(CASES)}" in page
    assert f"check strategy: {right['snapshot, check']} of {len(CASES)}" in page


def _undeleted(history: str) -> str:
    """What a reader sees who filters the marks of deletes."""
    return " · ".join(version for version in history.split(" · ") if not version.startswith("deleted"))
