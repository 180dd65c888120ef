"""What doctor says of support ends: by the table, the installed versions and the date."""

from __future__ import annotations

import platform
from datetime import date, timedelta
from importlib.metadata import version

import pytest
import yaml

from flows.doctor.finding import Level
from flows.doctor.support import SOON, TABLE, support
from flows.spark.settings import EmrSettings

ENDS = {
    entry["name"]: {str(known): end for known, end in entry["until"].items()}
    for entry in yaml.safe_load(TABLE.read_text())
}


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [(-SOON.days - 1, Level.OK, "are mended"), (-1, Level.WARN, "are mended"), (1, Level.WARN, "were mended")],
)
def test_an_end_is_told_before_it_comes(days: int, level: Level, words: str) -> None:
    end = date(2028, 4, 21)
    found = {item.check: item for item in support("emr-7.13.0", end + timedelta(days))}
    emr = found["support of EMR"]
    assert emr.level is level
    assert str(end) in emr.message
    assert words in emr.message or level is Level.OK
    assert bool(emr.remedy) == (level is Level.WARN)


def test_versions_are_matched_by_their_parts() -> None:
    checks = [item.check for item in support("emr-7.130.0", date(2026, 12, 1))]
    assert "support of EMR" not in checks
    assert "support of EMR" not in [item.check for item in support(None, date(2026, 12, 1))]


def test_the_table_knows_what_is_locked() -> None:
    used = {"Python": platform.python_version(), "dbt-core": version("dbt-core"), "EMR": EmrSettings().release_label}
    for name, found in used.items():
        assert any(found.startswith(f"{known}.") for known in ENDS[name]), (name, found)
