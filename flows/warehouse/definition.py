"""How a target is built and what derives its rows, as heads and the load log hold it (pure)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from metadata_sync.errors import HardRunError
from metadata_sync.rows.vocabulary import Increment, LoadType

if TYPE_CHECKING:
    from metadata_sync.rows.model import TransformationRow

_DEFINITION: Final = re.compile(r"(\w+) by \((.*)\) in order of \((.*)\) tracking (.*?)(?: deriving .*)?")


@dataclass(frozen=True, slots=True)
class Definition:
    """How a target is built: load type, key, order of events and tracked columns."""

    load_type: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    tracks: str

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Read what the macro `definition` writes.

        Raises:
            HardRunError: When it is something else.

        >>> Definition.parse("scd2 by (id) in order of (at, lsn) tracking all").order
        ('at', 'lsn')
        """
        found = _DEFINITION.fullmatch(text)
        if found is None:
            raise HardRunError(f"The head holds {text!r}, which no load wrote.", "Restore the head of the target.")
        load_type, key, order, tracks = found.groups()
        return cls(load_type, tuple(filter(None, key.split(", "))), tuple(order.split(", ")), tracks)


def tracks_of(definition: str) -> str:
    """Return the tracked columns of a definition, also of a materialized view's.

    >>> tracks_of("scd2 by (id) in order of (at) tracking city, name")
    'city, name'
    """
    return definition.partition(" tracking ")[2].partition(" deriving ")[0]


def derivation_of(definition: str) -> tuple[int, str]:
    """Return what the newest rows of a target are derived by: the number of the definition, and its hash.

    >>> derivation_of("scd1 by (id) in order of (at) tracking nothing deriving 3:9f2c47aa01b2c3d4")
    (3, '9f2c47aa01b2c3d4')
    >>> derivation_of("scd1 by (id) in order of (at) tracking nothing")  # loaded by an earlier version of Sluice
    (0, '')
    """
    return numbered(definition.partition(" deriving ")[2])


def numbered(text: str) -> tuple[int, str]:
    """Return number and hash of `<number>:<hash>`, as the load log keeps it."""
    number, _, derived = text.partition(":")
    return int(number or 0), derived


def next_number(number: int) -> int:
    """Return the number that the macros give to the definition after this one; the first is 1, or 0 after an upgrade.

    >>> next_number(0), next_number(1), next_number(2)
    (2, 2, 3)
    """
    return max(number, 1) + 1


def is_redefined(number: int) -> bool:
    """Whether a definition of this number is another than the first of its target."""
    return number >= next_number(0)


def row_definition(select_hash: str, row: TransformationRow) -> str:
    """Hash what the rows of a target are derived by, as the macro `row_definition` does.

    Args:
        select_hash: Hash of the normalised SELECT, as sync writes it into the model.
        row: The target's row: its delete_when and increment shape its rows, too.
    """
    mode = "" if row.increment is Increment.ROWS else row.increment
    text = f"{select_hash}{row.delete_when or ''}{mode}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]


def tracking(load_type: LoadType, scd_columns: Iterable[str]) -> str:
    """Write tracked columns as the macro `tracking` does.

    >>> tracking(LoadType.SCD2, ["Name", "city"])
    'city, name'
    """
    if load_type is not LoadType.SCD2:
        return "nothing"
    return ", ".join(sorted(name.lower() for name in scd_columns)) or "all"
