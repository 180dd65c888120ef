"""Count the lines and letters that each tool needs for ten tables: `python -m benchmarks.declarations`.

Letters, because a line may be long: everything but spaces, comments included in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
TABLES: Final = (
    "orders customers page_views products readings suppliers accounts fact_order order_daily revenue".split()  # noqa: SIM905
)


def declared(file: str) -> dict[str, list[str]]:
    """Return the lines of a file that follow a comment with a table's name, table by table.

    Args:
        file: Its name in this folder. Sluice's one also has lines that end in such a comment: its sources.
    """
    found: dict[str, list[str]] = {table: [] for table in TABLES}
    current: str | None = None
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        named = re.match(r"\s*(?:#|--) (\w+)(?::.*)?$", line)
        ends = re.search(r"\S.*# (\w+)$", line)
        if named is not None and named[1] in found:
            current = named[1]
        elif ends is not None:
            found[ends[1]].append(line.partition("#")[0])
        elif current is not None and line.strip():
            found[current].append(line)
    return found


def report() -> Iterator[str]:
    """Yield a table of lines and letters by tool, in Markdown."""
    tools = {"Sluice": "sluice.yml", "SQLMesh": "sqlmesh.sql", "dbt": "dbt.yml", "sdp-meta": "sdp_meta.yml"}
    counted = {tool: declared(file) for tool, file in tools.items()}
    yield f"| lines · letters | {' | '.join(tools)} |"
    yield f"| --- |{' --- |' * len(tools)}"
    for table in TABLES:
        cells = [
            f"{len(lines)} · {sum(len(''.join(line.split())) for line in lines)}" if lines else "–"
            for lines in (counted[tool][table] for tool in tools)
        ]
        yield f"| `{table}` | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(report()))
