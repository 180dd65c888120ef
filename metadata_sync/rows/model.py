"""Control rows as typed objects. Field names are the YAML keys and the column names: the public interface."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import (
    BackfillOrder,
    ChildPolicy,
    DeactivatedBy,
    Engine,
    Increment,
    LoadType,
    OnBadFile,
    OnChange,
    OnDefinitionChange,
    OnRemovedFiles,
    OnSourceChange,
    OnTie,
    SourceKind,
    Template,
    Trigger,
)

_NAMING: Final = re.compile(r"""['"]|\b(struct|union|enum)\b""", re.IGNORECASE)
"""Types whose text holds names or labels."""


class _Strict(BaseModel):
    """No unknown keys, no changes after creation."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_enum_values=False)


def type_text(text: str, dialect: str) -> str:
    """Return a type as Sluice stores and compares it: in lower case, unless its letters belong to names or labels.

    >>> type_text("DECIMAL(9,2)", "duckdb"), type_text("ENUM('New', 'old')", "duckdb"), type_text('"Mood"', "postgres")
    ('decimal(9,2)', "ENUM('New', 'old')", '"Mood"')
    """
    return text if dialect == "postgres" or _NAMING.search(text) else text.lower()


class Column(_Strict):
    """One column of a target: its name, its type in the warehouse, its description, dbt tests and dbt tags.

    Columns with the tag `personal` are masked by `sluice test create`, with the source columns that they come from.
    """

    name: str
    type: str
    description: str = ""
    tests: tuple[str | dict[str, Any], ...] = ()
    tags: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_tags(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a column without tags as it was written before there were tags: what is stored is compared as text."""
        values: dict[str, Any] = write(self)
        return values if self.tags else {name: value for name, value in values.items() if name != "tags"}


class Dependency(_Strict):
    """A table that a SELECT reads.

    Attributes:
        table: `schema.table`, of a source row or of another transformation's target (a managed source).
        driving: True: windowed and gated on. False: a lookup, read in full.
        incremental_key: Column that bounds windows; by default the transformation's, then the source's. Of a lookup:
            says when its rows changed; by default the source's.
        recompute_by: Columns of the groups that are recomputed (`increment: groups`), or expressions over its columns.
        lookback_minutes: How far below the watermark a window begins; by default the source's.
        on_change: What happens to loaded rows when this lookup changes; None: not declared, which acts as `ignore` and
            is warned about.
        restate_by: The columns that join the driving source and this lookup, each `driving_column = lookup_column`,
            or one name for both; empty: found in the SELECT.
        may_drop: Whether driving rows without a row of this lookup may be left out on purpose.
    """

    table: str
    driving: bool
    incremental_key: str | None = None
    recompute_by: tuple[str, ...] = ()
    lookback_minutes: int | None = Field(default=None, ge=0)
    on_change: OnChange | None = None
    restate_by: tuple[str, ...] = ()
    may_drop: bool = False

    @property
    def restates(self) -> bool:
        """Whether a change of this lookup derives rows again."""
        return not self.driving and self.on_change is OnChange.RESTATE


class ControlRow(_Strict):
    """A row of a control table."""

    control_table: ClassVar[str]
    key_columns: ClassVar[tuple[str, ...]]
    framework_columns: ClassVar[frozenset[str]] = frozenset()
    """Columns that only the framework writes: refused in YAML, never exported."""

    @property
    def key(self) -> str:
        """The row's key as people write it, e.g. `dwh.dim_aircraft`."""
        return ".".join(self.key_values)

    @property
    def key_values(self) -> tuple[str, ...]:
        """The values of the key's columns, in their order."""
        return tuple(getattr(self, name) for name in _key_fields(type(self)))


@cache
def _key_fields(row_type: type[ControlRow]) -> tuple[str, ...]:
    """Return the fields that hold a row's key; a column's name may be a field's alias."""
    by_column = {field.alias or name: name for name, field in row_type.model_fields.items()}
    return tuple(by_column[column] for column in row_type.key_columns)


class FileColumn(_Strict):
    """A declared column of a text source: its name in the files, and its type in DuckDB's words."""

    name: str
    type: str


class FormatOptions(_Strict):
    """How the files of a text source are written. JSON knows encoding, date_format and timestamp_format alone.

    Attributes:
        delimiter: What separates two fields: one character.
        quote: What encloses a field that holds delimiters or line breaks; empty: nothing does.
        escape: What stands before a quote inside a field: the quote itself, or another character.
        header: Whether the first record names the columns.
        encoding: The encoding of the text.
        decimal: The decimal sign of numbers: `.` or `,`.
        null_words: Texts that mean NULL, whether quoted or not.
        date_format: Of dates, in the codes of strptime; None: ISO 8601.
        timestamp_format: Of timestamps; None: ISO 8601, in UTC where the text names no offset.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    encoding: str = "utf-8"
    decimal: str = "."
    null_words: tuple[str, ...] = ("",)
    date_format: str | None = None
    timestamp_format: str | None = None


def _columns_listed(given: Any) -> Any:
    """Return columns as a list of names and types; people write a mapping from name to type."""
    if isinstance(given, Mapping):
        return [{"name": name, "type": type_} for name, type_ in given.items()]
    return given


class SourceRow(ControlRow):
    """A table that the team does not build: in the lake or in the warehouse."""

    control_table = "source_control"
    key_columns = ("schema", "table")

    source_schema: str = Field(alias="schema")
    source_table: str = Field(alias="table")
    kind: SourceKind
    location: str | None = None
    format: str | None = None
    columns: Annotated[tuple[FileColumn, ...], BeforeValidator(_columns_listed)] = ()
    format_options: FormatOptions | None = None
    external_schema: str | None = None
    incremental_key: str | None = None
    probe: str | None = None
    lookback_minutes: int = Field(default=0, ge=0)
    max_skew_minutes: int = Field(default=60, ge=0)
    on_bad_file: OnBadFile = OnBadFile.LEAVE_OUT
    on_source_change: OnSourceChange = OnSourceChange.ADD
    on_removed_files: OnRemovedFiles = OnRemovedFiles.KEEP
    file_column: str | None = None
    catalog_table: str | None = None
    freshness_minutes: int | None = Field(default=None, gt=0)
    calendar: str | None = None
    owner: str | None = None

    @property
    def name(self) -> TableName:
        """The source as SELECTs name it."""
        return TableName(self.source_schema, self.source_table)

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The source's table, under each name that its probe may call it by."""
        named = self.external_schema and TableName(self.external_schema, self.source_table)
        return (self.name, named) if named else (self.name,)


class PipelineRow(ControlRow):
    """A set of transformations that is scheduled, gated and alerted on together."""

    control_table = "pipeline_control"
    key_columns = ("pipeline_id",)

    pipeline_id: str
    pipeline_name: str
    template: Template
    schedule: str | None = None
    timezone: str = "UTC"
    sla_minutes: int | None = Field(default=None, gt=0)
    job_group: str = "default"
    engine: Engine = Engine.AUTO
    spark_threshold_gb: Decimal | None = Field(default=None, gt=0)
    emr_instance_types: tuple[str, ...] = ()
    emr_master_count: int = Field(default=1, ge=1)
    emr_core_min: int | None = Field(default=None, ge=1)
    emr_core_max: int | None = Field(default=None, ge=1)
    emr_step_limit: Decimal | None = Field(default=None, ge=1)
    emr_usd_per_run: Decimal | None = Field(default=None, gt=0)
    emr_usd_per_month: Decimal | None = Field(default=None, gt=0)
    alert_channel: str | None = None
    owner: str | None = None
    child_policy: ChildPolicy = ChildPolicy.SKIP
    is_active: bool = True


class TransformationRow(ControlRow):
    """One SELECT that fills one target."""

    control_table = "transformation_control"
    key_columns = ("target_schema", "target_table")
    framework_columns = frozenset({"deactivated_by", "comments", "fingerprint"})

    target_schema: str
    target_table: str
    pipeline_id: str
    sql_path: str = ""
    copied: str | None = Field(default=None, alias="copy")
    description: str = ""
    output_path: str | None = None
    load_type: LoadType
    increment: Increment = Increment.ROWS
    increment_checked: bool = False
    business_key: tuple[str, ...] = ()
    incremental_key: str | None = None
    sequence_by: tuple[str, ...] = ()
    recompute_key: tuple[str, ...] = ()
    scd_columns: tuple[str, ...] = ()
    delete_when: str | None = None
    on_tie: OnTie = OnTie.WARN
    on_definition_change: OnDefinitionChange = OnDefinitionChange.LOAD
    dependencies: tuple[Dependency, ...] = ()
    trigger: Trigger = Trigger.ANY
    max_wait_minutes: int | None = Field(default=None, ge=0)
    backfill_start: datetime | int | None = None
    backfill_order: BackfillOrder = BackfillOrder.OLDEST
    column_list: tuple[Column, ...] = ()
    freshness_minutes: int | None = Field(default=None, gt=0)
    max_rejects: int | None = Field(default=None, ge=0)
    max_vanish_percent: int = Field(default=20, ge=0, le=100)
    distkey: str | None = None
    sortkey: tuple[str, ...] = ()
    auto_refresh: bool = False
    is_active: bool = True
    deactivated_by: DeactivatedBy | None = None
    comments: str | None = None
    fingerprint: str | None = None

    @property
    def name(self) -> TableName:
        """The target as rows and SELECTs name it."""
        return TableName(self.target_schema, self.target_table)

    @property
    def select_column(self) -> str:
        """The column that says where the SELECT comes from."""
        return "copy" if self.copied else "sql_path"

    @property
    def select_origin(self) -> str:
        """Where the SELECT comes from, for messages: its file, or the table that is copied."""
        return self.copied or self.sql_path

    @property
    def driving(self) -> tuple[Dependency, ...]:
        """The dependencies that are windowed and gated on."""
        return tuple(item for item in self.dependencies if item.driving)


ROW_TYPES: Final[tuple[type[ControlRow], ...]] = (SourceRow, PipelineRow, TransformationRow)
"""Every control table, in the order in which rows may refer to one another."""


class ControlRows(_Strict):
    """All rows of one environment, or a part of them.

    Attributes:
        is_part: Whether rows are missing that the asked ones neither are nor read: a row that is not here may exist.
    """

    sources: tuple[SourceRow, ...] = ()
    pipelines: tuple[PipelineRow, ...] = ()
    transformations: tuple[TransformationRow, ...] = ()
    is_part: bool = Field(default=False, exclude=True)

    def source(self, name: TableName) -> SourceRow | None:
        """Return the source of that name, or None."""
        return self._sources_by_name.get(name)

    def pipeline(self, pipeline_id: str) -> PipelineRow | None:
        """Return the pipeline of that id, or None."""
        return self._pipelines_by_id.get(pipeline_id)

    def transformation(self, name: TableName) -> TransformationRow | None:
        """Return the transformation that fills that target, or None."""
        return self._transformations_by_name.get(name)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the rows; the copy builds its own indexes, because the update may contain other rows."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    # For duplicate keys the first row is used; validation reports duplicates as faults.
    @cached_property
    def _sources_by_name(self) -> dict[TableName, SourceRow]:
        return {row.name: row for row in reversed(self.sources)}

    @cached_property
    def _pipelines_by_id(self) -> dict[str, PipelineRow]:
        return {row.pipeline_id: row for row in reversed(self.pipelines)}

    @cached_property
    def _transformations_by_name(self) -> dict[TableName, TransformationRow]:
        return {row.name: row for row in reversed(self.transformations)}


def collect_rows(rows: Iterable[ControlRow]) -> ControlRows:
    """Sort rows of any table into `ControlRows`, by key."""
    ordered = sorted(rows, key=lambda row: row.key)
    return ControlRows(
        sources=tuple(row for row in ordered if isinstance(row, SourceRow)),
        pipelines=tuple(row for row in ordered if isinstance(row, PipelineRow)),
        transformations=tuple(row for row in ordered if isinstance(row, TransformationRow)),
    )
