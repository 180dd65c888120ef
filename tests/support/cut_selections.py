"""Random selections, run with a part of the manifest and with the whole one; prints the selections that differ.

    python -m tests.support.cut_selections FIRST COUNT

A process of its own: inside pytest dbt remembers manifests with what it compiled before (`tests.support.quicker_dbt`).
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from flows.dbt.runner import DbtRunner
from tests.support.lineages import Lineage

SELECTIONS_PER_PROJECT = 20


def main() -> None:
    """Compare as many selections as the arguments say, and print what was found as JSON."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    heard = Heard()
    logging.getLogger("flows.dbt").addHandler(heard)
    logging.getLogger("flows.dbt").setLevel(logging.DEBUG)
    found: dict[str, Any] = {"cut": 0, "results": 0, "statuses": [], "differing": []}
    for begin in range(first, first + count, SELECTIONS_PER_PROJECT):
        with tempfile.TemporaryDirectory() as folder:
            lineage = Lineage(Path(folder).resolve() / "project", begin)
            numbers = range(begin, min(begin + SELECTIONS_PER_PROJECT, first + count))
            compare(lineage, numbers, heard, found)
    print(json.dumps(found), flush=True)


class Heard(logging.Handler):
    """Keeps the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(record.getMessage())


def compare(lineage: Lineage, numbers: range, heard: Heard, found: dict[str, Any]) -> None:
    """Build everything, then run each selection twice from there."""
    everything = [*lineage.models, "countries", "kept", "versioned"]
    lineage.runner(everything).build(everything, unbuilt=[], variables={}, callbacks=[])
    saved = lineage.warehouse.read_bytes()
    for number in numbers:
        selection = choose(lineage, number)
        whole = outcome(lineage.runner(), selection)
        lineage.warehouse.write_bytes(saved)
        heard.messages.clear()
        part = outcome(lineage.runner([*selection["models"], *selection["tested"]]), selection)
        lineage.warehouse.write_bytes(saved)
        found["cut"] += any(message.startswith("dbt gets a part") for message in heard.messages)
        found["results"] += len(whole[0])
        found["statuses"] = sorted({*found["statuses"], *(item[3] for item in whole[0])})
        if part != whole:
            found["differing"].append([number, selection, list(zip(part[0], whole[0], strict=False))])


def choose(lineage: Lineage, number: int) -> dict[str, list[str]]:
    """Return models to build, to test only, and those that do not exist yet or hold a part."""
    chosen = random.Random(number)
    names = chosen.sample(lineage.models, chosen.randint(1, 8))
    cut = chosen.randint(1, len(names))
    return {
        "models": names[:cut],
        "tested": names[cut:],
        "unbuilt": chosen.sample(lineage.models, chosen.choice([0, 0, 3])),
        "untested": chosen.sample(lineage.models, chosen.choice([0, 0, 2])),
    }


def outcome(runner: DbtRunner, selection: dict[str, list[str]]) -> tuple[Any, ...]:
    """Return the results without times, and the compiled SELECTs.

    Nodes that do not wait for each other may take turns: what they wait for shows in what is skipped.
    """
    results = runner.build(**selection, variables={}, callbacks=[])
    found = [(item.unique_id, item.kind, item.name, item.status, item.message, item.parents) for item in results]
    compiled = runner.compile(selection["models"], variables={})
    return sorted(found), compiled.sql, compiled.errors


if __name__ == "__main__":
    main()
