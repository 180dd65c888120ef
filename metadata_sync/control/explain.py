"""Every setting of a target: its value, and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.control.bundle import Bundle, read_project
from metadata_sync.database.journals.entries import AuditEntry, Via
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies, unknown_target

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore
    from metadata_sync.project import Project
    from metadata_sync.rows.model import ControlRows, Dependency, TransformationRow

_BY_HAND: Final = frozenset({Via.SET, Via.FORM, Via.ACTIVATE, Via.DEACTIVATE, Via.FRAMEWORK})
_MOST_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is in force.

    Attributes:
        row: The row that it belongs to, e.g. `transformation_control[dwh.dim_aircraft]`.
        name: Its column; of a dependency `schema.table: setting`.
        value: Its value, JSON-ready.
        origin: Where the value comes from: a file and line, a command or form with its author and time, the framework,
            another row, or the default.
    """

    row: str
    name: str
    value: Any
    origin: str


def explain_target(store: ControlStore, project: Project, target: str) -> tuple[Setting, ...]:
    """Return every setting of a target, of its pipeline and of the tables that it reads.

    Args:
        store: The control database.
        project: The project, whose files say where a value was declared.
        target: `schema.table`.

    Raises:
        RequestError: When there is no such target.
    """
    rows = store.usable_rows()
    row = next((item for item in rows.transformations if str(item.name) == target), None)
    if row is None:
        raise unknown_target(target, rows)
    bundle = read_project(project, store.environment)
    origins = _Origins(store, bundle)
    found = list(origins.settings(row))
    pipeline = rows.pipeline(row.pipeline_id)
    if pipeline is not None:
        found += origins.settings(pipeline)
    for dependency, resolved in zip(row.dependencies, resolve_dependencies(row, rows), strict=False):
        found += _of_dependency(row, dependency, resolved, rows)
    return tuple(found)


@dataclass(frozen=True)
class _Origins:
    """Says who wrote the columns of rows."""

    store: ControlStore
    bundle: Bundle

    def settings(self, row: ControlRow) -> Iterator[Setting]:
        """Yield the columns of a row."""
        written = self._last_written(row)
        declared = self._declared(row)
        for name, field in type(row).model_fields.items():
            column = field.alias or name
            value = getattr(row, name)
            shown = row.model_dump(mode="json", by_alias=True, include={name})[column]
            default = field.get_default(call_default_factory=True)
            place = self._place(row, column)
            yield Setting(
                f"{row.control_table}[{row.key}]",
                column,
                shown,
                _origin(
                    written.get(column),
                    place,
                    is_default=not field.is_required() and value == default,
                    is_pending=place is not None and declared is not None and getattr(declared, name) != value,
                ),
            )

    def _last_written(self, row: ControlRow) -> Mapping[str, AuditEntry]:
        """Return the last change of each column that was made past the files."""
        found: dict[str, AuditEntry] = {}
        for entry in self.store.history(row.key, _MOST_ENTRIES):
            if entry.table == row.control_table:
                found.setdefault(entry.column, entry)
        return {column: entry for column, entry in found.items() if entry.via in _BY_HAND}

    def _declared(self, row: ControlRow) -> ControlRow | None:
        rows = self.bundle.rows
        candidates = (*rows.sources, *rows.pipelines, *rows.transformations)
        return next((item for item in candidates if type(item) is type(row) and item.key == row.key), None)

    def _place(self, row: ControlRow, column: str) -> str | None:
        return self.bundle.places.get(RowId(row.control_table, row.key), {}).get(column)


def _origin(entry: AuditEntry | None, place: str | None, *, is_default: bool, is_pending: bool) -> str:
    if entry is not None:
        author = "the framework" if entry.via == Via.FRAMEWORK else f"{entry.via}, {entry.who}"
        reason = f": {entry.reason}" if entry.reason else ""
        return f"{author}, {entry.changed_at:%Y-%m-%d %H:%M} UTC{reason}"
    if place is not None:
        return f"{place}; another value there is not applied" if is_pending else place
    return "default" if is_default else "control database; no file says it"


def _of_dependency(
    row: TransformationRow, dependency: Dependency, resolved: ResolvedDependency, rows: ControlRows
) -> Iterator[Setting]:
    """Yield how a table is read: settings that fall back to the transformation, then to the source's row."""
    source = rows.source(TableName.parse(dependency.table))
    of_source = f"source_control[{dependency.table}]"
    own_key = row.incremental_key if dependency.driving else None

    def setting(name: str, value: Any, origin: str) -> Setting:
        return Setting(f"{row.control_table}[{row.key}]", f"{dependency.table}: {name}", value, origin)

    yield setting("read as", "driving source" if resolved.is_driving else "lookup", "its dependencies")
    if resolved.is_managed:
        yield setting("incremental_key", resolved.incremental_key, "a target of another transformation: set by loads")
    elif resolved.is_watched:
        origin = "its dependencies" if dependency.incremental_key else "its incremental_key" if own_key else of_source
        yield setting("incremental_key", resolved.incremental_key, origin)
        origin = "its dependencies" if dependency.lookback_minutes is not None else of_source
        yield setting("lookback_minutes", resolved.lookback_minutes, origin)
    if source is not None:
        names = (
            "kind",
            "location",
            "format",
            "max_skew_minutes",
            "on_bad_file",
            "on_source_change",
            "on_removed_files",
            "file_column",
            "catalog_table",
        )
        for name in names:
            value = source.model_dump(mode="json", include={name})[name]
            if value is not None:
                yield setting(name, value, of_source)
