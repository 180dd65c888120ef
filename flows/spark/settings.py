"""Where Spark runs, and what a cluster is made with: `SLUICE_SPARK_*` and `SLUICE_EMR_*`. Rows hold none of these."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

_ROLE = r"^(arn:aws[\w-]*:iam::\d{12}:[\w-]+/)?[\w+=,.@/-]+$"
"""Name or ARN of a role, or of an instance profile."""
_Kind = TypeVar("_Kind", bound=BaseSettings)
Words = Annotated[tuple[str, ...], NoDecode]
S3Address = Annotated[str, Field(pattern=r"^s3://[^/]+(/.*)?$")]
Subnet = Annotated[str, Field(pattern=r"^subnet-\w+$")]
SecurityGroup = Annotated[str, Field(pattern=r"^sg-\w+$")]


class BackendName(StrEnum):
    """Where Spark runs."""

    LOCAL = "local"
    EMR = "emr"


class SparkSettings(BaseSettings):
    """Where Spark runs and how it reads.

    Attributes:
        backend: local: on this machine, for local lakes; emr: on a cluster for each run and job group.
        local_cores: Tasks at once on this machine.
        local_memory: Heap on this machine, as Java writes it.
        packages: Maven coordinates that spark-submit gets as --packages: what reads Iceberg, Hudi or Delta.
        catalog: The catalog of `options` that knows sources in Iceberg, Hudi or Delta as schema.table; None: they are
            read from their location.
        options: `key=value` words that spark-submit gets as --conf: catalogs, extensions, anything else.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_SPARK_", env_ignore_empty=True, extra="ignore", frozen=True)

    backend: BackendName = BackendName.LOCAL
    local_cores: int = Field(default=2, ge=1)
    local_memory: str = Field(default="1g", pattern=r"^[1-9]\d*[mg]$")
    packages: Words = ()
    catalog: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    options: Words = ()

    @field_validator("packages", "options", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _words(value)

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not word.startswith("spark.") or "=" not in word:
                raise ValueError(f"{word!r} is not spark.…=value")
        return value

    @property
    def submit_words(self) -> list[str]:
        """What spark-submit gets of them."""
        packages = ["--packages", ",".join(self.packages)] if self.packages else []
        return packages + [part for word in self.options for part in ("--conf", word)]


class EmrSettings(BaseSettings):
    """Which machines and prices sizing works with, and what a cluster on EC2 is made with.

    Attributes:
        region: AWS region.
        architecture: What bootstrap actions and jars need; None: they run on any.
        release_label: EMR's release; Spark 3.5, as on this machine.
        work_uri: Where the Spark script and the job files go, s3://bucket/prefix.
        log_uri: Where EMR copies its logs; None: nowhere.
        service_role: The role that EMR itself acts in.
        instance_profile: The role that the cluster's machines, and so the Spark job, act in.
        subnets: Subnets to try, in this order; none: the account's default.
        primary_security_group: Managed security group of the primary node; None: EMR's own. Likewise the next two.
        core_security_group: Managed security group of all other nodes.
        service_security_group: For EMR's access to private subnets.
        bootstrap: Scripts on S3 that run on every node before Spark starts.
        tags: More tags, as JSON.
        idle_minutes: EMR ends a cluster by itself that has done nothing for so long.
        start_minutes: A cluster that takes longer to start counts as not to be had.
        silence_minutes: For how long EMR may not answer while a cluster works.
        poll_seconds: How often EMR is asked how far it is.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_EMR_", env_ignore_empty=True, extra="ignore", frozen=True)

    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    architecture: Literal["x86_64", "arm64"] | None = None
    release_label: str = Field(default="emr-7.5.0", pattern=r"^emr-[67]\.\d+\.\d+$")
    work_uri: S3Address | None = None
    log_uri: S3Address | None = None
    service_role: str = Field(default="EMR_DefaultRole", pattern=_ROLE)
    instance_profile: str = Field(default="EMR_EC2_DefaultRole", pattern=_ROLE)
    subnets: Annotated[tuple[Subnet, ...], NoDecode] = ()
    primary_security_group: SecurityGroup | None = None
    core_security_group: SecurityGroup | None = None
    service_security_group: SecurityGroup | None = None
    bootstrap: Words = ()
    tags: dict[str, str] = Field(default_factory=dict)
    idle_minutes: int = Field(default=10, ge=1, le=10_080)
    start_minutes: float = Field(default=30.0, gt=0)
    silence_minutes: float = Field(default=15.0, gt=0)
    poll_seconds: float = Field(default=15.0, gt=0)

    @field_validator("subnets", "bootstrap", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _words(value)


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


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _load(kind: type[_Kind], project: Project) -> _Kind:
    try:
        return kind(_env_file=project.root / ".env")
    except ValidationError as error:
        first = error.errors()[0]
        name = str(kind.model_config["env_prefix"]) + str(first["loc"][0]).upper()
        raise ConfigurationError(
            f"{name} = {first['input']!r}: {first['msg']}.", "Mend the variable or the line in .env."
        ) from error
