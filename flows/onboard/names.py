"""What a column's name and type say of its part in a row."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from flows.onboard.model import ColumnFacts


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ID: Final = _set("nk guid rowid id pk oid sk key ids uuid")
_NO_ID: Final = _set(
    "paid unpaid prepaid void avoid valid invalid grid fluid solid rapid humid liquid acid hybrid covid squid timid "
    "monkey turkey hockey jockey whiskey donkey"
)
"""Words that end like an identifier and are none."""
_ORDINAL: Final = _set("line lineno linenumber item position pos seq sequence ordinal stint step index")
"""Words of columns that number the rows of a parent."""
_CODE: Final = _set(
    "code number no nr num nbr iata icao faa isbn sku ean upc symbol ticker tailnum email login username iso slug "
    "abbreviation acronym vin imei ssn barcode serial reference ref carrier"
)
_PART: Final = _set(
    "line lineno linenumber item position seq sequence origin destination dest flight year month day hour week "
    "quarter date time period version type category country state region station sensor language currency channel "
    "level"
)
_LABEL: Final = _set("name title label description comment note text address url path street city phone")
_MEASURE: Final = _set(
    "amount price total qty quantity count sum avg mean rate score value balance cost tax discount weight height "
    "width length depth size distance delay duration temp humid humidity wind speed gust precip pressure visib lat "
    "lon latitude longitude altitude alt population percent pct ratio age seats engines stock units revenue sales "
    "salary budget freight fee points rating minutes seconds elapsed airtime carat"
)
_ARRIVAL: Final = _set("loaded ingested landed recorded received extracted synced imported inserted arrived etl")
_CHANGE: Final = _set("updated modified changed update modify lastmodified change mtime revised touched")
_BIRTH: Final = _set("created create creation added ctime inserted registered")
_TIME: Final = re.compile(r"(date|timestamp)\w*(\(\d\))?( with(out)? time zone)?", re.IGNORECASE)
_FLOAT: Final = re.compile(r"float|double|real", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"decimal|numeric", re.IGNORECASE)
_NO_KEY: Final = re.compile(r"bool|json|struct|map|list|\[|blob|bytea|super|geometry|xml|interval", re.IGNORECASE)
_LONG: Final = 40.0
_TABLE_PREFIXES: Final = _set("dim fact stg raw src staging tbl t base int mart lake dwh all")


class Role(IntEnum):
    """How well a column suits a key, by its name and type; the greater, the better."""

    NEVER = -9
    MEASURE = -3
    STAMP = -2
    LABEL = -1
    OTHER = 0
    PART = 1
    CODE = 2
    ID = 3
    OWN_ID = 5


def words(name: str) -> list[str]:
    """Split a name into its words, in lower case.

    >>> words("order_id"), words("OrderID"), words("lastModifiedAt"), words("l_orderkey")
    (['order', 'id'], ['order', 'id'], ['last', 'modified', 'at'], ['l', 'orderkey'])
    """
    return [word.lower() for word in _WORDS.findall(name)]


def role(column: ColumnFacts, table: str) -> Role:
    """Return a column's part in the key of a table.

    Args:
        column: The column.
        table: The table's name without its schema.
    """
    if _NO_KEY.search(column.type) or _FLOAT.search(column.type):
        return Role.NEVER
    found = _by_name(words(column.name), table)
    if is_time(column):
        return Role.STAMP if is_arrival(column) or is_change(column) or is_birth(column) else Role.PART
    if found is Role.OTHER and _DECIMAL.search(column.type):
        return Role.MEASURE
    if column.length > _LONG and found < Role.ID:
        return Role.LABEL if found > Role.LABEL else found
    return found


def _by_name(parts: list[str], table: str) -> Role:
    if not parts:
        return Role.OTHER
    last, joined = parts[-1], "".join(parts)
    ends_as_id = last in _ID or (len(last) > 3 and last.endswith(("id", "key", "uuid")) and last not in _NO_ID)  # noqa: PLR2004
    if ends_as_id:
        entity = re.sub(r"(id|key|uuid|guid|sk|pk|nk)$", "", joined)
        return Role.OWN_ID if not entity or entity in _entities(table) or _without_prefix(parts, table) else Role.ID
    if last in _CODE:
        entity = "".join(parts[:-1])
        return Role.ID if entity and entity in _entities(table) else Role.CODE
    for known, found in ((_MEASURE, Role.MEASURE), (_LABEL, Role.LABEL), (_PART, Role.PART)):
        if known & set(parts):
            return found
    return Role.CODE if joined in _entities(table) else Role.OTHER


def _without_prefix(parts: list[str], table: str) -> bool:
    """Tell whether a prefix of the table's initial stands before its entity, as in `o_orderkey` of `orders`."""
    if len(parts) < 2 or len(parts[0]) > 2:  # noqa: PLR2004
        return False
    entity = re.sub(r"(id|key|uuid)$", "", "".join(parts[1:]))
    return entity in _entities(table) or _is_short_for(entity, table)


def _is_short_for(entity: str, table: str) -> bool:
    return len(entity) >= 3 and any(name.startswith(entity) for name in _entities(table))  # noqa: PLR2004


def _entities(table: str) -> set[str]:
    """Return the words by which a table's own rows may be called: its name, also in the singular."""
    parts = [part for part in words(table) if part not in _TABLE_PREFIXES] or words(table)
    names = {"".join(parts), parts[-1]}
    return names | {_singular(name) for name in names}


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    if name.endswith(("sses", "shes", "ches", "xes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def is_time(column: ColumnFacts) -> bool:
    """Tell whether a column holds dates or instants; a time of day is neither."""
    return _TIME.fullmatch(column.type) is not None


def is_ordinal(name: str) -> bool:
    """Tell whether a column is called like the number of a row within its parent."""
    return bool(_ORDINAL & set(words(name)))


def is_arrival(column: ColumnFacts) -> bool:
    """Tell whether a column is called like the time at which a row was loaded."""
    return bool(_ARRIVAL & set(words(column.name)))


def is_change(column: ColumnFacts) -> bool:
    """Tell whether a column is called like the time at which a row changed."""
    return bool(_CHANGE & set(words(column.name)))


def is_birth(column: ColumnFacts) -> bool:
    """Tell whether a column is called like the time at which a row came to be."""
    return bool(_BIRTH & set(words(column.name)))
