"""The control database of one environment: rows in, rows out, every change audited."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Self

from sqlalchemy import Connection, Engine, and_, select

from metadata_sync.database import audit, leases
from metadata_sync.database.changes import in_writing_order, write_changes
from metadata_sync.database.clock import SharedClock
from metadata_sync.database.codec import Stored, decode, decode_declared, raw_columns
from metadata_sync.database.engine import lock_writers, open_engine, parse_url, reading, writing
from metadata_sync.database.journals import backfills, counts, decisions_loads, incidents
from metadata_sync.database.journals.counts import DecisionCount, PastLoad
from metadata_sync.database.journals.entries import (
    AuditEntry,
    BackfillEntry,
    DecisionEntry,
    LatestLoads,
    LoadEntry,
    SparkEntry,
    Via,
)
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.database.leases import Lease, LeaseHolder
from metadata_sync.database.tables import ROW_TABLES
from metadata_sync.database.upgrade import bring_up_to_date
from metadata_sync.errors import Fault, MetadataError
from metadata_sync.incident import Alert, Incident
from metadata_sync.rows.merge import ControlState, RowChange
from metadata_sync.rows.model import ROW_TYPES, ControlRow, ControlRows, TransformationRow, collect_rows
from metadata_sync.rows.parsing import Parsed

logger = logging.getLogger(__name__)

FRAMEWORK: Final = "sluice"
"""Who changes rows on the framework's behalf."""

INCIDENT_MEMORY: Final = timedelta(days=2)
"""For so long an incident that is over still counts when the next one of its kind begins."""


class ControlStore:
    """The control rows of one environment, and what happened to them.

    Args:
        engine: A connection to a database at this code's version.
        environment: The environment whose rows are read and written.
        clock: Tells the time, with its zone; the database's by default.
    """

    def __init__(self, engine: Engine, environment: str, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._environment = environment
        self._shared = SharedClock(engine)
        self._clock = clock or self._shared

    @classmethod
    def open(cls, url: str, environment: str, clock: Callable[[], datetime] | None = None) -> Self:
        """Open a control database, creating or migrating it when it is behind this code.

        Args:
            url: SQLAlchemy URL of SQLite or PostgreSQL.
            environment: The environment to act for.
            clock: Tells the time, with its zone; the database's by default.

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

    def now(self) -> datetime:
        """Return the current instant, UTC, by the clock that all users of the control database share."""
        return self._clock()

    def correct(self, instant: datetime) -> datetime:
        """Return what the shared clock said when this machine's own said that; a machine may be an hour off."""
        return self._shared.correct(instant)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def read_rows(self) -> ControlRows:
        """Return every row of the environment.

        Raises:
            MetadataError: With all faults, when rows were edited to something that is not a row.
        """
        return self.read_stored().rows

    def usable_rows(self) -> ControlRows:
        """Return every row of the environment; of one that was edited to no row, what is left of it.

        Raises:
            MetadataError: When a row cannot stand without what is wrong in it.
        """
        return self.read_stored().usable

    def read_stored(self) -> StoredRows:
        """Return every row as it is stored: a snapshot that becomes typed rows when they are asked for."""
        with reading(self._engine) as connection:
            return StoredRows(self._stored(connection))

    def declared(self) -> ControlRows:
        """Return what the files last declared, `model_fields_set` telling which columns they name."""
        with reading(self._engine) as connection:
            return _declared(self._stored(connection))

    def read_state(self) -> ControlState:
        """Return rows, declarations and what the framework wrote, of one snapshot: the base of a plan.

        Raises:
            MetadataError: With all faults, when rows were edited to something that is not a row.
        """
        with reading(self._engine) as connection:
            stored = self._stored(connection)
            rows = _rows(stored)
            written = audit.framework_written(connection, self._environment, rows)
            return ControlState(rows, _declared(stored), written)

    def write(self, changes: Iterable[RowChange], who: str, via: str, reason: str | None) -> str:
        """Write changes and their audit in one transaction.

        Args:
            changes: Rows as they were when the change was thought out, and as they shall be.
            who: Person or role.
            via: The way, one of `Via`.
            reason: Why.

        Returns:
            The change id under which `history` shows it.

        Raises:
            StoreError: When a row is no longer what the change supposes, or the database refuses; nothing is written.
        """
        ordered = in_writing_order(changes)
        author = audit.Author(who, Via(via), reason)
        with writing(self._engine) as connection:
            lock_writers(connection)
            write_changes(connection, self._environment, ordered)
            change_id = audit.append(connection, self._environment, ordered, author, self._clock())
        logger.info("control_rows_written change=%s rows=%d who=%s via=%s", change_id, len(ordered), who, via)
        return change_id

    def history(self, key: str | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Return changes, the newest first.

        Args:
            key: Only of the rows with this key.
            limit: At most so many entries.
        """
        with reading(self._engine) as connection:
            return audit.read(connection, self._environment, key, limit)

    def record_decisions(self, entries: Sequence[DecisionEntry]) -> None:
        """Keep decisions of the gate, secrets masked."""
        if entries:
            with writing(self._engine) as connection:
                decisions_loads.append_decisions(connection, self._environment, entries)

    def record_loads(self, entries: Sequence[LoadEntry]) -> None:
        """Keep the summaries of loads, secrets masked."""
        if entries:
            with writing(self._engine) as connection:
                decisions_loads.append_loads(connection, self._environment, entries)

    def settle(self, settlement: Settlement) -> None:
        """Write what a run leaves, in one transaction: loads, rows that the framework changes, incidents, alerts."""
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
        """Return open incidents, and those that were open since an instant; the oldest first."""
        with reading(self._engine) as connection:
            return incidents.read_incidents(connection, self._environment, since)

    def queue_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put alerts into the outbox."""
        with writing(self._engine) as connection:
            incidents.append_alerts(connection, self._environment, alerts)

    def alerts(self, incident_id: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts of an incident, or all of them, the oldest first."""
        with reading(self._engine) as connection:
            return incidents.read_alerts(connection, self._environment, incident_id)

    def count_waiting_alerts(self) -> int:
        """Return how many alerts no channel has taken yet."""
        with reading(self._engine) as connection:
            return incidents.count_waiting(connection, self._environment)

    def claim_alerts(self, now: datetime, until: datetime) -> tuple[Alert, ...]:
        """Return the alerts that are due; nobody else gets them before `until`."""
        with writing(self._engine) as connection:
            return incidents.claim_alerts(connection, self._environment, now, until)

    def write_alert(self, alert: Alert) -> None:
        """Keep how an alert fared."""
        with writing(self._engine) as connection:
            incidents.write_alert(connection, self._environment, alert)

    def latest_loads(self) -> LatestLoads:
        """Return the last loads of every target that has a row."""
        with reading(self._engine) as connection:
            return decisions_loads.latest_loads(connection, self._environment)

    def recorded_loads(self, loads: Mapping[str, str]) -> frozenset[str]:
        """Return which loads the run log holds, however long ago.

        Args:
            loads: Target → id of a load of it.
        """
        with reading(self._engine) as connection:
            return decisions_loads.recorded_loads(connection, self._environment, loads)

    def record_spark(self, entries: Sequence[SparkEntry]) -> None:
        """Keep what ran on Spark, secrets masked."""
        from metadata_sync.database.journals import spark

        if entries:
            with writing(self._engine) as connection:
                spark.append_spark(connection, self._environment, entries)

    def spark_entries(
        self, target: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> tuple[SparkEntry, ...]:
        """Return what ran on Spark, the newest first.

        Args:
            target: Only this target, `schema.table`.
            since: Only what ended at this instant or later.
            limit: At most so many.
        """
        from metadata_sync.database.journals import spark

        with reading(self._engine) as connection:
            return spark.read_spark(connection, self._environment, target, since, limit)

    def latest_decisions(
        self, target: str | None = None, before: datetime | None = None, limit: int = 100
    ) -> tuple[DecisionEntry, ...]:
        """Return decisions of the gate, the newest first.

        Args:
            target: Only of this target, `schema.table`.
            before: Only those made at this instant or earlier.
            limit: At most so many.
        """
        with reading(self._engine) as connection:
            return decisions_loads.latest_decisions(connection, self._environment, target, before, limit)

    def load_at(self, target: str, run_id: str, before: datetime | None = None) -> LoadEntry | None:
        """Return what a run did with a target; when it did nothing, the last load that had ended by then.

        Args:
            target: `schema.table`.
            run_id: The run.
            before: Nothing later than this instant; None: up to now.
        """
        with reading(self._engine) as connection:
            return decisions_loads.load_at(connection, self._environment, target, run_id, before)

    def last_decisions(self) -> tuple[DecisionEntry, ...]:
        """Return the last decision on every target that has a row, by target."""
        with reading(self._engine) as connection:
            return decisions_loads.last_decisions(connection, self._environment)

    def count_decisions(self, since: datetime) -> tuple[DecisionCount, ...]:
        """Return how often was decided what since an instant, by target."""
        with reading(self._engine) as connection:
            return counts.count_decisions(connection, self._environment, since)

    def past_loads(self, targets: Collection[str]) -> tuple[PastLoad, ...]:
        """Return what the last loads of targets took; see `counts.past_loads`."""
        with reading(self._engine) as connection:
            return counts.past_loads(connection, self._environment, targets)

    def waiting_since(self, targets: Collection[str], reason: str) -> dict[str, datetime]:
        """Return since when targets are put off for a reason, UTC; see `journals.waiting_since`."""
        with reading(self._engine) as connection:
            return decisions_loads.waiting_since(connection, self._environment, targets, reason)

    def take_leases(
        self, targets: Collection[str], holder: LeaseHolder, seconds: float, abandoned: Collection[str] = ()
    ) -> tuple[Lease, ...]:
        """Take the leases of targets where nobody else has them; see `leases.take`.

        Returns:
            The leases of others that stand in the way; every other target is now the holder's.
        """
        with writing(self._engine) as connection:
            lock_writers(connection)
            return leases.take(connection, self._environment, targets, holder, seconds=seconds, abandoned=abandoned)

    def renew_leases(self, token: str, seconds: float) -> frozenset[str]:
        """Let the leases of a token last longer, and return the targets that it still holds."""
        with writing(self._engine) as connection:
            lock_writers(connection)
            return leases.renew(connection, self._environment, token, seconds)

    def give_back_leases(self, token: str, targets: Collection[str]) -> None:
        """End the leases of a token on these targets."""
        with writing(self._engine) as connection:
            lock_writers(connection)
            leases.give_back(connection, self._environment, token, targets)

    def leases(self) -> tuple[Lease, ...]:
        """Return every lease, by target, expired ones included."""
        with reading(self._engine) as connection:
            return leases.read(connection, self._environment)

    def begin_backfill(self, entry: BackfillEntry) -> None:
        """Keep a backfill that is about to start."""
        with writing(self._engine) as connection:
            backfills.begin(connection, self._environment, entry)

    def end_backfill(self, backfill_id: str, finished_at: datetime | None, error_message: str | None) -> None:
        """Keep how a backfill ended; without finished_at it can go on."""
        with writing(self._engine) as connection:
            backfills.end(connection, self._environment, backfill_id, finished_at, error_message)

    def unfinished_backfills(self, subject: str | None = None) -> tuple[BackfillEntry, ...]:
        """Return backfills that were not finished, the newest first.

        Args:
            subject: Only of this pipeline or target.
        """
        with reading(self._engine) as connection:
            return backfills.unfinished(connection, self._environment, subject)

    def _stored(self, connection: Connection) -> list[tuple[type[ControlRow], Stored]]:
        """Return every row of the environment as it is stored."""
        stored: list[tuple[type[ControlRow], Stored]] = []
        for row_type in ROW_TYPES:
            table = ROW_TABLES[row_type.control_table]
            query = (
                select(*raw_columns(table)).where(table.c.environment == self._environment).order_by(*table.primary_key)
            )
            stored += [(row_type, row) for row in connection.execute(query).mappings()]
        return stored

    def _amend(self, connection: Connection, amendment: Amendment, now: datetime) -> None:
        """Change a row as it stands now; one that is gone is left alone, and so are columns that hands broke."""
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
            write_changes(connection, self._environment, [change])
            author = audit.Author(FRAMEWORK, Via.FRAMEWORK, amendment.reason)
            audit.append(connection, self._environment, [change], author, now)


@dataclass(frozen=True)
class StoredRows:
    """Every row of an environment, as its columns hold it.

    Attributes:
        stored: Each row with its type.
    """

    stored: Sequence[tuple[type[ControlRow], Stored]]

    @cached_property
    def rows(self) -> ControlRows:
        """The typed rows.

        Raises:
            MetadataError: With all faults, when rows were edited to something that is not a row.
        """
        _refuse(self.faults)
        return self.usable

    @cached_property
    def usable(self) -> ControlRows:
        """The typed rows; in those that were edited to no row, each column at fault holds its default.

        Raises:
            MetadataError: When a row cannot stand without what is wrong in it.
        """
        _refuse([fault for item in self._parsed if item.row is None for fault in item.faults])
        return collect_rows(item.row for item in self._parsed if item.row is not None)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with rows that were edited to no row."""
        return tuple(fault for item in self._parsed for fault in item.faults)

    @cached_property
    def _parsed(self) -> tuple[Parsed[ControlRow], ...]:
        return tuple(decode(row_type, row) for row_type, row in self.stored)

    @cached_property
    def digest(self) -> str:
        """A hash of everything that stands in them."""
        total = hashlib.sha256()
        for row_type, row in self.stored:
            total.update(f"{row_type.control_table}{tuple(row.values())}".encode(errors="surrogatepass"))
        return total.hexdigest()

    @property
    def sql_paths(self) -> tuple[str, ...]:
        """The SELECTs that rows name."""
        return tuple(str(row["sql_path"]) for row_type, row in self.stored if row_type is TransformationRow)


def _rows(stored: Iterable[tuple[type[ControlRow], Stored]]) -> ControlRows:
    return StoredRows(tuple(stored)).rows


def _declared(stored: Iterable[tuple[type[ControlRow], Stored]]) -> ControlRows:
    parsed = [item for row_type, row in stored if (item := decode_declared(row_type, row)) is not None]
    _refuse([fault for item in parsed for fault in item.faults])
    return collect_rows(item.row for item in parsed if item.row is not None)


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        count = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
        raise MetadataError(faults, f"The control database holds {count}; nothing was done.")
