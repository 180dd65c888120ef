"""Masking of secrets in text that is about to be kept."""

from __future__ import annotations

import re
from typing import Any, Final

MASK: Final = "***"

_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):([^\s/]+)@")
_ASSIGNED: Final = re.compile(
    r"(?i)\b(password|passwd|pwd|secret|token|api_?key|aws_secret_access_key|aws_session_token)(\"?'?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;)}]+)"
)
_PLAIN_ASSIGNMENT: Final = re.compile(
    r"(?i)\b(password|passwd|pwd|api_?key|aws_secret_access_key|aws_session_token)=\S"
)
_AWS_KEY: Final = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")


def redact_text(text: str) -> str:
    """Mask passwords of URLs, `password=…` and the like, and AWS key ids.

    >>> redact_text("could not connect to postgresql://etl:hunter2@db/x, password='a b'")
    'could not connect to postgresql://etl:***@db/x, password=***'
    """
    text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    return _AWS_KEY.sub(MASK, text)


def holds_secret(text: str) -> bool:
    """Tell whether text surely holds a password or a key, so that a row must not: prose about passwords may stand.

    >>> holds_secret("password=hunter2"), holds_secret("password: how often it was reset")
    (True, False)
    """
    return any(pattern.search(text) for pattern in (_URL_PASSWORD, _AWS_KEY, _PLAIN_ASSIGNMENT))


def redact(value: Any) -> Any:
    """Mask secrets in every text of a JSON-ready value."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {key: redact(item) for key, item in value.items()}
    return value
