"""The Spark script: run SELECTs over lake sources and write each result as Parquet with a manifest.

    spark-submit spark_job.py JOBS.json [PID]

The script imports nothing of Sluice. `jobs.py` writes JOBS.json. Each execution of a job writes to its own folder and
then the manifest of its attempt, which lists only that folder's files. The first manifest of an attempt is kept. So a
reader sees one complete result or none, even if a step is killed, runs twice or ends late. A job that fails writes an
error file, and the other jobs continue.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",  # like timestamps in the warehouse
    "spark.sql.ansi.enabled": "true",  # an invalid cast is an error, not NULL
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # digits are kept, or it is an error
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # a column of nanoseconds that nobody reads
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",  # ancient dates mean what is written
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
FILE_BYTES = 256 * 2**20
"""Approximate size of a result's files."""
FILES_APART = 200
"""Most files of different columns that are read one by one, each by its own types."""

_WHOLE = ("TINYINT", "SMALLINT", "INT", "BIGINT")


def main(path: str, parent: int | None = None) -> int:
    """Run every job of the file; return 1 when one has failed.

    Args:
        path: The file.
        parent: The process on this machine that waits for the result; the script ends with it.
    """
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    builder = SparkSession.builder.appName("sluice")
    for name, value in SESSION.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    document = json.loads(_read(spark, path))
    failed = [job["target"] for job in document["jobs"] if not run_job(spark, job)]
    spark.stop()
    if failed:
        sys.stderr.write(f"sluice: failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def run_job(spark: SparkSession, job: dict[str, Any]) -> bool:
    """Run one job, write its manifest or its error file, and return whether it succeeded."""
    began = time.monotonic()
    try:
        manifest = write_result(spark, job)
    except Exception as error:  # noqa: BLE001 - the run must get every error, and the other jobs must go on
        traceback.print_exc()
        failure = {"attempt": job["attempt"], "error": _message(error), "seconds": time.monotonic() - began}
        _write(spark, job["error"], json.dumps(failure))
        return False
    manifest["author"]["seconds"] = time.monotonic() - began
    _write_first(spark, job["manifest"], json.dumps(manifest))
    return True


def write_result(spark: SparkSession, job: dict[str, Any]) -> dict[str, Any]:
    """Write a job's rows and return the manifest, in the layout of Redshift's UNLOAD … MANIFEST VERBOSE."""
    for name, value in job["settings"].items():
        spark.conf.set(name, value)
    if job.get("functions"):
        define_functions(spark, job["functions"])
    for source in job["sources"]:
        _read_source(spark, source).createOrReplaceTempView(source["view"])
    folder = f"{job['output']}/attempt={job['attempt']}-{uuid.uuid4().hex[:8]}"
    author = {"name": "sluice", "version": "1", "attempt": job["attempt"], "folder": folder}
    if job.get("groups"):
        author["groups"] = _write_groups(spark, job["groups"], f"{folder}-groups")
    return {**_write_rows(spark, job, folder), "author": author}


def define_functions(spark: SparkSession, location: str) -> None:
    """Make the functions of a Python file known here and to the workers."""
    spark.sparkContext.addPyFile(location)
    importlib.import_module(location.rpartition("/")[2].removesuffix(".py")).register(spark)


def _read_source(spark: SparkSession, source: dict[str, Any]) -> DataFrame:
    """Read a table from its catalog, or files from their location, in the types that the SELECT was translated for."""
    columns = source.get("columns") or []
    infers = "false" if columns else "true"  # what stands in folders' names is read as the declared type
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", infers)
    if "table" in source:
        return _typed(spark.table(source["table"]), columns)
    reader = spark.read.format(source["format"])
    for name, value in source["options"].items():
        reader = reader.option(name, value)
    if "files" in source:
        return _read_files(spark, reader, source)
    if "schema" in source:  # a column that a file lacks is NULL
        return reader.schema(source["schema"]).load(source["location"])
    try:
        return _typed(reader.load(source["location"]), columns)
    except AnalysisException:  # a column that nobody reads may have a type that Spark does not have
        if not columns:
            raise
    return reader.schema(_schema(columns)).load(source["location"])


def _schema(columns: list[dict[str, str]]) -> str:
    return ", ".join(f"{_quoted(column['name'])} {column['type']}" for column in columns)


def _read_files(spark: SparkSession, reader: Any, source: dict[str, Any]) -> DataFrame:
    """Read files that were listed; a column that they lack is NULL. Few files that differ are read one by one."""
    files, columns = source["files"], source["columns"]
    if "schema" in source and files:
        return reader.schema(source["schema"]).load(files)  # type: ignore[no-any-return]
    if not files:
        return spark.createDataFrame([], _schema(columns))
    if not source["is_mixed"] or len(files) > FILES_APART:
        return _whole(_loaded(reader.option("mergeSchema", str(source["is_mixed"]).lower()), files, columns), columns)
    parts = [_whole(_loaded(reader, [file], columns), columns) for file in files]
    return functools.reduce(DataFrame.unionByName, parts)


def _loaded(reader: Any, files: list[str], columns: list[dict[str, str]]) -> DataFrame:
    try:
        return reader.load(files)  # type: ignore[no-any-return]
    except AnalysisException:  # a column that nobody reads may have a type that Spark does not have
        return reader.schema(_schema(columns)).load(files)  # type: ignore[no-any-return]


def _whole(frame: DataFrame, columns: list[dict[str, str]]) -> DataFrame:
    """Return the columns that the SELECT was translated for, in their types."""
    there = {name.lower(): name for name in frame.columns}
    written = []
    for column in columns:
        value = _quoted(there[column["name"].lower()]) if column["name"].lower() in there else "null"
        written.append(f"cast({value} as {column['type']}) as {_quoted(column['name'])}")
    return frame.selectExpr(*written)


def _typed(frame: DataFrame, columns: list[dict[str, str]]) -> DataFrame:
    """Cast the columns whose types the SELECT relies on; the others stay as they are."""
    kinds = {column["name"].lower(): column["type"] for column in columns}
    written = []
    for name in frame.columns:
        quoted, kind = _quoted(name), kinds.get(name.lower())
        written.append(quoted if kind is None else f"cast({quoted} as {kind}) as {quoted}")
    return frame.selectExpr(*written)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _write_groups(spark: SparkSession, groups: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write the recomputed groups with their own manifest, and return their location."""
    manifest = _write_rows(spark, groups, folder)
    _write(spark, f"{folder}.manifest.json", json.dumps(manifest))
    return {"manifest": f"{folder}.manifest.json", "folder": folder, "file_count": len(manifest["entries"])}


def _write_rows(spark: SparkSession, query: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write a query's rows to a folder and return their manifest."""
    result = _cast(spark.sql(query["sql"]), query["columns"])
    result.write.option("maxRecordsPerFile", 0).parquet(folder)
    files = [file for file in _list(spark, folder) if file[0].endswith(".parquet")]
    rows = spark.read.schema(result.schema).parquet(folder).count() if files else 0
    return {
        "entries": [{"url": url, "mandatory": True, "meta": {"content_length": size}} for url, size in files],
        "schema": {
            "elements": [
                {"name": field.name, "type": {"base": field.dataType.simpleString()}} for field in result.schema
            ]
        },
        "meta": {"content_length": sum(size for _, size in files), "record_count": rows},
    }


def _cast(result: DataFrame, columns: list[dict[str, str]]) -> DataFrame:
    """Cast to the column list's names, order and types; fractions are rounded to integers like in the warehouse."""
    found = {name.lower(): kind for name, kind in result.dtypes}
    written = []
    for column in columns:
        name, kind = _quoted(column["name"]), column["type"]
        value, own = name, found[column["name"].lower()]
        if kind in _WHOLE and own in ("double", "float"):
            value = f"rint({name})"
        elif kind in _WHOLE and own.startswith("decimal"):
            value = f"round({name})"
        written.append(f"cast({value} as {kind}) as {name}")
    return result.selectExpr(*written)


def _end_with(parent: int) -> None:
    """End this process when another one has ended."""
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(3)
        time.sleep(1)


def _message(error: Exception) -> str:
    """Return Spark's message and its causes, without the Java stack."""
    lines = str(error).splitlines()
    text = str(error).split("\n\tat ")[0].split("JVM stacktrace:")[0].strip()
    causes = [line for line in dict.fromkeys(lines) if line.startswith("Caused by:") and line not in text]
    return "\n".join([f"{type(error).__name__}: {text}", *causes])[:10_000]


def _is_local(url: str) -> bool:
    return "://" not in url


def _path(spark: SparkSession, url: str) -> Any:
    return spark.sparkContext._jvm.org.apache.hadoop.fs.Path(url)  # type: ignore[union-attr]


def _file_system(spark: SparkSession, url: str) -> Any:
    return _path(spark, url).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())


def _read(spark: SparkSession, url: str) -> str:
    if _is_local(url):
        return Path(url).read_text("utf-8")
    stream = _file_system(spark, url).open(_path(spark, url))
    try:
        return str(spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))  # type: ignore[union-attr]
    finally:
        stream.close()


def _write_first(spark: SparkSession, url: str, text: str) -> None:
    """Write a small file unless it exists; two writers at the same time leave one complete file."""
    is_there = Path(url).exists() if _is_local(url) else _file_system(spark, url).exists(_path(spark, url))
    if not is_there:
        _write(spark, url, text)


def _write(spark: SparkSession, url: str, text: str) -> None:
    """Write a small file atomically: S3 shows only complete objects; a local file is moved into place."""
    if _is_local(url):
        path = Path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
        unfinished.write_text(text, "utf-8")
        unfinished.replace(path)
        return
    stream = _file_system(spark, url).create(_path(spark, url))
    try:
        stream.write(bytearray(text, "utf-8"))
    finally:
        stream.close()


def _list(spark: SparkSession, folder: str) -> list[tuple[str, int]]:
    if _is_local(folder):
        return sorted((str(path), path.stat().st_size) for path in Path(folder).iterdir() if path.is_file())
    found = _file_system(spark, folder).listStatus(_path(spark, folder))
    return sorted((str(status.getPath()), int(status.getLen())) for status in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:3])))
