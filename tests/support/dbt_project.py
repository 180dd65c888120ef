"""A small dbt project in a temporary folder that runs Sluice's macros in process on a DuckDB file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import duckdb
import yaml

MACROS = Path(__file__).parents[2] / "macros"
QUIET = ("--quiet", "--log-level", "none", "--log-level-file", "none")
FOLDERS = (
    "control",
    "helpers",
    "ledger",
    "load",
    "materializations",
    "results",
    "schema",
    "strategies",
    "tests",
    "windows",
)


@dataclass(frozen=True)
class DbtResult:
    """What one dbt command did.

    Attributes:
        success: dbt's own verdict.
        messages: Node name → the adapter's or the compiler's message.
        statuses: Node name → dbt's word for its outcome.
        error: What stopped dbt before any node ran.
    """

    success: bool
    messages: dict[str, str]
    statuses: dict[str, str]
    error: str = ""


@dataclass
class DbtProject:
    """A dbt project of its own, with a copy of the macros that a test may break on purpose.

    Attributes:
        root: Folder of the project, of its profile and of its warehouse.
        threads: How many models dbt runs at once.
        profile: Another warehouse's profile; the DuckDB file by default.
    """

    root: Path
    threads: int = 2
    profile: Mapping[str, Any] | None = None
    _sources: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        shutil.copytree(MACROS, self.root / "macros", dirs_exist_ok=True)
        self._write_yaml(
            "dbt_project.yml",
            {
                "name": "sluice",
                "version": "0.1.0",
                "config-version": 2,
                "profile": "test",
                "model-paths": ["models"],
                "macro-paths": [f"macros/{folder}" for folder in FOLDERS],
                "flags": {"send_anonymous_usage_stats": False},
                "on-run-start": ["{{ sluice.create_control_tables() }}"],
            },
        )
        output = self.profile or {"type": "duckdb", "path": str(self.warehouse), "schema": "main"}
        self._write_yaml(
            "profiles.yml", {"test": {"target": "t", "outputs": {"t": {**output, "threads": self.threads}}}}
        )
        self.write(
            "macros/helpers/generate_schema_name.sql",
            (
                "{% macro generate_schema_name(custom_schema_name, node) -%}"
                "{{ custom_schema_name or target.schema }}{%- endmacro %}\n"
            ),
        )

    @property
    def adapter(self) -> str:
        """Type of the warehouse."""
        return str(self.profile["type"]) if self.profile else "duckdb"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.root / "warehouse.duckdb"

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _write_yaml(self, path: str, document: object) -> None:
        self.write(path, yaml.safe_dump(document, sort_keys=False))

    def source(self, name: str, schema: str = "lake") -> None:
        """Declare a source table."""
        tables = self._sources.setdefault(schema, {})
        tables[name] = {"name": name}
        self._write_yaml(
            f"models/sources_{schema}.yml",
            {
                "sources": [{"name": schema, "schema": schema, "tables": list(tables.values())}],
            },
        )

    def model(
        self,
        name: str,
        sql: str,
        *,
        materialized: str,
        columns: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        data_tests: Sequence[object] = (),
        **settings: Any,
    ) -> None:
        """Write a model `dwh.<name>` with Sluice's settings under config.meta.sluice, as sync does.

        Args:
            name: Name of model and table.
            sql: The SELECT, dbt's Jinja included.
            materialized: scd1, scd2 or append.
            columns: Declared types.
            config: dbt's own config, merged over what this writes.
            data_tests: Data tests of the model.
            settings: Sluice's settings; is_active goes to config.meta.
        """
        meta: dict[str, Any] = {"is_active": settings.pop("is_active", True)}
        meta["sluice"] = {"target": f"dwh.{name}", **settings}
        written: dict[str, Any] = {"materialized": materialized, "schema": "dwh", "meta": meta, **(config or {})}
        self.write(f"models/{name}.sql", sql + "\n")
        self._write_yaml(
            f"models/{name}.yml",
            {
                "models": [
                    {
                        "name": name,
                        "config": written,
                        "columns": [{"name": column, "data_type": kind} for column, kind in (columns or {}).items()],
                        "data_tests": list(data_tests),
                    }
                ]
            },
        )

    def run(
        self,
        *arguments: str,
        command: str = "run",
        env: Mapping[str, object] | None = None,
        quiet: bool = True,
    ) -> DbtResult:
        """Run a dbt command in this process.

        Args:
            arguments: Further arguments, e.g. `--select`, `--full-refresh`.
            command: dbt's command.
            env: Environment variables for the time of the run; anything but text is written as JSON.
            quiet: Whether dbt prints only errors.
        """
        words = QUIET if quiet else ()
        return run_dbt(self.root, [*words, command, *arguments, "--no-use-colors"], env or {})

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, while no dbt command runs."""
        with duckdb.connect(str(self.warehouse)) as connection:
            yield connection

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with self.connect() as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def empty(self, *statements: str) -> None:
        """Drop every schema of the tests, make `lake` anew, and run statements on it."""
        schemas = ("lake", "dwh", "sluice")
        self.execute(*(f"drop schema if exists {name} cascade" for name in schemas), "create schema lake", *statements)

    def remove_models(self) -> None:
        """Remove all models, and keep the sources."""
        for file in self.root.glob("models/*"):
            if not file.name.startswith("sources_"):
                file.unlink()

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Write rows to a table, all at once; there is at least one."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        with self.connect() as connection:
            connection.execute(f"insert into {table} select {', '.join(['unnest(?)'] * len(columns))}", columns)

    def patch_macro(self, path: str, old: str, new: str) -> None:
        """Break this project's copy of a macro on purpose.

        Raises:
            AssertionError: When the text is not there exactly once.
        """
        file = self.root / "macros" / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new))


def driving(table: str, **settings: object) -> dict[str, object]:
    """A driving dependency on lake.<table>, as sync writes it."""
    return {"table": f"lake.{table}", "source": ["lake", table], "driving": True, **settings}


def add_events(project: DbtProject) -> None:
    """Create and declare the source lake.events, with two events of the first day."""
    project.execute("create table lake.events (id integer, v varchar(10), t timestamp)")
    project.execute("insert into lake.events values (1, 'a', '2024-01-01'), (2, 'b', '2024-01-01')")
    project.source("events")


def history_tests(business_key: Sequence[str], scd_columns: Sequence[str]) -> list[object]:
    """Sluice's data tests of an SCD2 model, as sync attaches them."""
    key = {"business_key": list(business_key)}
    return [
        {"one_current_row": {"arguments": key}},
        {"no_overlap": {"arguments": key}},
        "no_zero_length",
        {"key_not_null": {"arguments": key}},
        {"touching_versions_differ": {"arguments": {**key, "scd_columns": list(scd_columns)}}},
    ]


def run_dbt(
    root: Path,
    words: Sequence[str],
    env: Mapping[str, object],
    manifest: object = None,
    callbacks: Sequence[Callable[[Any], None]] = (),
) -> DbtResult:
    """Run a dbt command on the project of a folder, in this process."""
    from dbt.cli.main import dbtRunner

    with _environment(env):
        # nobody reads the artifacts, and writing them takes a fifth of a run
        result = dbtRunner(manifest=cast("Any", manifest), callbacks=[*callbacks]).invoke(
            ["--no-write-json", *words, *_places(root)]
        )
    # the result of an operation names no node
    nodes = [item for item in getattr(result.result, "results", None) or [] if hasattr(item, "node")]
    return DbtResult(
        success=bool(result.success),
        messages={node.node.name: node.message or "" for node in nodes},
        statuses={node.node.name: str(node.status) for node in nodes},
        error=str(result.exception or ""),
    )


def parse_project(root: Path, profiles: Path | None = None) -> object:
    """Parse the project of a folder; its profile stands there, too, or in another one."""
    from dbt.cli.main import dbtRunner

    words = ["--no-write-json", "--quiet", "--log-level-file", "none", "parse"]
    return dbtRunner().invoke([*words, *_places(root, profiles)]).result


def _places(root: Path, profiles: Path | None = None) -> list[str]:
    return ["--project-dir", str(root), "--profiles-dir", str(profiles or root)]


@contextlib.contextmanager
def _environment(values: Mapping[str, object]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
