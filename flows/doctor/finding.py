"""What a check-up finds: how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        level: ok, warn or fail.
        message: What was found.
        remedy: What to do about it; empty when it is well.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""
