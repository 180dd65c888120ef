"""The Spark script of validate: ask Spark's analyzer and planner about SELECTs, over empty views; nothing is read.

spark-submit analysis_job.py QUESTIONS.json ANSWERS.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from spark_job import define_functions  # type: ignore[import-not-found] # of this folder


def main(questions: str, answers: str) -> None:
    """Write a line when Spark runs, and one for each question: null, or Spark's error."""
    document = json.loads(Path(questions).read_text("utf-8"))
    builder = SparkSession.builder.appName("sluice-validate")
    for name, value in document["session"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    define_functions(spark, document["functions"])
    with Path(answers).open("w", encoding="utf-8", buffering=1) as written:
        written.write("{}\n")
        for target, question in document["selects"].items():
            written.write(json.dumps({"target": target, "error": ask(spark, question)}) + "\n")


def ask(spark: SparkSession, question: dict[str, Any]) -> str | None:
    """Plan a SELECT over empty views of its sources; return the first line of Spark's error."""
    try:
        for view, columns in question["views"].items():
            schema = ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in columns)
            spark.createDataFrame([], schema).createOrReplaceTempView(view)
        plan: Any = spark.sql(question["sql"])
        plan._jdf.queryExecution().executedPlan()
    except Exception as error:  # noqa: BLE001 - every error is the answer
        return str(error).strip().splitlines()[0]
    return None


if __name__ == "__main__":
    main(*sys.argv[1:3])
