"""Settings: `SLUICE_*` environment variables or the project's `.env`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from metadata_sync.redact import remember_secrets
from metadata_sync.rows.names import is_slug

_SECRET: Final = frozenset({"control_url", "prefect_auth"})
"""Settings whose values are never printed."""

_PREFIX: Final = "sluice_"


class Settings(BaseModel):
    """The settings of a process.

    Attributes:
        environment: The environment whose rows this process reads and writes.
        dbt_target: dbt target of this environment; the target of the same name by default.
        control_url: SQLAlchemy URL of the control database; the embedded SQLite file by default.
        duckdb_path: File of the embedded warehouse; `.sluice/<environment>.duckdb` by default.
        lock_wait_seconds: How long a command waits for another one that holds the embedded warehouse; 0 = it fails.
        tries: Maximum number of attempts per target in a run, while its failure is soft.
        retry_pause_seconds: The longest pause between two attempts.
        retry_minutes: How long a run starts new attempts when the pipeline has no `sla_minutes`.
        alert_channel: Channel of pipelines without a channel of their own or of their job group; None = no alerts.
        job_group_channels: Job group → channel, as JSON.
        alert_cooldown_minutes: Within this time a soft failure of the same target causes no second alert.
        soft_escalation_ticks: After this number of consecutive runs a soft failure becomes an error.
        heal_minutes: Interval at which `heal` checks a row while nothing has changed.
        chunk_rows: Approximate number of rows of one backfill load, if rows are distributed evenly.
        first_load_rows: Rows of a source from which the first load of a target is cut into chunks of about this many
            rows; 0 disables it.
        first_load_share: Greatest share of the time that chunks of first loads take, after the first chunk of a run.
        first_load_hours: Hours of the day in UTC, FROM-TO, in which they may begin; None = always.
        statement_timeout_seconds: Timeout of one query of the gate.
        load_timeout_seconds: Timeout of one load of the embedded warehouse; 0 disables it.
        prefect_port: Port of the local Prefect server of `sluice up`.
        prefect_host: IP address that it listens on; any other than loopback needs prefect_auth.
        prefect_auth: `user:password` that it requires; by default `sluice up` makes one.
        duckdb_directories: Folders and s3:// prefixes, separated by commas, that SELECTs of the embedded warehouse may
            read in addition to the locations of the rows.
        allowed_functions: Functions, separated by commas, that SELECTs may call in addition to the known ones.
        work_pool: Prefect work pool of the deployments of `sluice deploy`.
        docs_url: Where the pages of docs/ are published, so that alerts link to the runbook.
        redshift_usd_per_hour: Price of the cluster, all its nodes, for `sluice cost`; None: it shows no dollars.
        redshift_usd_per_rpu_hour: Price of one RPU for an hour, when the warehouse is a serverless workgroup.
        retention_days: Age in days at which `monitor` removes decisions, runs, resolved incidents and sent alerts, and
            Prefect's runs, logs and pages; 0 keeps all. The audit is kept for ever.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    environment: str = "dev"
    dbt_target: str | None = None
    control_url: str | None = Field(default=None, repr=False)
    duckdb_path: Path | None = None
    lock_wait_seconds: float = Field(default=600.0, ge=0)
    tries: int = Field(default=5, ge=1)
    retry_pause_seconds: float = Field(default=300.0, ge=0)
    retry_minutes: float = Field(default=15.0, ge=0)
    alert_channel: str | None = None
    job_group_channels: dict[str, str] = Field(default_factory=dict)
    alert_cooldown_minutes: float = Field(default=60.0, ge=0)
    soft_escalation_ticks: int = Field(default=3, ge=1)
    heal_minutes: float = Field(default=30.0, gt=0)
    chunk_rows: int = Field(default=20_000_000, ge=1)
    first_load_rows: int = Field(default=20_000_000, ge=0)
    first_load_share: float = Field(default=1.0, gt=0, le=1)
    first_load_hours: str | None = Field(default=None, pattern=r"^([01]?\d|2[0-3])-([01]?\d|2[0-4])$")
    statement_timeout_seconds: float = Field(default=300.0, gt=0)
    load_timeout_seconds: float = Field(default=14_400.0, ge=0)
    prefect_port: int = Field(default=4271, ge=1024, le=65535)
    prefect_host: str = "127.0.0.1"
    prefect_auth: str | None = Field(default=None, repr=False, pattern=r"^[^:]+:.+$")
    duckdb_directories: str | None = None
    allowed_functions: str | None = None
    work_pool: str = "sluice"
    docs_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    redshift_usd_per_hour: float | None = Field(default=None, gt=0)
    redshift_usd_per_rpu_hour: float | None = Field(default=None, gt=0)
    retention_days: int = Field(default=0, ge=0)

    @field_validator("environment", "work_pool")
    @classmethod
    def _check_environment(cls, value: str) -> str:
        if not is_slug(value):
            raise ValueError("must be lower case letters, digits, '_' or '-'")
        return value

    @field_validator("job_group_channels", mode="before")
    @classmethod
    def _parse_channels(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"must be JSON ({error})") from error

    @property
    def functions(self) -> frozenset[str]:
        """The names in `allowed_functions`."""
        return frozenset(name.strip().lower() for name in (self.allowed_functions or "").split(",") if name.strip())

    @property
    def target(self) -> str:
        """The dbt target of this environment."""
        return self.dbt_target or self.environment


def load_settings(project: Project) -> Settings:
    """Read the settings of a process that works on a project.

    Raises:
        ConfigurationError: When a variable has an invalid value.
    """
    remember_secrets(os.environ)
    try:
        settings = Settings.model_validate(_written_values(project.root / ".env"))
    except ValidationError as error:
        first = error.errors()[0]
        name = "SLUICE_" + str(first["loc"][0]).upper()
        shown = "" if first["loc"][0] in _SECRET else f" = {first['input']!r}"
        remedy = "Correct the variable or the line in .env."
        raise ConfigurationError(f"{name}{shown}: {first['msg']}.", remedy) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{project.root / '.env'} is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
        ) from error
    remember_secrets({name: getattr(settings, name) for name in _SECRET})
    return settings


def _written_values(env_file: Path) -> dict[str, str]:
    """Return the settings that the environment and `.env` name; the environment wins, an empty value counts as none.

    pydantic-settings does the same, and to import it takes longer than everything else that `status` does here.
    """
    written: dict[str, str] = {}
    if env_file.is_file():
        from dotenv import dotenv_values

        written = {name: value for name, value in dotenv_values(env_file).items() if value}
    named = [*written.items(), *((name, value) for name, value in os.environ.items() if value)]
    return {name.lower()[len(_PREFIX) :]: value for name, value in named if name.lower().startswith(_PREFIX)}


def control_database_url(project: Project, settings: Settings) -> str:
    """Return the SQLAlchemy URL of the control database; never print it, it may hold a password."""
    return settings.control_url or f"sqlite:///{project.state_dir / 'control.db'}"


def duckdb_path(project: Project, settings: Settings) -> Path:
    """Return the file of the embedded warehouse: one per environment, so that environments never share a watermark."""
    if settings.duckdb_path is None:
        return project.state_dir / f"{settings.environment}.duckdb"
    return (project.root / settings.duckdb_path.expanduser()).resolve()
