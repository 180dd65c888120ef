"""Roles, identities and proposals. Pure."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What an identity may do; a role that nobody was granted is everyone's, except CI."""

    PROPOSE = "propose"
    APPROVE = "approve"
    SWITCH = "switch"
    RESTATE = "restate"
    RUN = "run"
    ENGINE = "engine"
    """Make the framework's own changes: switch off after a failure, switch on when healed, take column lists."""
    CI = "ci"
    """A PostgreSQL role whose sessions may act in the name of whom CI or Prefect names; nobody's by default."""


class ProposalStatus(StrEnum):
    """What became of a proposal."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, from the authenticated side.

    Attributes:
        name: Name of the person: the account, or whom CI or Prefect names.
        account: Role of PostgreSQL, or user of the operating system.
        in_ci: Whether CI or Prefect named the person.
    """

    name: str
    account: str
    in_ci: bool = False

    def is_same(self, other: Identity) -> bool:
        """Whether two identities may be one person: equal names, or one account that is not CI's for both."""
        if folded(self.name) == folded(other.name):
            return True
        return folded(self.account) == folded(other.account) and not (self.in_ci and other.in_ci)

    def __str__(self) -> str:
        return self.name


def folded(name: str) -> str:
    """Return a name without case, whitespace and invisible characters, for comparisons.

    >>> folded(" Ada\u200b Lovelace ") == folded("ADALOVELACE")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in plain if not char.isspace() and unicodedata.category(char) != "Cf")


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """One row of a proposal, JSON-ready.

    Attributes:
        table: Control table, `protected_environment` or `environment_role`.
        key: Key of the row.
        before: The row when it was proposed; None when it is added.
        after: The row as proposed; None when it is removed.
        declared: The columns that its file names; None: as before.
    """

    table: str
    key: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    declared: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Changes that wait for another identity, and what became of them.

    Attributes:
        number: Counts within the environment.
        status: What became of it.
        via: How the change was asked for, one of `Via`.
        proposer: Who proposed it.
        proposed_at: When, UTC.
        on_behalf_of: Whom a form or an environment variable named; not authenticated.
        reason: Why.
        digest: Of all rows before and after.
        base_digest: Of all rows before.
        rows: The rows.
        decider: Who decided; None while it is open.
        decided_at: When, UTC.
        decision_reason: Why it was rejected, or approved by override.
        is_override: Whether it was applied without another identity.
    """

    number: int
    status: ProposalStatus
    via: str
    proposer: Identity
    proposed_at: datetime
    on_behalf_of: str | None
    reason: str | None
    digest: str
    base_digest: str
    rows: tuple[ProposedRow, ...]
    decider: Identity | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    is_override: bool = False


def digest_of(rows: Sequence[ProposedRow], *, base_only: bool = False) -> str:
    """Return the digest of rows, whatever their order; base_only: of the rows before the change."""
    items = [
        (row.table, row.key, row.before, *(() if base_only else (row.after, row.declared)))
        for row in sorted(rows, key=lambda row: (row.table, row.key))
    ]
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()
