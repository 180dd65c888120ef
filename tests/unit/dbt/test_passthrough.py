"""What dbt leaves in its target folder is masked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from flows.dbt.passthrough import mask_results


def test_results_of_this_run_are_masked_and_stay_json(tmp_path: Path) -> None:
    results = tmp_path / "run_results.json"
    earlier = tmp_path / "sources.json"
    document = {"results": [{"message": "cannot cast 'postgresql://etl:hunter2@db/x'", "execution_time": 0.5}]}
    for path in (results, earlier):
        path.write_text(json.dumps(document))
    os.utime(earlier, (1, 1))

    mask_results(tmp_path, since=2)

    assert json.loads(results.read_text())["results"] == [
        {"message": "cannot cast 'postgresql://etl:***@db/x'", "execution_time": 0.5}
    ]
    assert json.loads(earlier.read_text()) == document
