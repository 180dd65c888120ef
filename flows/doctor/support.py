"""How long the makers of what runs here mend its faults: a dated table, compared with what is installed."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from flows.doctor.finding import CheckFinding, Level

TABLE: Final = Path(__file__).with_name("support_ends.yml")
SOON: Final = timedelta(days=60)
"""Time before an end from which on it is told."""


def support(emr_release: str | None, today: date) -> Iterator[CheckFinding]:
    """Compare versions with the table of support ends.

    Args:
        emr_release: Release of clusters; None: there are none.
        today: The date.

    Yields:
        One finding for what is in use; none for a version that the table does not know.
    """
    used = {"Python": platform.python_version(), "dbt-core": version("dbt-core"), "EMR": emr_release}
    for entry in yaml.safe_load(TABLE.read_text(encoding="utf-8")):
        found = used[entry["name"]]
        if found is not None:
            yield from _compared(entry, found, today)


def _compared(entry: Mapping[str, Any], found: str, today: date) -> Iterator[CheckFinding]:
    ends = (end for known, end in entry["until"].items() if found == known or found.startswith(f"{known}."))
    end: date | None = next(ends, None)
    if end is None:
        return
    name = f"support of {entry['name']}"
    if today + SOON < end:
        yield CheckFinding(name, Level.OK, f"{found}: faults are mended until {end}")
    else:
        verb = "were" if end < today else "are"
        remedy = f"Plan the next version: docs/daily-work/upgrade.md; dates: {entry['page']}"
        yield CheckFinding(name, Level.WARN, f"{found}: faults {verb} mended until {end}", remedy)
