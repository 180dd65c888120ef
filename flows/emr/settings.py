"""Where Spark runs, and what a cluster is made with: `SLUICE_SPARK_*` and `SLUICE_EMR_*`. Rows hold none of these."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

_Kind = TypeVar("_Kind", bound=BaseSettings)
Words = Annotated[tuple[str, ...], NoDecode]


class BackendName(StrEnum):
    """Where Spark runs."""

    LOCAL = "local"


class SparkSettings(BaseSettings):
    """Where Spark runs and how it reads.

    Attributes:
        backend: local: on this machine, for local lakes.
        local_cores: Tasks at once on this machine.
        local_memory: Heap on this machine, as Java writes it.
        options: `key=value` words that spark-submit gets as --conf.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_SPARK_", env_ignore_empty=True, extra="ignore", frozen=True)

    backend: BackendName = BackendName.LOCAL
    local_cores: int = Field(default=2, ge=1)
    local_memory: str = Field(default="1g", pattern=r"^[1-9]\d*[mg]$")
    options: Words = ()

    @field_validator("options", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value


class EmrSettings(BaseSettings):
    """Which machines and prices sizing works with.

    Attributes:
        region: AWS region.
        architecture: What bootstrap actions and jars need; None: they run on any.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_EMR_", env_ignore_empty=True, extra="ignore", frozen=True)

    region: str = "us-east-1"
    architecture: Literal["x86_64", "arm64"] | None = None


def load_spark_settings(project: Project) -> SparkSettings:
    """Read where Spark runs.

    Raises:
        ConfigurationError: When a variable holds a value that it cannot.
    """
    return _load(SparkSettings, project)


def load_emr_settings(project: Project) -> EmrSettings:
    """Read what a cluster is made with.

    Raises:
        ConfigurationError: When a variable holds a value that it cannot.
    """
    return _load(EmrSettings, project)


def _load(kind: type[_Kind], project: Project) -> _Kind:
    try:
        return kind(_env_file=project.root / ".env")
    except ValidationError as error:
        first = error.errors()[0]
        name = str(kind.model_config["env_prefix"]) + str(first["loc"][0]).upper()
        raise ConfigurationError(
            f"{name} = {first['input']!r}: {first['msg']}.", "Mend the variable or the line in .env."
        ) from error
