"""A selection that dbt runs with a part of its manifest ends as with the whole one. More of them, by hand:

SLUICE_CUT_SELECTIONS=200 python -m pytest tests/flows/dbt/test_cut_selections.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.project_copy import REPOSITORY

SELECTIONS = int(os.environ.get("SLUICE_CUT_SELECTIONS", "6"))


@pytest.mark.timeout(3600)
def test_selection_ends_with_a_part_of_the_manifest_as_with_the_whole() -> None:
    command = [sys.executable, "-m", "tests.support.cut_selections", "0", str(SELECTIONS)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])

    assert found["differing"] == []
    assert found["cut"] == SELECTIONS
    assert found["results"] > SELECTIONS
    assert {"pass", "success"} <= set(found["statuses"])
