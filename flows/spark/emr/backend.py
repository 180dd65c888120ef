"""EMR on EC2: a cluster for each run and job group, one step for each job, terminated in every case.

Three mechanisms terminate a cluster: `close` at every exit of a run; EMR's auto-termination policy, when the run's
process is gone and the steps are done; and the sweep (`sweep.py`), which finds clusters by their tags whose lease has
expired. A cluster or step whose response was lost is found and used, never requested twice (`idempotency.py`).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import uuid4

from flows.run.leases import LeaseKeeper
from flows.spark.aws import aws_client, aws_errors
from flows.spark.backend import OnStep, Order, Say
from flows.spark.emr.calls import end_cluster
from flows.spark.emr.cluster import EmrCluster
from flows.spark.emr.clusters import ManagedCluster, managed_clusters
from flows.spark.emr.idempotency import call_once
from flows.spark.emr.request import cluster_request
from flows.spark.jobs import FUNCTIONS, SparkJob
from flows.spark.local import SCRIPT, utc_now
from flows.spark.settings import EmrSettings, SparkSettings
from metadata_sync.analysis.lake_location import partition_columns
from metadata_sync.errors import ConfigurationError, RunError, StoreError

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore

logger = logging.getLogger(__name__)

_UPLOADS_AT_ONCE: Final = 8

Sleep = Callable[[float], None]


def lease_of(token: str) -> str:
    """Return the name of the lease of the process that waits for the cluster with this token."""
    return f"emr.{token}"


class EmrBackend:
    """Creates clusters.

    Args:
        settings: Settings of clusters.
        spark: Packages and options of Spark.
        store: Holds the lease of each cluster, which tells the sweep that a run waits for it.
        owner_tag: Tag of the clusters of this control database.
        clock: Returns the current instant, with its zone.
        sleep: Waits a number of seconds.

    Raises:
        ConfigurationError: When SLUICE_EMR_WORK_URI is not set.
    """

    name = "emr"

    def __init__(
        self,
        settings: EmrSettings,
        spark: SparkSettings,
        store: ControlStore,
        owner_tag: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Sleep = time.sleep,
    ) -> None:
        if settings.work_uri is None:
            raise ConfigurationError(
                "SLUICE_SPARK_BACKEND is emr, but SLUICE_EMR_WORK_URI is not set.",
                "Set it to s3://bucket/prefix: the Spark script and the job files go there (docs/operations/emr.md).",
            )
        self.settings = settings
        self.spark = spark
        self.work_uri = settings.work_uri.rstrip("/")
        self.clock = clock
        self.sleep = sleep
        self.emr = aws_client("emr", settings.region)
        self.emr_once = aws_client("emr", settings.region, tries=1)
        self._store = store
        self._owner_tag = owner_tag

    @property
    def places(self) -> tuple[str | None, ...]:
        """The subnets to try, in order; with instance fleets EMR itself chooses among them."""
        return (None,) if self.settings.fleet_strategy is not None else self.settings.subnets or (None,)

    def obstacle(self, job: SparkJob) -> str | None:
        """Refuse a source or output that is not on S3: a cluster cannot access it. Copies of text files go there."""
        for source in job.text_sources:
            if partition_columns(source.location or ""):
                return (
                    f"a cluster does not read {source.key}, text files in partition folders. "
                    "Land it as Parquet, or run it in the warehouse: --engine warehouse."
                )
        local = next((place for place in job.places if not place.startswith("s3://")), None)
        if local is None:
            return None
        return (
            f"a cluster reads and writes s3:// only, not {local}. "
            "Move it to S3, set SLUICE_SPARK_BACKEND=local, or run it in the warehouse: --engine warehouse."
        )

    def start(self, order: Order, say: Say, on_step: OnStep) -> EmrCluster:
        """Request a cluster. It is not ready yet, but costs money from now on.

        Args:
            order: The request.
            say: Prints progress.
            on_step: Called when a step starts.

        Raises:
            RunError: When EMR refuses the request.
        """
        script, functions = self._put_code(SCRIPT), self._put_code(FUNCTIONS)
        token = uuid4().hex[:12]
        with ExitStack() as lease:
            keeper = lease.enter_context(LeaseKeeper(self._store, run_id=order.run_id, held_by=order.owner))
            keeper.take([lease_of(token)])
            requested_at = self.clock()
            try:
                cluster_id = self._rent(order, token)
            except (KeyboardInterrupt, SystemExit):
                self.end_others(order, token)
                raise
            return EmrCluster(self, order, cluster_id, token=token, code=(script, functions), requested_at=requested_at,
                              say=say, on_step=on_step, lease=lease.pop_all())  # fmt: skip

    def _put_code(self, file: Path) -> str:
        """Write a file of Sluice to S3, in a folder named by its content, and return its address."""
        text = file.read_text("utf-8")
        address = f"{self.work_uri}/code/{hashlib.sha256(text.encode()).hexdigest()[:12]}/{file.name}"
        self.put(address, text)
        return address

    def end_others(self, order: Order, token: str, kept: str | None = None) -> None:
        """Terminate other clusters of an order, which exist when a response was lost. Never raises."""
        try:
            with aws_errors("looking for clusters whose response was lost"):
                others = [item for item in self._find_rented(order, token) if item.cluster_id != kept]
            for item in others:
                end_cluster(self.emr, item.cluster_id, is_protected=item.is_protected)
        except RunError as error:
            logger.warning("emr.not_looked_for run_id=%s error=%s", order.run_id, error.message)

    def _rent(self, order: Order, token: str) -> str:
        request = cluster_request(order, self.settings, self._tags(order, token))
        return call_once(
            f"creating a cluster of {order.sizing}",
            lambda: str(self.emr_once.run_job_flow(**request)["JobFlowId"]),
            lambda: next((item.cluster_id for item in self._find_rented(order, token)), None),
            self.sleep,
        )

    def _find_rented(self, order: Order, token: str) -> list[ManagedCluster]:
        with aws_errors("listing clusters"):
            ours = managed_clusters(self.emr, order.environment, self._owner_tag)
            return [item for item in ours if item.token == token]

    def holds_lease(self, token: str) -> bool:
        """Whether the lease of a cluster is still held; yes while the control database does not answer."""
        try:
            return any(lease.target == lease_of(token) and not lease.is_expired for lease in self._store.leases())
        except StoreError:
            return True

    def put(self, url: str, text: str) -> None:
        """Write a small file to S3.

        Raises:
            RunError: When S3 refuses or does not answer.
        """
        address = urlsplit(url)
        with aws_errors(f"writing {url}"):
            aws_client("s3", self.settings.region).put_object(
                Bucket=address.netloc, Key=address.path.lstrip("/"), Body=text.encode()
            )

    def with_copies(self, job: SparkJob) -> SparkJob:
        """Put the copies of text files that a job reads into S3, unless they are there; return the job that reads them.

        Raises:
            RunError: When S3 refuses or does not answer.
        """
        local = {path for found in job.files.values() for path in found.paths if not path.startswith("s3://")}
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE, thread_name_prefix="sluice-copies") as pool:
            places = dict(zip(local, pool.map(self._put_copy, local), strict=True))
        files = {
            view: replace(found, paths=tuple(places.get(path, path) for path in found.paths))
            for view, found in job.files.items()
        }
        return replace(job, files=files)

    def _put_copy(self, path: str) -> str:
        """Write a file below a name of its content, and return its address."""
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            address = urlsplit(f"{self.work_uri}/copies/{digest}.parquet")
            bucket, key = address.netloc, address.path.lstrip("/")
            with aws_errors(f"writing {address.geturl()}"):
                client = aws_client("s3", self.settings.region)
                if not client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
                    file.seek(0)
                    client.upload_fileobj(file, bucket, key)
        return address.geturl()

    def _tags(self, order: Order, token: str) -> dict[str, str]:
        return {
            "owner": self._owner_tag,
            "environment": order.environment,
            "job-group": order.job_group,
            "run-id": order.run_id,
            "requested-by": order.owner,
            "lease": token,
        }
