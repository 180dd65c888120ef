"""Render a row as the text of a dbt model and of its properties file. Pure and deterministic.

dbt renders nearly every string of a properties file as Jinja. Values of rows are data, so their braces are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.analysis.data_tests import TestScope, test_document
from metadata_sync.analysis.lake_location import (
    file_folder,
    file_pattern,
    partition_columns,
    read_parquet,
    snapshot_pattern,
)
from metadata_sync.analysis.text_copies import copies_folder, copies_pattern, is_text
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import is_expression
from metadata_sync.rows.resolve import (
    LOADED_AT,
    ResolvedDependency,
    fingerprint,
    history_start,
    is_active,
    is_view,
    recompute_columns,
    resolve_dependencies,
    sequence_columns,
    window_key,
)
from metadata_sync.rows.vocabulary import LoadType, OnChange, SourceKind
from metadata_sync.sql.rewrite import needs_quotes
from metadata_sync.text import escape_jinja

if TYPE_CHECKING:
    from metadata_sync.analysis.lookups import LookupPlan
    from metadata_sync.sql import ParsedSelect

VIEW_MATERIALIZATION: Final = "refresh"
"""The package's materialization of materialized views; dbt has its own under the name materialized_view."""

_NO_WRAPPING: Final = 1_000_000

Document = dict[str, Any]
"""A YAML document for dbt."""


def model_document(scope: TestScope) -> Document:
    """Return the properties of a transformation's model.

    Args:
        scope: The transformation, its column list filled in, and what its data tests may refer to.
    """
    row, rows = scope.row, scope.rows
    pipeline = rows.pipeline(row.pipeline_id)
    tags = [f"pipeline:{row.pipeline_id}", f"load_type:{row.load_type.value}"]
    if pipeline is not None:
        tags.insert(1, f"job_group:{pipeline.job_group}")
    model: Document = {
        "name": row.name.model_name,
        "description": escape_jinja(row.description),
        "config": {
            "materialized": VIEW_MATERIALIZATION if is_view(row, rows) else row.load_type.value,
            "schema": row.target_schema,
            "alias": row.target_table,
            "tags": tags,
            "meta": {"is_active": is_active(row, rows), "sluice": _escaped(_settings(row, rows))},
        },
        "data_tests": _model_tests(row, rows),
        "columns": [_column(column, scope) for column in row.column_list],
    }
    return {"version": 2, "models": [_without_empty(model)]}


def placeholder_document(row: TransformationRow) -> Document:
    """Return the properties of a placeholder model, which is never run; other models can `ref` it."""
    config = {"materialized": row.load_type.value, "schema": row.target_schema, "alias": row.target_table}
    return {
        "version": 2,
        "models": [{"name": row.name.model_name, "config": {**config, "meta": {"is_active": False}}}],
    }


def placeholder_text(row: TransformationRow) -> str:
    """Return the SQL of a placeholder model."""
    return f"-- {row.key} has faults and was never rendered; `sluice validate` shows them\nselect 1 as has_faults\n"


def source_document(source: SourceRow, project: Project, dialect: str) -> Document:
    """Return the properties of a source.

    Args:
        source: The source.
        project: The project, for relative locations.
        dialect: The warehouse's dialect: on DuckDB the lake is read from its files, elsewhere from an external schema.
    """
    table: Document = {"name": source.source_table}
    if source.kind is SourceKind.LAKE and source.location is not None and dialect == "duckdb":
        places = {"external_location": _external_location(source, project), "folder": _file_folder(source, project)}
        table["config"] = {"meta": {name: escape_jinja(text) for name, text in places.items()}}
    schema = source.external_schema or source.source_schema
    return {"version": 2, "sources": [{"name": source.source_schema, "schema": schema, "tables": [table]}]}


def model_text(
    select: ParsedSelect,
    dependencies: Sequence[ResolvedDependency],
    lookups: LookupPlan | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return a model's SQL: the SELECT as written, its tables replaced by dbt's references, and its definition.

    The definition stands at the end, so that lines keep their numbers, and with it how lookups are joined and what
    `recompute_by` means where it names columns of the output.
    """
    from metadata_sync.sql.definition import definition_hash
    from metadata_sync.sql.rewrite import rewrite

    text = rewrite(select, {item.name: item.jinja for item in dependencies})
    meta: Document = {"row_definition": definition_hash(select)}
    joined = {} if lookups is None else _lookups(lookups, dependencies)
    if joined:
        meta["lookups"] = joined
    if groups:
        meta["groups"] = {table: _group(texts) for table, texts in groups.items()}
    return f"{text.rstrip()}\n{{{{ config(meta={json.dumps(meta)}) }}}}\n"


def _lookups(plan: LookupPlan, dependencies: Sequence[ResolvedDependency]) -> Document:
    """Return what loads need to derive rows again and to count rows that a lookup drops; empty when they do neither."""
    restating = {item.name for item in dependencies if item.restates}
    dropping = sorted(str(name) for name in plan.dropping if name in plan.paths)
    if not restating and not dropping:
        return {}
    paths = {
        str(name): [
            [str(path.source), [[list(hop.left), str(hop.table), list(hop.right)] for hop in path.hops]]
            for path in found
        ]
        for name, found in sorted(plan.paths.items())
        if name in restating or str(name) in dropping
    }
    return {"paths": paths, "dropping": dropping, "identity": [list(item) for item in plan.identity.items()]}


def document_text(document: Document) -> str:
    """Return a document as YAML, deterministically."""
    import yaml

    return yaml.dump(document, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=_NO_WRAPPING)


@cache
def _dumper() -> Any:
    """Return PyYAML's dumper, with libyaml if available: no aliases, non-printable characters as escapes."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc] # chosen at run time
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
            return True

    def represent(dumper: Any, text: str) -> yaml.ScalarNode:
        style = None if text.replace("\n", "").isprintable() else '"'
        node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style)
        return node

    Dumper.add_representer(str, represent)
    return Dumper


def _settings(row: TransformationRow, rows: ControlRows) -> Document:
    """Return Sluice's settings of a model for the macros: `config.meta.sluice`."""
    sequence = sequence_columns(row, rows, [column.name for column in row.column_list])
    return {
        "target": str(row.name),
        "increment": row.increment.value,
        "business_key": list(row.business_key),
        "incremental_key": _own_key(row, rows),
        "sequence_by": list(sequence),
        "recompute_key": list(recompute_columns(row)),
        "scd_columns": list(row.scd_columns),
        "delete_when": row.delete_when,
        "on_tie": row.on_tie.value,
        "max_rejects": row.max_rejects,
        "max_vanish_percent": row.max_vanish_percent,
        "distkey": row.distkey,
        "sortkey": list(row.sortkey),
        "auto_refresh": row.auto_refresh,
        "fingerprint": fingerprint(row, sequence),
        **({} if row.backfill_start is None else {"backfill_start": history_start(row)}),
        "dependencies": [_dependency(item) for item in resolve_dependencies(row, rows)],
    }


def _own_key(row: TransformationRow, rows: ControlRows) -> str | None:
    """Return the incremental key of the only driving source, unless that source is managed."""
    key = window_key(row, rows)
    return row.incremental_key if key in {None, LOADED_AT} else key


def _dependency(item: ResolvedDependency) -> Document:
    where: Document = (
        {"ref": item.name.model_name} if item.is_managed else {"source": [item.name.schema, item.name.table]}
    )
    return {
        "table": str(item.name),
        **where,
        "driving": item.is_driving,
        "managed": item.is_managed,
        "incremental_key": item.incremental_key,
        "recompute_by": _group(item.recompute_by),
        "lookback_minutes": item.lookback_minutes,
        "max_skew_minutes": item.max_skew_minutes,
        **({"on_change": OnChange.RESTATE.value} if item.restates else {}),
        **({"may_drop": True} if item.may_drop else {}),
        **({"file_column": item.file_column} if item.file_column and item.is_driving else {}),
        **({"on_removed_files": "remove"} if item.removes_files and item.is_driving else {}),
    }


def _group(texts: Sequence[str]) -> list[Any]:
    return [{"sql": text} if is_expression(text) else text for text in texts]


def _model_tests(row: TransformationRow, rows: ControlRows) -> list[Document]:
    """Return the package's data test of the invariants of SCD2: one, because a dbt node costs more than its check."""
    if row.load_type is not LoadType.SCD2:
        return []
    key = {"business_key": list(row.business_key)}
    columns = [column.name for column in row.column_list]
    apart = {*row.business_key, *sequence_columns(row, rows, columns)}
    tracked = list(row.scd_columns) or [name for name in columns if name not in apart]
    compared = {"scd_columns": tracked} if tracked else {}
    return [{"sluice.valid_history": {"arguments": {**key, **compared}}}]


def _column(column: Column, scope: TestScope) -> Document:
    tests = (test_document(test, scope) for test in column.tests)
    return _without_empty(
        {
            "name": column.name,
            "quote": needs_quotes(column.name) or None,
            "data_type": escape_jinja(column.type),
            "description": escape_jinja(column.description),
            "config": {"tags": [escape_jinja(tag) for tag in column.tags]} if column.tags else {},
            "data_tests": [test for test in tests if test is not None],
        }
    )


def _external_location(source: SourceRow, project: Project) -> str:
    """Return the DuckDB expression that reads a lake folder; dbt-duckdb formats it, so braces are doubled."""
    location = source.location or ""
    try:
        pattern = _pattern(source, project, location)
    except ValueError:  # outside the project: rendered for the comparison only, a row rule refuses it before a write
        pattern = location
    is_partitioned = bool(partition_columns(location))
    reading = read_parquet(pattern, is_partitioned=is_partitioned, file_column=source.file_column)
    return reading.replace("{", "{{").replace("}", "}}")


def _pattern(source: SourceRow, project: Project, location: str) -> str:
    if is_text(source):
        return copies_pattern(copies_folder(project, source))
    return snapshot_pattern(project, location) if source.catalog_table else file_pattern(project, location)


def _file_folder(source: SourceRow, project: Project) -> str:
    """Return the folder that the connection may read for a source; see `_external_location` on locations outside."""
    if is_text(source):
        return f"{copies_folder(project, source)}/"
    try:
        return file_folder(project, source.location or "")
    except ValueError:
        return ""


def _escaped(value: Any) -> Any:
    """Escape every string of a document."""
    if isinstance(value, str):
        return escape_jinja(value)
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def _without_empty(document: Document) -> Document:
    return {key: value for key, value in document.items() if value not in ("", [], {}, None)}
