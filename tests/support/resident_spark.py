"""One Spark for all tests of a process: each later spark-submit becomes a request to the one that runs.

    with resident_spark() as submits:        # the product's command starts it, with this file as its script
        monkeypatch.setattr(local, "submit_command", submits.command)

Two thirds of a short job's processor time are Spark's start. A request gets a session of its own, with the options of
its command; `test_spark_values.py` submits as production does.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.spark.settings import SparkSettings


@dataclass(frozen=True)
class ResidentSpark:
    """Where the running Spark listens."""

    address: str

    def command(self, settings: SparkSettings, _environment: Mapping[str, str]) -> list[str]:
        """Return what stands for `spark-submit …`: the script and its arguments follow."""
        options = [word for word in settings.submit_words if "=" in word]
        return [sys.executable, __file__, "submit", self.address, json.dumps(options)]


@contextlib.contextmanager
def resident_spark() -> Iterator[ResidentSpark]:
    """Start Spark as the product does, and end it afterwards."""
    from flows.spark.local import spark_environment, submit_command
    from flows.spark.settings import SparkSettings

    environment = spark_environment()
    with tempfile.TemporaryDirectory() as folder:
        address, log = f"{folder}/socket", Path(folder) / "log"
        with socket.socket(socket.AF_UNIX) as ready, log.open("wb") as written:
            ready.bind(f"{folder}/ready")
            ready.listen()
            ready.settimeout(120)
            words = [*submit_command(SparkSettings(local_cores=1), environment), __file__, "serve", address]
            spark = subprocess.Popen(
                words, stdout=written, stderr=written, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
            )
            ready.accept()[0].close()
        try:
            yield ResidentSpark(address)
        finally:
            _ask(address, {})
            spark.wait(60)


def _ask(address: str, request: Mapping[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline() or "{}")
    return answer


def _serve(address: str) -> None:
    """Answer requests one after the other, in Spark's own process, until an empty one comes."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("resident").getOrCreate()
    setattr(SparkSession, "stop", lambda _: None)  # noqa: B010 - a script stops its session; the next one needs it
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        with socket.socket(socket.AF_UNIX) as ready:
            ready.connect(f"{Path(address).parent}/ready")
        while True:
            with server.accept()[0] as connection, connection.makefile("rw") as stream:
                request = json.loads(stream.readline() or "{}")
                answer = _run(spark, request) if request else {}
                stream.write(json.dumps(answer) + "\n")
            if not request:
                os._exit(0)  # Java ends when its pipe closes


def _run(spark: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a script in a new session, and return its exit code and what it printed."""
    session = type(spark)
    session._instantiatedSession = spark.newSession()  # what the script's builder finds
    spark.sparkContext._jvm.SparkSession.setDefaultSession(session._instantiatedSession._jsparkSession)
    for option in request["options"]:
        name, _, value = option.partition("=")
        with contextlib.suppress(Exception):  # one that only a start can set
            session._instantiatedSession.conf.set(name, value)
    code = 0
    sys.argv = request["words"][:2]  # the process to end with stays out: it is the client's
    with tempfile.TemporaryFile("w+") as printed:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                runpy.run_path(sys.argv[0], run_name="__main__")
            except SystemExit as ended:
                code = int(ended.code or 0)
            except Exception:  # noqa: BLE001 - the client must print it
                traceback.print_exc()
                code = 1
        printed.seek(0)
        return {"code": code, "printed": printed.read()}


def _submit(address: str, options: str, *words: str) -> int:
    answer = _ask(address, {"options": json.loads(options), "words": words})
    sys.stderr.write(answer["printed"])
    return int(answer["code"])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(sys.argv[2])
    sys.exit(_submit(*sys.argv[2:]))
