"""Iceberg tables as lakes of immutable files: the current snapshot's data files, as the table's catalog tells them.

A target notes which files it has read, so a load reads the files that snapshots have added since its last one, whatever
keys they hold. What reading Parquet by name would get wrong is refused: delete files, renamed columns, other formats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from metadata_sync.errors import ConfigurationError, SoftRunError

if TYPE_CHECKING:
    from flows.warehouse.lake.folder import LakeFile, LakeFolder, Listing

_SAME_IN_FILES: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of columns that writers of Parquet leave as they are."""
_NAMES_FOR_FILES: Final = "schema.name-mapping.default"
"""Property of tables to which files without Iceberg's field ids were added."""
_NEWEST_FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class IcebergTable:
    """A table of an Iceberg catalog.

    Attributes:
        name: `catalog.namespace.table`; the catalog as pyiceberg's own configuration names it.
        memory: Keeps the files of the snapshot that was looked at last. Losing it costs time and nothing else.
    """

    name: str
    memory: Path

    def list_files(self, folder: LakeFolder) -> Listing:
        """List the data files of the current snapshot.

        Args:
            folder: The source's folder, which all files must lie in.

        Raises:
            ValueError: When there is no such table, or it holds what cannot be read by name.
            ConfigurationError: When pyiceberg is missing, or the catalog refuses.
            SoftRunError: When the catalog does not answer now.
        """
        from flows.warehouse.lake.folder import Listing

        table = self._load()
        self._refuse(table)
        names = tuple(field.name for field in table.schema().fields)
        snapshot = table.current_snapshot()
        if snapshot is None:
            return Listing(columns=names)
        known = self._remembered(table.metadata.table_uuid, snapshot.snapshot_id)
        entries = self._read(table, snapshot) if known is None else known
        if known is None:
            self._remember(table.metadata.table_uuid, snapshot.snapshot_id, entries)
        return Listing(tuple(sorted(self._files(entries, folder), key=lambda file: file.name)), columns=names)

    def _load(self) -> Any:
        try:
            from pyiceberg.catalog import load_catalog
            from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        except ImportError as error:
            message = f"{self.name} cannot be read: pyiceberg is not installed ({error})"
            raise ConfigurationError(message, "Install it: pip install 'sluice-data[iceberg]'.") from error
        catalog, _, table = self.name.partition(".")
        try:
            return load_catalog(catalog).load_table(table)
        except (NoSuchTableError, NoSuchNamespaceError) as error:
            raise ValueError(f"the catalog {catalog} has no table {table}") from error
        except Exception as error:
            raise _failure(self.name, error) from error

    def _refuse(self, table: Any) -> None:
        """Refuse tables whose files cannot be read by the names of their columns."""
        metadata = table.metadata
        if metadata.format_version > _NEWEST_FORMAT:
            raise ValueError(f"{self.name} has format version {metadata.format_version}: only 1 and 2 are read")
        if _NAMES_FOR_FILES in metadata.properties:
            raise ValueError(f"{self.name} holds files that Iceberg did not write (add_files): write them again")
        now = _names(table.schema())
        for name in now.values():
            if not all(_SAME_IN_FILES.fullmatch(part) for part in name.split(".")):
                raise ValueError(f"column {name!r} of {self.name} has another name in its files: give it a plain one")
        ids = {name: id_ for id_, name in now.items()}
        for schema in metadata.schemas:
            for id_, name in _names(schema).items():
                if now.get(id_, name) != name:
                    message = f"column {name} of {self.name} was renamed to {now[id_]}"
                    raise ValueError(f"{message}: its older files are read by name; {_REMEDY}")
                if ids.get(name, id_) != id_:
                    message = f"column {name} of {self.name} was dropped and added again"
                    raise ValueError(f"{message}: older files hold the other column; {_REMEDY}")

    def _read(self, table: Any, snapshot: Any) -> list[_Entry]:
        try:
            return list(self._live_entries(table, snapshot))
        except ValueError:
            raise
        except Exception as error:
            raise _failure(self.name, error) from error

    def _live_entries(self, table: Any, snapshot: Any) -> Iterator[_Entry]:
        times = {item.snapshot_id: item.timestamp_ms for item in table.metadata.snapshots}
        for manifest in snapshot.manifests(table.io):
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                file = entry.data_file
                if file.content.name != "DATA":
                    remedy = "compact it (rewrite_data_files), or let its writers copy on write"
                    raise ValueError(f"{self.name} has delete files, which are not read: {remedy}")
                if file.file_format.name != "PARQUET":
                    raise ValueError(f"{self.name} has files of format {file.file_format.name}, which are not read")
                sequence = f"{entry.sequence_number or 0:020d}"
                yield file.file_path, file.file_size_in_bytes, sequence, times.get(entry.snapshot_id)

    def _files(self, entries: list[_Entry], folder: LakeFolder) -> Iterator[LakeFile]:
        from flows.warehouse.lake.folder import LakeFile

        root = f"{folder.folder}/"
        for address, size_bytes, sequence, milliseconds in entries:
            path = re.sub(r"^file:(//)?(?=/)", "", address).replace("s3a://", "s3://", 1)
            if not path.startswith(root) or "/../" in path:
                raise ValueError(
                    f"{self.name} has files outside {folder.location}, e.g. {address}: correct the location"
                )
            came = None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
            yield LakeFile(path.removeprefix(root), size_bytes, sequence, came, path)

    def _remembered(self, uuid: object, snapshot_id: int) -> list[_Entry] | None:
        """Return the files of a snapshot that was looked at before: they never change."""
        try:
            document = json.loads(self.memory.read_text("utf-8"))
            is_same = document["table"] == str(uuid) and document["snapshot"] == snapshot_id
            return [tuple(entry) for entry in document["files"]] if is_same else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, uuid: object, snapshot_id: int, entries: list[_Entry]) -> None:
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        written = self.memory.with_name(f"{self.memory.stem}-{uuid4().hex[:8]}.new")
        written.write_text(json.dumps({"table": str(uuid), "snapshot": snapshot_id, "files": entries}), "utf-8")
        written.replace(self.memory)


_Entry = tuple[str, int, str, int | None]
"""Address, size, sequence number, and when the snapshot that added it was made, in milliseconds."""
_REFUSALS: Final = frozenset(
    {"UnauthorizedError", "ForbiddenError", "BadRequestError", "ValidationError", "NotInstalledError"}
)
_REMEDY: Final = "write them again into a new table"


def _names(schema: Any) -> dict[int, str]:
    """Return the columns of a schema, nested ones too: id → name."""
    return {id_: schema.find_column_name(id_) for id_ in schema.field_ids}


def _failure(name: str, error: Exception) -> ConfigurationError | SoftRunError:
    """Return what a failure of a catalog or of its storage is: refused for good, or perhaps over the next time."""
    kind = type(error).__name__
    message = f"{name} cannot be looked at: {kind}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    if kind in _REFUSALS or isinstance(error, ValueError | TypeError | PermissionError):
        return ConfigurationError(
            message, "Correct the catalog in pyiceberg's configuration (.pyiceberg.yaml or PYICEBERG_…)."
        )
    return SoftRunError(message, "It is tried again with the next run.")
