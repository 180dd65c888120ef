"""Text as others read it: a terminal, dbt's Jinja, people."""

from __future__ import annotations

import re
from typing import Final

_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_JINJA_OPENING: Final = re.compile(r"\{[{%#]")


def visible(text: str) -> str:
    r"""Write out what a terminal would obey instead of showing it: escapes, carriage returns, changes of direction.

    >>> visible("dim\x1b[2J\u202e")
    'dim\\x1b[2J\\u202e'
    """
    return _UNSEEN.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def escape_jinja(text: str) -> str:
    """Escape a text so that Jinja renders it unchanged; only opening braces need it.

    Text of rows and SELECTs is data and is never rendered.

    >>> escape_jinja("a {{ b }}")
    "a {{ '{{' }} b }}"
    """
    return _JINJA_OPENING.sub(lambda match: "{{ '" + match.group() + "' }}", text)


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> duration_text(59), duration_text(3725), duration_text(200000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left = max(0, round(seconds))
    for place, (name, size) in enumerate(units):
        if left >= size:
            whole, rest = divmod(left, size)
            next_name, next_size = units[place + 1] if place + 1 < len(units) else ("", 1)
            more = rest // next_size if next_name and next_name != "s" else 0
            return f"{whole} {name}" + (f" {more} {next_name}" if more else "")
    return "0 s"
