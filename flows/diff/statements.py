"""The SQL of a comparison, in the form that DuckDB, PostgreSQL and Redshift share.

Rows are matched by an equality of the key's columns alone, so that every warehouse can hash-join them. Keys with NULL,
and keys that more than one row has, tell no rows apart: they are counted and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from metadata_sync.rows.names import quote_identifier, quote_identifiers

HISTORY: Final = ("valid_from", "valid_to")
_HEX: Final = 65536


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared.

    Attributes:
        here: This environment's table, as a table expression.
        there: The other one's.
        key: The columns of the key; of a history without valid_from.
        content: The other columns that both have, without those of the framework.
        casts: Columns that are compared as text, because their types differ.
        is_history: Whether rows are versions with valid_from and valid_to.
        share: Share of the keys to compare, from 0 to 1.
    """

    here: str
    there: str
    key: tuple[str, ...]
    content: tuple[str, ...]
    casts: frozenset[str]
    is_history: bool
    share: float = 1.0

    @property
    def match(self) -> tuple[str, ...]:
        """The columns that tell rows apart."""
        return (*self.key, HISTORY[0]) if self.is_history else self.key


def key_faults(compared: Compared, relation: str) -> str:
    """Return the query for rows, rows without a key, and keys of several rows of one side."""
    nulls = " OR ".join(f"{quote_identifier(name)} IS NULL" for name in compared.match)
    listed = quote_identifiers(compared.match)
    part = f"(SELECT * FROM {relation} AS r{_sampled(compared)}) AS t"
    return (
        f"SELECT (SELECT count(*) FROM {part}), (SELECT count(*) FROM {part} WHERE {nulls}), "
        f"(SELECT count(*) FROM (SELECT {listed} FROM {part} WHERE NOT ({nulls}) "
        f"GROUP BY {listed} HAVING count(*) > 1) AS d)"
    )


def totals(compared: Compared) -> str:
    """Return the query for: only here, only there, changed, moved, equal, and the changes of each column."""
    parts = [
        "sum(CASE WHEN state = 'only_here' THEN 1 ELSE 0 END)",
        "sum(CASE WHEN state = 'only_there' THEN 1 ELSE 0 END)",
        "sum(CASE WHEN state = 'changed' THEN 1 ELSE 0 END)",
        "sum(CASE WHEN state = 'moved' THEN 1 ELSE 0 END)",
        "sum(CASE WHEN state = 'equal' THEN 1 ELSE 0 END)",
        *(f"sum(CASE WHEN state = 'changed' THEN d{number} ELSE 0 END)" for number in range(len(compared.content))),
    ]
    return f"{_with(compared)} SELECT {', '.join(f'coalesce({part}, 0)' for part in parts)} FROM joined"


def examples(compared: Compared, state: str, limit: int) -> str:
    """Return the query for some rows of a state: key, then each column here and there, as text."""
    keys = ", ".join(f"coalesce(h{number}, t{number})" for number in range(len(compared.match)))
    columns = "".join(f", hc{number}, tc{number}" for number in range(_width(compared)))
    return f"{_with(compared)} SELECT {keys}{columns} FROM joined WHERE state = '{state}' ORDER BY {keys} LIMIT {limit}"


def shown_columns(compared: Compared) -> tuple[str, ...]:
    """Return the columns of which `examples` yields both values."""
    return (*compared.content, HISTORY[1]) if compared.is_history else compared.content


def unkeyed(compared: Compared) -> str:
    """Return the query for: rows here, rows there, and rows that both have, each counted as often as it stands."""
    names = ", ".join(f"{_value(compared, name)} AS c{number}" for number, name in enumerate(compared.content))
    group = ", ".join(f"c{number}" for number in range(len(compared.content)))
    everything = (
        f"SELECT {names}, 1 AS a, 0 AS b FROM {compared.here} AS s UNION ALL "
        f"SELECT {names}, 0 AS a, 1 AS b FROM {compared.there} AS s"
    )
    counted = f"SELECT sum(a) AS a, sum(b) AS b FROM ({everything}) AS u GROUP BY {group}"
    both = "sum(CASE WHEN a < b THEN a ELSE b END)"
    return f"SELECT coalesce(sum(a), 0), coalesce(sum(b), 0), coalesce({both}, 0) FROM ({counted}) AS g"


def _with(compared: Compared) -> str:
    """Return the common table expressions; `joined` has a row for each key, with its state."""
    sides = f"WITH here AS ({_side(compared, compared.here)}), there AS ({_side(compared, compared.there)})"
    if compared.is_history:
        return f"{sides}, joined AS ({_versions(compared)})"
    return f"{sides}, joined AS ({_rows(compared)})"


def _side(compared: Compared, relation: str) -> str:
    """Return the rows of one side that can be matched: key k0…, content c0…, of a history the end as the last."""
    nulls = " AND ".join(f"{quote_identifier(name)} IS NOT NULL" for name in compared.match)
    names = shown_columns(compared)
    columns = [f"{quote_identifier(name)} AS k{number}" for number, name in enumerate(compared.match)]
    columns += [f"{_value(compared, name)} AS c{number}" for number, name in enumerate(names)]
    twins = f"count(*) OVER (PARTITION BY {quote_identifiers(compared.match)}) AS twins"
    inner = f"SELECT {', '.join(columns)}, {twins} FROM {relation} AS r WHERE {nulls}{_sampled(compared, ' AND ')}"
    return f"SELECT * FROM ({inner}) AS s WHERE twins = 1"


def _rows(compared: Compared) -> str:
    on = " AND ".join(f"h.k{number} = t.k{number}" for number in range(len(compared.match)))
    same = " AND ".join(_same(f"h.c{n}", f"t.c{n}") for n in range(len(compared.content))) or "1 = 1"
    state = (
        f"CASE WHEN t.twins IS NULL THEN 'only_here' WHEN h.twins IS NULL THEN 'only_there' "
        f"WHEN {same} THEN 'equal' ELSE 'changed' END"
    )
    return f"SELECT {_both(compared)}, {state} AS state FROM here AS h FULL OUTER JOIN there AS t ON {on}"


def _versions(compared: Compared) -> str:
    """Match versions by key and beginning; those that are left by key, content and order: their bounds moved."""
    width, last = len(compared.match), len(compared.content)
    on = " AND ".join(f"h.k{number} = t.k{number}" for number in range(width))
    same = " AND ".join(_same(f"h.c{n}", f"t.c{n}") for n in range(last)) or "1 = 1"
    state = (
        f"CASE WHEN t.twins IS NULL THEN 'only_here' WHEN h.twins IS NULL THEN 'only_there' "
        f"WHEN {same} AND {_same(f'h.c{last}', f't.c{last}')} THEN 'equal' WHEN {same} THEN 'moved' ELSE 'changed' END"
    )
    matched = f"SELECT {_both(compared)}, {state} AS state FROM here AS h FULL OUTER JOIN there AS t ON {on}"
    group = ", ".join([*(f"{{s}}{n}" for n in range(width - 1)), *(f"{{s}}c{n}" for n in range(last))])
    order = f"row_number() OVER (PARTITION BY {{g}} ORDER BY {{s}}{width - 1}) AS place"
    lone = {}
    for side, kind in (("h", "only_here"), ("t", "only_there")):
        by = group.replace("{s}", side)
        lone[side] = (
            f"SELECT m.*, {order.replace('{g}', by).replace('{s}', side)} FROM matched AS m WHERE state = '{kind}'"
        )
    pairs = [*(f"a.h{n} = b.t{n}" for n in range(width - 1)), "a.place = b.place"]
    pairs += [_same(f"a.hc{n}", f"b.tc{n}") for n in range(last)]
    names = _names(compared)
    from_a = ", ".join(f"a.{name}" if name[0] == "h" else f"b.{name}" for name in names)
    flags = "".join(f", 0 AS d{n}" for n in range(last))
    gone = " AND ".join(f"{{x}}.{{s}}{n} = p.{{s}}{n}" for n in range(width))
    left = (
        f"SELECT m.* FROM matched AS m WHERE state NOT IN ('only_here', 'only_there') "
        f"UNION ALL SELECT m.* FROM matched AS m WHERE state = 'only_here' AND NOT EXISTS "
        f"(SELECT 1 FROM pairs AS p WHERE {gone.format(x='m', s='h')}) "
        f"UNION ALL SELECT m.* FROM matched AS m WHERE state = 'only_there' AND NOT EXISTS "
        f"(SELECT 1 FROM pairs AS p WHERE {gone.format(x='m', s='t')}) UNION ALL SELECT * FROM pairs"
    )
    return (
        f"WITH matched AS ({matched}), a AS ({lone['h']}), b AS ({lone['t']}), "
        f"pairs AS (SELECT {from_a}{flags}, 'moved' AS state FROM a JOIN b ON {' AND '.join(pairs)}) {left}"
    )


def _names(compared: Compared) -> list[str]:
    names = [f"{side}{n}" for n in range(len(compared.match)) for side in "ht"]
    return names + [f"{side}c{n}" for n in range(_width(compared)) for side in "ht"]


def _both(compared: Compared) -> str:
    """Return the columns of `joined` but for its state: keys, values, and for each column whether it differs."""
    parts = [f"{s}.k{n} AS {s}{n}" for n in range(len(compared.match)) for s in "ht"]
    parts += [f"{s}.c{n} AS {s}c{n}" for n in range(_width(compared)) for s in "ht"]
    parts += [
        f"CASE WHEN {_same(f'h.c{n}', f't.c{n}')} THEN 0 ELSE 1 END AS d{n}" for n in range(len(compared.content))
    ]
    return ", ".join(parts)


def _width(compared: Compared) -> int:
    return len(shown_columns(compared))


def _same(one: str, other: str) -> str:
    """Return a condition that is true for equal values; for others it may be NULL, so it is never negated."""
    return f"({one} = {other} OR ({one} IS NULL AND {other} IS NULL))"


def _value(compared: Compared, name: str) -> str:
    quoted = quote_identifier(name)
    return f"CAST({quoted} AS VARCHAR)" if name in compared.casts else quoted


def _sampled(compared: Compared, word: str = " WHERE ") -> str:
    """Return the condition that keeps a share of the keys: the same ones on both sides."""
    if compared.share >= 1:
        return ""
    text = " || '|' || ".join(f"coalesce(CAST({quote_identifier(name)} AS VARCHAR), '')" for name in compared.key)
    bound = f"{max(1, round(compared.share * _HEX)):04x}"
    return f"{word}substring(md5({text}), 1, 4) < '{bound}'"
