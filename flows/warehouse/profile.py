"""The warehouse's connection settings: the environment's target in `profiles.yml`, read without dbt.

The file is dbt's, so dbt's Jinja works in it: `env_var(name, default)` and the filters `as_text`, `as_number`,
`as_bool` and `as_native`. Only the environment's target is rendered; variables of other targets may be unset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from metadata_sync.redact import remember_secrets
from metadata_sync.settings import Settings, duckdb_path

DIALECTS: Final[Mapping[str, str]] = {"duckdb": "duckdb", "postgres": "postgres", "redshift": "redshift"}
"""Adapter type → sqlglot dialect."""

SLUICE_SCHEMA: Final = "sluice"


@dataclass(frozen=True, slots=True)
class Profile:
    """One target of `profiles.yml`.

    Attributes:
        name: Name of the dbt profile.
        target: Name of the target.
        type: dbt adapter: duckdb, postgres or redshift.
        environment: The current environment.
        values: The target's entries, rendered. They may hold a password: never print them.
    """

    name: str
    target: str
    type: str
    environment: str
    values: Mapping[str, Any]

    @property
    def dialect(self) -> str:
        """The warehouse's SQL, as sqlglot names it."""
        return DIALECTS[self.type]

    @property
    def is_embedded(self) -> bool:
        """Whether the warehouse is a DuckDB file, which one process at a time may write."""
        return self.type == "duckdb"

    @property
    def database_file(self) -> Path:
        """File of the embedded warehouse."""
        return Path(str(self.values["path"]))

    @property
    def attached_files(self) -> Mapping[str, Path]:
        """Other files of the embedded warehouse that dbt attaches to read, by the name that it gives them."""
        entries = self.values.get("attach") or ()
        readable = [item for item in entries if isinstance(item, dict) and item.get("read_only") and "alias" in item]
        return {str(item["alias"]): Path(str(item["path"])) for item in readable}

    def physical_schema(self, schema: str) -> str:
        """Return the schema's name in the warehouse: on a server every environment except prod prefixes it.

        The macro `generate_schema_name` implements the same rule for dbt.
        """
        if self.environment == "prod" or self.is_embedded:
            return schema
        return f"{self.environment}_{schema}"


def load_profile(project: Project, settings: Settings) -> Profile:
    """Read the environment's target.

    Raises:
        ConfigurationError: When the file, its profile or the target is missing or cannot be rendered.
    """
    name = _profile_name(project)
    outputs = _outputs(project, name)
    if settings.target not in outputs:
        raise ConfigurationError(
            f"Environment {settings.environment!r} has no target {settings.target!r} in {project.profiles_file} "
            f"(profile {name!r} has: {', '.join(sorted(outputs))}).",
            "Set SLUICE_ENVIRONMENT to one of them, or SLUICE_DBT_TARGET to the target that serves this environment.",
        )
    environ = {**os.environ, **dbt_environment(project, settings)}
    values = _render(outputs[settings.target], _renderer(environ, project.profiles_file))
    if not isinstance(values, dict) or values.get("type") not in DIALECTS:
        kind = values.get("type") if isinstance(values, dict) else None
        raise ConfigurationError(
            f"Target {settings.target!r} in {project.profiles_file} has type {kind!r}.",
            f"Sluice works with {', '.join(DIALECTS)}.",
        )
    remember_secrets(environ)
    remember_secrets(values)
    if values["type"] == "duckdb":
        values["path"] = str(_embedded_file(project, settings, values))
    return Profile(name, settings.target, values["type"], settings.environment, values)


def dbt_environment(project: Project, settings: Settings) -> dict[str, str]:
    """Return the environment variables that make dbt use the same environment and the same DuckDB file.

    They include the entries of the project's `.env`; variables of the process take precedence. Sessions on PostgreSQL
    count in UTC, as on DuckDB and Spark, whatever zone the server, the database or the role is set to: a zone would
    change days and texts (libpq reads PGTZ: https://www.postgresql.org/docs/15/libpq-envars.html).
    """
    from dotenv import dotenv_values

    written = {name: value for name, value in dotenv_values(project.root / ".env").items() if value is not None}
    return {
        **{name: os.environ.get(name, value) for name, value in written.items()},
        "PGTZ": "UTC",
        "SLUICE_ENVIRONMENT": settings.environment,
        "SLUICE_DUCKDB_PATH": str(duckdb_path(project, settings)),
        "SLUICE_PROJECT_ROOT": str(project.root),
        "SLUICE_DUCKDB_DIRECTORIES": settings.duckdb_directories or "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": os.environ.get("DBT_SEND_ANONYMOUS_USAGE_STATS", "false"),
        "DO_NOT_TRACK": os.environ.get("DO_NOT_TRACK", "1"),
    }


def _profile_name(project: Project) -> str:
    path = project.dbt_dir / "dbt_project.yml"
    document = read_yaml(path)
    name = document.get("profile")
    if not isinstance(name, str):
        raise ConfigurationError(f"{path} names no profile.", "Add `profile: sluice`, as in profiles.yml.")
    return name


def _outputs(project: Project, name: str) -> Mapping[str, Any]:
    document = read_yaml(project.profiles_file)
    profile = document.get(name)
    outputs = profile.get("outputs") if isinstance(profile, dict) else None
    if not isinstance(outputs, dict) or not outputs:
        raise ConfigurationError(
            f"{project.profiles_file} has no profile {name!r} with outputs.",
            f"Add it, or name another profile in {project.dbt_dir / 'dbt_project.yml'}.",
        )
    return outputs


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Return the settings that a file of dbt holds; empty when it holds something else.

    Raises:
        ConfigurationError: When it cannot be read, or is not YAML.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", "Check the file's permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {error}", "Correct the file.") from error
    return document if isinstance(document, dict) else {}


def _embedded_file(project: Project, settings: Settings, values: Mapping[str, Any]) -> Path:
    """Return the DuckDB file of dbt and Sluice. Refuse a profile with another file: dbt would load into that one."""
    expected = duckdb_path(project, settings)
    if "path" not in values:
        raise ConfigurationError(
            f"Target {settings.target!r} in {project.profiles_file} has no path: "
            "dbt would load into memory, and the data would be lost.",
            "Add path: \"{{ env_var('SLUICE_DUCKDB_PATH') }}\".",
        )
    written = Path(str(values["path"])).expanduser()
    actual = (project.root / written).resolve()
    if actual != expected.resolve():
        raise ConfigurationError(
            f"Target {settings.target!r} writes {actual}, but the embedded warehouse of environment "
            f"{settings.environment!r} is {expected}.",
            "Use path: \"{{ env_var('SLUICE_DUCKDB_PATH') }}\" in profiles.yml, or set SLUICE_DUCKDB_PATH.",
        )
    return actual


_VARIABLE: Final = re.compile(
    r"""\{\{\s*env_var\(\s*(?P<mark>["'])(?P<name>\w+)(?P=mark)\s*"""
    r"""(?:,\s*(?P<default_mark>["'])(?P<default>[^"'\\]*)(?P=default_mark)\s*)?\)\s*\}\}"""
)
"""What most profiles hold. It is replaced here: importing Jinja takes longer than what most commands do."""


def _renderer(environ: Mapping[str, str], path: Path) -> Callable[[str], Any]:
    def env_var(name: str, default: str | None = None) -> str:
        value = environ.get(name, default)
        if value is None:
            raise ConfigurationError(
                f"{path} uses {name}, which is not set.", f"Set {name}, or add a default to env_var."
            )
        return value

    def render(text: str) -> Any:
        rest = _VARIABLE.sub("", text)
        if not any(mark in rest for mark in ("{{", "{%", "{#")) and not text.endswith("\n"):
            return _VARIABLE.sub(lambda found: env_var(found["name"], found["default"]), text)
        return _render_jinja(text, env_var, path)

    return render


def _render_jinja(text: str, env_var: Callable[..., str], path: Path) -> Any:
    import yaml
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    jinja.globals["env_var"] = env_var
    for name in ("as_text", "as_number", "as_bool", "as_native"):
        jinja.filters[name] = str
    is_native = any(name in text for name in ("as_number", "as_bool", "as_native"))
    try:
        rendered = jinja.from_string(text).render()
        return yaml.safe_load(rendered) if is_native else rendered
    except ConfigurationError:
        raise
    except Exception as error:  # a template may raise any exception
        raise ConfigurationError(f"{path} cannot be rendered: {error}", "Only env_var() may be used in it.") from error


def _render(value: Any, render: Callable[[str], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _render(item, render) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item, render) for item in value]
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return render(value)
    return value
