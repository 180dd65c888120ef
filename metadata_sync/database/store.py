"""`ControlStore`: the reads and writes of one environment in the control database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, select

from metadata_sync.database import audit, leases, parts
from metadata_sync.database.approval.desk import Approvals, propose_if_protected, refuse_if_protected, waits
from metadata_sync.database.changes import in_writing_order, write_changes
from metadata_sync.database.codec import Stored, decode, raw_columns
from metadata_sync.database.engine import SharedClock, lock_writers, open_engine, parse_url, reading, writing
from metadata_sync.database.journals import (
    backfills,
    costs,
    counts,
    decisions_loads,
    definitions,
    incidents,
    lifecycle,
    select_texts,
    shapes,
)
from metadata_sync.database.journals.counts import DecisionCount, PastLoad
from metadata_sync.database.journals.entries import (
    AuditEntry,
    BackfillEntry,
    DecisionEntry,
    DefinitionEntry,
    LatestLoads,
    LifecycleEntry,
    LoadCost,
    LoadEntry,
    LoadTotal,
    SourceShape,
    SparkEntry,
    Via,
)
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.database.leases import Lease, LeaseHolder
from metadata_sync.database.stored_rows import StoredRows, declared_rows
from metadata_sync.database.tables import ROW_TABLES, backfill_log, lifecycle_log
from metadata_sync.database.upgrade import bring_up_to_date
from metadata_sync.incident import Alert, Incident
from metadata_sync.rows.merge import ColumnChange, ColumnId, ControlState, RowChange, RowId
from metadata_sync.rows.model import ROW_TYPES, ControlRow, ControlRows, SourceRow, TransformationRow

logger = logging.getLogger(__name__)

FRAMEWORK: Final = "sluice"
"""Author of the framework's changes of rows."""

INCIDENT_MEMORY: Final = timedelta(days=2)
"""How long a resolved incident is considered when the next one of its kind begins."""


class ControlStore:
    """The control rows of one environment with their audit, journals and leases.

    Args:
        engine: A connection to a database at this code's version.
        environment: The environment whose rows are read and written.
        clock: Returns the current instant, with its zone; by default the database's clock.
    """

    def __init__(self, engine: Engine, environment: str, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._environment = environment
        self._shared = SharedClock(engine)
        self._clock = clock or self._shared

    @classmethod
    def open(cls, url: str, environment: str, clock: Callable[[], datetime] | None = None) -> Self:
        """Open a control database; create or migrate it if necessary.

        Args:
            url: SQLAlchemy URL of SQLite or PostgreSQL.
            environment: The environment whose rows are read and written.
            clock: Returns the current instant, with its zone; by default the database's clock.

        Raises:
            StoreError: When it is newer than this code, cannot be reached or cannot be written.
        """
        engine = open_engine(parse_url(url))
        try:
            bring_up_to_date(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, environment, clock)

    @property
    def environment(self) -> str:
        """The environment whose rows this store reads and writes."""
        return self._environment

    @property
    def approvals(self) -> Approvals:
        """Proposals, protection and roles of the environment."""
        return Approvals(self._engine, self._environment, self._clock)

    def now(self) -> datetime:
        """Return the current instant, UTC, by the clock that all users of the control database share."""
        return self._clock()

    def correct(self, instant: datetime) -> datetime:
        """Convert an instant of this machine's clock to the shared clock; a machine's clock may be wrong."""
        return self._shared.correct(instant)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def read_rows(self) -> ControlRows:
        """Return all rows of the environment.

        Raises:
            MetadataError: With all faults, when stored rows are invalid.
        """
        return self.read_stored().rows

    def usable_rows(self) -> ControlRows:
        """Return all rows of the environment; faulty columns have their defaults.

        Raises:
            MetadataError: When a faulty column has no default.
        """
        return self.read_stored().usable

    def read_stored(self) -> StoredRows:
        """Return a snapshot of all rows as they are stored; it parses them on access."""
        with reading(self._engine) as connection:
            return self._stored_rows(connection)

    def read_part(self, pipelines: Collection[str] = (), targets: Collection[str] = ()) -> StoredRows:
        """Return the rows that pipelines and targets need, and no others; see `parts.read`."""
        with reading(self._engine) as connection:
            unfinished = self._unfinished_renamings(connection)
            stored = parts.read(connection, self._environment, pipelines, targets)
            return StoredRows(stored, unfinished, is_part=True)

    def whole(self, rows: ControlRows) -> ControlRows:
        """Return all rows of the environment in place of a part of them: for what concerns the rows of others."""
        return self.usable_rows() if rows.is_part else rows

    def last_change(self) -> str:
        """Return the id of the newest change of rows; whoever writes rows writes their audit with them."""
        with reading(self._engine) as connection:
            return parts.last_change(connection, self._environment)

    def target_names(self) -> frozenset[str]:
        """Return the targets of all rows, `schema.table`, without making any row typed."""
        with reading(self._engine) as connection:
            return parts.target_names(connection, self._environment)

    def lake_locations(self) -> tuple[str, ...]:
        """Return the locations of the environment's lake sources, without making any row typed."""
        table = ROW_TABLES[SourceRow.control_table]
        query = select(table.c.location).where(table.c.environment == self._environment, table.c.location.is_not(None))
        with reading(self._engine) as connection:
            return tuple(str(location) for location in connection.scalars(query.distinct()))

    def declared(self) -> ControlRows:
        """Return the rows as the files last declared them; `model_fields_set` holds the columns that they name."""
        with reading(self._engine) as connection:
            return declared_rows(self._stored(connection))

    def read_state(self) -> ControlState:
        """Return rows, declarations and columns written by the framework, in one snapshot: the input of a plan.

        Raises:
            MetadataError: With all faults, when stored rows are invalid.
        """
        with reading(self._engine) as connection:
            stored = self._stored_rows(connection)
            written = audit.framework_written(connection, self._environment, stored.rows)
            return ControlState(stored.rows, declared_rows(stored.stored), written)

    def framework_written(self, rows: ControlRows) -> frozenset[ColumnId]:
        """Return the columns of rows whose current value Sluice wrote."""
        with reading(self._engine) as connection:
            return audit.framework_written(connection, self._environment, rows)

    def write(
        self,
        changes: Iterable[RowChange],
        who: str,
        via: str,
        reason: str | None,
        *,
        texts: Mapping[str, str] | None = None,
        selects: Mapping[RowId, ColumnChange] | None = None,
    ) -> str:
        """Write changes and their audit in one transaction.

        Args:
            changes: Rows before and after the change.
            who: Person or role.
            via: How the change is made, one of `Via`.
            reason: Why.
            texts: SELECTs of the rows, by `sql_path`: kept as those of this moment.
            selects: Transformations whose SELECT is another one from now on: the hashes, for the audit.

        Returns:
            The change id in `history`.

        Raises:
            ApprovalNeededError: When the environment is protected: the changes wait as a proposal.
            StoreError: When a row has changed in the meantime, or the database refuses; nothing is written.
        """
        ordered = in_writing_order(changes)
        author = audit.Author(who, Via(via), reason)
        with writing(self._engine) as connection:
            lock_writers(connection)
            now, texts = self._clock(), texts or {}
            number = propose_if_protected(
                connection, self._environment, ordered, author, now, selects=selects or {}, texts=texts
            )
            if number is None:
                write_changes(connection, self._environment, ordered)
                change_id = audit.append(connection, self._environment, ordered, author, now, selects=selects)
                select_texts.append(connection, self._environment, texts, now)
        if number is not None:
            raise waits(self._environment, number)
        logger.info("control_rows_written change=%s rows=%d who=%s via=%s", change_id, len(ordered), who, via)
        return change_id

    def history(self, key: str | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Return changes, newest first.

        Args:
            key: Only changes of the rows with this key.
            limit: Maximum number of entries.
        """
        with reading(self._engine) as connection:
            return audit.read(connection, self._environment, key, limit)

    def history_since(self, change_id: str) -> tuple[AuditEntry, ...]:
        """Return a change and all later ones, oldest first."""
        with reading(self._engine) as connection:
            return audit.read_since(connection, self._environment, change_id)

    def promoted(self) -> dict[ColumnId, Any]:
        """Return the value that each column had after the last promotion that wrote it, with secrets masked."""
        with reading(self._engine) as connection:
            return audit.read_promoted(connection, self._environment)

    def keep_selects(self, texts: Mapping[str, str]) -> None:
        """Keep the SELECTs that differ from the last ones of their `sql_path`."""
        hashes = {path: select_texts.text_hash(text) for path, text in texts.items()}
        if hashes.items() <= self.select_hashes().items():
            return
        with writing(self._engine) as connection:
            lock_writers(connection)
            select_texts.append(connection, self._environment, texts, self._clock())

    def select_hashes(self, before: datetime | None = None) -> dict[str, str]:
        """Return the hash of the last SELECT of each `sql_path`, of those kept before an instant."""
        with reading(self._engine) as connection:
            return select_texts.latest(connection, self._environment, before)

    def select_texts(self, hashes: Collection[str]) -> dict[str, str]:
        """Return the kept SELECTs of any environment, by hash; those that are not kept are missing."""
        with reading(self._engine) as connection:
            return select_texts.read(connection, hashes)

    def record_decisions(self, entries: Sequence[DecisionEntry]) -> None:
        """Store decisions of the gate, with secrets masked."""
        if entries:
            with writing(self._engine) as connection:
                decisions_loads.append_decisions(connection, self._environment, entries)

    def record_loads(self, entries: Sequence[LoadEntry]) -> None:
        """Store the summaries of loads, with secrets masked."""
        if entries:
            with writing(self._engine) as connection:
                decisions_loads.append_loads(connection, self._environment, entries)

    def settle(self, settlement: Settlement) -> None:
        """Write a settlement in one transaction: loads, changes of rows by the framework, incidents, alerts."""
        now = self._clock()
        with writing(self._engine) as connection:
            lock_writers(connection)
            for amendment in settlement.amendments:
                self._amend(connection, amendment, now)
            if settlement.loads:
                decisions_loads.append_loads(connection, self._environment, settlement.loads)
            known = incidents.read_incidents(connection, self._environment, now - INCIDENT_MEMORY)
            changed, alerts = settlement.judge(known)
            incidents.write_incidents(connection, self._environment, changed)
            incidents.append_alerts(connection, self._environment, alerts)

    def incidents(self, since: datetime | None = None) -> tuple[Incident, ...]:
        """Return open incidents, and those that were open since an instant; oldest first."""
        with reading(self._engine) as connection:
            return incidents.read_incidents(connection, self._environment, since)

    def queue_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put alerts into the outbox."""
        with writing(self._engine) as connection:
            incidents.append_alerts(connection, self._environment, alerts)

    def alerts(self, incident_id: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts of an incident, or all alerts, oldest first."""
        with reading(self._engine) as connection:
            return incidents.read_alerts(connection, self._environment, incident_id)

    def count_waiting_alerts(self) -> int:
        """Return the number of alerts that no channel has accepted yet."""
        with reading(self._engine) as connection:
            return incidents.count_waiting(connection, self._environment)

    def claim_alerts(self, now: datetime, until: datetime) -> tuple[Alert, ...]:
        """Return the alerts that are due, one per incident and channel, and reserve them until an instant."""
        with writing(self._engine) as connection:
            return incidents.claim_alerts(connection, self._environment, now, until)

    def write_alert(self, alert: Alert) -> None:
        """Store the state of an alert."""
        with writing(self._engine) as connection:
            incidents.write_alert(connection, self._environment, alert)

    def latest_loads(self, targets: Collection[str] | None = None) -> LatestLoads:
        """Return the last loads of the targets that have a row; None: of all."""
        with reading(self._engine) as connection:
            return decisions_loads.latest_loads(connection, self._environment, targets)

    def load_totals(self) -> Mapping[str, LoadTotal]:
        """Return what the successful loads of each target took together, as far back as the log reaches."""
        with reading(self._engine) as connection:
            return decisions_loads.load_totals(connection, self._environment)

    def recorded_loads(self, loads: Mapping[str, str]) -> frozenset[str]:
        """Return which loads are in the run log.

        Args:
            loads: Target → id of a load of it.
        """
        with reading(self._engine) as connection:
            return decisions_loads.recorded_loads(connection, self._environment, loads)

    def record_spark(self, entries: Sequence[SparkEntry]) -> None:
        """Store entries of Spark, with secrets masked."""
        from metadata_sync.database.journals import spark

        if entries:
            with writing(self._engine) as connection:
                spark.append_spark(connection, self._environment, entries)

    def spark_entries(
        self, target: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> tuple[SparkEntry, ...]:
        """Return entries of Spark, newest first.

        Args:
            target: Only this target, `schema.table`.
            since: Only entries that ended at this instant or later.
            limit: Maximum number of entries.
        """
        from metadata_sync.database.journals import spark

        with reading(self._engine) as connection:
            return spark.read_spark(connection, self._environment, target, since, limit)

    def spark_usd(self, targets: Collection[str], since: datetime | None = None, run_id: str | None = None) -> float:
        """Return what the clusters of targets cost, in US dollars.

        Args:
            targets: Each `schema.table`.
            since: Only clusters that ended at this instant or later.
            run_id: Only clusters of this run.
        """
        from metadata_sync.database.journals import spark

        with reading(self._engine) as connection:
            return spark.sum_usd(connection, self._environment, targets, since, run_id)

    def identity(self) -> str:
        """Return the id of the control database, the same for each host, user and container that opens it."""
        from metadata_sync.database.journals import spark

        with reading(self._engine) as connection:
            return spark.read_identity(connection)

    def latest_decisions(
        self, target: str | None = None, before: datetime | None = None, limit: int = 100
    ) -> tuple[DecisionEntry, ...]:
        """Return decisions of the gate, newest first.

        Args:
            target: Only decisions on this target, `schema.table`.
            before: Only decisions at this instant or earlier.
            limit: Maximum number of decisions.
        """
        with reading(self._engine) as connection:
            return decisions_loads.latest_decisions(connection, self._environment, target, before, limit)

    def load_at(self, target: str, run_id: str, before: datetime | None = None) -> LoadEntry | None:
        """Return a run's load of a target; without one, the last load that had ended by then.

        Args:
            target: `schema.table`.
            run_id: The run.
            before: Only loads that ended at this instant or earlier; None: up to now.
        """
        with reading(self._engine) as connection:
            return decisions_loads.load_at(connection, self._environment, target, run_id, before)

    def remove_older(self, before: datetime) -> int:
        """Remove a batch of old decisions, loads, incidents and alerts; see `retention.remove_older`."""
        from metadata_sync.database.journals import retention

        with writing(self._engine) as connection:
            return retention.remove_older(connection, self._environment, before)

    def timing_changes(self, keys: Collection[str] | None = None) -> dict[str, tuple[datetime, ...]]:
        """Return when rows were switched, rescheduled or created, by key, newest first; None: all rows."""
        with reading(self._engine) as connection:
            return audit.timing_changes(connection, self._environment, keys)

    def last_decisions(self, targets: Collection[str] | None = None) -> tuple[DecisionEntry, ...]:
        """Return the last decision on the targets that have a row, by target; None: on all."""
        with reading(self._engine) as connection:
            return decisions_loads.last_decisions(connection, self._environment, targets)

    def count_decisions(self, since: datetime) -> tuple[DecisionCount, ...]:
        """Return the number of decisions since an instant, by target, action and reason."""
        with reading(self._engine) as connection:
            return counts.count_decisions(connection, self._environment, since)

    def past_loads(self, targets: Collection[str]) -> tuple[PastLoad, ...]:
        """Return duration and cost of the last loads of targets; see `counts.past_loads`."""
        with reading(self._engine) as connection:
            return counts.past_loads(connection, self._environment, targets)

    def waiting_since(self, targets: Collection[str], reason: str) -> dict[str, datetime]:
        """Return since when targets wait for a reason, UTC; see `decisions_loads.waiting_since`."""
        with reading(self._engine) as connection:
            return decisions_loads.waiting_since(connection, self._environment, targets, reason)

    def take_leases(
        self, targets: Collection[str], holder: LeaseHolder, seconds: float, abandoned: Collection[str] = ()
    ) -> tuple[Lease, ...]:
        """Take the leases of those targets that no other holder has; see `leases.take`.

        Returns:
            The leases that other holders keep; the new holder has the leases of all other targets.
        """
        with writing(self._engine) as connection:
            lock_writers(connection)
            return leases.take(connection, self._environment, targets, holder, seconds=seconds, abandoned=abandoned)

    def renew_leases(self, token: str, seconds: float) -> frozenset[str]:
        """Extend the leases of a token, and return the targets that it still holds."""
        with writing(self._engine) as connection:
            lock_writers(connection)
            return leases.renew(connection, self._environment, token, seconds)

    def give_back_leases(self, token: str, targets: Collection[str]) -> None:
        """Release the leases of a token on targets."""
        with writing(self._engine) as connection:
            lock_writers(connection)
            leases.give_back(connection, self._environment, token, targets)

    def leases(self) -> tuple[Lease, ...]:
        """Return all leases, by target, including expired ones."""
        with reading(self._engine) as connection:
            return leases.read(connection, self._environment)

    def definitions(self, targets: Collection[str] | None = None) -> tuple[DefinitionEntry, ...]:
        """Return the definitions that targets got after their first, by target and number; None: of all targets."""
        with reading(self._engine) as connection:
            return definitions.read(connection, self._environment, targets)

    def write_definition(self, entry: DefinitionEntry) -> None:
        """Store a definition, or replace its counts and its acceptance."""
        with writing(self._engine) as connection:
            definitions.write(connection, self._environment, entry)

    def source_shapes(self) -> dict[str, SourceShape]:
        """Return the columns of lake sources as runs have accepted them, by source."""
        with reading(self._engine) as connection:
            return shapes.read(connection, self._environment)

    def write_source_shape(self, shape: SourceShape) -> None:
        """Store the columns of a lake source in place of earlier ones."""
        with writing(self._engine) as connection:
            shapes.write(connection, self._environment, shape)

    def load_costs(self, since: datetime) -> tuple[LoadCost, ...]:
        """Return what the loads since an instant took of the warehouse, newest first."""
        with reading(self._engine) as connection:
            return costs.read(connection, self._environment, since)

    def write_load_costs(self, found: Iterable[LoadCost]) -> None:
        """Store what loads took of the warehouse, in place of what was known of the same loads."""
        with writing(self._engine) as connection:
            costs.write(connection, self._environment, found)

    def begin_backfill(self, entry: BackfillEntry) -> None:
        """Store a backfill before it starts."""
        with writing(self._engine) as connection:
            backfills.begin(connection, self._environment, entry)

    def end_backfill(self, backfill_id: str, finished_at: datetime | None, error_message: str | None) -> None:
        """Store the end of a backfill; without finished_at it can be resumed."""
        with writing(self._engine) as connection:
            backfills.end(connection, self._environment, backfill_id, finished_at, error_message)

    def unfinished_backfills(self, subject: str | None = None) -> tuple[BackfillEntry, ...]:
        """Return unfinished backfills, newest first; first loads in chunks are left out.

        Args:
            subject: Only backfills of this pipeline or target.
        """
        with reading(self._engine) as connection:
            return backfills.unfinished(connection, self._environment, subject, first_loads=False)

    def unfinished_first_loads(self) -> tuple[BackfillEntry, ...]:
        """Return the first loads in chunks that are not done, newest first."""
        with reading(self._engine) as connection:
            is_begun = backfill_log.c.finished_at.is_(None), backfill_log.c.backfill_order.is_not(None)
            if not self._holds(connection, backfill_log, *is_begun):
                return ()
            return backfills.unfinished(connection, self._environment, None, first_loads=True)

    def note_chunks(self, backfill_id: str, done_count: int) -> None:
        """Store how many chunks of a first load are loaded."""
        with writing(self._engine) as connection:
            backfills.note_done(connection, self._environment, backfill_id, done_count)

    def begin_lifecycle(self, entry: LifecycleEntry, changes: Iterable[RowChange] = ()) -> None:
        """Store what is about to happen to a target, with changes of its row, in one transaction.

        Raises:
            StoreError: When something else with one of the involved targets is not finished, or a row has changed.
        """
        with writing(self._engine) as connection:
            lock_writers(connection)
            refuse_if_protected(connection, self._environment, f"a {entry.kind} of a target")
            lifecycle.begin(connection, self._environment, entry)
            self._write_for(connection, entry, changes)

    def end_lifecycle(
        self, entry: LifecycleEntry, outcome: str, changes: Iterable[RowChange] = (), *, is_gone: bool = False
    ) -> None:
        """Store that it is complete, or was given up, with changes of its row, in one transaction.

        Args:
            entry: What ends.
            outcome: What was done, one sentence.
            changes: Changes of the row.
            is_gone: Whether the target is no more, so that its incidents end.

        Raises:
            StoreError: When a row has changed in the meantime; nothing is written.
        """
        with writing(self._engine) as connection:
            lock_writers(connection)
            self._write_for(connection, entry, changes)
            if is_gone:
                lifecycle.resolve_incidents(connection, self._environment, entry.target, self._clock())
            lifecycle.end(connection, self._environment, entry.entry_id, self._clock(), outcome)

    def _write_for(self, connection: Connection, entry: LifecycleEntry, changes: Iterable[RowChange]) -> None:
        ordered = in_writing_order(changes)
        if ordered:
            refuse_if_protected(connection, self._environment, f"a {entry.kind} of a target")
        write_changes(connection, self._environment, ordered)
        author = audit.Author(entry.requested_by, Via.SET, str(entry))
        audit.append(connection, self._environment, ordered, author, self._clock())

    def lifecycle(self, *, unfinished_only: bool = False, since: datetime | None = None) -> tuple[LifecycleEntry, ...]:
        """Return renamings and retirements, oldest first; see `journals.lifecycle.read`."""
        with reading(self._engine) as connection:
            if not self._holds(connection, lifecycle_log):
                return ()
            return lifecycle.read(connection, self._environment, unfinished_only=unfinished_only, since=since)

    def _holds(self, connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> bool:
        """Whether a table holds a row of the environment, by a query that most runs need only."""
        query = select(table.c.environment).where(table.c.environment == self._environment, *conditions).limit(1)
        return connection.execute(query).first() is not None

    def read_renaming(self) -> tuple[StoredRows, ControlState]:
        """Return what a renaming starts from, in one snapshot; rows that wait for a renaming count as valid.

        Raises:
            MetadataError: When stored rows are invalid.
        """
        with reading(self._engine) as connection:
            stored = StoredRows(self._stored(connection))
            written = audit.framework_written(connection, self._environment, stored.rows)
            return stored, ControlState(stored.rows, declared_rows(stored.stored), written)

    def write_renaming(self, entry: LifecycleEntry, changes: Iterable[RowChange], kept: Iterable[RowChange]) -> None:
        """Write the changed rows of a renaming, rename its target in all journals, and finish it, in one transaction.

        Args:
            entry: The renaming.
            changes: Rows before and after.
            kept: Columns of the renamed row whose values the framework wrote: audited as the framework's again.

        Raises:
            StoreError: When a row has changed in the meantime; nothing is written.
        """
        assert entry.new_target is not None, "a renaming has a new name"
        ordered, now = in_writing_order(changes), self._clock()
        reason = f"renamed from {entry.target} to {entry.new_target}"
        with writing(self._engine) as connection:
            lock_writers(connection)
            refuse_if_protected(connection, self._environment, "a rename of a target")
            write_changes(connection, self._environment, ordered)
            author = audit.Author(entry.requested_by, Via.SET, reason)
            audit.append(connection, self._environment, ordered, author, now)
            framework = audit.Author(FRAMEWORK, Via.FRAMEWORK, reason)
            audit.append(connection, self._environment, tuple(kept), framework, now + timedelta(microseconds=1))
            lifecycle.rename_entries(connection, self._environment, entry.target, entry.new_target, now)
            lifecycle.end(connection, self._environment, entry.entry_id, now, reason)

    def _stored_rows(self, connection: Connection) -> StoredRows:
        return StoredRows(self._stored(connection), self._unfinished_renamings(connection))

    def _unfinished_renamings(self, connection: Connection) -> Mapping[str, LifecycleEntry]:
        if not self._holds(connection, lifecycle_log, lifecycle_log.c.finished_at.is_(None)):
            return {}
        return lifecycle.unfinished_names(lifecycle.read(connection, self._environment, unfinished_only=True))

    def _stored(self, connection: Connection) -> list[tuple[type[ControlRow], Stored]]:
        """Return all rows of the environment as they are stored."""
        stored: list[tuple[type[ControlRow], Stored]] = []
        for row_type in ROW_TYPES:
            table = ROW_TABLES[row_type.control_table]
            query = (
                select(*raw_columns(table)).where(table.c.environment == self._environment).order_by(*table.primary_key)
            )
            found = connection.execute(query)
            names = tuple(found.keys())  # a plain dict is read several times faster than SQLAlchemy's own mapping
            stored += [(row_type, dict(zip(names, row, strict=True))) for row in found]
        return stored

    def _amend(self, connection: Connection, amendment: Amendment, now: datetime) -> None:
        """Change the current row; a missing row is skipped, and invalid columns are not changed."""
        table = ROW_TABLES[TransformationRow.control_table]
        name = amendment.target
        here = and_(
            table.c.environment == self._environment,
            table.c.target_schema == name.schema,
            table.c.target_table == name.table,
        )
        found = connection.execute(select(*raw_columns(table)).where(here).with_for_update()).mappings().one_or_none()
        before = None if found is None else decode(TransformationRow, found).row
        if before is None:
            logger.warning("row_not_amended target=%s reason=%s", name, amendment.reason)
            return
        change = RowChange(before=before, after=amendment.amend(before))
        if change.columns:
            author = audit.Author(FRAMEWORK, Via.FRAMEWORK, amendment.reason)
            propose_if_protected(connection, self._environment, [change], author, now)
            write_changes(connection, self._environment, [change])
            audit.append(connection, self._environment, [change], author, now)
