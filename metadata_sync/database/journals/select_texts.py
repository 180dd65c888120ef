"""The journal of SELECTs: which text each path had when, and the texts by their content's hash. Insert-only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, insert, select

from metadata_sync.database.engine import to_utc
from metadata_sync.database.tables import select_log, select_text

_HASHES_PER_QUERY: Final = 1000  # well below the databases' limits of parameters per statement


def text_hash(text: str) -> str:
    """Return the hash that a text is kept by: SHA-256 of its UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def append(connection: Connection, environment: str, texts: Mapping[str, str], now: datetime) -> None:
    """Keep the texts that differ from the last ones of their paths; in a transaction that holds the writers' lock.

    Args:
        connection: A writing transaction.
        environment: The environment.
        texts: Path as in `sql_path` → the SELECT.
        now: When they were read.
    """
    hashes = {path: text_hash(text) for path, text in texts.items()}
    last = latest(connection, environment)
    changed = {path: found for path, found in hashes.items() if last.get(path) != found}
    if not changed:
        return
    keep(connection, [texts[path] for path in changed])
    newest = select(func.max(select_log.c.recorded_at)).where(select_log.c.environment == environment)
    before = connection.execute(newest).scalar()
    instant = to_utc(now) if before is None else max(to_utc(now), before + timedelta(microseconds=1))
    noted = {"environment": environment, "recorded_at": instant}
    connection.execute(
        insert(select_log), [{**noted, "sql_path": path, "sha256": found} for path, found in changed.items()]
    )


def keep(connection: Connection, texts: Collection[str]) -> None:
    """Keep texts by their content, as nobody's yet; in a transaction that holds the writers' lock."""
    by_hash = {text_hash(text): text for text in texts}
    missing = by_hash.keys() - read(connection, by_hash).keys()
    if missing:
        connection.execute(insert(select_text), [{"sha256": name, "text": by_hash[name]} for name in sorted(missing)])


def latest(connection: Connection, environment: str, before: datetime | None = None) -> dict[str, str]:
    """Return the hash of the last text of each path, of those that were recorded before an instant."""
    columns = select_log.c
    asked = [columns.environment == environment]
    if before is not None:
        asked.append(columns.recorded_at < to_utc(before))
    newest = func.row_number().over(partition_by=columns.sql_path, order_by=columns.recorded_at.desc())
    ranked = select(columns.sql_path, columns.sha256, newest.label("rank")).where(*asked).subquery()
    query = select(ranked.c.sql_path, ranked.c.sha256).where(ranked.c.rank == 1)
    return {row.sql_path: row.sha256 for row in connection.execute(query)}


def read(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Return the texts that are kept, by hash."""
    wanted = sorted(hashes)
    found: dict[str, str] = {}
    for begin in range(0, len(wanted), _HASHES_PER_QUERY):
        part = wanted[begin : begin + _HASHES_PER_QUERY]
        query = select(select_text).where(select_text.c.sha256.in_(part))
        found.update({row.sha256: row.text for row in connection.execute(query)})
    return found
