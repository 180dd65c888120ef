"""Lakes on the Redshift stand-in: external tables are read by their files, each loaded exactly once.

More than in CI: `make lakes`.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.gate.facts import Reason
from flows.gate.lake import look_at_lake
from flows.run.model import RunRequest, TargetOutcome
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.flows.engine.test_lake_files import ALL, ORDERS, TOTALS, rows
from tests.redshift_standin.fixture import running
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Standin
from tests.support.engine_project import copy_project
from tests.support.redshift_project import connect
from tests.support.scd_oracle import Event, scd1, scd2

pytestmark = [pytest.mark.postgres, pytest.mark.redshift_standin]

SEEDS = range(int(os.environ.get("LAKE_SEEDS", "1")))
ROUNDS = int(os.environ.get("LAKE_ROUNDS", "2"))
FOLDER = "_landing/sales"
"""What lies above the location may be named as it likes."""
SHOPS = ("x", "y", "z")
START = datetime(2013, 1, 1)  # noqa: DTZ001 - the warehouse's timestamps have no zone
COLUMNS = "id int, shop varchar(1), amount int, sold_at timestamp"

Sale = tuple[int, str, int, int]
"""Id, shop, amount, minute of the day."""


@dataclass
class Lake:
    """A source in S3, and per target every row that any of its files held when a load read it."""

    standin: Standin
    context: Context
    folder: Path
    chance: Random
    files: dict[str, list[Sale]] = field(default_factory=dict)
    accepted: dict[str, set[Sale]] = field(default_factory=lambda: defaultdict(set))
    merged: list[Sale] = field(default_factory=list)
    count: int = 0

    def change(self) -> None:
        """Let one thing happen."""
        kinds = [self.land, self.land, self.write_again, self.merge, self.clutter]
        self.chance.choice(kinds if self.files else [self.land])()

    def land(self) -> None:
        self.count += 1
        folder = self.chance.choice(["", f"day={self.count % 3}/", "a b/[c]/", "it's/"])
        self.write(f"{folder}part-{self.count:03}.parquet", self.some_sales())

    def write_again(self) -> None:
        """Write a file again; its shops stay: a group that no file names is not touched."""
        name = self.chance.choice(sorted(self.files))
        kept = {shop: (id_, shop, self.chance.randrange(90), minute) for id_, shop, _, minute in self.files[name]}
        self.write(name, [*kept.values(), *self.some_sales()])

    def merge(self) -> None:
        names = self.chance.sample(sorted(self.files), min(3, len(self.files)))
        together = [sale for name in names for sale in self.files.pop(name)]
        self.merged += together
        for name in names:
            self.standin.lake.client.delete_object(Bucket="lake", Key=f"{FOLDER}/{name}")
        self.count += 1
        self.write(f"merged-{self.count:03}.parquet", together)

    def clutter(self) -> None:
        file = self.folder / "rows.parquet"
        sale = "9 as id, 'x' as shop, 9 as amount, timestamp '2013-01-01 12:00:00' as sold_at"
        duckdb.sql(f"copy (select {sale}) to '{file}' (format parquet)")
        uncommitted = f"{FOLDER}/_temporary/0/part-0.parquet"
        self.standin.lake.client.put_object(Bucket="lake", Key=uncommitted, Body=file.read_bytes())
        for name in (".part.parquet", "_SUCCESS", "#part.parquet", "a.parquet~"):
            self.standin.lake.client.put_object(Bucket="lake", Key=f"{FOLDER}/{name}", Body=b"no Parquet")

    def some_sales(self) -> list[Sale]:
        ids = (self.chance.randrange(9) for _ in range(self.chance.randrange(1, 5)))
        return [(i, SHOPS[i % 3], self.chance.randrange(90), self.chance.randrange(1, 60 * 24)) for i in ids]

    def write(self, name: str, sales: list[Sale]) -> None:
        self.files[name] = sales
        extra = self.chance.choice(["", ", true as is_paid"])
        values = ", ".join(f"({i}, '{shop}', {amount}, {minute})" for i, shop, amount, minute in sales)
        file = self.folder / "rows.parquet"
        duckdb.sql(
            f"""copy (select id, shop, amount, timestamp '2013-01-01' + to_minutes(minute) as sold_at {extra}
                from (values {values}) as v (id, shop, amount, minute)) to '{file}' (format parquet)"""
        )
        self.standin.lake.client.put_object(Bucket="lake", Key=f"{FOLDER}/{name}", Body=file.read_bytes())

    def run(self) -> dict[str, TargetOutcome]:
        plan = prepare(self.context, RunRequest(requested_by="tester"))
        summary = execute(self.context, plan, sleep=lambda _: None)
        outcomes = {outcome.target: outcome for outcome in summary.outcomes}
        for target, outcome in outcomes.items():
            if outcome.status == "loaded":
                self.accepted[target].update(sale for sales in self.files.values() for sale in sales)
        return outcomes

    def run_well(self) -> set[str]:
        outcomes = self.run()
        errors = [f"{name}: {found.error or found.decision.message}" for name, found in outcomes.items()]
        assert all(outcome.status in ("loaded", "skipped") for outcome in outcomes.values()), errors
        return {target for target, outcome in outcomes.items() if outcome.status == "loaded"}

    def run_broken(self) -> None:
        """Run while a connection breaks before or after a random statement of a random target's load."""
        target = self.chance.choice(sorted(ALL)).replace(".", "__")
        skip = self.chance.randrange(1, 30)
        action = self.chance.choice([Action.DROP, Action.DROP_AFTER])
        self.standin.journal.faults.append(Fault("", node=target, action=action, skip=skip))
        self.run()
        self.standin.journal.faults.clear()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.standin.url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def check(self) -> None:
        def minute(instant: datetime | None) -> int | None:
            return None if instant is None or instant.year > 2013 else int((instant - START) / timedelta(minutes=1))

        for table in ("sale_now", "sale"):
            now = {(int(e[0][0]), e[1][1], e[1][0], e[2]) for e in scd1(self.events(f"dwh.{table}"))}
            found = self.query(f"select id, shop, amount, sold_at from redshift_dwh.{table}")
            assert {(id_, shop, amount, minute(at)) for id_, shop, amount, at in found} == now
        versions = {
            (int(v.key[0]), v.content[1], v.content[0], v.valid_from, v.valid_to)
            for v in scd2(self.events("dwh.sale_then"), (0, 1))
        }
        found = self.query("select id, shop, amount, valid_from, valid_to from redshift_dwh.sale_then")
        assert {(*row[:3], minute(row[3]), minute(row[4])) for row in found} == versions
        listed = Counter(sale for sales in self.files.values() for sale in sales)
        found = self.query("select id, shop, amount, sold_at from redshift_dwh.sale_line")
        lines = Counter((id_, shop, amount, minute(at) or 0) for id_, shop, amount, at in found)
        assert listed <= lines
        assert lines - listed <= Counter(self.merged), "only rows of files that are gone may stay"
        totals: Counter[str] = Counter()
        for (_, shop, amount, _), count in listed.items():
            totals[shop] += amount * count
        assert dict(self.query("select shop, amount::int from redshift_mart.shop_total")) == dict(totals)

    def events(self, target: str) -> list[Event]:
        sales = self.accepted[target]
        return [Event((str(i),), minute, 0, False, (amount, shop)) for i, shop, amount, minute in sales]


def _execute(standin: Standin, statement: str) -> None:
    with connect(standin.profile()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def standin(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    with running(postgres_url) as standin:
        standin.lake.client.create_bucket(Bucket="lake")
        variables = {"AWS_ENDPOINT_URL_S3": standin.lake.url, "AWS_DEFAULT_REGION": "us-east-1"}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        for name, value in (standin.environment() | variables | keys).items():
            monkeypatch.setenv(name, value)
        _execute(standin, "create external schema lake from data catalog database 'd' iam_role default")
        yield standin


def _lake(
    standin: Standin, tmp_path: Path, seed: int = 0, *, parts: str = "", location: str = "s3://lake/_landing/sales"
) -> Lake:
    table = (
        f"create external table lake.sales ({COLUMNS}) {parts} stored as parquet location 's3://lake/_landing/sales/'"
    )
    _execute(standin, table)
    root = tmp_path / "project"
    root.mkdir()
    names = ("sale", "sale_now", "sale_then", "sale_line")
    copy_project(root, {**dict.fromkeys(names, ORDERS), "shop_total": TOTALS})
    found = rows()
    found["sources"][0]["location"] = location
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(found))
    settings = Settings(environment="redshift", lock_wait_seconds=30, retry_pause_seconds=0)
    context = Context(Project(root), settings, who="tester")
    change_context = ChangeContext(context.project, context.store, context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    return Lake(standin, context, tmp_path, Random(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_any_lake_equals_the_oracle(standin: Standin, tmp_path: Path, seed: int) -> None:
    lake = _lake(standin, tmp_path, seed)
    lake.land()
    assert lake.run_well() == ALL
    for _ in range(ROUNDS):
        for _ in range(lake.chance.randrange(1, 4)):
            lake.change()
        lake.run_broken()
        lake.run_well()
        lake.check()
        assert lake.run_well() == set()


def test_a_late_file_is_read_alone_and_said(standin: Standin, tmp_path: Path) -> None:
    lake = _lake(standin, tmp_path)
    lake.clutter()
    lake.write("day=2/a.parquet", [(1, "x", 5, 900), (2, "y", 6, 901)])
    lake.run_well()
    lake.write("day=1/late.parquet", [(1, "x", 7, 10)])
    standin.journal.clear()

    outcomes = lake.run()

    assert {outcome.status for outcome in outcomes.values()} == {"loaded"}
    assert "late.parquet" in outcomes["dwh.sale_then"].decision.message
    lake.check()
    staged = [entry.sql for entry in standin.journal.entries if entry.node and "sale_then" in entry.node]
    reads = [sql for sql in staged if '"lake"."sales"' in sql and "sluice_stage" in sql and "create temp" in sql]
    assert reads
    assert all("s3://lake/_landing/sales/day=1/late.parquet" in sql and "a.parquet" not in sql for sql in reads)
    report = look_at_lake(lake.context, "lake.sales")
    assert {(item.file, item.state) for item in report.files if item.target == "dwh.sale"} == {
        ("day=2/a.parquet", "read"),
        ("day=1/late.parquet", "read"),
    }


@pytest.mark.parametrize("location", ["s3://lake/_landing/sales", "s3://lake/_landing/sales/day=*/"])
def test_files_of_no_registered_partition_wait_for_it(standin: Standin, tmp_path: Path, location: str) -> None:
    lake = _lake(standin, tmp_path, parts="partitioned by (day date)", location=location)
    add = "alter table lake.sales add partition (day='2013-01-0{0}') location 's3://lake/_landing/sales/day=2013-01-0{0}/'"
    lake.write("day=2013-01-01/a.parquet", [(1, "x", 5, 900)])
    lake.write("day=2013-01-02/b.parquet", [(2, "y", 6, 100)])
    _execute(standin, add.format(1))
    lake.run_well()
    assert lake.query("select id from redshift_dwh.sale") == [(1,)]
    assert lake.run_well() == set()
    assert "1 in no partition that the external table has" in look_at_lake(lake.context, "lake.sales").ignored

    _execute(standin, add.format(2))

    assert lake.run_well() == ALL
    assert lake.query("select id from redshift_dwh.sale order by id") == [(1,), (2,)]
    assert lake.run_well() == set()


def test_a_listing_that_cannot_be_written_fails_its_readers_alone(standin: Standin, tmp_path: Path) -> None:
    lake = _lake(standin, tmp_path)
    lake.land()
    standin.journal.faults.append(Fault("lake_listing", "permission denied for schema redshift_sluice", code="42501"))
    outcomes = lake.run()
    assert {outcome.status for outcome in outcomes.values()} == {"failed"}
    assert "the listing of lake.sales could not be written" in (outcomes["dwh.sale"].error or "")
    assert "let the role write Sluice's schema" in (outcomes["dwh.sale"].error or "")


def test_a_location_that_is_not_the_tables_holds_the_readers(standin: Standin, tmp_path: Path) -> None:
    lake = _lake(standin, tmp_path, location="s3://lake/elsewhere")
    lake.land()
    (outcome, *_) = lake.run().values()
    assert (outcome.status, outcome.decision.reason) == ("held", Reason.SOURCE_UNREADABLE)
    assert 'the external table "lake"."sales" reads s3://lake/_landing/sales/' in outcome.decision.message


def test_without_rights_in_s3_the_window_of_the_key_is_read(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = _lake(standin, tmp_path)
    lake.write("a.parquet", [(1, "x", 5, 900)])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert lake.run_well() == ALL
    assert lake.run_well() == set()
