"""Random dbt projects of every kind of node that a selection can meet, small, on DuckDB."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import yaml

from flows.dbt.runner import DbtRunner
from flows.warehouse.profile import load_profile
from metadata_sync.project import Project
from metadata_sync.settings import load_settings

_PROJECT = """
name: shop
version: 1.0.0
config-version: 2
profile: shop
on-run-start: ["{{ note_start() }}", "create table if not exists runs (model text)"]
on-run-end: "insert into runs select '{{ results | length }}'"
models: {shop: {marts: {+post-hook: "insert into runs select '{{ this.name }}'"}}}
"""
_PROFILES = """
shop:
  outputs:
    dev: {type: duckdb, path: "{{ env_var('SLUICE_DUCKDB_PATH') }}", schema: main, threads: 1}
"""
_MACROS = """
{% macro note_start() %}{% do log("started") %}{% endmacro %}
{% macro doubled(column) %}{{ column }} * {{ env_var("SHOP_FACTOR", "2") }}{% endmacro %}
{% test at_least(model, column_name, least) %}
    select * from {{ model }} where {{ column_name }} < {{ least }}
{% endtest %}
"""
_SNAPSHOT = """
{% snapshot kept %}
{{ config(target_schema="main", unique_key="id", strategy="check", check_cols=["amount"]) }}
select * from {{ source("raw", "orders_0") }}
{% endsnapshot %}
"""
_MODEL_COUNT = 24
_SOURCE_COUNT = 4
_FOLDERS = ("staging", "marts/daily", "generated/orders")


class Lineage:
    """A project.

    Args:
        root: Its folder, which is made.
        seed: Of its shape.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.project = Project(root)
        self.models = [f"m{number:02}" for number in range(_MODEL_COUNT)]
        self._random = random.Random(seed)
        self._write()

    def runner(self, scope: list[str] | None = None) -> DbtRunner:
        """Return a runner for these models; None: of the whole manifest."""
        settings = load_settings(self.project)
        return DbtRunner(self.project, settings, load_profile(self.project, settings), scope)

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.project.state_dir / "dev.duckdb"

    def _write(self) -> None:
        dbt_dir = self.project.dbt_dir
        for folder in (*(f"models/{name}" for name in _FOLDERS), "macros", "tests", "seeds", "snapshots"):
            (dbt_dir / folder).mkdir(parents=True)
        (self.project.profiles_file).write_text(_PROFILES)
        (dbt_dir / "dbt_project.yml").write_text(_PROJECT)
        (dbt_dir / "macros/macros.sql").write_text(_MACROS)
        (dbt_dir / "snapshots/kept.sql").write_text(_SNAPSHOT)
        (dbt_dir / "seeds/countries.csv").write_text("id,amount\n1,10\n2,20\n")
        for number, name in enumerate(self.models):
            self._write_model(number, name)
        self._write_tests()
        self._write_settings()
        self.project.make_state_dir()
        with duckdb.connect(str(self.warehouse)) as warehouse:
            warehouse.execute("create schema raw")
            for number in range(_SOURCE_COUNT):
                warehouse.execute(f"create table raw.orders_{number} as select 1 as id, {number} as amount")

    def _write_model(self, number: int, name: str) -> None:
        parents = [f"ref('{name}')" for name in self.models[max(0, number - 6) : number]]
        parents += [f"source('raw', 'orders_{number}')" for number in range(_SOURCE_COUNT)]
        parents += ["ref('countries')", "ref('kept')", "ref('versioned', v=1)", "ref('versioned')"]
        read = self._random.sample(parents, self._random.choice([1, 1, 2, 3]))
        kind = self._random.choice(["view", "table", "ephemeral", "incremental"])
        column = self._random.choice(["amount", "{{ doubled('amount') }} as amount"])
        selects = [f"select id, {column} from {{{{ {parent} }}}}" for parent in read]
        text = f"{{{{ config(materialized='{kind}') }}}}\n" + "\nunion all\n".join(selects)
        folder = _FOLDERS[number % len(_FOLDERS)]
        (self.project.dbt_dir / "models" / folder / f"{name}.sql").write_text(text)

    def _write_tests(self) -> None:
        for number in range(_MODEL_COUNT // 3):
            first, second = self._random.sample(self.models, 2)
            text = (
                f"select a.id from {{{{ ref('{first}') }}}} a join {{{{ ref('{second}') }}}} b using (id) where false"
            )
            (self.project.dbt_dir / f"tests/pair_{number}.sql").write_text(text)

    def _write_settings(self) -> None:
        checks = ["not_null", "unique", {"at_least": {"arguments": {"least": 1}}}]
        models: list[dict[str, Any]] = [
            {
                "name": name,
                "description": f"Model {name}.",
                "columns": [{"name": "id", "data_tests": self._random.sample(checks, self._random.choice([0, 1, 2]))}],
            }
            for name in self.models
        ]
        for number in range(_MODEL_COUNT // 4):
            other = f"ref('{self._random.choice(self.models)}')"
            related = {"relationships": {"name": f"related_{number}", "arguments": {"to": other, "field": "id"}}}
            models[self._random.randrange(_MODEL_COUNT)]["columns"][0]["data_tests"].append(related)
        models.append({"name": "versioned", "latest_version": 2, "versions": [{"v": 1}, {"v": 2}]})
        for version in (1, 2):
            (self.project.dbt_dir / f"models/staging/versioned_v{version}.sql").write_text(
                "select 1 as id, 5 as amount"
            )
        sources = [{"name": "raw", "tables": [{"name": f"orders_{number}"} for number in range(_SOURCE_COUNT)]}]
        exposed = [{"ref": self.models[3]}]
        document = {
            "version": 2,
            "models": models,
            "sources": sources,
            "groups": [{"name": "sales", "owner": {"name": "Sales", "email": "sales@example.com"}}],
            "exposures": [
                {
                    "name": "report",
                    "type": "dashboard",
                    "owner": {"name": "Sales"},
                    "depends_on": [f"ref('{item['ref']}')" for item in exposed],
                }
            ],
        }
        (self.project.dbt_dir / "models/settings.yml").write_text(yaml.safe_dump(document))
