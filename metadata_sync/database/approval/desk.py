"""Storing proposals in place of changes, and deciding them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Engine

from metadata_sync.database import audit
from metadata_sync.database.approval import proposals, protection
from metadata_sync.database.approval.identity import read_identity
from metadata_sync.database.approval.model import Identity, Proposal, ProposalStatus, ProposedRow, Role, digest_of
from metadata_sync.database.changes import in_writing_order, write_changes
from metadata_sync.database.engine import lock_writers, reading, to_utc, writing
from metadata_sync.database.journals import incidents, lifecycle, select_texts
from metadata_sync.database.journals.entries import Via
from metadata_sync.errors import ApprovalNeededError, StaleRowError, StoreError
from metadata_sync.incident import Alert
from metadata_sync.redact import redact_text
from metadata_sync.rows.merge import SWITCH, ColumnChange, RowChange, RowId
from metadata_sync.rows.vocabulary import DeactivatedBy

AUTOMATIC_COLUMNS: Final = frozenset({SWITCH, "deactivated_by", "comments", "fingerprint", "column_list"})
"""Columns of a transformation that the framework changes by itself, also in a protected environment."""


def propose_if_protected(
    connection: Connection,
    environment: str,
    changes: Sequence[RowChange],
    author: audit.Author,
    now: datetime,
    *,
    selects: Mapping[RowId, ColumnChange] = MappingProxyType({}),
    texts: Mapping[str, str] = MappingProxyType({}),
) -> int | None:
    """Store changes as a proposal when their environment is protected; every change of rows passes here.

    Args:
        connection: A writing transaction that holds the writers' lock.
        environment: The environment of the rows.
        changes: The changes.
        author: Who is named as the author, and how and why the change is made.
        now: The current instant.
        selects: Transformations whose SELECT is another one from then on: the hashes.
        texts: SELECTs by `sql_path`; those of `selects` are kept with the proposal.

    Returns:
        The proposal's number; None when the caller may write the changes itself.

    Raises:
        StoreError: When the identity may not ask for the change, or the framework's change is none of its own.
    """
    if not changes and not selects:
        return None
    is_protected = protection.is_protected(connection, environment)
    if author.via is Via.FRAMEWORK:
        if is_protected:
            _refuse_unless_automatic(changes)
        return None
    who = read_identity(connection, environment)
    for role in _roles_for(changes, author.via):
        protection.require(connection, environment, role, who)
    if not is_protected:
        return None
    named = None if author.who in {who.name, who.account} else author.who
    rows = (*proposals.to_rows(changes), *proposals.select_rows(selects))
    brought = {change.new for change in selects.values()}
    select_texts.keep(connection, [text for text in texts.values() if select_texts.text_hash(text) in brought])
    return proposals.append(
        connection, environment, rows, who, now, via=author.via.value, reason=author.reason, on_behalf_of=named
    )


def refuse_if_protected(connection: Connection, environment: str, what: str) -> None:
    """Refuse what no proposal can hold.

    Raises:
        StoreError: When the environment is protected.
    """
    if protection.is_protected(connection, environment):
        raise StoreError(
            f"{environment} is protected, and {what} cannot be proposed; nothing was changed.",
            "Propose to take the protection off (`sluice protection off --reason …`), then do it and protect it again.",
        )


def waits(environment: str, number: int) -> ApprovalNeededError:
    """Return the error that says where a change went."""
    return ApprovalNeededError(
        f"{environment} is protected: the change waits as proposal {number}; nothing was changed yet.",
        f"Another identity looks at it (`sluice proposals show {number}`) and approves it "
        f"(`sluice proposals approve {number}`).",
        subject=str(number),
    )


def _roles_for(changes: Sequence[RowChange], via: Via) -> list[Role]:
    switched = [change for change in changes if change.kind == "change" and SWITCH in _columns(change)]
    roles = [] if via in {Via.ACTIVATE, Via.DEACTIVATE} else [Role.PROPOSE]
    return [*roles, Role.SWITCH] if switched else roles


def _columns(change: RowChange) -> set[str]:
    return {item.column for item in change.columns}


def _refuse_unless_automatic(changes: Sequence[RowChange]) -> None:
    for change in changes:
        switched_on = any(item.column == SWITCH and item.new for item in change.columns)
        was_off_by = getattr(change.before, "deactivated_by", None)
        is_own = change.kind == "change" and _columns(change) <= AUTOMATIC_COLUMNS
        if not is_own or (switched_on and was_off_by != DeactivatedBy.FRAMEWORK):
            raise StoreError(f"{change.id}: only people change this, and the environment is protected.")


@dataclass(frozen=True, slots=True)
class Approvals:
    """What people do with proposals and protection in one environment.

    Attributes:
        engine: A connection to the control database.
        environment: The environment.
        clock: Returns the current instant.
    """

    engine: Engine
    environment: str
    clock: Callable[[], datetime]

    def caller(self) -> Identity:
        """Return who calls, from the authenticated side."""
        with reading(self.engine) as connection:
            return read_identity(connection, self.environment)

    def require(self, role: Role) -> None:
        """Refuse a caller without a role.

        Raises:
            StoreError: When the role was granted to others only.
        """
        with reading(self.engine) as connection:
            if protection.read_grants(connection, self.environment):
                protection.require(connection, self.environment, role, read_identity(connection, self.environment))

    def is_protected(self) -> bool:
        """Whether rows of the environment change by approved proposals only."""
        with reading(self.engine) as connection:
            return protection.is_protected(connection, self.environment)

    def protection(self) -> tuple[dict[str, str | None] | None, dict[Role, tuple[str, ...]]]:
        """Return who protected the environment and why (None: nobody), and the identities of the granted roles."""
        with reading(self.engine) as connection:
            found = protection.read_protection(connection, self.environment)
            return found, protection.read_grants(connection, self.environment)

    def list(self, *, open_only: bool = False) -> tuple[Proposal, ...]:
        """Return proposals, newest first."""
        with reading(self.engine) as connection:
            return proposals.read(connection, self.environment, open_only=open_only)

    def find(self, number: int) -> Proposal:
        """Return a proposal.

        Raises:
            RequestError: When there is none of this number.
        """
        with reading(self.engine) as connection:
            return proposals.find(connection, self.environment, number)

    def protect(self, reason: str | None) -> bool:
        """Protect the environment; False: it was protected already.

        Raises:
            StoreError: When a renaming or a retirement is not finished.
        """
        with writing(self.engine) as connection:
            lock_writers(connection)
            if protection.is_protected(connection, self.environment):
                return False
            if lifecycle.read(connection, self.environment, unfinished_only=True):
                raise StoreError(
                    "A renaming or a retirement of a target is not finished.", "Finish it or take it back first."
                )
            who, now = read_identity(connection, self.environment), self.clock()
            protection.protect(connection, self.environment, who, reason, now)
            row = ProposedRow("protected_environment", self.environment, None, {"is_protected": True})
            author = audit.Author(who.name, Via.SET, reason)
            audit.append_values(connection, self.environment, [row], author, now)
            return True

    def change_protection(self, rows: Sequence[ProposedRow], reason: str | None) -> None:
        """Change grants, or take the protection off (a row of `protected_environment` with nothing after it).

        Raises:
            ApprovalNeededError: When the environment is protected: the change waits as a proposal.
            StaleRowError: When a row is not as the change assumes.
        """
        with writing(self.engine) as connection:
            lock_writers(connection)
            who, now = read_identity(connection, self.environment), self.clock()
            protection.require(connection, self.environment, Role.PROPOSE, who)
            number = None
            if protection.is_protected(connection, self.environment):
                number = proposals.append(
                    connection, self.environment, rows, who, now, via=Via.SET.value, reason=reason
                )
            else:
                protection.write_rows(connection, self.environment, [*rows])
                author = audit.Author(who.name, Via.SET, reason)
                audit.append_values(connection, self.environment, rows, author, now)
        if number is not None:
            raise waits(self.environment, number)

    def reject(self, number: int, reason: str) -> Proposal:
        """Reject a proposal, or take one's own back.

        Raises:
            StoreError: When it is decided already, or the caller may not.
        """
        with writing(self.engine) as connection:
            lock_writers(connection)
            found, who = self._open(connection, number), read_identity(connection, self.environment)
            if not who.is_same(found.proposer):
                protection.require(connection, self.environment, Role.APPROVE, who)
            self._decide(connection, found, ProposalStatus.REJECTED, who, decision_reason=redact_text(reason))
            return proposals.find(connection, self.environment, number)

    def approve(
        self,
        number: int,
        digest: str,
        *,
        override: str | None = None,
        alerts: Sequence[Alert] = (),
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Apply a proposal, with its audit, in one transaction.

        Args:
            number: The proposal.
            digest: Digest of the proposal that the caller has looked at.
            override: Why it must be applied without another identity; None: it has one.
            alerts: What tells of an override, written in the same transaction.
            texts: SELECTs of the rows, by `sql_path`: kept as those of this moment.

        Returns:
            The change id in the history.

        Raises:
            StaleRowError: When its base has changed: the proposal is stale from now on.
            StoreError: When it is decided already, the caller proposed it or may not approve, or it is another one.
        """
        try:
            with writing(self.engine) as connection:
                lock_writers(connection)
                found, who = self._open(connection, number), read_identity(connection, self.environment)
                self._refuse_approver(connection, found, who, override)
                if digest != found.digest or digest_of(found.rows) != found.digest:
                    raise StoreError(
                        f"Proposal {number} is not the one that was looked at; nothing was changed.",
                        f"Look again: `sluice proposals show {number}`.",
                    )
                self._decide(
                    connection,
                    found,
                    ProposalStatus.APPROVED,
                    who,
                    decision_reason=None if override is None else redact_text(override),
                    is_override=override is not None,
                    applied_in="now",
                )
                change_id = self._apply(connection, found, who)
                select_texts.append(connection, self.environment, texts, self.clock())
                incidents.append_alerts(connection, self.environment, alerts)
                return change_id
        except StaleRowError as error:
            raise self.stale(number, error) from error

    def tell_once(self, prefix: str, alerts: Sequence[Alert]) -> None:
        """Put alerts into the outbox, unless one whose id begins like this was put there before."""
        with writing(self.engine) as connection:
            lock_writers(connection)
            if not incidents.has_alert(connection, self.environment, prefix):
                incidents.append_alerts(connection, self.environment, alerts)

    def refuse_approver(self, number: int, override: str | None = None) -> None:
        """Refuse a caller who may not approve a proposal, or apply it by override.

        Raises:
            StoreError: When it is decided already, or the caller proposed it or may not approve.
        """
        with reading(self.engine) as connection:
            found = self._open(connection, number)
            self._refuse_approver(connection, found, read_identity(connection, self.environment), override)

    def stale(self, number: int, error: StaleRowError) -> StaleRowError:
        """Decide a proposal as stale, and return the error that says so."""
        with writing(self.engine) as connection:
            lock_writers(connection)
            found, who = self._open(connection, number), read_identity(connection, self.environment)
            self._decide(connection, found, ProposalStatus.STALE, who, decision_reason="its base has changed")
        message = f"Proposal {number} is stale: {error.message}"
        return StaleRowError(message, "Propose the change again.", subject=error.subject)

    def _apply(self, connection: Connection, found: Proposal, who: Identity) -> str:
        changes, now = in_writing_order(proposals.to_changes(found.rows)), self.clock()
        others = [row for row in found.rows if row.table in protection.TABLES]
        author = audit.Author(
            found.proposer.name, Via(found.via), found.reason, approved_by=who.name, proposal=found.number
        )
        protection.write_rows(connection, self.environment, others)
        write_changes(connection, self.environment, changes)
        proposals.end_applying(connection, self.environment, found.number)
        if others:
            return audit.append_values(connection, self.environment, others, author, now)
        selects = proposals.to_selects(found.rows)
        return audit.append(connection, self.environment, changes, author, now, selects=selects)

    def _refuse_approver(self, connection: Connection, found: Proposal, who: Identity, override: str | None) -> None:
        if override is not None:
            protection.require(connection, self.environment, Role.PROPOSE, who)
            return
        protection.require(connection, self.environment, Role.APPROVE, who)
        if who.is_same(found.proposer):
            raise StoreError(
                f"Proposal {found.number} was made by {found.proposer}, and {who} counts as the same identity; "
                "nothing was changed.",
                "Another identity approves it. In an emergency: `sluice proposals approve "
                f"{found.number} --override REASON`, which is told.",
            )

    def _open(self, connection: Connection, number: int) -> Proposal:
        found = proposals.find(connection, self.environment, number)
        if found.status is not ProposalStatus.OPEN:
            raise StoreError(f"Proposal {number} is {found.status} already; nothing was changed.")
        return found

    def _decide(
        self, connection: Connection, found: Proposal, status: ProposalStatus, who: Identity, **values: Any
    ) -> None:
        stamp = {
            "status": status.value,
            "decided_by": who.name,
            "decided_account": who.account,
            "decided_in_ci": who.in_ci,
            "decided_at": to_utc(self.clock()),
        }
        if not proposals.decide(connection, self.environment, found.number, stamp | values):
            raise StoreError(f"Proposal {found.number} was decided by somebody else meanwhile; nothing was changed.")
