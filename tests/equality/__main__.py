"""Run the whole matrix and print its counts; exit code 1 when something differs silently or fails on Spark only.

python -m tests.equality [WORD …]      # only the shapes that hold one of the words
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.equality.compare import compare_expressions, compare_selects
from tests.equality.engines import Lake, Verdict
from tests.equality.expressions import expressions
from tests.equality.selects import TABLES, selects
from tests.equality.values import column_types, rows_sql

_ROWS = 120
_COUNTED = ("equal", "refused", "differs", "no warehouse")


def main(words: list[str]) -> int:
    """Run the matrix; return the exit code."""
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        values = Lake(Path(folder) / "values", {"v": (rows_sql(_ROWS), column_types())})
        chosen = [text for text in dict.fromkeys(expressions()) if _is_wanted(text, words)]
        found += _told(compare_expressions(values, chosen, _ROWS, (False, True)), words)
        tables = Lake(Path(folder) / "tables", TABLES)
        found += _told(
            compare_selects(tables, [text for text in selects() if _is_wanted(text, words)], (False, True)), words
        )
    counts = Counter(verdict.outcome for verdict in found)
    rewritten = sum(verdict.outcome == "equal" and verdict.is_rewritten for verdict in found)
    shown = ", ".join(f"{counts[name]} {name}" for name in _COUNTED)
    sys.stdout.write(f"{len(found)} shapes: {shown}; {rewritten} of the equal ones rewritten\n")
    return 1 if counts["differs"] else 0


def _told(found: list[Verdict], words: list[str]) -> list[Verdict]:
    """Print what differs, or all that is not equal when words were given."""
    for verdict in found:
        if verdict.outcome == "differs" or (words and verdict.outcome != "equal"):
            _tell(verdict)
    sys.stdout.flush()
    return found


def _is_wanted(text: str, words: list[str]) -> bool:
    return not words or any(word in text for word in words)


def _tell(verdict: Verdict) -> None:
    sys.stdout.write(f"{verdict.outcome}: {verdict.shape}\n")
    for line in [*verdict.differences, *verdict.refused, *([verdict.sql] if verdict.sql else [])]:
        sys.stdout.write(f"    {line[:600]}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
