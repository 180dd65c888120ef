"""The lint by measure: on statements that Redshift takes, and on those that AWS documents as unsupported or different.

Each statement stands below the page that it follows, in `corpus/`. Read in AWS's guide, not tried on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metadata_sync.sql.redshift import Severity, check_script

CORPUS = Path(__file__).with_name("corpus")
FEWEST = 300


def _statements(name: str) -> list[tuple[str, str]]:
    """Return page and statement of each line."""
    page, found = "", []
    for line in (CORPUS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- "):
            page = line.removeprefix("-- ")
        elif line:
            found.append((page, line))
    return found


def _is_refused(statement: str) -> bool:
    return any(finding.severity is Severity.ERROR for finding in check_script(statement))


def _is_told(statement: str) -> bool:
    return bool(check_script(statement))


@pytest.mark.parametrize(
    ("name", "is_wrong", "most"),
    [
        ("redshift_valid.sql", _is_refused, 0.01),
        ("redshift_unsupported.sql", lambda statement: not _is_told(statement), 0.05),
    ],
)
def test_lint_is_right_about_the_corpus(name: str, is_wrong: Callable[[str], bool], most: float) -> None:
    statements = _statements(name)
    wrong = [(page, statement) for page, statement in statements if is_wrong(statement)]
    print(f"{name}: wrong about {len(wrong)} of {len(statements)} ({100 * len(wrong) / len(statements):.1f} %)")
    assert len(statements) >= FEWEST
    assert all(page.endswith(".html") for page, _ in statements)
    assert len(wrong) <= most * len(statements), wrong
