"""Small pipelines on a real warehouse, and real ways to harm them: each fault does its harm and says how to mend it."""

from __future__ import annotations

import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from flows.backfill.backfill import BackfillRequest, plan_backfill, run_backfill
from flows.engine.engine import execute, prepare, startup_failures_reported
from flows.errors.classify import FailureClass
from flows.run.model import RunRequest
from metadata_sync.errors import SluiceError
from metadata_sync.incident import IncidentKind
from tests.redshift_standin.server import Standin
from tests.support.engine_project import SELECTS, TOTALS_BY_HAND, Workshop
from tests.support.receiver import Receiver

Mend = Callable[[], None]
Fault = Callable[[random.Random], Mend]
FIRST_DAY = datetime(2013, 1, 3, tzinfo=UTC)


@dataclass
class World:
    """A workshop under a receiver of alerts.

    Attributes:
        workshop: The project.
        receiver: What listens on its channel.
        environment: Variables of runs in processes of their own.
    """

    workshop: Workshop
    receiver: Receiver
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> Mapping[str, Fault]:
        """Faults that any warehouse can have."""
        return {
            "select at fault": self.select_at_fault,
            "value that does not fit": self.bad_value,
            "killed": self.killed,
            "receiver down": self.receiver_down,
        }

    def land(self, number: int) -> None:
        """Bring five new orders, of an hour that is later than all before."""
        raise NotImplementedError

    def tables(self) -> dict[str, list[Any]]:
        """Return what the targets hold, and beside each what an undisturbed run makes of the data."""
        raise NotImplementedError

    def watermarks(self) -> list[Any]:
        """Return (target, watermark, greatest key that was loaded) wherever the two differ."""
        raise NotImplementedError

    def tick(self) -> None:
        """Run as a schedule does: what goes wrong is recorded, nobody is asked."""
        request = RunRequest(requested_by="schedule")
        context = self.workshop.context
        with suppress(SluiceError), startup_failures_reported(context, request):
            execute(context, prepare(context, request))

    def run_apart(self, seconds: float | None = None) -> None:
        """Run in a process of its own, and kill it after so many seconds."""
        self.workshop.close()
        process = self.workshop.sluice("run", SLUICE_PREFECT_PORT="4279", **self.environment)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def select_at_fault(self, chance: random.Random) -> Mend:
        name = chance.choice(["fact_order", "customer"])
        self.workshop.write_select(name, SELECTS[name].replace("o.region", chance.choice(["o.regoin", "o.region +"])))
        self.tick()
        return lambda: self.workshop.write_select(name, SELECTS[name])

    def bad_value(self, chance: random.Random) -> Mend:
        self.workshop.write_select("customer", f"{SELECTS['customer']} where cast(o.customer as integer) > 0")
        self.tick()
        return lambda: self.workshop.write_select("customer", SELECTS["customer"])

    def killed(self, chance: random.Random) -> Mend:
        self.run_apart(chance.uniform(1.0, 8.0))
        return lambda: None

    def receiver_down(self, chance: random.Random) -> Mend:
        self.receiver.refusals = 1_000
        mend = self.select_at_fault(chance)
        self.receiver.refusals = 0
        return mend

    def control_file_gone(self, chance: random.Random) -> Mend:
        """The control database's file is no file any more."""
        self.workshop.close()
        control = self.workshop.control
        away = control.with_name("control.away")
        control.rename(away)
        control.mkdir()
        self.run_apart()

        def mend() -> None:
            control.rmdir()
            away.rename(control)

        return mend


@dataclass
class DuckDBWorld(World):
    """A lake of Parquet files and a warehouse file."""

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {
            **super().faults,
            "file locked": self.file_locked,
            "column dropped": self.column_dropped,
            "type changed": self.type_changed,
            "folder gone": self.folder_gone,
            "disk full": self.disk_full,
            "control database down": self.control_file_gone,
        }

    def land(self, number: int) -> None:
        landed_at = FIRST_DAY + timedelta(hours=number + 1)
        first = 100 + number * 10
        self.workshop.land_orders(f"fault_{number}", range(first, first + 5), f"{landed_at:%Y-%m-%d %H:%M:%S}")

    def tables(self) -> dict[str, list[Any]]:
        pairs = {
            "totals": ("select region, order_count, amount from mart.region_total order by 1", TOTALS_BY_HAND),
            "orders": (
                "select order_id, customer, region, amount from dwh.fact_order order by 1",
                "select order_id, customer, region, amount from read_parquet('{lake}/orders/*.parquet') order by 1",
            ),
        }
        return {name: [self.workshop.query(text) for text in pair] for name, pair in pairs.items()}

    def watermarks(self) -> list[Any]:
        return self.workshop.query("""
            select target, window_end, max_key from sluice.watermark_control
            join (select 'dwh.fact_order' as target, max(landed_at) as max_key from dwh.fact_order) using (target)
            where try_cast(window_end as timestamp) <> max_key
        """)

    def file_locked(self, chance: random.Random) -> Mend:
        holding = (
            f"import duckdb, sys; held = duckdb.connect({str(self.workshop.warehouse)!r}); "
            "print(1, flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
        patient = self.workshop.settings
        self._settings(lock_wait_seconds=0.3)
        self.tick()

        def mend() -> None:
            holder.communicate()
            self.workshop.settings = patient
            self.workshop.close()

        return mend

    def column_dropped(self, chance: random.Random) -> Mend:
        return self._rewritten("* exclude (amount)")

    def type_changed(self, chance: random.Random) -> Mend:
        return self._rewritten("* replace ('EUR ' || amount as amount)")

    def folder_gone(self, chance: random.Random) -> Mend:
        name = chance.choice(["regions", "orders"])
        away = self.workshop.lake.with_name("away")
        shutil.move(self.workshop.lake / name, away)
        self.tick()

        def mend() -> None:
            shutil.move(away, self.workshop.lake / name)

        return mend

    def disk_full(self, chance: random.Random) -> Mend:
        """Memory for next to nothing, and no disk to spill to."""
        profile = self.workshop.root / "profiles.yml"
        text = profile.read_text()
        scarce = "settings: {memory_limit: 2MB, max_temp_directory_size: 0KB}"
        profile.write_text(text.replace("schema: main\n", f"schema: main\n      {scarce}\n", 1))
        self.workshop.close()
        self.tick()

        def mend() -> None:
            profile.write_text(text)
            self.workshop.close()

        return mend

    def _rewritten(self, columns: str) -> Mend:
        saved = {file: file.read_bytes() for file in (self.workshop.lake / "orders").glob("*.parquet")}
        for file in saved:
            self.workshop.land(f"orders/{file.stem}", f"select {columns} from read_parquet('{file}')")
        self.tick()

        def mend() -> None:
            for file, content in saved.items():
                file.write_bytes(content)

        return mend

    def _settings(self, **values: Any) -> None:
        self.workshop.settings = self.workshop.settings.model_copy(update=values)
        self.workshop.close()


@dataclass
class PostgresWorld(World):
    """Sources and targets on a server, runs as a role without special rights, the control database beside them.

    Attributes:
        admin: The server's owner.
        role: Who runs.
        prefix: Of the environment's schemas.
    """

    admin: psycopg.Connection[Any] = field(kw_only=True)
    role: str = field(kw_only=True)
    prefix: str = "postgres_"

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {
            **super().faults,
            "connections terminated": self.terminated,
            "table locked": self.locked,
            "right to read revoked": self.read_revoked,
            "right to write revoked": self.write_revoked,
            "column dropped": self.column_dropped,
            "type changed": self.type_changed,
            "table dropped": self.table_dropped,
            "disk full": self.disk_full,
            "control database down": self.control_down,
        }

    def land(self, number: int) -> None:
        landed_at = FIRST_DAY + timedelta(hours=number + 1)
        self.admin.execute(
            """insert into lake.orders (order_id, customer, region, amount, landed_at)
            select i, 'c' || (i %% 3), case when i %% 2 = 0 then 'n' else 's' end, i + 1,
            %s::timestamp + (i %% 10) * interval '1 minute' from generate_series(%s::int, %s::int) as t (i)""",
            (landed_at.replace(tzinfo=None), 100 + number * 10, 104 + number * 10),
        )

    def tables(self) -> dict[str, list[Any]]:
        pairs = {
            "totals": (
                f"select region, order_count, amount from {self.prefix}mart.region_total order by 1",
                "select region, count(*), sum(amount) from lake.orders group by region order by 1",
            ),
            "orders": (
                f"select order_id, customer, region, amount from {self.prefix}dwh.fact_order order by 1",
                "select order_id, customer, region, amount from lake.orders order by 1",
            ),
        }
        return {name: [self._query(text) for text in pair] for name, pair in pairs.items()}

    def watermarks(self) -> list[Any]:
        return self._query(f"""
            select target, window_end, max_key from {self.prefix}sluice.watermark_control
            join (select 'dwh.fact_order' as target, max(landed_at) as max_key from {self.prefix}dwh.fact_order) as f
            using (target) where target = 'dwh.fact_order' and window_end::timestamp <> max_key
        """)

    def terminated(self, chance: random.Random) -> Mend:
        """Every connection of the role is cut, at two moments of a run."""
        stop = threading.Event()

        def cut() -> None:
            for _ in range(2):
                if stop.wait(chance.uniform(0.2, 2.0)):
                    return
                self._cut()

        thread = threading.Thread(target=cut)
        thread.start()
        self.tick()
        stop.set()
        thread.join()
        return lambda: None

    def locked(self, chance: random.Random) -> Mend:
        table = chance.choice(["fact_order", "customer"])
        holder = psycopg.connect(self.admin.info.dsn, password=self.admin.info.password)
        holder.execute(sql.SQL("lock table {} in access exclusive mode").format(self._target(table)))
        self._as_role("set lock_timeout = '200ms'")
        self.tick()

        def mend() -> None:
            holder.close()
            self._as_role("reset lock_timeout")

        return mend

    def read_revoked(self, chance: random.Random) -> Mend:
        table = chance.choice([sql.Identifier("lake", "orders"), sql.Identifier("lake", "regions")])
        return self._without("select", table)

    def write_revoked(self, chance: random.Random) -> Mend:
        return self._without("insert", self._target(chance.choice(["fact_order", "customer"])))

    def column_dropped(self, chance: random.Random) -> Mend:
        self._do(
            "create table saved as select order_id, amount from lake.orders", "alter table lake.orders drop amount"
        )
        self.tick()
        return lambda: self._do(
            "alter table lake.orders add amount numeric(8, 2)",
            "update lake.orders as o set amount = s.amount from saved as s where s.order_id = o.order_id",
            "drop table saved",
        )

    def type_changed(self, chance: random.Random) -> Mend:
        """Every row of a load is rejected, and it goes on."""
        self._do("alter table lake.orders alter amount type text using 'EUR ' || amount")
        self.tick()

        def mend() -> None:
            self._do("alter table lake.orders alter amount type numeric(8, 2) using substr(amount, 5)::numeric")
            self._load_rejected_again()

        return mend

    def table_dropped(self, chance: random.Random) -> Mend:
        self._do("create table saved as table lake.regions", "drop table lake.regions")
        self.tick()
        return lambda: self._do(
            "create table lake.regions (region varchar(5), label varchar(20))",
            "insert into lake.regions table saved",
            "drop table saved",
            f"grant select on lake.regions to {self.role}",
        )

    def disk_full(self, chance: random.Random) -> Mend:
        """Sorts may not spill a byte, and there is more to sort than memory."""
        first = chance.randrange(10**3, 10**6) * 10**6
        self._do(
            f"""insert into lake.orders (order_id, customer, region, amount, landed_at)
            select {first} + i, 'c1', 'n', 1, (select max(landed_at) from lake.orders)
            from generate_series(1, 4000) as t (i)"""
        )
        self._as_role("set temp_file_limit = 0")
        self._as_role("set work_mem = '64kB'")
        self._as_role("set enable_hashjoin = off")
        self._as_role("set enable_hashagg = off")
        self.tick()
        self._is_met(FailureClass.CAPACITY)

        def mend() -> None:
            self._as_role("reset all")
            self._do(
                f"""delete from lake.orders where order_id > {first} and order_id < {first} + 10000 and not exists
                (select 1 from {self.prefix}dwh.fact_order as f where f.order_id = orders.order_id)"""
            )

        return mend

    def control_down(self, chance: random.Random) -> Mend:
        """No connection to the control database any more, from some moment of a run on."""
        database = sql.Identifier(str(self.environment["CONTROL_DATABASE"]))
        forbid = sql.SQL("alter database {} with allow_connections false").format(database)
        allow = sql.SQL("alter database {} with allow_connections true").format(database)
        stop = threading.Event()

        def cut() -> None:
            if not stop.wait(chance.uniform(0.5, 6.0)):
                self.admin.execute(forbid)
                self.admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                    (self.environment["CONTROL_DATABASE"],),
                )

        thread = threading.Thread(target=cut)
        self.workshop.close()
        thread.start()
        self.run_apart()
        stop.set()
        thread.join()

        def mend() -> None:
            self.admin.execute(allow)

        return mend

    def _is_met(self, failure_class: FailureClass) -> None:
        """The fault has done its harm."""
        assert failure_class in {item.failure_class for item in self.workshop.context.store.incidents()}

    def _load_rejected_again(self) -> None:
        """Do as people are told: the command of the message, then the rejects may go."""
        context = self.workshop.context
        (opened,) = (item for item in context.store.incidents() if item.kind is IncidentKind.REJECTS)
        (rejects,) = (load.rejects for load in context.store.latest_loads().successful if load.target == opened.subject)
        assert rejects is not None
        assert opened.message.endswith(str(rejects))
        command = shlex.split(rejects.again)
        assert command[:4] == ["sluice", "backfill", "dwh.fact_order", "--from"]
        subject, start, *end = command[2::2]
        request = BackfillRequest(subject, start, *end)  # type: ignore[arg-type]
        run_backfill(context, plan_backfill(context, request))
        self._do(f"delete from {rejects.table}")

    def _cut(self) -> None:
        self.admin.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = %s and pid <> pg_backend_pid()""",
            (self.role,),
        )

    def _without(self, right: LiteralString, table: sql.Composable) -> Mend:
        role = sql.Identifier(self.role)
        self.admin.execute(sql.SQL("revoke {} on {} from {}").format(sql.SQL(right), table, role))
        self.tick()
        self._is_met(FailureClass.PERMISSION)

        def mend() -> None:
            self.admin.execute(sql.SQL("grant {} on {} to {}").format(sql.SQL(right), table, role))

        return mend

    def _as_role(self, setting: LiteralString) -> None:
        text = sql.SQL("alter role {} in database {} {}")
        here = sql.Identifier(self.role), sql.Identifier(self.admin.info.dbname)
        self.admin.execute(text.format(*here, sql.SQL(setting)))

    def _target(self, table: str) -> sql.Identifier:
        return sql.Identifier(f"{self.prefix}dwh", table)

    def _query(self, text: str) -> list[Any]:
        return self.admin.execute(text.encode()).fetchall()

    def _do(self, *statements: str) -> None:
        for statement in statements:
            self.admin.execute(statement.encode())


@dataclass
class RedshiftWorld(PostgresWorld):
    """The Redshift stand-in: the real dbt-redshift adapter before it, and faults in the PostgreSQL behind it.

    Attributes:
        standin: What the adapter talks to.
    """

    standin: Standin = field(kw_only=True)
    prefix: str = "redshift_"

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {**super().faults, "control database down": self.control_file_gone}

    def locked(self, chance: random.Random) -> Mend:
        self.standin.lock_timeout_seconds = 0.2
        give_up = super().locked(chance)

        def mend() -> None:
            give_up()
            self.standin.lock_timeout_seconds = 30

        return mend
