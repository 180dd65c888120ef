"""dbt's own features on loads and downstream of them: tests, exposures, groups, event_time, contracts, on_error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.warehouse.profile import dbt_environment
from metadata_sync.control.bundle import bundle_files, read_bundle
from metadata_sync.settings import Settings
from metadata_sync.sync.sync import sync
from tests.macros.test_consumer_project import FIRST, ROOT, SECOND, SOURCE, Shop
from tests.support.history_project import DuckDbFile
from tests.support.unit_test_project import UnitTestProject

DAILY = """
{{ config(
    materialized='incremental', incremental_strategy='microbatch', event_time='valid_from', batch_size='day',
    begin='2024-01-01', lookback=1
) }}
select c.customer_id, c.city, c.valid_from from {{ ref('customers') }} as c
"""
PLAIN = "select c.customer_id, c.city, c.valid_from from {{ ref('customers') }} as c\n"
LOOKING_UP = """
{{ config(
    materialized='scd1', business_key=['customer_id'], incremental_key='landed_at', sequence_by=['changed_at']
) }}
select e.customer_id, c.city as known_city, e.changed_at
from {{ sluice.increment(source('shop', 'customer_events')) }} as e
left join {{ sluice.whole(ref('customers')) }} as c on c.customer_id = e.customer_id and c.is_current
"""
DOWNSTREAM: dict[str, Any] = {
    "groups": [{"name": "crm", "owner": {"name": "CRM", "email": "crm@example.org"}}],
    "exposures": [
        {
            "name": "customer_map",
            "type": "dashboard",
            "owner": {"name": "CRM", "email": "crm@example.org"},
            "depends_on": ["ref('customers')", "ref('daily')"],
        }
    ],
    "models": [
        {
            "name": "plain",
            "config": {"group": "crm", "access": "private"},
            "columns": [{"name": "customer_id", "data_tests": ["not_null"]}],
            "data_tests": [
                {
                    "relationships": {
                        "name": "plain_customers_exist",
                        "arguments": {"column_name": "customer_id", "to": "ref('customers')", "field": "customer_id"},
                    }
                }
            ],
        },
    ],
}
PERIOD = ("--event-time-start", "2024-01-01", "--event-time-end", "2024-01-12")
SAMPLE = ("--sample", "{'start': '2024-01-08', 'end': '2024-01-20'}")
DBT = Path(sys.executable).with_name("dbt")
IS_NEXT = tuple(map(int, version("dbt-core").split(".")[:2])) >= (1, 12)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The consumer's project, with event times on source and history, and models on top of it."""
    shop = Shop(tmp_path / "shop", {"local": str(ROOT / "macros")})
    path = shop.root / "models" / "shop.yml"
    document = yaml.safe_load(path.read_text())
    document["sources"][0]["tables"][0]["config"] = {"event_time": "changed_at"}
    document["models"][0]["config"] = {"event_time": "valid_from"}
    path.write_text(yaml.safe_dump(document))
    for name, text in {"daily": DAILY, "plain": PLAIN, "looking_up": LOOKING_UP}.items():
        (shop.root / "models" / f"{name}.sql").write_text(text)
    (shop.root / "models" / "downstream.yml").write_text(yaml.safe_dump(DOWNSTREAM))
    shop.dbt("deps")
    shop.execute("create schema raw", SOURCE)
    return shop


def test_readers_by_event_time_see_a_part_and_loads_see_all(shop: Shop) -> None:
    shop.land([*FIRST, *SECOND])
    shop.dbt("build", *SAMPLE, *PERIOD)
    assert shop.query("select count(*) from analytics.customers") == [(3,)], "a load of a sample would lose rows"
    assert shop.query("select count(*), count(known_city) from analytics.looking_up") == [(2, 1)], "lookups are whole"
    assert shop.query("select customer_id, city from analytics.plain") == [(1, "Bern")], "the sample"
    shop.dbt("build", *PERIOD)
    everything = [(1, "Bern"), (1, "Rome"), (2, "Oslo")]
    assert shop.query("select customer_id, city from analytics.plain order by all") == everything
    assert shop.query("select customer_id, city from analytics.daily order by all") == everything
    shop.land([(1, "Paris", "9", False, "2024-01-11", 3)])
    shop.dbt("build", "--event-time-start", "2024-01-11", "--event-time-end", "2024-01-12")
    assert (1, "Paris") in shop.query("select customer_id, city from analytics.daily")


def test_tests_exposures_and_groups_refer_to_loads(shop: Shop) -> None:
    shop.land(FIRST)
    results = {item.node.name: str(item.status) for item in shop.dbt("build", *PERIOD).results}
    assert results["plain_customers_exist"] == "pass"
    listed = shop.dbt("list", "--select", "+exposure:customer_map", "--resource-type", "model", "--output", "name")
    assert {"customers", "daily"} <= set(listed)
    shop.dbt("parse")
    manifest = json.loads((shop.root / "target" / "manifest.json").read_text())
    assert manifest["nodes"]["model.shop.plain"]["config"]["group"] == "crm"


def test_children_of_a_failed_load_go_on_when_the_next_dbt_is_told_so(shop: Shop) -> None:
    """dbt-core 1.12 knows `on_error`; 1.11 skips the children."""
    shop.land(FIRST)
    shop.dbt("build", *PERIOD)
    model = shop.root / "models" / "customers.sql"
    model.write_text(
        model.read_text().replace("c.phone,", "cast(cast('x' || c.phone as integer) as varchar(20)) as phone,")
    )
    path = shop.root / "models" / "shop.yml"
    document = yaml.safe_load(path.read_text())
    if IS_NEXT:
        document["models"][0]["config"]["on_error"] = "continue"
    path.write_text(yaml.safe_dump(document))
    shop.land(SECOND)
    with pytest.raises(AssertionError, match=r"Could not convert string \W+x\d"):
        shop.dbt("run", "--select", "customers", "plain")
    results = json.loads((shop.root / "target" / "run_results.json").read_text())["results"]
    models = [item for item in results if item["unique_id"].startswith("model.")]
    statuses = {item["unique_id"].rpartition(".")[2]: item["status"] for item in models}
    assert statuses == {"customers": "error", "plain": "success" if IS_NEXT else "skipped"}
    assert shop.query("select count(*) from analytics.customers") == [(2,)], "the failed load left the table as it was"


def test_generated_models_take_group_event_time_and_contract_from_dbt_project_yml(tmp_path: Path) -> None:

    project = UnitTestProject(tmp_path, DuckDbFile(tmp_path / ".sluice" / "dev.duckdb"), Settings())
    project.land()
    context = project.context()
    folder = context.project.dbt_dir
    rows = read_bundle(bundle_files(context.project.control_dir, tmp_path), "dev", tmp_path).rows
    sync(rows, context.project, context.columns)
    settings = yaml.safe_load((folder / "dbt_project.yml").read_text())
    load = {"+group": "crm", "+event_time": "landed_at", "+contract": {"enforced": True}}
    settings["models"]["sluice"] = {"generated": {"shop": {"dwh__event_log": load}}}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    groups = {"groups": DOWNSTREAM["groups"], "models": [{"name": "reader", "config": {"group": "crm"}}]}
    (folder / "models" / "reader.yml").write_text(yaml.safe_dump(groups))
    (folder / "models" / "reader.sql").write_text("select e.event_id from {{ ref('dwh__event_log') }} as e\n")
    places = ["--project-dir", str(folder), "--profiles-dir", str(tmp_path)]
    sample = ["--sample", "{'start': '2024-01-03', 'end': '2024-01-04'}"]
    environment = {**os.environ, **dbt_environment(context.project, context.settings)}

    def build() -> tuple[str, dict[str, Any]]:
        """Return the message of the load, and its node as dbt read it."""
        words = ["build", "--select", "dwh__event_log", "reader", *sample, *places]
        subprocess.run([DBT, *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
        (message,) = [item["message"] for item in results if item["unique_id"] == "model.sluice.dwh__event_log"]
        manifest = json.loads((folder / "target" / "manifest.json").read_text())
        return message, manifest["nodes"]["model.sluice.dwh__event_log"]

    message, node = build()
    assert message == "40 inserted", "a load is never sampled"
    assert node["config"]["group"] == "crm"
    assert node["contract"]["enforced"]
    assert project.warehouse.query("select count(*) from main.reader") == [(16,)], "the events of the last hours"
    path = next((folder / "models" / "generated" / "shop").glob("dwh__event_log.yml"))
    path.write_text(path.read_text().replace("data_type: bigint", "data_type: varchar"))
    late = "select * replace (timestamp '2024-02-01' as landed_at) from shop.events limit 1"
    project.warehouse.execute(f"insert into shop.events {late}")
    assert "contract" in build()[0]
