"""Damaged data of one source: its readers are held, other rows load, and rows that do not touch it can be changed."""

from __future__ import annotations

from typing import Any

import yaml

from flows.gate.facts import Reason
from tests.support.engine_project import TOTALS_BY_HAND, Workshop, control_rows, finish


def test_half_written_file_holds_its_readers_alone(workshop: Workshop) -> None:
    (whole,) = (workshop.lake / "regions").iterdir()
    half = workshop.lake / "regions" / "half.parquet"
    half.write_bytes(whole.read_bytes()[:40])
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    applied, _, _ = describe(workshop, 0, "Orders.")  # the whole file says what the columns are
    summary, _ = workshop.run()

    assert applied == 0
    assert workshop.statuses(summary) == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "held",
        "dwh.fact_order": "loaded",
        "mart.region_total": "loaded",
    }
    (held,) = [outcome.decision for outcome in summary.outcomes if outcome.target == "dwh.dim_region"]
    assert held.reason is Reason.SOURCE_UNREADABLE
    assert "half.parquet" in held.message
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)

    whole.unlink()
    applied, _, warned = describe(workshop, 0, "Orders as they came.")
    refused, _, faults = describe(workshop, 2, "Regions again.")
    assert (applied, workshop.row_of().description) == (0, "Orders as they came.")
    assert warned.startswith("Warning: dbt_project/control/rows.yml:")
    assert "source_control[lake.regions].location" in warned
    assert "half.parquet" in warned
    assert (refused, "half.parquet" in faults, "Warning" in faults) == (3, True, False)

    half.unlink()
    emptied, _, warned = describe(workshop, 0, "Orders once more.")

    assert (emptied, workshop.row_of().description) == (0, "Orders once more.")
    assert "Warning" in warned
    assert "no Parquet file in lake/regions" in warned


def describe(workshop: Workshop, place: int, text: str) -> tuple[int, str, str]:
    """Apply the files with another description of one transformation."""
    rows: dict[str, Any] = control_rows()
    rows["transformations"][place]["description"] = text
    (workshop.root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(rows))
    return finish(workshop.sluice("control", "apply", "--yes"))
