"""Ask Spark's own analyzer about the SELECTs of rows before a cluster is paid for, when Spark is installed here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flows.spark.jobs import FUNCTIONS
from flows.spark.local import spark_environment, submit_command
from flows.spark.settings import SparkSettings
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.spark import SparkSelect, spark_problems, translate
from metadata_sync.errors import ConfigurationError, Fault
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.resolve import is_active
from metadata_sync.rows.vocabulary import Engine

SCRIPT: Final = Path(__file__).with_name("analysis_job.py")
_LOOK_EVERY: Final = 0.2
_SAID_EVERY: Final = 10.0
"""Seconds between looks at Spark's answers, and between two sentences about what takes long."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What Spark's analyzer said.

    Attributes:
        faults: The SELECTs that it does not take.
        count: How many SELECTs go to Spark.
        is_installed: Whether Spark is installed here.
        unanswered: The targets whose SELECTs it did not answer in its time.
    """

    faults: tuple[Fault, ...] = ()
    count: int = 0
    is_installed: bool = False
    unanswered: tuple[str, ...] = ()


def analyzer_faults(
    catalog: Catalog, load_settings: Callable[[], SparkSettings], say: Callable[[str], None] = lambda _: None
) -> Asked:
    """Find rows whose SELECT Spark itself does not take.

    Args:
        catalog: The rows with the tables and columns that are known.
        load_settings: Returns Spark's options and packages; called only when a SELECT goes to Spark.
        say: Tells what takes long.

    Raises:
        ConfigurationError: When Spark is installed and does not start.
    """
    selects = spark_selects(catalog)
    if not selects:
        return Asked()
    settings = load_settings()
    try:
        spark_environment(settings.home)
    except ConfigurationError:
        return Asked(count=len(selects))
    answers = ask_spark(selects, settings, say)
    faults = tuple(_fault(target, answer) for target, answer in answers.items() if answer is not None)
    return Asked(
        faults, len(selects), is_installed=True, unanswered=tuple(target for target in selects if target not in answers)
    )


def spark_selects(catalog: Catalog) -> dict[str, SparkSelect]:
    """Return the translated SELECTs of the rows that their pipeline sends to Spark, always or by their size.

    Args:
        catalog: The rows with the tables and columns that are known.

    Returns:
        The SELECTs that the translation does not refuse, by target.
    """
    rows = [row for row in catalog.rows.transformations if _may_run_on_spark(row, catalog.rows)]
    found = {str(row.name): translate(row, catalog, {}) for row in rows if not spark_problems(row, catalog)}
    return {target: select for target, select in found.items() if isinstance(select, SparkSelect)}


def _may_run_on_spark(row: TransformationRow, rows: ControlRows) -> bool:
    pipeline = rows.pipeline(row.pipeline_id)
    if pipeline is None or row.output_path is None or not is_active(row, rows):
        return False
    is_by_size = pipeline.engine is Engine.AUTO and pipeline.spark_threshold_gb is not None
    return pipeline.engine is Engine.SPARK or is_by_size


def ask_spark(
    selects: Mapping[str, SparkSelect], settings: SparkSettings, say: Callable[[str], None] = lambda _: None
) -> dict[str, str | None]:
    """Plan SELECTs on Spark over empty tables, in one session; Spark is ended when it takes too long.

    Args:
        selects: The SELECTs, by target.
        settings: Spark's options and packages, and how long it may take.
        say: Tells what takes long.

    Returns:
        Spark's error of each SELECT; None: it takes it. A SELECT that it did not answer in its time is left out.

    Raises:
        ConfigurationError: When Spark is not installed or does not start.
    """
    from flows.spark.spark_job import SESSION

    questions = {
        target: {"sql": select.sql, "views": {view: list(columns) for view, columns in select.schemas.items()}}
        for target, select in selects.items()
    }
    environment = spark_environment(settings.home)
    words = submit_command(settings.model_copy(update={"local_cores": 1}), environment)
    with tempfile.TemporaryDirectory() as folder:
        asked, answers, log = (Path(folder) / name for name in ("questions.json", "answers.jsonl", "log"))
        asked.write_text(json.dumps({"session": SESSION, "selects": questions, "functions": str(FUNCTIONS)}), "utf-8")
        command = [*words, str(SCRIPT), str(asked), str(answers)]
        has_ended = _run(command, environment, log, _Patience(answers, len(selects), settings.check_seconds, say))
        lines = _lines(answers)
        if not lines and has_ended:
            last = (log.read_text("utf-8", "replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise ConfigurationError(f"Spark did not start to check SELECTs: {last}", "Run `sluice doctor`.")
    found = (json.loads(line) for line in lines[1:])
    return {answer["target"]: answer["error"] for answer in found}


def _lines(answers: Path) -> list[str]:
    """Return the whole lines of the answers so far."""
    text = answers.read_text("utf-8") if answers.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


@dataclass
class _Patience:
    """Waits for Spark as long as it goes on: its start has a time, and so has each SELECT.

    Attributes:
        answers: Where Spark writes.
        count: How many SELECTs it answers.
        seconds: How long its start may take; a SELECT has half of that.
        say: Tells what takes long.
    """

    answers: Path
    count: int
    seconds: int
    say: Callable[[str], None]
    _known: int = 0
    _since: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Whether the start, or the SELECT that Spark looks at, has taken its time."""
        now, known = time.monotonic(), len(_lines(self.answers))
        if known > self._known:
            self._known, self._since = known, now
        if now - self._said > _SAID_EVERY:
            self._said = now
            what = f"has answered {known - 1} of {self.count} SELECTs" if known else "is starting"
            self.say(f"Spark's analyzer {what}, {now - self._began:.0f} s.")
        return now - self._since > (self.seconds / 2 if known else self.seconds)


def _run(command: list[str], environment: Mapping[str, str], log: Path, patience: _Patience) -> bool:
    """Run Spark until it ends, or until its time is over; then it is killed with its children. Return if it ended."""
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 - our own script
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            while not patience.is_over():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY)
                    return True
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _fault(target: str, answer: str) -> Fault:
    message = f"Spark's analyzer does not take the SELECT: {answer.rstrip('.')}."
    remedy = "Write it another way, or use engine: warehouse."
    return Fault("transformation_control", target, "sql_path", None, "spark_analyzer", message, remedy)
