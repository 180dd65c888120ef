"""The definition of rows: what a SELECT derives from its sources, whatever its layout and comments."""

from __future__ import annotations

import hashlib
from typing import Final

from metadata_sync.sql.parse import ParsedSelect

_HASH_LENGTH: Final = 16


def definition_hash(select: ParsedSelect) -> str:
    """Hash what a SELECT derives.

    Two SELECTs that differ only in layout, comments, or the case of keywords and unquoted names have one hash.

    Args:
        select: The SELECT as it runs.

    Returns:
        16 hexadecimal digits.
    """
    text = select.tree.sql(dialect=select.dialect, comments=False, normalize=True, normalize_functions="lower")
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
