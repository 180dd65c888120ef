"""Masks secrets in text before it is stored or shown, and cleans text that comes from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from metadata_sync.secret_shapes import NAME, NAME_HINTS, NUMBER, PASSWORD_NAME, SHAPES, SIGN, VALUE, Shape

MASK: Final = "***"

_CONTEXT: Final = 26
"""Characters before an assignment that may belong to the name, as in `"secret access key" : …`."""
_SHORTEST: Final = 6
_LONG_WORD: Final = 12
"""A secret that is a plain word of fewer letters is masked where it stands alone: it may be a part of names."""
_PROGRAMS: Final = frozenset({"duckdb", "postgres", "prefect", "redshift", "sluice"})
"""Passwords that are masked in assignments only: as known values they would mask commands."""
_PASSWORD_OF_URL: Final = re.compile(r"://[^\s:/@]*:(?P<password>[^\s]+)@")

_TERMINAL: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
SAFE_LENGTH: Final = 4_000
"""Characters that `safe_text` keeps of a message: its beginning and its end, where causes stand."""
_MASKED_FACTOR: Final = 8
"""`safe_text` masks this many times the characters that it keeps: a secret that was cut in half would not be found."""


_known: dict[str, re.Pattern[str] | None] = {}
"""Secrets of this process's settings, profile and environment, the longest first; kept in memory only. A pattern finds
a plain word where it stands alone."""
_versions: list[int] = [0]
"""The last one counts how many times the known secrets have changed."""
_SHORT: Final = 300


def remember_secrets(named: Mapping[str, Any]) -> None:
    """Mask these secrets from now on, wherever they appear: every text under the name of a secret.

    Args:
        named: Environment variables, the entries of a profile: values by name, nested as they are.
    """
    found = {form for value in _secrets_in(named) for form in _forms(value)}
    if not found.issubset(_known):
        ordered = sorted({*_known, *found}, key=len, reverse=True)
        _known.clear()
        _known.update({secret: _alone(secret) for secret in ordered})
        _versions.append(_versions[-1] + 1)


def _secrets_in(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _secrets_in(item, is_secret=is_secret or NAME.search(str(name)) is not None)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets_in(item, is_secret=is_secret)
    elif isinstance(value, str):
        yield from (match.group("password") for match in _PASSWORD_OF_URL.finditer(value))
        if is_secret:
            yield value
            yield from value.split(":", 1)[1:]  # user:password


def _forms(secret: str) -> Iterator[str]:
    """Return the forms in which texts may hold a secret; none for a short one, or one that would mask commands."""
    is_hidden = len(secret) >= _SHORTEST and secret.lower() not in _PROGRAMS
    if is_hidden and not secret.startswith(("/", "~")):  # PWD is a folder
        yield from (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])


def _alone(secret: str) -> re.Pattern[str] | None:
    """Return what finds a plain word that is no part of a name; None for any other secret."""
    is_word = secret.isalpha() and len(secret) < _LONG_WORD
    return re.compile(rf"(?<![\w.]){secret}(?![\w.])") if is_word else None


def redact_text(text: str) -> str:
    """Mask what looks like a secret, and the secrets of this process's settings, everywhere in the text.

    >>> redact_text("could not connect to postgresql://etl:hunter2@db/x, password='a b'")
    'could not connect to postgresql://etl:***@db/x, password=***'
    >>> redact_text("GET https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=0a1b failed")
    'GET https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=*** failed'
    """
    return _redact_short(text, _versions[-1]) if len(text) <= _SHORT else _redact(text)


@lru_cache(maxsize=10_000)
def _redact_short(text: str, version: int) -> str:  # noqa: ARG001 - masked anew when the known secrets change
    """Mask a text that may come again: the decisions of a run repeat most of theirs."""
    return _redact(text)


def _redact(text: str) -> str:
    for secret, alone in _known.items():
        text = text.replace(secret, MASK) if alone is None else alone.sub(MASK, text)
    for shape in _shapes_in(text):
        text = shape.pattern.sub(rf"\g<keep>{MASK}", text)
    return _without_assigned(text)


@lru_cache(maxsize=2_000)
def _shapes_in(text: str) -> tuple[Shape, ...]:
    """Return the shapes that may match: those with a hint in the text. Most texts hold none, and many come again."""
    lowered = text.lower()
    return tuple(shape for shape in SHAPES if any(hint in lowered for hint in shape.hints))


def _without_assigned(text: str) -> str:
    """Mask the values of assignments to names of secrets."""
    kept: list[str] = []
    position = 0
    for start, end in _assignments(text):
        kept += (text[position:start], MASK)
        position = end
    return "".join((*kept, text[position:])) if kept else text


def _assignments(text: str) -> Iterator[tuple[int, int]]:
    """Return where the values of such assignments begin and end."""
    masked = 0
    for sign in SIGN.finditer(text):
        start = sign.end()
        if start < masked:
            continue
        name = text[max(0, sign.start() - _CONTEXT) : sign.start()].rstrip(" \t\"'`\\]")
        if not any(word in name.lower() for word in NAME_HINTS) or NAME.search(name) is None:
            continue
        value = VALUE.match(text, start)
        if value is None or value.group().startswith(MASK):
            continue
        if PASSWORD_NAME.search(name) or not NUMBER.match(text, start):
            yield value.span()
            masked = value.end()


def safe_text(text: str, length: int = SAFE_LENGTH) -> str:
    r"""Return text from outside, safe to store and to show: secrets masked, control characters removed, shortened.

    Args:
        text: What a warehouse or a service said.
        length: Characters that are kept at most, the mark of what was left out aside.

    >>> safe_text("\x1b[31mno\x07 password=hunter2\x1b[0m")
    'no password=***'
    """
    plain = _CONTROLS.sub("", _TERMINAL.sub("", _cut_middle(text, _MASKED_FACTOR * length)))
    return _cut_middle(redact_text(plain), length).strip()


def _cut_middle(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def holds_secret(text: str, *, is_sql: bool = False) -> bool:
    """Tell whether text certainly holds a password or a key; prose about passwords is allowed in rows.

    Args:
        text: A value of a row.
        is_sql: Whether it is SQL, in which `password = 'reset'` is a comparison.

    >>> holds_secret("password=hunter2"), holds_secret("password: how often it was reset")
    (True, False)
    """
    shapes = (shape for shape in _shapes_in(text) if shape.is_sure or (shape.is_written and not is_sql))
    found = [match.group() for shape in shapes for match in shape.pattern.finditer(text)]
    if not is_sql:
        found += [text[start:end] for start, end in _assignments(text) if not _is_prose(text, start)]
    return any(MASK not in match for match in found) or any(secret in text for secret in _known)


def _is_prose(text: str, start: int) -> bool:
    """Whether a value is prose, as in `password: how often it was reset`: a word without quotes after a colon."""
    value = VALUE.match(text, start)
    return text[:start].rstrip().endswith(":") and value is not None and value.group().isalpha()


def redact(value: Any) -> Any:
    """Mask secrets in every text of a JSON-ready value, and every text under the name of a secret."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {key: MASK if _is_secret(key, item) else redact(item) for key, item in value.items()}
    return value


def _is_secret(key: object, value: object) -> bool:
    return isinstance(value, str) and bool(value) and NAME.search(str(key)) is not None
