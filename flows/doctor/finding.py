"""A finding of `sluice doctor`: its level, its message and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How severe a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What one check found.

    Attributes:
        check: What was checked.
        level: ok, warn or fail.
        message: What was found.
        remedy: What to do about it; empty for level ok.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""
