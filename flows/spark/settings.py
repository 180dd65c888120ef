"""Settings of Spark and of EMR clusters: `SLUICE_SPARK_*` and `SLUICE_EMR_*`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
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


FleetStrategy = Literal["price-capacity-optimized", "capacity-optimized", "lowest-price", "diversified"]
"""EMR's allocation strategies for spot: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html."""


class BackendName(StrEnum):
    """Where Spark runs."""

    LOCAL = "local"
    EMR = "emr"


class SparkSettings(BaseSettings):
    """Settings of Spark.

    Attributes:
        backend: local: on this machine, for local lakes; emr: on a cluster for each run and job group.
        local_cores: Parallel tasks on this machine.
        local_memory: Heap on this machine, in Java's notation.
        check_seconds: How long `sluice validate` waits for Spark to start; for each SELECT it waits half as long.
        home: The folder of the Spark that runs on this machine; None: that of the package pyspark.
        packages: Maven coordinates for spark-submit --packages, to read Iceberg, Hudi or Delta.
        catalog: The catalog, defined in `options`, in which Iceberg, Hudi or Delta sources are schema.table; None: they
            are read from their location.
        options: `key=value` pairs for spark-submit --conf: catalogs, extensions and others.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_SPARK_", env_ignore_empty=True, extra="ignore", frozen=True)

    backend: BackendName = BackendName.LOCAL
    local_cores: int = Field(default=2, ge=1)
    local_memory: str = Field(default="1g", pattern=r"^[1-9]\d*[mg]$")
    check_seconds: int = Field(default=60, ge=1)
    home: Path | None = None
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
        """The options for spark-submit."""
        packages = ["--packages", ",".join(self.packages)] if self.packages else []
        return packages + [part for word in self.options for part in ("--conf", word)]


class EmrSettings(BaseSettings):
    """Settings of clusters on EMR.

    Attributes:
        region: AWS region.
        architecture: The CPU architecture that bootstrap actions and jars need; None: any.
        primary_type: Instance type of the primary nodes; None: m5.xlarge, or m6g.xlarge for arm64.
        release_label: EMR's release: Spark 3.5, or 4 of the releases emr-spark-8.
        work_uri: Folder of the Spark script and the job files, s3://bucket/prefix.
        log_uri: Folder to which EMR copies its logs; None: logs are not kept.
        service_role: EMR's service role.
        instance_profile: Instance profile of the cluster's machines, and so of the Spark job.
        subnets: Subnets to try, in this order; empty: the account's default.
        primary_security_group: Managed security group of the primary node; None: EMR's own, also for the next two.
        core_security_group: Managed security group of all other nodes.
        service_security_group: For EMR's access to private subnets.
        bootstrap: Scripts on S3 that run on every node before Spark starts.
        fleet_strategy: How EMR allocates spot nodes of instance fleets; None: instance groups.
        security_configuration: Name of EMR's security configuration; None: none.
        runtime_role: ARN of the role that steps run as; None: the instance profile.
        configurations: Classifications of EMR, as JSON.
        ebs_gb: Size of one gp3 volume per node; None: EMR's default.
        step_concurrency: Steps that run at once.
        tags: More tags, as JSON.
        idle_minutes: EMR terminates a cluster that is idle for this long.
        start_minutes: A cluster that takes longer to start counts as a lack of capacity.
        silence_minutes: How long EMR may fail to answer while a cluster works.
        poll_seconds: Interval of reading the state of a cluster.
        step_limit: How many times its forecast a step may take; a pipeline's emr_step_limit replaces it.
        step_minutes: No step is cancelled before it has run this long.
    """

    model_config = SettingsConfigDict(env_prefix="SLUICE_EMR_", env_ignore_empty=True, extra="ignore", frozen=True)

    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    architecture: Literal["x86_64", "arm64"] | None = None
    primary_type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")
    release_label: str = Field(default="emr-7.13.0", pattern=r"^emr-([67]\.\d+\.\d+|spark-8(\.\d+\.\d+)?)$")
    work_uri: S3Address | None = None
    log_uri: S3Address | None = None
    service_role: str = Field(default="EMR_DefaultRole", pattern=_ROLE)
    instance_profile: str = Field(default="EMR_EC2_DefaultRole", pattern=_ROLE)
    subnets: Annotated[tuple[Subnet, ...], NoDecode] = ()
    primary_security_group: SecurityGroup | None = None
    core_security_group: SecurityGroup | None = None
    service_security_group: SecurityGroup | None = None
    bootstrap: Words = ()
    fleet_strategy: FleetStrategy | None = None
    security_configuration: str | None = Field(default=None, min_length=1, max_length=10_280)
    runtime_role: str | None = Field(default=None, pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+$")
    configurations: tuple[dict[str, Any], ...] = ()
    ebs_gb: int | None = Field(default=None, ge=10, le=16_384)
    step_concurrency: int = Field(default=1, ge=1, le=256)
    tags: dict[str, str] = Field(default_factory=dict)
    idle_minutes: int = Field(default=10, ge=1, le=10_080)
    start_minutes: float = Field(default=30.0, gt=0)
    silence_minutes: float = Field(default=15.0, gt=0)
    poll_seconds: float = Field(default=15.0, gt=0)
    step_limit: float = Field(default=5.0, ge=1, allow_inf_nan=False)
    step_minutes: float = Field(default=60.0, gt=0, allow_inf_nan=False)

    @field_validator("subnets", "bootstrap", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _words(value)

    @field_validator("configurations")
    @classmethod
    def _check_configurations(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        nameless = next((item for item in value if not item.get("Classification")), None)
        if nameless is not None:
            raise ValueError(f"{nameless!r} has no Classification")
        return value

    @model_validator(mode="after")
    def _check_runtime_role(self) -> EmrSettings:
        if self.runtime_role is not None and self.security_configuration is None:
            raise ValueError("SLUICE_EMR_RUNTIME_ROLE needs a SLUICE_EMR_SECURITY_CONFIGURATION that allows it")
        return self


def load_spark_settings(project: Project) -> SparkSettings:
    """Read the settings of Spark.

    Raises:
        ConfigurationError: When a variable has an invalid value.
    """
    return _load(SparkSettings, project)


def load_emr_settings(project: Project) -> EmrSettings:
    """Read the settings of clusters.

    Raises:
        ConfigurationError: When a variable has an invalid value.
    """
    return _load(EmrSettings, project)


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _load(kind: type[_Kind], project: Project) -> _Kind:
    try:
        return kind(_env_file=project.root / ".env")
    except ValidationError as error:
        first = error.errors()[0]
        name = str(kind.model_config["env_prefix"]) + (str(first["loc"][0]).upper() if first["loc"] else "…")
        raise ConfigurationError(
            f"{name} = {first['input']!r}: {first['msg']}.", "Correct the variable or the line in .env."
        ) from error
