"""Messages of a warehouse without the values of rows that they quote. Pure."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\([^()]*\)")
_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(r"\b[\w.:+-]*\d[\w.:+-]*")


def without_values(message: str, known: str) -> str:
    r"""Return the first line of a message; quoted words and numbers only where they stand in a text that is no data.

    Args:
        message: The message.
        known: The SELECT and the row that it is about.

    >>> without_values('invalid input syntax for type integer: "secret"', "select a from b")
    'invalid input syntax for type integer: …'
    >>> without_values('column "nope" does not exist\nLINE 3: x', "select nope from b")
    'column "nope" does not exist'
    """
    words = {word.lower() for word in _WORD.findall(known)}

    def kept(match: re.Match[str]) -> str:
        found = [word.lower() for word in _WORD.findall(match[0])]
        return match[0] if found and all(word in words for word in found) else "…"

    line = next((line for line in message.splitlines() if line.strip()), "")
    return _NUMBER.sub(kept, _QUOTED.sub(kept, line)).strip()
