"""The stand-in by hand: `python -m tests.redshift_standin`. Prints what to paste into a shell; Ctrl-C ends everything.

PostgreSQL, S3 and the proxy listen on loopback and hold nothing when they end.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping

import pytest
import yaml

from tests.redshift_standin.fixture import running
from tests.redshift_standin.server import Standin
from tests.redshift_standin.statements.lake import REGION
from tests.support.postgres_cluster import SETTINGS, database, start_cluster, stop_cluster

LAST_WORDS = "# Ctrl-C ends it, and all that it holds."


def main() -> None:
    """Start everything, wait, stop everything."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    try:
        cluster = start_cluster(SETTINGS)
    except pytest.fail.Exception as refusal:  # the sentence says what to install
        sys.exit(str(refusal))
    try:
        with database(cluster) as url, running(url) as standin:
            print(_directions(standin), flush=True)
            ending.wait()
    finally:
        stop_cluster(cluster)


def _directions(standin: Standin) -> str:
    """What leads the repository's profile, and boto3, to the stand-in; the profile of another project as comments."""
    lake = {
        "AWS_ENDPOINT_URL_S3": standin.lake.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    profile = yaml.safe_dump({"redshift": standin.profile()}, sort_keys=False).splitlines()
    return "\n".join(
        [
            *_exports({"SLUICE_ENVIRONMENT": "redshift", **standin.environment()}),
            *_exports(lake),
            "# The same in a profiles.yml:",
            *(f"#   {line}" for line in profile),
            LAST_WORDS,
        ]
    )


def _exports(variables: Mapping[str, str]) -> list[str]:
    return [f"export {name}={value}" for name, value in variables.items()]


if __name__ == "__main__":
    main()
