"""The checks of EMR: can a cluster be created with these settings? Only reads from AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flows.doctor.finding import CheckFinding, Level
from flows.spark.aws import aws_client
from flows.spark.settings import BackendName, EmrSettings, load_emr_settings, load_spark_settings
from flows.spark.sizing.prices import OLD_AFTER, load_instances
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, PipelineRow

_TRIES: Final = 2
_REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})


def examine_emr(context: Context) -> Iterator[CheckFinding]:
    """Check the settings when a row can run on EMR, and AWS when there are credentials.

    Args:
        context: The project.

    Raises:
        ConfigurationError: When a setting is invalid.
    """
    count = _spark_count(context.store.read_rows())
    if not count or load_spark_settings(context.project).backend is not BackendName.EMR:
        return
    settings = load_emr_settings(context.project)
    yield from _settings(settings, count)
    yield _prices(context, settings.region)
    import boto3

    if boto3.Session().get_credentials() is None:
        remedy = "Run `sluice doctor` on a machine that executes runs."
        yield CheckFinding("emr aws", Level.WARN, "no AWS credentials here: AWS was not checked", remedy)
        return
    for name, subject, call in _calls(settings):
        finding = _check_call(name, subject, call)
        yield finding
        if finding.level is Level.FAIL and name == "emr region":
            return  # the other calls would wait as long and fail in the same way


def _spark_count(rows: ControlRows) -> int:
    """Return how many targets can run on Spark according to their rows."""
    heavy = {row.pipeline_id for row in rows.pipelines if row.is_active and _may_be_heavy(row)}
    return sum(
        row.is_active and row.output_path is not None and row.pipeline_id in heavy for row in rows.transformations
    )


def _may_be_heavy(row: PipelineRow) -> bool:
    return row.engine is Engine.SPARK or (row.engine is Engine.AUTO and row.spark_threshold_gb is not None)


def _settings(settings: EmrSettings, count: int) -> Iterator[CheckFinding]:
    if settings.work_uri is None:
        remedy = "Set it to s3://bucket/prefix: the Spark script and the job files go there (docs/operations/emr.md)."
        yield CheckFinding(
            "emr settings", Level.FAIL, "SLUICE_EMR_WORK_URI is not set: no cluster can be created", remedy
        )
    if settings.log_uri is None:
        remedy = "Set it to s3://bucket/prefix to keep them."
        message = "SLUICE_EMR_LOG_URI is not set: EMR's logs are lost with the cluster"
        yield CheckFinding("emr settings", Level.WARN, message, remedy)
    if settings.work_uri and settings.log_uri:
        yield CheckFinding(
            "emr settings", Level.OK, f"{settings.release_label} in {settings.region} for {count} targets"
        )


def _prices(context: Context, region: str) -> CheckFinding:
    try:
        prices = load_instances(context.project).in_region(region)
    except ConfigurationError as error:
        return CheckFinding("emr prices", Level.FAIL, error.message, error.hint)
    age = context.now().date() - prices.as_of
    if age > OLD_AFTER:
        message = (
            f"the prices of {region} are of {prices.as_of}, {age.days // 30} months old: dollars and caps are as old"
        )
        return CheckFinding("emr prices", Level.WARN, message, f"sluice emr prices --region {region}")
    message = f"{len(prices.names)} instance types in {region}, as of {prices.as_of}"
    return CheckFinding("emr prices", Level.OK, message)


def _calls(settings: EmrSettings) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield the check's name, the AWS resource and the call that reads it."""

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


def _check_call(name: str, subject: str, call: Callable[[], Any]) -> CheckFinding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSED:
            return CheckFinding(name, Level.OK, f"{subject}: not checked, {error.operation_name} is not allowed here")
        remedy = "Correct the SLUICE_EMR_… setting or create the resource (docs/operations/emr.md)."
        return CheckFinding(name, Level.FAIL, f"{subject}: {error.response['Error'].get('Message') or error}", remedy)
    except BotoCoreError as error:
        remedy = "Check SLUICE_EMR_REGION, the credentials and the network connection to AWS."
        return CheckFinding(name, Level.FAIL, f"{subject}: AWS cannot be reached: {error}", remedy)
    return CheckFinding(name, Level.OK, f"{subject} exists")


def _name(role: str) -> str:
    return role.rpartition("/")[2]
