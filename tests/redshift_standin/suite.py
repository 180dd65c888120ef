"""dbt-redshift's own functional suite against the stand-in: `make redshift-suite SUITE=…`.

The suite is dbt Labs' and is not part of this project: SUITE names a checkout of github.com/dbt-labs/dbt-adapters that
the user made. Its tests run unchanged, with the installed adapter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.redshift_standin.fixture import running
from tests.redshift_standin.server import Standin
from tests.support.certificates import prove_localhost
from tests.support.postgres_cluster import SETTINGS, database, start_cluster, stop_cluster

USERS = ("dbt_test_user_1", "dbt_test_user_2", "dbt_test_user_3")
GROUPS = ("dbt_test_group_1", "dbt_test_group_2", "dbt_test_group_3")
ROLES = ("dbt_test_role_1", "dbt_test_role_2", "dbt_test_role_3")
FUNCTIONAL = Path("tests") / "functional"
ADAPTER, FIXTURES = Path("dbt-redshift"), Path("dbt-tests-adapter") / "src"
MADE_BEFORE = "db_for_test__do_delete_if_you_see_this"
"""A database that a test tries to create and expects to find: it stays where the suite has run once."""
# Tests of a second database or a datashare skip themselves; those that log in through IAM do not.
WITHOUT_AWS = "not TestIAMUser"
PASSWORD = "Redshift-suite-1"


def main() -> None:
    """Start the stand-in, run the suite on it, end with pytest's exit code."""
    options = argparse.ArgumentParser(prog="make redshift-suite", description=__doc__)
    options.add_argument("suite", type=Path, help="a checkout of github.com/dbt-labs/dbt-adapters")
    options.add_argument("pytest", nargs="*", help="further arguments of pytest, after --")
    given = options.parse_args()
    suite = given.suite.expanduser().resolve()
    for needed in (ADAPTER / FUNCTIONAL, FIXTURES):
        if not (suite / needed).is_dir():
            sys.exit(f"{suite} has no {needed}: name a checkout of github.com/dbt-labs/dbt-adapters.")
    try:
        cluster = start_cluster(SETTINGS)
    except pytest.fail.Exception as refusal:  # the sentence says what to install
        sys.exit(str(refusal))
    try:
        with database(cluster) as url, running(url) as standin, tempfile.TemporaryDirectory() as folder:
            _make_identities(url)
            authority = prove_localhost(standin, Path(folder))
            sys.exit(_run(suite, standin, authority, given.pytest))
    finally:
        stop_cluster(cluster)


def _make_identities(url: str) -> None:
    """Users, groups and roles that the suite's tests of grants name, and the database that one of them expects."""
    with psycopg.connect(url, autocommit=True) as admin:
        for name in USERS:
            admin.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(name), PASSWORD))
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(MADE_BEFORE)))
        for name in (*GROUPS, *ROLES):
            admin.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
        admin.execute("insert into rs_catalog.redshift_role select unnest(%s::text[])", [list(ROLES)])


def _run(suite: Path, standin: Standin, authority: Path, arguments: list[str]) -> int:
    """Run pytest in the suite's folder; its own addopts and plug-ins that it does not name stay out."""
    profile = standin.profile()
    names = {"host": "HOST", "port": "PORT", "dbname": "DBNAME", "user": "USER", "password": "PASS"}
    paths = [suite / FIXTURES, suite / ADAPTER]
    environment = {
        **os.environ,
        **{f"REDSHIFT_TEST_{name}": str(profile[key]) for key, name in names.items()},
        **{f"DBT_TEST_USER_{number}": name for number, name in enumerate(USERS, 1)},
        **{f"DBT_TEST_GROUP_{number}": name for number, name in enumerate(GROUPS, 1)},
        "SSL_CERT_FILE": str(authority),
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:randomly", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors", "-k", WITHOUT_AWS, *arguments]
    if not any(argument.startswith(str(FUNCTIONAL)) for argument in arguments):
        command.append(str(FUNCTIONAL))
    return subprocess.run(command, cwd=suite / ADAPTER, env=environment, check=False).returncode


if __name__ == "__main__":
    main()
