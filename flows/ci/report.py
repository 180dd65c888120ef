"""The checks of a pull request as Markdown, JUnit and SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from flows.ci.built_text import built_document, built_markdown
from flows.ci.checks import Check, Checked, Status
from flows.impact.text import markdown as impact_markdown
from flows.lint.reports import sarif_log, sarif_result
from metadata_sync.errors import ConfigurationError
from metadata_sync.text import visible

_MOST_BYTES: Final = 60_000
_MOST_LINES: Final = 30

COMMENT_MARK: Final = "<!-- sluice ci -->"
"""First line of the Markdown: by it a CI job finds the comment that it wrote before, to update it."""


def markdown(checked: Checked) -> str:
    """Return one comment for a pull request, at most 60 kB. It holds no values of rows unless they were asked for."""
    verdict = "failed" if checked.has_failed else "passed"
    parts = [f"{COMMENT_MARK}\n## Sluice: {verdict}\n\n| check | | |\n| --- | --- | --- |\n"]
    parts += [f"| {check.name} | {check.status.sign} | {check.summary} |\n" for check in checked.checks]
    for check in checked.checks:
        if check.lines and check.name not in {"change", "rows of targets"}:
            shown = "\n".join(check.lines[:_MOST_LINES])
            more = f"\n… {len(check.lines) - _MOST_LINES} more" if len(check.lines) > _MOST_LINES else ""
            parts.append(f"\n<details><summary>{check.name}</summary>\n\n```\n{shown}{more}\n```\n</details>\n")
    if checked.built is not None and checked.built.targets:
        parts.append(f"\n{built_markdown(checked.built)}")
    if checked.impact is not None and checked.impact.effects:
        parts.append(f"\n{impact_markdown(checked.impact)}")
    text = "".join(parts)
    data = text.encode()
    return text if len(data) <= _MOST_BYTES else data[: _MOST_BYTES - 20].decode(errors="ignore") + "\n\n… cut off\n"


def document(checked: Checked) -> dict[str, Any]:
    """Return the checks as one JSON document."""
    return {
        "passed": not checked.has_failed,
        "checks": [
            {
                "name": check.name,
                "status": check.status.value,
                "summary": check.summary,
                "lines": list(check.lines),
                "seconds": round(check.seconds, 3),
            }
            for check in checked.checks
        ],
        "built": None if checked.built is None else built_document(checked.built),
    }


def write_reports(folder: Path, checked: Checked) -> tuple[Path, ...]:
    """Write `sluice.md`, `junit.xml` and `sluice.sarif` into a folder.

    Raises:
        ConfigurationError: When a file cannot be written.
    """
    files = {
        folder / "sluice.md": markdown(checked),
        folder / "junit.xml": _junit(checked),
        folder / "sluice.sarif": json.dumps(_sarif(checked), indent=1, ensure_ascii=False) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"{error.filename} cannot be written: {reason}.", "Name a folder of yours.") from error
    return tuple(files)


def _junit(checked: Checked) -> str:
    failures = sum(check.status is Status.FAILED for check in checked.checks)
    skipped = sum(check.status is Status.SKIPPED for check in checked.checks)
    counts = {"tests": len(checked.checks), "failures": failures, "skipped": skipped}
    suite = ElementTree.Element("testsuite", {"name": "sluice ci", **{name: str(n) for name, n in counts.items()}})
    for check in checked.checks:
        values = {"classname": "sluice", "name": check.name, "time": f"{check.seconds:.3f}"}
        _fill(ElementTree.SubElement(suite, "testcase", values), check)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _fill(case: ElementTree.Element, check: Check) -> None:
    if check.status is Status.PASSED:
        return
    tag = "failure" if check.status is Status.FAILED else "skipped"
    part = ElementTree.SubElement(case, tag, {"message": visible(check.summary)})
    part.text = "\n".join(visible(line) for line in check.lines)


def _sarif(checked: Checked) -> dict[str, Any]:
    places = [place for check in checked.checks for place in check.places]
    results = [
        sarif_result(place.rule, place.level, place.message, place.file, {"startLine": place.line}) for place in places
    ]
    return sarif_log("sluice ci", [{"id": rule} for rule in sorted({place.rule for place in places})], results)
