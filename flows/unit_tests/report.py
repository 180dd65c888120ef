"""Results of tests as JSON and as JUnit's XML, which CI systems read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from flows.unit_tests.run import Status, TestResult
from metadata_sync.errors import ConfigurationError
from metadata_sync.text import visible


def json_document(results: Sequence[TestResult], seconds: float) -> dict[str, Any]:
    """Return the results as one document.

    Args:
        results: The results.
        seconds: What the whole run took, dbt's start included.
    """
    return {
        "counts": {status.value: sum(item.status is status for item in results) for status in Status},
        "seconds": round(seconds, 3),
        "tests": [{**asdict(item), "seconds": round(item.seconds, 3)} for item in results],
    }


def write_junit(path: Path, results: Sequence[TestResult], seconds: float) -> None:
    """Write the results as JUnit's XML.

    Raises:
        ConfigurationError: When the file cannot be written.
    """
    counts = {
        "tests": len(results),
        "failures": sum(item.status is Status.FAILED for item in results),
        "errors": sum(item.status is Status.ERROR for item in results),
    }
    attributes = {"name": "sluice test", **{name: str(count) for name, count in counts.items()}}
    suite = ElementTree.Element("testsuite", attributes | {"time": f"{seconds:.3f}"})
    for item in results:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": item.target, "name": item.name, "time": f"{item.seconds:.3f}"}
        )
        if item.status is not Status.PASSED:
            tag = "failure" if item.status is Status.FAILED else "error"
            lines = [visible(line) for line in (*item.lines, item.hint) if line]
            part = ElementTree.SubElement(case, tag, {"message": lines[0] if lines else ""})
            part.text = "\n".join(lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.", "Name a file in a folder that you may write."
        ) from error
