"""A shop whose targets `sluice test create` freezes: a history with deletes, an append, groups, one read whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from typer.testing import CliRunner

from flows.cli import app
from flows.context import Context
from metadata_sync.errors import SluiceError
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.history_project import Warehouse
from tests.support.project_copy import copy_project

SELECTS = {
    "dim_customer": (
        "select e.customer_id, e.email, e.city, e.is_gone, e.changed_at, c.country_name\n"
        "from shop.events as e\njoin shop.countries as c on c.code = e.country"
    ),
    "customer_now": "select e.customer_id, upper(e.email) as email, e.city, e.changed_at from shop.events as e",
    "event_log": "select e.event_id, e.customer_id, e.email, e.landed_at from shop.events as e",
    "city_total": "select e.city, count(*) as event_count from shop.events as e group by e.city",
    "country": "select c.code, c.country_name from shop.countries as c",
    "last_seen": (
        "select l.customer_id, cast(l.customer_id as decimal(9, 2)) as half, l.landed_at\nfrom dwh.event_log as l"
    ),
}

_KEYED: dict[str, Any] = {"business_key": ["customer_id"], "sequence_by": ["changed_at"]}
SETTINGS: dict[str, dict[str, Any]] = {
    "dim_customer": {**_KEYED, "load_type": "scd2", "scd_columns": ["city"], "delete_when": "is_gone"},
    "customer_now": {**_KEYED, "load_type": "scd1"},
    "event_log": {"load_type": "append", "business_key": ["event_id"]},
    "city_total": {"load_type": "scd1", "increment": "groups", "business_key": ["city"]},
    "country": {"load_type": "scd1", "increment": "full", "business_key": ["code"]},
    "last_seen": {"load_type": "scd1", "business_key": ["customer_id"], "sequence_by": ["landed_at"]},
}
_DEPENDENCIES: dict[str, list[dict[str, Any]]] = {
    "dim_customer": [
        {"table": "shop.events", "driving": True},
        {"table": "shop.countries", "driving": False, "on_change": "ignore", "may_drop": True},
    ],
    "city_total": [{"table": "shop.events", "driving": True, "recompute_by": ["city"]}],
    "country": [{"table": "shop.countries", "driving": True}],
    "last_seen": [{"table": "dwh.event_log", "driving": True}],
}
TARGETS = tuple(f"dwh.{name}" for name in SELECTS)


class UnitTestProject:
    """The project, its warehouse, and the command line."""

    def __init__(self, root: Path, warehouse: Warehouse, settings: Settings) -> None:
        self.root = root
        self.warehouse = warehouse
        self.settings = settings
        copy_project(root, SELECTS)
        self.rows = self._rows()
        self.write_rows()

    def write_rows(self) -> None:
        (self.root / "dbt_project" / "control" / "shop.yml").write_text(yaml.safe_dump(self.rows, sort_keys=False))

    def row(self, name: str) -> dict[str, Any]:
        """Return the row of a target, to change it before `write_rows`."""
        found: dict[str, Any]
        (found,) = [row for row in self.rows["transformations"] if row["target_table"] == name]
        return found

    def _rows(self) -> dict[str, Any]:
        return {
            "sources": [
                {"schema": "shop", "table": "events", "kind": "warehouse", "incremental_key": "landed_at"},
                {"schema": "shop", "table": "countries", "kind": "warehouse"},
            ],
            "pipelines": [{"pipeline_id": "shop", "pipeline_name": "Shop", "template": "presentation"}],
            "transformations": [
                {
                    "target_schema": "dwh",
                    "target_table": name,
                    "pipeline_id": "shop",
                    "sql_path": f"transformations/{name}.sql",
                    "dependencies": _DEPENDENCIES.get(name, [{"table": "shop.events", "driving": True}]),
                    **SETTINGS[name],
                }
                for name in SELECTS
            ],
        }

    def land(self) -> None:
        """Forty events of eight customers of three countries, an hour apart; nobody has left."""
        events = [
            f"({number}, {number % 8}, 'Ada.{number % 8}@example.org', '{('Rome', 'Pisa', 'Bari')[number % 3]}', "
            f"'{('it', 'mt', 'sm')[number % 8 % 3]}', false, timestamp '2024-01-01' + {number} * interval '1 hour', "
            f"timestamp '2024-01-02 00:00:00' + {number} * interval '1 hour')"
            for number in range(40)
        ]
        countries = [f"('{code}', 'Country {code}')" for code in ("it", "mt", "sm", *(f"x{n}" for n in range(30)))]
        self.warehouse.execute(
            "create schema shop",
            "create table shop.events (event_id bigint, customer_id integer, email varchar(40), city varchar(20), "
            "country varchar(2), is_gone boolean, changed_at timestamp, landed_at timestamp)",
            "create table shop.countries (code varchar(3), country_name varchar(40))",
            f"insert into shop.events values {', '.join(events)}",
            f"insert into shop.countries values {', '.join(countries)}",
        )

    def context(self) -> Context:
        return Context(Project(self.root), self.settings, who="tester")

    def file(self, target: str) -> Path:
        return self.root / "dbt_project" / "unit_tests" / f"{target}.yml"

    def document(self, target: str) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load(self.file(target).read_text())
        return document

    def sluice(self, *arguments: str) -> tuple[int, str]:
        """Call the command line in this process; returns its exit code and everything that it printed."""
        before = Path.cwd()
        os.chdir(self.root)
        try:
            result = CliRunner().invoke(app, ["test", *arguments])
        finally:
            os.chdir(before)
        if isinstance(result.exception, SluiceError):
            return result.exception.exit_code, " ".join(str(result.exception).split())
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def results(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run tests; returns the exit code and the JSON document."""
        code, output = self.sluice("run", *arguments, "--json")
        document: dict[str, Any] = json.loads(output[output.index("{") :])
        return code, document


def junit_cases(path: Path) -> dict[str, str | None]:
    """Return the tests of a JUnit file, each with the tag of its fault."""
    root = ElementTree.parse(path).getroot()
    return {str(case.get("name")): next((part.tag for part in case), None) for case in root}
