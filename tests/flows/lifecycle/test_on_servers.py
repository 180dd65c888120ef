"""Renaming, retiring and restating on PostgreSQL and the Redshift stand-in: schemas, views, a failed transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from flows.backfill.backfill import BackfillRequest, BackfillSummary, plan_backfill, run_backfill
from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.gate.facts import Reason
from flows.ledger.verify import verify
from flows.lifecycle.rename import plan_rename, rename_steps
from flows.lifecycle.retire import RetireRequest, plan_retirement, retire_steps
from flows.run.model import RunRequest
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import running
from tests.redshift_standin.journal import Journal
from tests.support.engine_project import copy_project, server_rows

SELECTS = {
    "fact_order": "select o.order_id, o.region, o.amount, o.landed_at from shop.orders as o",
    "dim_region": "select o.region, o.amount, o.landed_at from shop.orders as o",
    "region_total": "select fact_order.region, sum(amount) as amount from dwh.fact_order group by fact_order.region",
    "order_count": "select f.region, count(*) as order_count from dwh.fact_order as f group by f.region",
}
ROWS = server_rows("dwh.fact_order", scd_columns=["amount"])
ORDERS = (
    "create schema shop",
    "create table shop.orders (order_id bigint, region varchar(5), amount numeric(8, 2), landed_at timestamp)",
    "insert into shop.orders values (1, 'n', 10, '2013-01-01'), (2, 's', 20, '2013-01-01'), (3, 'n', 7, '2013-01-02')",
)


@dataclass
class Shop:
    """A project whose warehouse is a server."""

    context: Context
    url: str
    journal: Journal | None = None
    """What was said to the stand-in; None: the server is PostgreSQL."""

    @property
    def prefix(self) -> str:
        return f"{self.context.settings.environment}_"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(cast("LiteralString", sql))
            return cursor.fetchall() if cursor.description else []

    def run(self) -> dict[str, str]:
        plan = prepare(self.context, RunRequest(requested_by="tester"))
        summary = execute(self.context, plan)
        assert [item.error for item in summary.outcomes if item.error] == []
        return {item.target: str(item.status) for item in summary.outcomes}

    def reasons(self) -> set[Reason]:
        return {item.reason for item in prepare(self.context, RunRequest()).decisions}

    def rename(self, old: str, new: str) -> None:
        for _ in rename_steps(self.context, plan_rename(self.context, old, new)):
            pass

    def ledger(self, target: str) -> list[list[tuple[Any, ...]]]:
        """Table, side table, head and watermarks of a target, without its name."""
        companion = f"{self.prefix}sluice.{target.replace('.', '__')}__"
        watermarks = f"select source, window_end, load_id from {self.prefix}sluice.watermark_control"
        return [
            sorted(self.query(query), key=str)
            for query in (
                f"select * from {self.prefix}{target}",
                f"select * from {companion}side",
                f"select * from {companion}head",
                f"{watermarks} where target = '{target}'",
            )
        ]


@pytest.fixture(params=["postgres", "redshift"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    root = (tmp_path / "project").resolve()
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(ROWS))
    context = Context(Project(root), Settings(environment=request.param), who="tester")
    if request.param == "redshift":
        with running(postgres_url) as standin:
            for name, value in standin.environment().items():
                monkeypatch.setenv(name, value)
            yield _loaded(Shop(context, standin.url, standin.journal))
    else:
        parts = conninfo_to_dict(postgres_url)
        for name, value in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")):
            monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[value]))
        monkeypatch.setenv("SLUICE_POSTGRES_DATABASE", str(parts["dbname"]))
        yield _loaded(Shop(context, postgres_url))
    context.store.close()


def _loaded(shop: Shop) -> Shop:
    for statement in ORDERS:
        shop.query(statement)
    change_context = ChangeContext(shop.context.project, shop.context.store, shop.context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    assert set(shop.run().values()) == {"loaded"}
    return shop


@pytest.mark.postgres
def test_targets_move_with_their_history_and_their_readers_follow(shop: Shop) -> None:
    history, facts = shop.ledger("dwh.dim_region"), shop.ledger("dwh.fact_order")
    shop.query(f"create schema {shop.prefix}core")
    for taken in ("core.dim_region", "dwh.region"):  # both schemas hold a table of the other name
        shop.query(f"create table {shop.prefix}{taken} (one integer)")

    shop.rename("dwh.dim_region", "core.region")
    shop.rename("dwh.fact_order", "dwh.sale")

    assert shop.ledger("core.region") == history
    assert shop.ledger("dwh.sale") == facts
    assert verify(shop.context, "core.region").is_sound
    assert verify(shop.context, "mart.region_total").older_count == 0
    assert shop.reasons() == {Reason.NOTHING_NEW}
    text = (shop.context.project.dbt_dir / "transformations" / "region_total.sql").read_text()
    assert text.strip() == SELECTS["region_total"].replace("dwh.fact_order", "dwh.sale as fact_order")
    shop.query("insert into shop.orders values (4, 'n', 5, '2013-01-03')")
    assert set(shop.run().values()) == {"loaded"}
    assert shop.query(f"select region, amount from {shop.prefix}mart.region_total order by region") == (
        shop.query("select region, sum(amount) from shop.orders group by region order by region")
    )
    assert shop.query(f"select order_count from {shop.prefix}mart.order_count where region = 'n'") == [(3,)]
    assert shop.query(f"select count(*) from {shop.prefix}core.region") == [(4,)]

    if shop.context.profile.dialect == "redshift":
        with pytest.raises(ConfigurationError, match="which Redshift cannot rename"):
            plan_rename(shop.context, "mart.order_count", "core.order_count")
        with pytest.raises(ConfigurationError, match=r"the materialized view mart\.order_count reads it"):
            plan_rename(shop.context, "dwh.sale", "core.sale")
        return
    shop.rename("mart.order_count", "core.counts")
    assert shop.query(f"select order_count from {shop.prefix}core.counts where region = 'n'") == [(3,)]
    assert shop.reasons() == {Reason.NOTHING_NEW}


@pytest.mark.postgres
def test_retired_target_is_exported_and_dropped_and_its_log_stays(shop: Shop, tmp_path: Path) -> None:
    rows = {**ROWS, "transformations": [row for row in ROWS["transformations"] if row["target_table"] != "dim_region"]}
    (shop.context.project.control_dir / "rows.yml").write_text(yaml.safe_dump(rows))
    is_redshift = shop.context.profile.dialect == "redshift"
    request = RetireRequest("dwh.dim_region", is_now=True, export=None if is_redshift else str(tmp_path / "kept"))
    log = f"select load_id, rows_inserted from {shop.prefix}sluice.load_log where target = 'dwh.dim_region'"
    before = shop.query(log)

    for _ in retire_steps(shop.context, plan_retirement(shop.context, request)):
        pass

    assert shop.query(log) == before
    assert shop.query("select table_name from information_schema.tables where table_name like '%dim_region%'") == []
    assert shop.reasons() == {Reason.NOTHING_NEW}
    if not is_redshift:
        lines = (tmp_path / "kept" / "dwh.dim_region" / "dim_region.csv").read_text().splitlines()
        assert (lines[0].split(",")[:2], len(lines)) == (["region", "amount"], 4)
        with pytest.raises(ConfigurationError, match="is no place for an export"):
            plan_retirement(shop.context, RetireRequest("mart.order_count", export="s3://bucket/x"))


@pytest.mark.postgres
def test_warehouse_that_refuses_a_later_statement_undoes_the_earlier_ones(shop: Shop) -> None:
    before = shop.ledger("dwh.dim_region")
    steps = rename_steps(shop.context, plan_rename(shop.context, "dwh.dim_region", "core.region"))
    assert next(steps) == "begin"
    shop.query(f"alter table {shop.prefix}sluice.load_log rename to load_log_away")
    with pytest.raises(HardRunError, match=r"dwh\.dim_region was not renamed, and nothing was changed: .*load_log"):
        next(steps)
    shop.query(f"alter table {shop.prefix}sluice.load_log_away rename to load_log")

    assert shop.ledger("dwh.dim_region") == before
    assert shop.context.store.lifecycle(unfinished_only=True) == ()
    assert shop.reasons() == {Reason.NOTHING_NEW}


def test_restatement_keeps_the_history_that_the_source_does_not_hold(shop: Shop) -> None:
    """Region n moves on in place; then a filter takes it out, and a column is filled in."""
    prefix = shop.prefix
    moved = "update shop.orders set amount = 99, landed_at = '2013-01-05' where order_id in (1, 3)"
    shop.query(moved)
    shop.run()
    history = f"select region, amount, valid_from, valid_to, is_current from {prefix}dwh.dim_region order by 1, 3"
    before = shop.query(history)
    assert [row[4] for row in before if row[0] == "n"] == [False, False, True]

    _write(shop, "select o.region, o.amount, o.landed_at, o.order_id as n from shop.orders as o where o.region = 's'")
    restated = _restate(shop, BackfillRequest("dwh.dim_region", None, restates=True))

    assert shop.query(history) == [row for row in before if not (row[0] == "n" and row[4])]
    assert restated.kept_count == 2
    _write(shop, "select o.region, o.amount, o.landed_at, o.order_id * 2 as n from shop.orders as o")
    _restate(shop, BackfillRequest("dwh.dim_region", None, restates=True, fill=("n",)))
    assert shop.query(f"select region, n from {prefix}dwh.dim_region where n is not null") == [("s", 4)]
    assert verify(shop.context, "dwh.dim_region").is_sound


def _write(shop: Shop, select: str) -> None:
    (shop.context.project.root / "dbt_project" / "transformations" / "dim_region.sql").write_text(select + "\n")


def _restate(shop: Shop, request: BackfillRequest) -> BackfillSummary:
    summary = run_backfill(shop.context, plan_backfill(shop.context, request))
    assert not summary.has_failed, summary.targets
    return summary
