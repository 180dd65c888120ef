"""Short statements held to the whole of their synopsis on AWS's pages: what stands beside it is another warehouse's.

Read in AWS's guide, not tried on a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_PART: Final = r'(?:" [^"]+ "|[\w#$@-]+)'
_NAME: Final = rf"{_PART}(?: \. (?:{_PART}|\*))*"
_NAMES: Final = rf"{_NAME}(?: , {_NAME})*"
_WORK: Final = r"(?: work| transaction)?"
_LEVEL: Final = r"(?:serializable|snapshot|read committed|read uncommitted|repeatable read)"
_BEHAVIOUR: Final = r"(?: (?:cascade|restrict))?"


@dataclass(frozen=True, slots=True)
class Synopsis:
    """One statement.

    Attributes:
        page: Page of AWS's guide.
        begins: Its first words.
        whole: All that it may say.
        text: The synopsis for people.
    """

    page: str
    begins: re.Pattern[str]
    whole: re.Pattern[str]
    text: str


def _synopsis(page: str, begins: str, rest: str, text: str) -> Synopsis:
    return Synopsis(page, re.compile(rf"{begins}\b"), re.compile(rf"{begins}{rest}"), text)


SYNOPSES: Final = (
    _synopsis("r_COMMIT.html", "(?:commit|end)", _WORK, "COMMIT [WORK | TRANSACTION]"),
    _synopsis("r_ROLLBACK.html", "(?:rollback|abort)", _WORK, "ROLLBACK [WORK | TRANSACTION]"),
    _synopsis(
        "r_BEGIN.html",
        rf"(?:begin{_WORK}|start transaction)",
        rf"(?: isolation level {_LEVEL})?(?: ?,? ?read (?:only|write))?",
        "BEGIN [WORK | TRANSACTION] [ISOLATION LEVEL …] [READ WRITE | READ ONLY]",
    ),
    _synopsis("r_TRUNCATE.html", "truncate", rf"(?: table)? {_NAME}", "TRUNCATE [TABLE] table"),
    _synopsis("r_LOCK.html", "lock", rf"(?: table)? {_NAMES}", "LOCK [TABLE] table, …"),
    _synopsis(
        "r_ANALYZE.html",
        "analyze(?! compression)",
        rf"(?: verbose)?(?: (?!table ){_NAME}(?: \( {_NAMES} \))?)?(?: (?:predicate|all) columns)?",
        "ANALYZE [VERBOSE] [table [(column, …)]] [PREDICATE COLUMNS | ALL COLUMNS]",
    ),
    _synopsis(
        "r_VACUUM_command.html",
        "vacuum",
        rf"(?: (?:full|sort only|delete only|reindex|recluster))?(?: {_NAME})?(?: to \d+ percent)?(?: boost)?",
        "VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] [table] [TO n PERCENT] [BOOST]",
    ),
    _synopsis(
        "materialized-view-refresh-sql-command.html",
        "refresh materialized view",
        rf" {_NAME}{_BEHAVIOUR}",
        "REFRESH MATERIALIZED VIEW view [RESTRICT | CASCADE]",
    ),
    _synopsis(
        "r_ALTER_MATERIALIZED_VIEW.html",
        "alter materialized view",
        rf" {_NAME} (?:auto refresh (?:yes|no)|alter (?:distkey|diststyle|sortkey|compound|encode)\b.*"
        rf"|row level security .*)",
        "ALTER MATERIALIZED VIEW view {AUTO REFRESH … | ALTER … | ROW LEVEL SECURITY …}",
    ),
    _synopsis(
        "r_DROP_TABLE.html",
        "drop table",
        rf"(?: if exists)? {_NAMES}{_BEHAVIOUR}",
        "DROP TABLE [IF EXISTS] table, … [CASCADE | RESTRICT]",
    ),
    _synopsis(
        "r_DROP_VIEW.html",
        "drop view",
        rf"(?: if exists)? {_NAMES}{_BEHAVIOUR}",
        "DROP VIEW [IF EXISTS] view, … [CASCADE | RESTRICT]",
    ),
    _synopsis(
        "r_EXPLAIN.html",
        "explain",
        r"(?: verbose)? (?:\( )?(?:select|with|insert|update|delete|merge|create|unload)\b.*",
        "EXPLAIN [VERBOSE] query",
    ),
    _synopsis("r_USE_command.html", "use", rf" {_PART}", "USE database"),
    _synopsis("r_UNLOAD.html", "unload", r" \( .*", "UNLOAD ('query') TO 's3://…' …"),
)


def beside(words: str) -> Iterator[Synopsis]:
    """Find the synopsis that a statement leaves.

    Args:
        words: Of the statement, in lower case, one blank between them.
    """
    for synopsis in SYNOPSES:
        if synopsis.begins.match(words) and not synopsis.whole.fullmatch(words):
            yield synopsis
