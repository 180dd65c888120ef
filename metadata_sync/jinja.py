"""Escaping: what rows and SELECTs hold is data, never Jinja."""

from __future__ import annotations

import re
from typing import Final

_OPENING: Final = re.compile(r"\{[{%#]")


def escape_jinja(text: str) -> str:
    """Write text so that Jinja renders it back as it is; only openings need it.

    >>> escape_jinja("a {{ b }}")
    "a {{ '{{' }} b }}"
    """
    return _OPENING.sub(lambda match: "{{ '" + match.group() + "' }}", text)
