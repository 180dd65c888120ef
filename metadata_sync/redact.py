"""Masking of secrets in text that is about to be kept, and taming of text that comes from outside."""

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
_ACCESS_KEY: Final = re.compile(
    r"(?i)\b((?:aws_)?(?:access|secret|session|account)_?(?:access_?)?key(?:_id)?\s*[=:]\s*)[^\s,;)}\"']+"
)
_SIGNED_URL: Final = re.compile(
    r"(?i)([?&;](?:x-amz-(?:signature|credential|security-token)|signature|sig|access_?token|key)=)[^&\s\"'<>]+"
)
_WEBHOOK: Final = re.compile(
    r"(?i)(https://(?:hooks\.slack\.com/(?:services|workflows)|[a-z0-9.-]+\.webhook\.office\.com)/)[^\s\"'<>]+"
)
_AUTHORIZATION: Final = re.compile(r"(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}")
_TOKEN: Final = re.compile(
    r"\b()(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|xox[abprs]-[\w-]{8,}|pn[ub]_\w{16,}|gh[pousr]_\w{16,}|dapi[0-9a-f]{16,})"
)
_PRIVATE_KEY: Final = re.compile(r"()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)")

_TERMINAL: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
SAFE_LENGTH: Final = 4_000
"""Characters that `safe_text` keeps of a message: its beginning and its end, where causes stand."""
_LOOKED_AT: Final = 8
"""So many times that length is looked at, so that no secret is cut in half and then missed."""


def redact_text(text: str) -> str:
    """Mask passwords of URLs, `password=…` and the like, keys, tokens, webhooks, and what signs a URL.

    >>> redact_text("could not connect to postgresql://etl:hunter2@db/x, password='a b'")
    'could not connect to postgresql://etl:***@db/x, password=***'
    >>> redact_text("GET https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=0a1b failed")
    'GET https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=*** failed'
    """
    text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    for pattern in (_ACCESS_KEY, _SIGNED_URL, _WEBHOOK, _AUTHORIZATION, _PRIVATE_KEY, _TOKEN):
        text = pattern.sub(rf"\1{MASK}", text)
    return _AWS_KEY.sub(MASK, text)


def safe_text(text: str, length: int = SAFE_LENGTH) -> str:
    r"""Return text from outside as it may be kept and shown: secrets masked, nothing that steers a terminal, not long.

    Args:
        text: What a warehouse or a service said.
        length: Characters that are kept at most, the mark of what was left out aside.

    >>> safe_text("\x1b[31mno\x07 password=hunter2\x1b[0m")
    'no password=***'
    """
    plain = _CONTROLS.sub("", _TERMINAL.sub("", _middle_out(text, _LOOKED_AT * length)))
    return _middle_out(redact_text(plain), length).strip()


def _middle_out(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


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
