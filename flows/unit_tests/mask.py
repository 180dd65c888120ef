"""Masking: personal values replaced by others of the same form; equal values by equal ones, so joins still match.

The replacement of a value depends on the value and on a secret of this project in this place, `.sluice/mask.key`. Who
reads a committed test file has not got the secret, so hashing all names of a phone book finds nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.rows.names import TableName
from metadata_sync.sql.lineage import ColumnName

if TYPE_CHECKING:
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.project import Project

PERSONAL: Final = "personal"
"""The tag of columns, in `column_list`, that hold what is about a person."""

_KEY_FILE: Final = "mask.key"
_KEY_BYTES: Final = 32
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_DAY: Final = date(1950, 1, 1)
_DAYS: Final = 20_000
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class Mask:
    """Replaces values.

    Args:
        key: The secret.
        columns: The columns to mask.
    """

    def __init__(self, key: bytes, columns: Collection[ColumnName]) -> None:
        self._key = key
        self.columns = frozenset(columns)

    def rows(self, name: TableName, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of a table with masked values."""
        return [
            {
                column: self.value(value) if ColumnName(name, column) in self.columns else value
                for column, value in row.items()
            }
            for row in rows
        ]

    def value(self, value: Any) -> Any:
        """Return what stands for a value: of the same type, length and form.

        Letters become letters, digits digits, dates dates; other signs stay. A number and the same number as text are
        replaced alike. True and False say nothing when they are exchanged at random: both become False.

        >>> Mask(b"k", ()).value("Ada.Lovelace@example.org")
        'Csi.Dfcqzpxt@slecdwu.gbp'
        """
        if value is None or isinstance(value, bool):
            return None if value is None else False
        text = str(value)
        found = _DATE.match(text)
        if found:
            day = _FIRST_DAY + timedelta(days=int.from_bytes(self._stream(found[0])[:4]) % _DAYS)
            return f"{day.isoformat()}{text[found.end() :]}"
        masked = "".join(map(_replaced, text, self._bytes(text), range(len(text))))
        return int(masked) if isinstance(value, int) else masked

    def _bytes(self, text: str) -> bytes:
        return b"".join(self._stream(f"{text}\0{part}") for part in range(len(text) // 32 + 1))

    def _stream(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()


def _replaced(sign: str, byte: int, place: int) -> str:
    if sign.isascii() and sign.isdigit():
        return str(byte % 9 + 1) if place == 0 else str(byte % 10)  # a first zero would shorten a number
    if sign.isalpha():
        letter = _LETTERS[byte % len(_LETTERS)]
        return letter.upper() if sign.isupper() else letter
    return sign


def mask_key(project: Project) -> bytes:
    """Return the project's secret for masking; it is made at first use and stays on this machine."""
    path = project.make_state_dir() / _KEY_FILE
    if not path.exists():
        path.write_text(secrets.token_hex(_KEY_BYTES), encoding="ascii")
        path.chmod(0o600)
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def personal_columns(catalog: Catalog) -> tuple[frozenset[ColumnName], tuple[TableName, ...]]:
    """Find the columns that hold personal values: tagged ones, what they come from, and what else comes from that.

    Args:
        catalog: Rows, SELECTs and columns.

    Returns:
        The columns, and the targets whose SELECT could not be followed, so that nobody knows where their columns come
        from. Nothing is followed, and nothing unknown, while no column is tagged.
    """
    from metadata_sync.analysis.lineage import Lineage

    tagged = [
        ColumnName(row.name, column.name)
        for row in catalog.rows.transformations
        for column in row.column_list
        if PERSONAL in column.tags
    ]
    if not tagged:
        return frozenset(), ()
    lineage = Lineage(catalog)
    origins = {*tagged, *(step.reads for item in tagged for step in lineage.upstream(item))}
    derived = {step.of for item in origins for step in lineage.downstream(item)}
    found = frozenset(item for item in origins | derived if isinstance(item, ColumnName))
    return found, lineage.unresolved([row.name for row in catalog.rows.transformations])
