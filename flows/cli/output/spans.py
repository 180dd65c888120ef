"""Spans of time as people write them: 30d, 12h, 2w, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

_SPAN: Final = re.compile(r"(\d+)([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def since_when(text: str, now: datetime) -> datetime:
    """Return the instant that `--since` names.

    Args:
        text: A span up to now, or a date in UTC.
        now: UTC.

    Raises:
        typer.BadParameter: When it is neither.
    """
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return now - int(span[1]) * _UNITS[span[2]]
        instant = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is not a time span or a date. Write 30d, 12h, 2w, or a date such as 2013-01-31."
        raise typer.BadParameter(message, param_hint="--since") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
