"""EMR on loopback: moto's server answers the API, an engine moves clusters and steps, which moto never does by itself.

    with EmrSimulator() as emr:
        emr.clusters_to_come = [ClusterPlot(ends="bootstrap"), ClusterPlot()]
        …                                     # what Sluice rents meets these fates, one after the other

A step is run by a function: `pretend` leaves a small result at once; `SharedSparkSubmit` runs the real Spark job on
this machine. Trouble with the API itself is real HTTP.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import duckdb

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "lake"
TICK_SECONDS = 0.01
IDLE_SPEED = 120.0
"""Idle time passes so much faster than on AWS."""

ENDINGS = {
    "bootstrap": (
        "BOOTSTRAP_FAILURE",
        "On the master instance (i-1), bootstrap action 1 returned a non-zero return code",
    ),
    "no_capacity": ("VALIDATION_ERROR", "We currently do not have sufficient {type} capacity in the Availability Zone"),
    "spot": ("INSTANCE_FAILURE", "Core nodes are gone: Spot instances were reclaimed"),
    "instance": ("INSTANCE_FAILURE", "The master node was terminated"),
    "misconfigured": ("VALIDATION_ERROR", "The subnet configuration was invalid: subnet-1 has no route to S3"),
    "idle": ("ALL_STEPS_COMPLETED", "The cluster was idle"),
    "user": ("USER_REQUEST", "Terminated by user request"),
    "quota": ("VALIDATION_ERROR", "You have requested more vCPU capacity than your current vCPU limit of 32 allows"),
    "addresses": ("VALIDATION_ERROR", "The subnet has not enough free IP addresses"),
}

DENIED = (
    "Py4JJavaError: An error occurred while calling o82.parquet.\n: java.nio.file.AccessDeniedException: "
    "s3://lake/results: (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)"
)
"""What Spark says when S3 refuses."""

RunStep = Callable[["EmrSimulator", list[str]], str | None]
"""Runs spark-submit's arguments; returns why it failed, or None."""


@dataclass
class ClusterPlot:
    """What becomes of a cluster.

    Attributes:
        ends: A key of ENDINGS; None: it lives until it is told to end.
        after_steps: With `ends`: so many steps are run before; the next is under way when it ends. -1: it never starts.
        steps: Target → `failed`, `hangs`, `cut_off`: its manifest ends in the middle, `denied`: S3 refuses its writing;
            others are run.
        stays_starting: It is never ready.
        terminating_seconds: How long it is TERMINATING, without a reason and without taking steps, before it has ended.
        ignores_cancels: A step that is cancelled goes on.
    """

    ends: str | None = None
    after_steps: int = -1
    steps: Mapping[str, str] = field(default_factory=dict)
    stays_starting: bool = False
    terminating_seconds: float = 0.0
    ignores_cancels: bool = False


class EmrSimulator:
    """The server and the engine.

    Attributes:
        clusters_to_come: What becomes of the next clusters; afterwards all goes well.
        requests: Arguments of every RunJobFlow.
        trouble: Answers a call to EMR instead of moto: None, or `throttled`: two calls of each kind.
        down_after: After this call so many calls find the API down; None: it is up.
        answers_lost: Calls that are taken, and how often the connection then breaks before the answer.
        hidden_lists: For so many calls of ListClusters no cluster is listed: EMR shows a new one a moment later.
        called: Every call to EMR, by name.
        step_requests: Arguments of every AddJobFlowSteps.
        refusals: Code and message with which the next requests for a cluster are refused.
        unread_manifests: How often the reading of a manifest fails.
        ahead: How far EMR's clock is ahead of this machine's.
    """

    def __init__(self, run_step: RunStep | None = None) -> None:
        self.clusters_to_come: list[ClusterPlot] = []
        self.requests: list[dict[str, Any]] = []
        self.trouble: str | None = None
        self.down_after: tuple[str, int] | None = None
        self.answers_lost: dict[str, int] = {}
        self.hidden_lists = 0
        self.called: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.step_requests: list[dict[str, Any]] = []
        self.unread_manifests = 0
        self.ahead = timedelta(0)
        self._run_step = run_step or pretend
        self._plots: dict[str, ClusterPlot] = {}
        self._ended: dict[str, tuple[str, str]] = {}
        self._ended_at: dict[str, float] = {}
        self._idle_since: dict[str, float] = {}
        self._throttled: dict[str, int] = {}
        self._is_over = threading.Event()

    def __enter__(self) -> EmrSimulator:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        self._moto = DomainDispatcherApplication(create_backend_app)
        simulator = self

        class Handler(WSGIRequestHandler):
            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(datetime.now(UTC) + simulator.ahead, usegmt=True)

        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=Handler)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._server.serve_forever, self._live)
        ]
        from moto.emr.models import emr_backends

        self._backend = emr_backends[ACCOUNT][REGION]
        self._backend.clusters.clear()
        for thread in self._threads:
            thread.start()
        self.s3 = boto3.client("s3", **self.connection)
        self.s3.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    @property
    def connection(self) -> dict[str, str]:
        """What boto3 needs to reach it."""
        return {
            "endpoint_url": self.url,
            "region_name": REGION,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a Sluice that rents its clusters here, and is in a hurry."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SLUICE_SPARK_BACKEND": "emr",
            "SLUICE_EMR_WORK_URI": f"s3://{BUCKET}/sluice",
            "SLUICE_EMR_LOG_URI": f"s3://{BUCKET}/logs",
            "SLUICE_EMR_POLL_SECONDS": "0.05",
        }

    @property
    def states(self) -> list[str]:
        """States of all clusters, in the order in which they were rented."""
        return [cluster.state for cluster in self._clusters()]

    @property
    def live(self) -> list[str]:
        """Clusters that still cost money."""
        return [cluster.id for cluster in self._clusters() if not cluster.state.startswith("TERMINAT")]

    @property
    def core_types(self) -> list[str]:
        """Instance types of the core nodes that were asked for, in order."""
        groups = [group for request in self.requests for group in request["Instances"]["InstanceGroups"]]
        return [group["InstanceType"] for group in groups if group["InstanceRole"] == "CORE"]

    def forget(self) -> None:
        """Begin anew: no cluster, nothing asked, nothing in the lake."""
        self._backend.clusters.clear()
        for known in (self.clusters_to_come, self.requests, self.called, self._throttled, self._plots, self._ended):
            known.clear()
        self.down_after = None
        self.refusals.clear()
        self.step_requests.clear()
        self.unread_manifests, self.ahead = 0, timedelta(0)
        self.answers_lost.clear()
        self.hidden_lists = 0
        for key in self.keys(""):
            self.s3.delete_object(Bucket=BUCKET, Key=key)

    def rent_by_hand(self, name: str, tags: Mapping[str, str]) -> None:
        """Rent a cluster as somebody else would."""
        instances = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        client = boto3.client("emr", **self.connection)
        client.run_job_flow(Name=name, Instances=instances, Tags=listed, ReleaseLabel="emr-7.5.0")

    def wait_until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for something that happens in the engine."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(TICK_SECONDS)

    def step_words(self, cluster: int) -> list[list[str]]:
        """Return the arguments of a cluster's steps."""
        return [step.args for step in self._clusters()[cluster].steps]

    @property
    def open_steps(self) -> list[list[str]]:
        """The arguments of every step that runs or waits."""
        steps = [step for cluster in self._clusters() for step in cluster.steps]
        return [step.args for step in steps if step.state in ("PENDING", "RUNNING")]

    def steps(self, cluster: int) -> dict[str, str]:
        """Return the steps of a cluster, by target: their states."""
        return {step.name: step.state for step in self._clusters()[cluster].steps}

    def put_parquet(self, key: str, select: str) -> None:
        """Write DuckDB's result to the lake."""
        with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
            connection.execute(f"copy ({select}) to '{folder}/file.parquet' (format parquet)")
            self.s3.upload_file(f"{folder}/file.parquet", BUCKET, key)

    def keys(self, prefix: str) -> list[str]:
        """List what lies in the lake."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]

    @contextmanager
    def in_trouble(self, kind: str) -> Iterator[None]:
        """Let the API be in trouble for a while."""
        self.trouble = kind
        try:
            yield
        finally:
            self.trouble = None

    def _clusters(self) -> list[Any]:
        return list(self._backend.clusters.values())

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer one HTTP request: moto does, unless there is trouble."""
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if name:
            self.called.append(name)
        is_down = name != "" and self._is_down()
        if is_down or (name and self.trouble == "throttled" and self._throttles(name)):
            kind = "InternalFailure" if is_down else "ThrottlingException"
            status = "500 Internal Server Error" if is_down else "400 Bad Request"
            return _answer(start_response, status, {"__type": kind, "message": "Rate exceeded"})
        found = self._own_answer(name, environ, start_response)
        if found is not None:
            return found
        if name == "RunJobFlow":
            answer = self._moto(self._remember(environ), start_response)
            for cluster in self._clusters():
                if cluster.id not in self._plots:
                    self._plots[cluster.id] = self.clusters_to_come.pop(0) if self.clusters_to_come else ClusterPlot()
            self._lose_answer(name, environ)
            return answer
        for cluster in self._clusters():
            self._hold(cluster)
        if name == "ListClusters" and self.hidden_lists:
            self.hidden_lists -= 1
            return _answer(start_response, "200 OK", {"Clusters": []})
        answer = self._moto(environ, start_response)
        self._lose_answer(name, environ)
        return answer

    def _own_answer(self, name: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer what moto does not know; None: it does."""
        if name == "RunJobFlow" and self.refusals:
            kind, message = self.refusals.pop(0)
            return _answer(start_response, "400 Bad Request", {"__type": kind, "message": message})
        if name == "CancelSteps":
            return self._cancel(_body(environ), start_response)
        if name == "AddJobFlowSteps":
            body = _body(environ)
            self.step_requests.append(body)
            (cluster,) = [item for item in self._clusters() if item.id == body["JobFlowId"]]
            self._hold(cluster)
            if cluster.state.startswith("TERMINAT"):
                message = "A job flow that is shutting down, terminated, or finished may not be modified."
                return _answer(start_response, "400 Bad Request", {"__type": "ValidationException", "message": message})
        is_manifest = environ["REQUEST_METHOD"] == "GET" and environ.get("PATH_INFO", "").endswith(".manifest.json")
        if is_manifest and self.unread_manifests:
            self.unread_manifests -= 1
            return _answer(start_response, "500 Internal Server Error", {})
        return None

    def _cancel(self, body: Mapping[str, Any], start_response: Callable[..., Any]) -> Any:
        for cluster in self._clusters():
            for step in cluster.steps if not self._plots[cluster.id].ignores_cancels else ():
                if step.id in body["StepIds"]:
                    step.state, step.end_date_time = "CANCELLED", self._now()
        return _answer(start_response, "200 OK", {"CancelStepsInfoList": []})

    def _now(self) -> Any:
        from moto.core.utils import utcnow

        return utcnow() + self.ahead

    def _lose_answer(self, name: str, environ: Mapping[str, Any]) -> None:
        if self.answers_lost.get(name, 0):
            self.answers_lost[name] -= 1
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError

    def _is_down(self) -> bool:
        if self.down_after is None or self.down_after[0] not in self.called[:-1]:
            return False
        since = len(self.called) - 1 - self.called.index(self.down_after[0])
        return since <= self.down_after[1]

    def _throttles(self, name: str) -> bool:
        self._throttled[name] = self._throttled.get(name, 0) + 1
        return self._throttled[name] <= 2

    def _remember(self, environ: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(_body(environ))
        return environ

    def _live(self) -> None:
        while not self._is_over.wait(TICK_SECONDS):
            for number, cluster in enumerate(self._clusters()):
                self._move(number, cluster)

    def _move(self, number: int, cluster: Any) -> None:
        plot = self._plots.get(cluster.id)
        if plot is None or self._hold(cluster):
            return
        if plot.ends is not None and plot.after_steps < 0:
            self._end(cluster, plot.ends)
            return
        if not cluster.steps:
            self._rest(number, cluster)
            return
        self._work(number, cluster, plot)

    def _work(self, number: int, cluster: Any, plot: ClusterPlot) -> None:
        done = sum(step.state in ("COMPLETED", "FAILED") for step in cluster.steps)
        step = next((step for step in cluster.steps if step.state in ("PENDING", "RUNNING")), None)
        if step is None:
            self._rest(number, cluster)
            return
        self._idle_since.pop(cluster.id, None)
        cluster.state, step.state = "RUNNING", "RUNNING"
        step.start_date_time = step.start_date_time or self._now()
        if plot.ends is not None and done == plot.after_steps:
            self._end(cluster, plot.ends)
        elif plot.steps.get(step.name) == "failed":
            self._finish(step, "Unknown Error.")
        elif plot.steps.get(step.name) == "cut_off":
            _cut_off(self, step.args)
            self._finish(step, None)
        elif plot.steps.get(step.name) == "denied":
            _fail(self, step.args, DENIED)
            self._finish(step, "Exception from container-launch.")
        elif plot.steps.get(step.name) != "hangs":
            self._finish(step, self._run_step(self, step.args))

    def _finish(self, step: Any, trouble: str | None) -> None:
        step.end_date_time = self._now()
        step.last_state_change_reason = trouble
        step.state = "FAILED" if trouble else "COMPLETED"

    def _rest(self, number: int, cluster: Any) -> None:
        """Wait, until EMR's auto-termination policy ends it."""
        cluster.state = "WAITING"
        since = self._idle_since.setdefault(cluster.id, time.monotonic())
        policy = self.requests[number].get("AutoTerminationPolicy") if number < len(self.requests) else None
        if policy and (time.monotonic() - since) * IDLE_SPEED > policy["IdleTimeout"]:
            self._end(cluster, "idle")

    def _end(self, cluster: Any, ending: str) -> None:
        code, message = ENDINGS[ending]
        words = message.format(type=cluster.slave_instance_type)
        self._ended[cluster.id] = (
            "TERMINATED" if ending in ("idle", "user") else "TERMINATED_WITH_ERRORS",
            f"{code}: {words}",
        )
        cluster.end_datetime = self._now()
        self._ended_at[cluster.id] = time.monotonic()
        self._hold(cluster)

    def _hold(self, cluster: Any) -> bool:
        """Keep a cluster in a state that it does not leave (moto lets steps wake any); tell whether it is in one."""
        if cluster.id in self._ended:
            cluster.state, cluster.last_state_change_reason = self._ended[cluster.id]
            if time.monotonic() - self._ended_at[cluster.id] < self._plots[cluster.id].terminating_seconds:
                cluster.state, cluster.last_state_change_reason = "TERMINATING", ""
                return True
        if cluster.state in ("TERMINATED", "TERMINATED_WITH_ERRORS"):
            for step in cluster.steps:
                if step.state in ("PENDING", "RUNNING"):
                    step.state = "CANCELLED"
            return True
        if cluster.id in self._plots and self._plots[cluster.id].stays_starting:
            cluster.state = "STARTING"
            return True
        return False


def pretend(simulator: EmrSimulator, arguments: list[str]) -> str | None:
    """Leave a result of one row, all of it NULL, where the job's would be."""
    (job,) = json.loads(_get(simulator, arguments[-1]))["jobs"]
    folder = f"{job['output']}/attempt={job['attempt']}-1"
    columns = ", ".join(f'null::varchar as "{column["name"]}"' for column in job["columns"])
    simulator.put_parquet(urlsplit(f"{folder}/part-0.parquet").path.lstrip("/"), f"select {columns}")
    manifest = {
        "entries": [{"url": f"{folder}/part-0.parquet", "mandatory": True, "meta": {"content_length": 1}}],
        "schema": {"elements": [{"name": item["name"], "type": {"base": "string"}} for item in job["columns"]]},
        "meta": {"content_length": 1, "record_count": 1},
        "author": {"name": "sluice", "version": "1", "attempt": job["attempt"], "folder": folder, "seconds": 1.0},
    }
    _put(simulator, job["manifest"], json.dumps(manifest))
    return None


def _cut_off(simulator: EmrSimulator, arguments: list[str]) -> None:
    """Leave the first half of a manifest."""
    pretend(simulator, arguments)
    (job,) = json.loads(_get(simulator, arguments[-1]))["jobs"]
    text = _get(simulator, job["manifest"])
    _put(simulator, job["manifest"], text[: len(text) // 2])


def _fail(simulator: EmrSimulator, arguments: list[str], error: str) -> None:
    """Leave an error file, as the script does."""
    (job,) = json.loads(_get(simulator, arguments[-1]))["jobs"]
    _put(simulator, job["error"], json.dumps({"attempt": job["attempt"], "error": error, "seconds": 1.0}))


def _body(environ: dict[str, Any]) -> Any:
    """Return a request's document, and put it back for moto."""
    text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(text)
    return json.loads(text)


class SharedSparkSubmit:
    """Run the real script with one real spark-submit for all steps that wait: most of a short one is its start-up.

    S3 is copied to a folder before and back afterwards, for want of Hadoop's S3 client among PyPI's packages.
    """

    def __init__(self) -> None:
        self._ended: dict[str, str | None] = {}

    def __call__(self, simulator: EmrSimulator, arguments: list[str]) -> str | None:
        """Run a step, and with the first one those that wait behind it."""
        file = arguments[-1]
        if file not in self._ended:
            self._submit(simulator, arguments[-2], [words[-1] for words in simulator.open_steps])
        return self._ended[file]

    def _submit(self, simulator: EmrSimulator, script: str, files: list[str]) -> None:
        from flows.spark.local import spark_environment, submit_command
        from flows.spark.settings import SparkSettings

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            jobs = {file: json.loads(_get(simulator, file))["jobs"][0] for file in files}
            for location in {source["location"] for job in jobs.values() for source in job["sources"]}:
                _copy_here(simulator, location, folder)
            for functions in filter(None, {job["functions"] for job in jobs.values()}):
                _copy_here(simulator, functions, folder)
            (folder / "script.py").write_text(_get(simulator, script))
            (folder / "jobs.json").write_text(json.dumps({"jobs": [*jobs.values()]}).replace("s3://", f"{folder}/s3/"))
            environment = spark_environment()
            words = submit_command(
                SparkSettings(local_cores=1, options=("spark.sql.shuffle.partitions=1",)), environment
            )
            ended = subprocess.run(
                [*words, str(folder / "script.py"), str(folder / "jobs.json")],
                capture_output=True,
                text=True,
                env={**os.environ, **environment},
                check=False,
            )
            for file, job in jobs.items():
                _copy_back(simulator, job["output"], folder)
                address = urlsplit(job["manifest"])
                is_done = address.path.lstrip("/") in simulator.keys(address.path.lstrip("/"))
                self._ended[file] = None if is_done else f"Exited with code {ended.returncode}. {ended.stderr[-200:]}"


def _answer(start_response: Callable[..., Any], status: str, document: Mapping[str, Any]) -> list[bytes]:
    body = json.dumps(document).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))])
    return [body]


def _copy_here(simulator: EmrSimulator, url: str, folder: Path) -> None:
    address = urlsplit(url)
    for key in simulator.keys(address.path.lstrip("/")):
        path = folder / "s3" / address.netloc / key
        path.parent.mkdir(parents=True, exist_ok=True)
        simulator.s3.download_file(address.netloc, key, str(path))


def _copy_back(simulator: EmrSimulator, output: str, folder: Path) -> None:
    address = urlsplit(output)
    here = folder / "s3" / address.netloc
    for path in (here / address.path.lstrip("/")).rglob("*"):
        if path.is_file():
            body = (
                path.read_bytes().replace(f"{folder}/s3/".encode(), b"s3://")
                if path.suffix == ".json"
                else path.read_bytes()
            )
            simulator.s3.put_object(Bucket=address.netloc, Key=str(path.relative_to(here)), Body=body)


def _get(simulator: EmrSimulator, url: str) -> str:
    address = urlsplit(url)
    body: bytes = simulator.s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read()
    return body.decode()


def _put(simulator: EmrSimulator, url: str, text: str) -> None:
    address = urlsplit(url)
    simulator.s3.put_object(Bucket=address.netloc, Key=address.path.lstrip("/"), Body=text.encode())
