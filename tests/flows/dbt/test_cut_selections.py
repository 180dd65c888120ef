"""A selection that dbt runs with a part of its manifest ends as with the whole one. More of them, by hand:

SLUICE_CUT_SELECTIONS=200 python -m pytest tests/flows/dbt/test_cut_selections.py
"""

from __future__ import annotations

import logging
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.dbt.runner import DbtRunner
from tests.support.lineages import Lineage

SELECTIONS = int(os.environ.get("SLUICE_CUT_SELECTIONS", "8"))
SELECTIONS_PER_PROJECT = 10


@pytest.mark.timeout(3600)
def test_selection_ends_with_a_part_of_the_manifest_as_with_the_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flows.dbt")
    counts = {"cut": 0, "nodes": 0}
    for first in range(0, SELECTIONS, SELECTIONS_PER_PROJECT):
        lineage = Lineage(tmp_path / f"project_{first}", first)
        everything = [*lineage.models, "countries", "kept", "versioned"]
        built = lineage.runner(everything).build(everything, unbuilt=[], variables={}, callbacks=[])
        assert "error" not in {item.status for item in built}
        saved = lineage.warehouse.read_bytes()
        for number in range(first, min(first + SELECTIONS_PER_PROJECT, SELECTIONS)):
            selection = choose(lineage, number)
            whole = outcome(lineage.runner(), selection)
            lineage.warehouse.write_bytes(saved)
            caplog.clear()

            part = outcome(lineage.runner([*selection["models"], *selection["tested"]]), selection)

            lineage.warehouse.write_bytes(saved)
            assert "dbt gets a part of the manifest" in caplog.text, number
            assert part == whole, (number, selection)
            counts["cut"] += 1
            counts["nodes"] += len(whole[0])
        shutil.rmtree(lineage.project.root)
    assert counts["cut"] == SELECTIONS
    assert counts["nodes"] > SELECTIONS


def choose(lineage: Lineage, number: int) -> dict[str, list[str]]:
    """Models to build, to test only, and those that do not exist yet or hold a part."""
    chosen = random.Random(number)  # noqa: S311 - a test's
    names = chosen.sample(lineage.models, chosen.randint(1, 8))
    cut = chosen.randint(1, len(names))
    return {
        "models": names[:cut],
        "tested": names[cut:],
        "unbuilt": chosen.sample(lineage.models, chosen.choice([0, 0, 3])),
        "untested": chosen.sample(lineage.models, chosen.choice([0, 0, 2])),
    }


def outcome(runner: DbtRunner, selection: dict[str, list[str]]) -> tuple[Any, ...]:
    """Results in dbt's order, without times; and the compiled SELECTs."""
    results = runner.build(**selection, variables={}, callbacks=[])  # type: ignore[arg-type]
    found = [(item.unique_id, item.kind, item.name, item.status, item.message, item.parents) for item in results]
    compiled = runner.compile(selection["models"], variables={})
    return found, compiled.sql, compiled.errors
