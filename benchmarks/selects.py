"""Random SELECTs against the increment rules, many of them: `make selects`, or with the URL of a PostgreSQL server.

    python benchmarks/selects.py 10000
    python benchmarks/selects.py 500 postgresql://user@host/database

Prints the outcomes, the reasons of refusals, and how many refused SELECTs load right by trying. Exits with 1 when an
accepted SELECT loads wrong.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.support.select_survey import Survey

TRIES = 60
"""Worlds in which a refused SELECT must load right to count as refused without need."""

WORLDS = 80
"""Random sources that all cases share."""

PATIENCE = 15
"""Seconds for a case, in all its worlds."""


def main() -> int:
    """Run as many cases as the first argument says."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    connection, dialect = _connect(sys.argv[2] if len(sys.argv) > 2 else None)  # noqa: PLR2004
    survey = Survey(connection, dialect, accepted_tries=4, refused_tries=TRIES, worlds=WORLDS, patience=PATIENCE)
    for first in range(0, count, 500):
        survey.run(range(first, min(first + 500, count)))
        print(f"{min(first + 500, count):,} cases, {len(survey.wrong)} wrong", file=sys.stderr, flush=True)
    print(survey.report())
    return 1 if survey.wrong else 0


def _connect(url: str | None) -> tuple[Any, str]:
    if url is None:
        import duckdb

        return duckdb.connect(config={"memory_limit": "2GB", "max_temp_directory_size": "0GB"}), "duckdb"
    import psycopg

    return psycopg.connect(url, autocommit=True), "postgres"


if __name__ == "__main__":
    sys.exit(main())
