"""Escaping of Jinja: text of rows and SELECTs is data and is never rendered."""

from __future__ import annotations

import re
from typing import Final

_OPENING: Final = re.compile(r"\{[{%#]")


def escape_jinja(text: str) -> str:
    """Escape a text so that Jinja renders it unchanged; only opening braces need it.

    >>> escape_jinja("a {{ b }}")
    "a {{ '{{' }} b }}"
    """
    return _OPENING.sub(lambda match: "{{ '" + match.group() + "' }}", text)
