"""The check-up of EMR: can a cluster be rented as the settings say? Nothing is rented, AWS is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flows.doctor.finding import Finding, Level
from flows.spark.aws import aws_client
from flows.spark.settings import BackendName, EmrSettings, load_emr_settings, load_spark_settings
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, PipelineRow

_TRIES: Final = 2
_REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})


def examine_emr(context: Context) -> Iterator[Finding]:
    """Look at the settings when any row can go to Spark on EMR, and at AWS when there are credentials.

    Args:
        context: The project.

    Raises:
        ConfigurationError: When a setting cannot be what it says; the finding of it.
    """
    count = _spark_count(context.store.read_rows())
    if not count or load_spark_settings(context.project).backend is not BackendName.EMR:
        return
    settings = load_emr_settings(context.project)
    yield from _settings(settings, count)
    import boto3

    if boto3.Session().get_credentials() is None:
        yield Finding("emr aws", Level.WARN, "no AWS credentials here: AWS was not asked", "Look where runs run.")
        return
    for name, doing, ask in _questions(settings):
        finding = _asked(name, doing, ask)
        yield finding
        if finding.level is Level.FAIL and name == "emr region":
            return  # the rest would wait as long, and say the same


def _spark_count(rows: ControlRows) -> int:
    """Return how many targets can go to Spark as the rows say."""
    heavy = {row.pipeline_id for row in rows.pipelines if row.is_active and _may_be_heavy(row)}
    return sum(
        row.is_active and row.output_path is not None and row.pipeline_id in heavy for row in rows.transformations
    )


def _may_be_heavy(row: PipelineRow) -> bool:
    return row.engine is Engine.SPARK or (row.engine is Engine.AUTO and row.spark_threshold_gb is not None)


def _settings(settings: EmrSettings, count: int) -> Iterator[Finding]:
    if settings.work_uri is None:
        remedy = "Set it to s3://bucket/prefix: the Spark script and the job files go there (docs/operations/emr.md)."
        yield Finding("emr settings", Level.FAIL, "SLUICE_EMR_WORK_URI is not set: no cluster can be rented", remedy)
    if settings.log_uri is None:
        remedy = "Set it to s3://bucket/prefix, or live without."
        yield Finding("emr settings", Level.WARN, "SLUICE_EMR_LOG_URI is not set: EMR's logs go with it", remedy)
    if settings.work_uri and settings.log_uri:
        yield Finding("emr settings", Level.OK, f"{settings.release_label} in {settings.region} for {count} targets")


def _questions(settings: EmrSettings) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield what is asked: the check, what AWS calls it, the call."""

    def client(service: str) -> Any:
        return aws_client(service, settings.region, tries=_TRIES)

    yield "emr region", settings.region, lambda: client("emr").list_clusters(ClusterStates=["STARTING"])
    yield (
        "emr service role",
        settings.service_role,
        lambda: client("iam").get_role(RoleName=_name(settings.service_role)),
    )
    profile = settings.instance_profile
    yield "emr machines' role", profile, lambda: client("iam").get_instance_profile(InstanceProfileName=_name(profile))
    if settings.subnets:
        named = list(settings.subnets)
        yield "emr subnets", ", ".join(named), lambda: client("ec2").describe_subnets(SubnetIds=named)
    for address in dict.fromkeys(filter(None, (settings.work_uri, settings.log_uri))):
        bucket = urlsplit(address).netloc
        yield "emr bucket", address, lambda bucket=bucket: client("s3").head_bucket(Bucket=bucket)  # type: ignore[misc]


def _asked(name: str, subject: str, ask: Callable[[], Any]) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSED:
            return Finding(name, Level.OK, f"{subject}: not looked at, for {error.operation_name} is not allowed here")
        remedy = "Mend SLUICE_EMR_… or make what it names (docs/operations/emr.md)."
        return Finding(name, Level.FAIL, f"{subject}: {error.response['Error'].get('Message') or error}", remedy)
    except BotoCoreError as error:
        remedy = "Mend SLUICE_EMR_REGION, credentials, or the way to AWS."
        return Finding(name, Level.FAIL, f"{subject}: AWS cannot be asked: {error}", remedy)
    return Finding(name, Level.OK, f"{subject} is there")


def _name(role: str) -> str:
    return role.rpartition("/")[2]
