"""dbt's manifest, kept by node in `.sluice/`, so that a run reads the part of it that it needs and dbt parses nothing.

Two files for each target: `manifest-<target>.sqlite` holds the records that `flows.dbt.cut` makes, each with its hash;
`manifest-<target>.json` says what they were parsed from. Both are replaced whole. What is damaged, or was parsed from
anything else than what is there now, is not used: dbt then parses the project.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from flows.dbt.cut import put_together, take_apart, variables_of
from flows.dbt.parse_inputs import CannotCutError, ParseInputs, observe_inputs, variables_state
from flows.warehouse.profile import Profile
from metadata_sync.files import replace_file
from metadata_sync.project import Project

logger = logging.getLogger(__name__)

_FORMAT: Final = 1
"""Increment it when records change."""


_PARTS: Final = (
    *("nodes", "sources", "macros", "exposures", "functions", "metrics", "groups", "selectors", "metadata"),
    *("state_check", "env_vars", "semantic_models", "unit_tests", "saved_queries"),
)
"""What is kept of a manifest: all but docs, which are rendered, and texts of files."""
_REFUSED: Final = "its manifest cannot be cut: "


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the records were parsed from.

    Attributes:
        settings: See `ParseInputs`.
        files: See `ParseInputs`.
        contents: See `ParseInputs`; empty once the files are old enough.
        variables: Environment variables that the parse may have read.
        values: Hash of their values.
        token: Stands in the records as well: the two files belong together.
        format: Format of the records.
        refusal: Why no part can be used; empty when parts can.
    """

    settings: str
    files: str
    contents: Mapping[str, str]
    variables: tuple[str, ...]
    values: str
    token: str
    format: int
    refusal: str


class KeptManifest:
    """The kept manifest of one target.

    Args:
        project: The project.
        profile: The target.
    """

    def __init__(self, project: Project, profile: Profile) -> None:
        self._project = project
        self._profile = profile
        self._records = project.state_dir / f"manifest-{profile.target}.sqlite"
        self._origin = self._records.with_suffix(".json")

    def observe(self) -> ParseInputs | None:
        """Look at what a parse depends on; None when it cannot be known without dbt."""
        try:
            return observe_inputs(self._project, self._profile)
        except CannotCutError as error:
            logger.debug("dbt's manifest is not kept: %s", error)
            return None

    def cut(self, inputs: ParseInputs | None, models: Collection[str]) -> Any:
        """Return the part of the manifest that models need; None when dbt must parse the project.

        Args:
            inputs: What a parse depends on now.
            models: Names of models.
        """
        try:
            if inputs is None:
                return None
            origin = self._current(inputs)
            with closing(_Records(self._records, origin.token)) as records:
                records.check()
                raw = put_together(records.get, models)
            logger.debug("dbt gets a part of the manifest: %d models, %d nodes", len(models), len(raw["nodes"]))
            return _manifest(raw)
        except CannotCutError as error:
            logger.debug("dbt parses the project: %s", error)
            if isinstance(error, _DamagedError):
                self._forget()
            return None

    def keep(self, manifest: Any, before: ParseInputs | None) -> None:
        """Keep a manifest that dbt has just parsed, unless its inputs changed meanwhile or it cannot be cut.

        Args:
            manifest: The whole manifest.
            before: What the parse depends on, seen before it.
        """
        now = self.observe()
        if before is None or now is None or self._is_current(now):
            return
        if before.settings != now.settings or not now.holds(before.files, before.contents):
            logger.debug("dbt's manifest is not kept: files changed while dbt parsed")
            return
        raw, token = _raw(manifest), secrets.token_hex(16)
        try:
            _refuse_unseen(manifest, before)
            packed, refusal = _packed(take_apart(raw), token), ""
        except CannotCutError as error:
            logger.debug("dbt's manifest is not kept: %s", error)
            packed, refusal = _packed((), token), str(error)
        names = tuple(sorted(variables_of(raw) | _variables_of_settings()))
        origin = _Origin(
            *(before.settings, before.files, before.contents, names, variables_state(names)),
            *(token, _FORMAT, refusal),
        )
        try:
            self._project.make_state_dir()
            replace_file(self._records, packed)
            self._write(origin)
        except OSError as error:
            logger.debug("dbt's manifest is not kept: %s cannot be written: %s", self._records, error.strerror)

    def _forget(self) -> None:
        """Let the next parse write the records again."""
        try:
            self._origin.unlink(missing_ok=True)
        except OSError as error:
            logger.debug("%s cannot be removed: %s", self._origin, error.strerror)

    def _write(self, origin: _Origin) -> None:
        replace_file(self._origin, json.dumps(asdict(origin)).encode(errors="surrogateescape"))

    def _is_current(self, inputs: ParseInputs) -> bool:
        try:
            return bool(self._current(inputs))
        except CannotCutError as error:
            return str(error).startswith(_REFUSED)

    def _current(self, inputs: ParseInputs) -> _Origin:
        """Return what the records were parsed from when that is what is there now."""
        origin = self._read_origin()
        if (origin.format, origin.settings) != (_FORMAT, inputs.settings):
            raise CannotCutError("versions, the profile or DBT_ variables changed since the last parse")
        if variables_state(origin.variables) != origin.values:
            raise CannotCutError("an environment variable that it reads changed since the last parse")
        if not inputs.holds(origin.files, origin.contents):
            raise CannotCutError("a file changed since the last parse")
        if origin.refusal:
            raise CannotCutError(_REFUSED + origin.refusal)
        if origin.contents and not inputs.contents:
            self._settle(origin)
        return origin

    def _settle(self, origin: _Origin) -> None:
        """Note that the files are old enough: from now on their states suffice."""
        try:
            self._write(_Origin(**{**asdict(origin), "contents": {}}))
        except OSError as error:
            logger.debug("%s cannot be written: %s", self._origin, error.strerror)

    def _read_origin(self) -> _Origin:
        try:
            found = json.loads(self._origin.read_text(encoding="utf-8"))
            return _Origin(**{**found, "variables": tuple(found["variables"])})
        except OSError as error:
            raise CannotCutError(f"no manifest is kept: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise CannotCutError(f"{self._origin} is damaged: {error}") from error


class _DamagedError(CannotCutError):
    """The records are not those that were written."""


class _Records:
    """The records of one file.

    Args:
        path: The file.
        token: Stands in it.

    Raises:
        _DamagedError: When it cannot be opened; from `check` and `get`, when it is damaged or of another parse.
    """

    def __init__(self, path: Path, token: str) -> None:
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        except sqlite3.Error as error:
            raise _DamagedError(f"{path} cannot be read: {error}") from error
        self._path = path
        self._token = token

    def check(self) -> None:
        """Check that the records are those of the token's parse."""
        if self.get("token") != self._token:
            raise _DamagedError(f"{self._path} belongs to another parse")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def get(self, key: str) -> Any:
        """Return the value of a record, or None when there is none."""
        import msgpack

        try:
            row = self._connection.execute("select hash, content from record where key = ?", [key]).fetchone()
        except sqlite3.Error as error:
            raise _DamagedError(f"{self._path} is damaged: {error}") from error
        if row is None:
            return None
        if row[0] != _record_hash(key, row[1]):
            raise _DamagedError(f"{self._path} is damaged: record {key}")
        return msgpack.unpackb(row[1], raw=False)


def _packed(records: Iterable[tuple[str, Any]], token: str) -> bytes:
    """Return the content of a file of records, the token among them."""
    import msgpack

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table record (key text primary key, hash blob, content blob)")
        packed = ((key, msgpack.packb(value)) for key, value in chain([("token", token)], records))
        rows = ((key, _record_hash(key, content), content) for key, content in packed)
        connection.executemany("insert into record values (?, ?, ?)", rows)
        connection.commit()
        return connection.serialize()


def _record_hash(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + content).digest()


def _raw(manifest: Any) -> dict[str, Any]:
    """Return a manifest as dbt itself serializes it for its next parse, without the files' texts."""
    import msgpack
    from dbt.parser.manifest import extended_mashumaro_encoder

    slim = type(manifest)(**{name: getattr(manifest, name) for name in _PARTS})
    raw: dict[str, Any] = msgpack.unpackb(slim.to_msgpack(extended_mashumaro_encoder), raw=False)
    return raw


def _manifest(raw: Mapping[str, Any]) -> Any:
    """Return the manifest of a part, as dbt reads its own after a parse in which nothing changed."""
    import msgpack
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder
    from dbt_common.invocation import get_invocation_id

    manifest: Any = Manifest.from_msgpack(msgpack.packb(raw), decoder=extended_mashumuro_decoder)
    manifest.metadata.generated_at = datetime.now(UTC).replace(tzinfo=None)
    manifest.metadata.invocation_id = get_invocation_id()
    manifest.build_flat_graph()
    return manifest


def _refuse_unseen(manifest: Any, inputs: ParseInputs) -> None:
    """Refuse a project of which dbt reads files elsewhere than was looked at."""
    import dbt.include

    own = tuple(str(Path(path)) for path in dbt.include.__path__)
    for file in manifest.files.values():
        path = os.path.normpath(file.path.absolute_path)
        if path not in inputs.paths and not path.startswith(own):
            raise CannotCutError(f"dbt reads {path}")


def _variables_of_settings() -> set[str]:
    """Return the environment variables that the profile and dbt_project.yml read."""
    from dbt.adapters import factory

    adapters: Any = factory
    configs = [adapter.config for adapter in adapters.FACTORY.adapters.values()]
    return {name for config in configs for name in (*config.profile_env_vars, *config.project_env_vars)}
