"""Ask Spark's own analyzer about the SELECTs of rows before a cluster is paid for, when Spark is installed here."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
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
_SECONDS: Final = 300
"""How long Spark may take; it starts in a few seconds."""


def analyzer_faults(catalog: Catalog, load_settings: Callable[[], SparkSettings]) -> tuple[list[Fault], int, bool]:
    """Find rows whose SELECT Spark itself does not take.

    Args:
        catalog: The rows with the tables and columns that are known.
        load_settings: Returns Spark's options and packages; called only when a SELECT goes to Spark.

    Returns:
        The faults, how many SELECTs go to Spark, and whether it was asked: it may not be installed here.

    Raises:
        ConfigurationError: When Spark is installed and does not start.
    """
    selects = spark_selects(catalog)
    if not selects:
        return [], 0, False
    settings = load_settings()
    try:
        spark_environment(settings.home)
    except ConfigurationError:
        return [], len(selects), False
    answers = ask_spark(selects, settings)
    faults = [_fault(target, answer) for target, answer in answers.items() if answer is not None]
    return faults, len(selects), True


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


def ask_spark(selects: Mapping[str, SparkSelect], settings: SparkSettings) -> dict[str, str | None]:
    """Plan SELECTs on Spark over empty tables, in one session.

    Args:
        selects: The SELECTs, by target.
        settings: Spark's options and packages.

    Returns:
        Spark's error of each SELECT; None: it takes it.

    Raises:
        ConfigurationError: When Spark is not installed, does not start or does not end.
    """
    from flows.spark.spark_job import SESSION

    questions = {
        target: {"sql": select.sql, "views": {view: list(columns) for view, columns in select.schemas.items()}}
        for target, select in selects.items()
    }
    environment = spark_environment(settings.home)
    words = submit_command(settings.model_copy(update={"local_cores": 1}), environment)
    with tempfile.TemporaryDirectory() as folder:
        asked, answers = Path(folder) / "questions.json", Path(folder) / "answers.json"
        asked.write_text(json.dumps({"session": SESSION, "selects": questions, "functions": str(FUNCTIONS)}), "utf-8")
        done = _run([*words, str(SCRIPT), str(asked), str(answers)], environment)
        if not answers.exists():
            last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
            raise ConfigurationError(f"Spark did not start to check SELECTs: {last}", "Run `sluice doctor`.")
        found: dict[str, str | None] = json.loads(answers.read_text("utf-8"))
    return found


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - our own script
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, **environment},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"Spark did not check the SELECTs within {_SECONDS} s.",
            "Try again on a machine that is less busy, or check fewer pipelines at a time.",
        ) from error


def _fault(target: str, answer: str) -> Fault:
    message = f"Spark's analyzer does not take the SELECT: {answer.rstrip('.')}."
    remedy = "Write it another way, or use engine: warehouse."
    return Fault("transformation_control", target, "sql_path", None, "spark_analyzer", message, remedy)
