"""Probes when something is wrong: slow sources, a server that stops, a bucket that is not there. Never a blind run."""

from __future__ import annotations

import gzip
import io
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import duckdb
import psycopg
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from moto.server import ThreadedMotoServer
from urllib3 import HTTPResponse

from flows.errors.classify import FailureClass, classify, read_facts
from flows.errors.rules import DEFAULT_RULES
from flows.gate.probe import Prober, Question
from flows.warehouse.connection import DuckDBWarehouse, open_warehouse
from flows.warehouse.lake.folder import change_token, list_files, list_folder, resolve_folder, source_folder
from metadata_sync.errors import ConfigurationError, SoftRunError, TimedOutError
from metadata_sync.loads import Watermark
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from tests.support.postgres_cluster import SETTINGS, Cluster, start_cluster, stop_cluster
from tests.support.probe_support import NOW, postgres_profile, table
from tests.support.text_files import look_at_text

pytestmark = pytest.mark.processes

SLOW_ON_POSTGRES = "create view shop.slow as select 9 as id from pg_sleep(60)"
SLOW_ON_DUCKDB = """
    create view shop.slow as
    select max(a.i * b.i * c.i) as id from range(100000) as a (i), range(100000) as b (i), range(100000) as c (i)
"""


@pytest.mark.postgres
def test_slow_source_times_out_and_hinders_no_other_on_postgresql(postgres_url: str, project: Project) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("create schema shop; create table shop.quick as select 7 as id")
        server.execute(SLOW_ON_POSTGRES)
    warehouse = open_warehouse(postgres_profile(postgres_url), wait_seconds=0, timeout_seconds=0.5)

    check_that_only_the_slow_one_fails(Prober(project, warehouse, NOW))
    warehouse.close()


def test_slow_source_times_out_and_hinders_no_other_on_duckdb(project: Project) -> None:
    connection = duckdb.connect()
    connection.execute("create schema shop; create table shop.quick as select 7 as id; " + SLOW_ON_DUCKDB)

    check_that_only_the_slow_one_fails(Prober(project, DuckDBWarehouse(connection, timeout_seconds=0.5), NOW))
    connection.close()


def check_that_only_the_slow_one_fails(prober: Prober) -> None:
    questions = [Question(table(name), "id", 0, Watermark("7", 1)) for name in ("quick", "slow")]
    answers = prober.ask(questions)
    quick, slow = (answers[question] for question in questions)
    assert (quick.newest, quick.error) == ("7", None)
    assert slow.error is not None
    assert "0.5 s" in slow.error or "timeout" in slow.error


def test_sources_that_were_not_reached_in_time_say_so(project: Project) -> None:
    connection = duckdb.connect()
    connection.execute("create schema shop; create table shop.quick as select 7 as id; " + SLOW_ON_DUCKDB)
    ticks = iter(range(0, 1000, 100))
    prober = Prober(
        project,
        DuckDBWarehouse(connection, timeout_seconds=0.5),
        NOW,
        timeout_seconds=150,
        clock=lambda: float(next(ticks)),
    )
    questions = [Question(table(name), "id", 0, Watermark("7", 1)) for name in ("quick", "slow", "unreached")]

    answers = prober.ask(questions)

    assert answers[questions[0]].error is None
    assert "it was not probed" in (answers[questions[2]].error or "")
    connection.close()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    cluster = start_cluster(SETTINGS)
    yield cluster
    stop_cluster(cluster)


@pytest.mark.postgres
def test_server_that_stops_under_a_probe_leaves_every_source_unasked(own_cluster: Cluster, project: Project) -> None:
    with psycopg.connect(own_cluster.url(), autocommit=True) as server:
        server.execute("create schema shop; create table shop.quick as select 7 as id")
        server.execute(SLOW_ON_POSTGRES)
        warehouse = open_warehouse(postgres_profile(own_cluster.url()), wait_seconds=0)
        stopper = threading.Thread(target=stop_when_it_probes, args=(own_cluster, server))
        stopper.start()
        questions = [Question(table(name), "id", 0, Watermark("6", 1)) for name in ("quick", "slow")]

        answers = Prober(project, warehouse, NOW).ask(questions)

        stopper.join()
    assert [answers[question].has_rows for question in questions] == [False, False]
    assert all("did not answer" in (answers[question].error or "") for question in questions)
    warehouse.close()


def stop_when_it_probes(cluster: Cluster, server: psycopg.Connection[tuple[object, ...]]) -> None:
    busy = "select count(*) from pg_stat_activity where application_name = 'sluice' and state = 'active'"
    while server.execute(busy).fetchone() == (0,):
        time.sleep(0.05)
    pid = int((Path(cluster.folder) / "data" / "postmaster.pid").read_text().splitlines()[0])
    subprocess.run(["kill", "-QUIT", str(pid)], check=True)


@pytest.mark.parametrize("seconds", [0.2])
def test_statement_that_takes_too_long_is_a_soft_error(project: Project, seconds: float) -> None:
    from sqlglot import parse_one
    from sqlglot.expressions import Query

    connection = duckdb.connect()
    connection.execute("create schema shop; " + SLOW_ON_DUCKDB)
    query = parse_one("select id from shop.slow", dialect="duckdb")
    assert isinstance(query, Query)

    with pytest.raises(TimedOutError, match=r"within 0\.2 s"):
        DuckDBWarehouse(connection, seconds).query(query)
    assert connection.execute("select 1").fetchall() == [(1,)]
    connection.close()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"lake-{secrets.token_hex(4)}"
    boto3.client("s3").create_bucket(Bucket=name)
    yield name
    server.stop()


def remote(bucket: str, folder: str) -> SourceRow:
    values = {"schema": "lake", "table": folder, "kind": "lake", "format": "parquet"}
    return SourceRow.model_validate({**values, "location": f"s3://{bucket}/{folder}"})


def test_text_in_s3_is_copied_to_this_machine(bucket: str, project: Project) -> None:
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="flights/a b.csv", Body=gzip.compress(b"id,name\n1,x\n2\n"))
    client.put_object(Bucket=bucket, Key="flights/cut.csv", Body=gzip.compress(b"id,name\n1,x\n2\n")[:-9])
    text = {"format": "csv", "columns": {"id": "integer", "name": "varchar"}, "incremental_key": "id"}
    source = SourceRow.model_validate({**remote(bucket, "flights").model_dump(by_alias=True), **text})
    (fault,) = look_at_text(project, source).faults
    assert fault.file.name == "cut.csv"
    files = [file for file in list_folder(source_folder(project, source)).files if file.name == "a b.csv"]
    relation = source_folder(project, source).relation(files)
    assert duckdb.execute(f"from {relation}").fetchall() == [(1, "x")]
    source = SourceRow.model_validate({**source.model_dump(by_alias=True), "location": f"s3://{bucket}-gone/flights"})
    with pytest.raises(ConfigurationError, match="cannot be listed"):
        look_at_text(project, source)


def test_folders_in_s3_are_listed_and_not_read(bucket: str, project: Project) -> None:
    """The objects hold no Parquet at all: whoever read them would fail."""
    client = boto3.client("s3")
    for number in range(1001):  # more than one page of a listing
        client.put_object(Bucket=bucket, Key=f"flights/day={number}/part.parquet", Body=b"x")
    client.put_object(Bucket=bucket, Key="flights/_SUCCESS", Body=b"")
    client.put_object(Bucket=bucket, Key="planes/all.parquet", Body=b"x")
    warehouse = DuckDBWarehouse(duckdb.connect())
    flights, planes, empty = (Question(remote(bucket, name), None, 0, None) for name in ("flights", "planes", "empty"))

    def look() -> list[str | None]:
        answers = Prober(project, warehouse, NOW).ask([flights, planes, empty])
        assert not any(probe.error for probe in answers.values())
        assert answers[empty].has_rows is False
        return [answers[flights].newest, answers[planes].newest]

    before = look()
    assert look() == before
    assert len(list_files(resolve_folder(project, f"s3://{bucket}/flights"))) == 1001
    client.put_object(Bucket=bucket, Key="flights/day=7/part.parquet", Body=b"y")
    after = look()
    warehouse.close()

    assert after[0] != before[0]
    assert after[1] == before[1]
    assert after[0] == change_token(list_files(resolve_folder(project, f"s3://{bucket}/flights/*/*.parquet")))


def test_bucket_that_is_not_there_is_an_error_of_its_source_alone(bucket: str, project: Project) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="planes/all.parquet", Body=b"x")
    warehouse = DuckDBWarehouse(duckdb.connect())
    missing, planes = (
        Question(remote(f"{bucket}-x", "a"), None, 0, None),
        Question(remote(bucket, "planes"), None, 0, None),
    )

    answers = Prober(project, warehouse, NOW).ask([missing, planes])
    warehouse.close()

    assert "NoSuchBucket" in (answers[missing].error or "")
    assert answers[planes].has_rows


@pytest.mark.parametrize("refusals", [1, 99])
def test_s3_that_asks_to_slow_down_is_asked_again_and_then_holds_its_readers_softly(
    bucket: str, project: Project, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="planes/all.parquet", Body=b"x")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    asked = []

    def slow_down(request: AWSRequest, **_: object) -> AWSResponse | None:
        asked.append(request.url)
        if len(asked) > refusals:
            return None
        body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        answer = HTTPResponse(io.BytesIO(body), preload_content=False)
        return AWSResponse(request.url, 503, {"content-type": "application/xml"}, answer)

    session = boto3.Session()
    session.events.register("before-send.s3.ListObjectsV2", slow_down)
    monkeypatch.setattr(boto3, "Session", lambda: session)
    folder = resolve_folder(project, f"s3://{bucket}/planes")

    if refusals == 1:
        assert len(list_files(folder)) == 1
    else:
        with pytest.raises(SoftRunError) as caught:
            list_files(folder)
        verdict = classify(read_facts(caught.value.message), DEFAULT_RULES)
        assert (verdict.failure_class, verdict.is_soft()) == (FailureClass.THROTTLING, True)
    assert len(asked) == 2
