"""The project in a temporary folder that tests run in: every test has sources and a target of its own in one DuckDB.

A history test becomes rows and a SELECT like any other, under names with its prefix, so the loads run as they are. An
upstream target is played by a table that holds the given rows by the upstream's own load. A unit test becomes dbt's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.unit_tests.select import Types, create_table, duckdb_select, duckdb_type, insert_rows, parsed, readable_rows
from metadata_sync.analysis.select_file import read_select
from metadata_sync.analysis.unit_tests import History, Row, UnitTest, UnitTestFile, input_table
from metadata_sync.errors import ConfigurationError, MetadataError
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.rows.resolve import EFFECTIVE_AT, RESERVED_PREFIX, file_identity
from metadata_sync.rows.vocabulary import Increment, LoadType, OnRemovedFiles, SourceKind, Template
from metadata_sync.sql.rewrite import replace_tables, rewrite

if TYPE_CHECKING:
    import duckdb

    from flows.context import Context
    from flows.dbt.runner import DbtRunner
    from metadata_sync.settings import Settings

LANDING: Final = "sluice_batch"
"""Column of a played upstream table: the number of the batch that a row landed in."""

_PIPELINE: Final = "tests"
_RAW: Final = "_raw"
_TIMES: Final = frozenset({"valid_from", "valid_to"})
"""They too are load times where no column of the SELECT orders a key's events."""

_PROJECT_FILES: Final = {
    "dbt_project/dbt_project.yml": (
        "name: sluice_tests\nversion: 1.0.0\nconfig-version: 2\nprofile: sluice_tests\n"
        "model-paths: [models]\nmacro-paths: [macros]\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    ),
    "dbt_project/macros/generate_schema_name.sql": (
        "{% macro generate_schema_name(custom_schema_name, node) %}"
        "{{ return(custom_schema_name or target.schema) }}{% endmacro %}\n"
    ),
    "profiles.yml": (
        "sluice_tests:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n"
        "      path: \"{{ env_var('SLUICE_DUCKDB_PATH') }}\"\n      schema: main\n      threads: 1\n"
    ),
}


@dataclass(frozen=True)
class Case:
    """One test in the scratch project.

    Attributes:
        number: Its number, which its names begin with.
        file: The file that holds it.
        test: The test.
        row: The target's row.
        rows: All rows of the environment.
        select: The target's SELECT, in DuckDB's SQL.
    """

    number: int
    file: UnitTestFile
    test: UnitTest | History
    row: TransformationRow
    rows: ControlRows = field(repr=False)
    select: str = field(repr=False)

    @property
    def target(self) -> TableName:
        """The target under its name in the scratch project."""
        return self.named(self.row.name)

    @property
    def unit_test_name(self) -> str:
        """Name of a unit test in the scratch project."""
        return f"unit_test_{self.number}"

    def named(self, name: TableName) -> TableName:
        """Return a table's name in the scratch project."""
        return TableName(f"t{self.number}_{name.schema}", name.table)

    @cached_property
    def reads(self) -> tuple[TableName, ...]:
        """The tables that the SELECT reads."""
        return parsed(self.select, "duckdb", self.row.name).tables

    @cached_property
    def played(self) -> tuple[TransformationRow, ...]:
        """The upstream targets that a history test plays."""
        found = (self.rows.transformation(name) for name in self.reads)
        return tuple(row for row in found if row is not None)

    def types(self, name: TableName) -> Types:
        """Return the columns of a table that the SELECT reads.

        Raises:
            ConfigurationError: When the test file does not list them.
        """
        types = self.file.columns.get(str(name))
        if types is None:
            raise ConfigurationError(
                f"The test file of {self.file.target} does not say which columns {name} has.",
                f"Add them below `columns:`, e.g. {name}: {{id: bigint, name: varchar}}; or make the file anew: "
                f"sluice test create {self.file.target} --force",
            )
        return types

    def is_cut(self, name: TableName) -> bool:
        """Whether rows of a source are added to what landed before: it has an incremental key."""
        return landing_key(self.row, self.rows, name) is not None


def landing_key(row: TransformationRow, rows: ControlRows, name: TableName) -> str | None:
    """Return the column by which rows of a source are added to what landed before; None: it is read whole."""
    source = rows.source(name)
    dependency = next((item for item in row.dependencies if item.table == str(name)), None)
    if source is None or row.increment is Increment.FULL:
        return None
    named = dependency.incremental_key if dependency is not None else None
    own = row.incremental_key if dependency is not None and dependency.driving else None
    return named or own or source.incremental_key


def make_case(number: int, file: UnitTestFile, test: UnitTest | History, rows: ControlRows, context: Context) -> Case:
    """Return a test as it stands in the scratch project.

    Raises:
        ConfigurationError: When its target does not exist, or its SELECT cannot be read or is not portable.
    """
    name = TableName.parse(file.target)
    row = rows.transformation(name)
    if row is None:
        raise ConfigurationError(f"There is no target {file.target} any more.", "Delete its test file, or rename it.")
    text = read_select(row, context.project)
    if isinstance(text, Problem):
        raise ConfigurationError(f"The SELECT of {name} cannot be read: {text.message}", text.remedy)
    dialect = context.profile.dialect
    parsed(text, dialect, name)
    types = {TableName.parse(table): columns for table, columns in file.columns.items()}
    return Case(number, file, test, row, rows, duckdb_select(text, dialect, name, types))


class Scratch:
    """The scratch project; its dbt is started once.

    Args:
        root: An empty folder.
        context: The project that is tested, for its functions and the SQL of its types.
    """

    def __init__(self, root: Path, context: Context) -> None:
        from metadata_sync.settings import Settings

        self.project = Project(root, context.project.allowed_functions)
        self.settings: Settings = Settings(
            environment="dev",
            dbt_target=None,
            control_url=None,
            duckdb_path=root / "scratch.duckdb",
            duckdb_directories=None,
            allowed_functions=context.settings.allowed_functions,
        )
        self._dialect = context.profile.dialect
        for name, text in _PROJECT_FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._selects.mkdir()

    @property
    def _selects(self) -> Path:
        return self.project.dbt_dir / "transformations"

    @cached_property
    def dbt(self) -> DbtRunner:
        """Dbt on the scratch project."""
        from flows.dbt.runner import DbtRunner
        from flows.warehouse.profile import load_profile

        return DbtRunner(self.project, self.settings, load_profile(self.project, self.settings))

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the scratch database while dbt does not."""
        import duckdb

        with duckdb.connect(str(self.settings.duckdb_path)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.project.root, ignore_errors=True)

    def add_unit_tests(self, cases: Sequence[Case]) -> None:
        """Write models, sources and empty tables of unit tests."""
        from metadata_sync.sync.render import document_text

        folder = self.project.dbt_dir / "models" / "units"
        folder.mkdir(parents=True, exist_ok=True)
        document: dict[str, Any] = {"version": 2, "sources": [], "unit_tests": []}
        with self.database() as connection:
            for case in cases:
                assert isinstance(case.test, UnitTest)
                sources: dict[str, list[dict[str, str]]] = {}
                for name in case.reads:
                    create_table(connection, case.named(name), case.types(name))
                    sources.setdefault(case.named(name).schema, []).append({"name": name.table})
                document["sources"] += [{"name": schema, "tables": tables} for schema, tables in sources.items()]
                document["unit_tests"].append(_unit_test(case, case.test))
                relations = {name: _source(case.named(name)) for name in case.reads}
                model = rewrite(parsed(case.select, "duckdb", case.row.name), relations)
                (folder / f"{case.target.model_name}.sql").write_text(f"{model}\n", encoding="utf-8")
        (folder / "unit_tests.yml").write_text(document_text(document), encoding="utf-8")

    def add_histories(self, cases: Sequence[Case]) -> None:
        """Write rows, SELECTs, models and empty sources of history tests.

        Raises:
            ConfigurationError: When the rows have faults.
        """
        from flows.warehouse.columns import open_columns
        from metadata_sync.sync.sync import sync

        sources: list[SourceRow] = []
        targets: list[TransformationRow] = []
        with self.database() as connection:
            for case in cases:
                for name in case.reads:
                    self._add_source(case, name, connection, sources, targets)
                targets.append(self._target(case))
        pipeline = PipelineRow(pipeline_id=_PIPELINE, pipeline_name=_PIPELINE, template=Template.PRESENTATION)
        rows = ControlRows(sources=tuple(sources), pipelines=(pipeline,), transformations=tuple(targets))
        try:
            sync(rows, self.project, open_columns(self.project, self.settings))
        except MetadataError as error:
            fault = error.faults[0]
            number = int(fault.key.partition("_")[0][1:])
            (about,) = [str(case.row.name) for case in cases if case.number == number]
            message = fault.message.replace(f"t{number}_", "")
            raise ConfigurationError(f"{about} cannot be tested: {message}", fault.remedy, subject=about) from error

    def _add_source(
        self,
        case: Case,
        name: TableName,
        connection: duckdb.DuckDBPyConnection,
        sources: list[SourceRow],
        targets: list[TransformationRow],
    ) -> None:
        upstream, types = case.rows.transformation(name), case.types(name)
        if upstream is None:
            create_table(connection, case.named(name), types)
            sources.append(_source_row(case, name))
            return
        raw = TableName(f"{case.named(name).schema}{_RAW}", name.table)
        create_table(connection, raw, {**types, LANDING: "integer"})
        sources.append(
            SourceRow.model_validate(
                {"schema": raw.schema, "table": raw.table, "kind": "warehouse", "incremental_key": LANDING}
            )
        )
        targets.append(self._played(case, upstream, raw, types))

    def _target(self, case: Case) -> TransformationRow:
        row = case.row
        path = f"transformations/{case.target}.sql"
        text = replace_tables(
            parsed(case.select, "duckdb", row.name), {name: str(case.named(name)) for name in case.reads}
        )
        (self._selects / f"{case.target}.sql").write_text(text, encoding="utf-8")
        dependencies = tuple(
            item.model_copy(update={"table": str(case.named(TableName.parse(item.table)))}) for item in row.dependencies
        )
        columns = tuple(
            Column(name=column.name, type=duckdb_type(column.type, self._dialect) or "varchar")
            for column in row.column_list
        )
        return row.model_copy(
            update={
                "target_schema": case.target.schema,
                "pipeline_id": _PIPELINE,
                "sql_path": path,
                "copied": None,
                "dependencies": dependencies,
                "column_list": columns if self._dialect == "duckdb" else (),
                "is_active": True,
                "deactivated_by": None,
                "distkey": None,
                "sortkey": (),
                "description": "",
            }
        )

    def _played(self, case: Case, upstream: TransformationRow, raw: TableName, types: Types) -> TransformationRow:
        """Return a target that holds the given rows of an upstream table: by key when it replaces rows, else added."""
        name = case.named(upstream.name)
        listed = ",\n    ".join(f"r.{quote_identifier(column)}" for column in types)
        (self._selects / f"{name}.sql").write_text(
            f"select\n    {listed},\n    r.{LANDING}\nfrom {raw} as r\n", encoding="utf-8"
        )
        keys = [*upstream.business_key, *(["valid_from"] if upstream.load_type is LoadType.SCD2 else [])]
        is_keyed = bool(upstream.business_key) and set(keys) <= set(types)
        return TransformationRow.model_validate(
            {
                "target_schema": name.schema,
                "target_table": name.table,
                "pipeline_id": _PIPELINE,
                "sql_path": f"transformations/{name}.sql",
                "load_type": "scd1" if is_keyed and upstream.load_type is not LoadType.APPEND else "append",
                "business_key": keys if is_keyed else [],
                "sequence_by": [LANDING] if is_keyed else [],
                "incremental_key": LANDING,
                "dependencies": [{"table": str(raw), "driving": True}],
            }
        )

    def land(self, case: Case, batch: int, rows: Mapping[str, Iterable[Row]]) -> None:
        """Let the rows of a batch arrive.

        Raises:
            ConfigurationError: When they do not fit their table, or the SELECT does not read it.
        """
        assert isinstance(case.test, History)
        with self.database() as connection:
            for table, given in rows.items():
                name = TableName.parse(table)
                if name not in case.reads:
                    raise ConfigurationError(
                        f"{case.file.target} does not read {table}, of which {case.test.name!r} gives rows.",
                        f"It reads: {', '.join(map(str, case.reads))}.",
                    )
                types, place = case.types(name), case.named(name)
                landed = list(given)
                if case.rows.transformation(name) is not None:
                    place = TableName(f"{place.schema}{_RAW}", place.table)
                    landed = [{**row, LANDING: batch + 1} for row in landed]
                    types = {**types, LANDING: "integer"}
                elif not case.is_cut(name):
                    connection.execute(f"delete from {place}")  # noqa: S608 - a name of the scratch project
                insert_rows(connection, place, types, landed, known_as=name)

    def table(self, case: Case) -> list[dict[str, Any]]:
        """Return the rows of a target, without the columns of the framework: they differ from run to run."""
        with self.database() as connection:
            found = connection.execute(
                "select column_name from information_schema.columns where table_schema = ? and table_name = ? "
                "order by ordinal_position",
                [case.target.schema, case.target.table],
            ).fetchall()
            left_out = _TIMES if (EFFECTIVE_AT,) in found else frozenset()
            names = [name for (name,) in found if name not in left_out and not name.startswith(RESERVED_PREFIX)]
            if not names:
                return []
            listed = ", ".join(map(quote_identifier, names))
            query = f"select {listed} from {case.target} order by all"  # noqa: S608 - a name of the scratch project
            return readable_rows(connection, query, case.row.name)

    def as_stored(self, case: Case, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Return expected rows in the writing of the target's columns: '1.50' is 1.5 where that is a number.

        Raises:
            ConfigurationError: When a row has a column that the target has not, or a value that does not fit.
        """
        with self.database() as connection:
            found = connection.execute(
                "select column_name, data_type from information_schema.columns "
                "where table_schema = ? and table_name = ?",
                [case.target.schema, case.target.table],
            ).fetchall()
            types = {str(name): str(type_) for name, type_ in found}
            place = TableName(f"{case.target.schema}_expected", case.target.table)
            create_table(connection, place, types)
            try:
                insert_rows(connection, place, types, list(rows), known_as=f"`expect:` of {case.file.target}")
            except ConfigurationError as error:
                message = error.message.replace("`columns:` does not list", "the target has not")
                raise ConfigurationError(message, error.hint.replace("Add it with its type, or c", "C")) from error
            return readable_rows(connection, f"select * from {place}", case.row.name)  # noqa: S608 - as above


def _source_row(case: Case, name: TableName) -> SourceRow:
    source = case.rows.source(name)
    key = landing_key(case.row, case.rows, name)
    if source is None:
        raise ConfigurationError(
            f"{case.file.target} reads {name}, which no row declares.", "sluice validate shows every fault."
        )
    if file_identity(case.row, case.rows) is not None:
        message = f"{case.file.target} replaces rows by their files, and the rows of a test come from no file."
        raise ConfigurationError(message, "Give the row a business_key, or its source an incremental_key, to test it.")
    named = case.named(name)
    return source.model_copy(
        update={
            "source_schema": named.schema,
            "kind": SourceKind.WAREHOUSE,
            "location": None,
            "format": None,
            "columns": (),
            "format_options": None,
            "external_schema": None,
            "incremental_key": key,
            "probe": None,
            "file_column": None,
            "catalog_table": None,
            "on_removed_files": OnRemovedFiles.KEEP,
            "calendar": None,
        }
    )


def _unit_test(case: Case, test: UnitTest) -> dict[str, Any]:
    from metadata_sync.analysis.unit_tests import dbt_document

    document = dbt_document(test)
    document |= {"name": case.unit_test_name, "model": case.target.model_name}
    for item in document["given"]:
        name = input_table(item["input"])
        if name not in case.reads:
            raise ConfigurationError(
                f"Unit test {test.name!r} gives rows of {name}, which {case.file.target} does not read.",
                f"It reads: {', '.join(map(str, case.reads))}.",
            )
        item["input"] = f"source('{case.named(name).schema}', '{name.table}')"
    given = {input_table(item.input) for item in test.given}
    document["given"] += [
        {"input": f"source('{case.named(name).schema}', '{name.table}')", "rows": []}
        for name in case.reads
        if name not in given
    ]
    return document


def _source(name: TableName) -> str:
    return f"{{{{ source('{name.schema}', '{name.table}') }}}}"
