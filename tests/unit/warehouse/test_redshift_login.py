"""The gate logs in to Redshift as the adapter does: the same certificates, the same temporary credentials."""

from __future__ import annotations

import gc
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import redshift_connector
from dbt.adapters.redshift.connections import SSL_MODE_TRANSLATION, UserSSLMode
from moto import mock_aws

from flows.warehouse import redshift_login
from flows.warehouse.connection import open_warehouse
from flows.warehouse.profile import Profile
from flows.warehouse.redshift_login import Login, Logins
from metadata_sync.errors import ConfigurationError, SoftRunError
from tests.redshift_standin.fixture import redshift_standin
from tests.redshift_standin.server import Standin
from tests.support.certificates import prove_localhost

__all__ = ["redshift_standin"]
pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

CLUSTER = {"host": "c.abc.eu-west-1.redshift.amazonaws.com", "region": "eu-west-1", "dbname": "sluice"}
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@pytest.fixture
def authority(redshift_standin: Standin, tmp_path: Path) -> Path:
    """Let the stand-in prove that it is localhost; return the certificate of who signed that."""
    return prove_localhost(redshift_standin, tmp_path)


def _gate(values: dict[str, Any]) -> str:
    """Return what the gate says: an answer, or the kind of its refusal."""
    try:
        warehouse = open_warehouse(Profile("sluice", "redshift", "redshift", "dev", values), wait_seconds=0)
    except (ConfigurationError, SoftRunError) as error:
        return type(error).__name__
    (row,) = warehouse.query("select 1 as one")
    warehouse.close()
    return str(row[0])


def _adapter(values: dict[str, Any]) -> str:
    """Return what the adapter's driver says, with what the adapter makes of the profile."""
    mode = SSL_MODE_TRANSLATION[UserSSLMode(values["sslmode"])]
    try:
        connection = redshift_connector.connect(
            host=values["host"], port=values["port"], user=values["user"], password=values["password"],
            database=values["dbname"], ssl=mode is not None, sslmode=str(mode),
        )  # fmt: skip
    except (redshift_connector.Error, ssl.SSLError):
        return "ConfigurationError"
    connection.close()
    return "1"


@pytest.mark.filterwarnings(  # of the adapter's driver, which leaves its socket open when it is refused
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_gate_trusts_whom_the_adapter_trusts(
    redshift_standin: Standin, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every mode, with a known and an unknown authority, under its name and another one, and without TLS."""
    found, tls = {}, redshift_standin.tls
    for is_known in (True, False):
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        if is_known:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        for has_tls in (True, False):
            redshift_standin.tls = tls if has_tls else None
            for host in ("localhost", "127.0.0.1"):
                for mode in MODES:
                    values = redshift_standin.profile(host=host, sslmode=mode)
                    found[is_known, has_tls, host, mode] = (_gate(values), _adapter(values))
    gc.collect()
    assert {case: answers for case, answers in found.items() if answers[0] != answers[1]} == {}
    assert found[True, True, "localhost", "verify-full"] == ("1", "1")
    assert found[True, True, "127.0.0.1", "verify-full"][0] == "ConfigurationError"
    assert found[True, True, "127.0.0.1", "prefer"][0] == "1"
    assert found[False, True, "localhost", "prefer"][0] == "ConfigurationError"
    assert found[True, False, "localhost", "verify-ca"][0] == "ConfigurationError"
    assert found[True, False, "localhost", "disable"][0] == "1"


def test_a_refused_certificate_says_what_to_correct(redshift_standin: Standin, authority: Path) -> None:
    values = redshift_standin.profile(host="localhost", sslmode="verify-full")
    with pytest.raises(ConfigurationError) as refused:
        open_warehouse(Profile("sluice", "redshift", "redshift", "dev", values), wait_seconds=0)
    assert "certificate verify failed" in refused.value.message
    assert "verify-full" in refused.value.message
    assert "SSL_CERT_FILE" in str(refused.value.hint)


def test_temporary_credentials_of_a_cluster_are_kept_and_renewed(
    redshift_standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(redshift_login.LOGINS, "_known", {})
    values = {**redshift_standin.profile(), "method": "iam", "cluster_id": "c", "region": "eu-west-1", "user": "loader"}
    with mock_aws():
        client = boto3.client("redshift", region_name="eu-west-1")
        secret = {"MasterUsername": "m", "MasterUserPassword": "Pw1secret"}  # pragma: allowlist secret
        client.create_cluster(ClusterIdentifier="c", NodeType="ra3.large", **secret)
        assert _gate(values) == _gate(values) == "1"
        (first, second) = redshift_standin.temporary_logins
        assert first == second
        assert first[0] == "IAM:loader"
        login = next(iter(redshift_login.LOGINS._known.values()))
        assert login.expires_at is not None
        soon = Login(login.user, login.password, datetime.now(UTC) + timedelta(minutes=1))
        monkeypatch.setattr(redshift_login.LOGINS, "_known", dict.fromkeys(redshift_login.LOGINS._known, soon))
        assert _gate(values) == "1"
        assert redshift_standin.temporary_logins[2][1] != first[1]
        assert _gate({**values, "autocreate": True}) == "1"
        assert redshift_standin.temporary_logins[3][0] == "IAMA:loader"
        with pytest.raises(ConfigurationError, match="ClusterNotFound"):
            Logins().login({**values, "cluster_id": "other"}, "redshift")


@pytest.fixture
def serverless(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """AWS's endpoint of Redshift Serverless, which moto does not have: what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            expires = (datetime.now(UTC) + timedelta(minutes=15)).timestamp()
            body = {"dbUser": "IAMR:role", "dbPassword": f"p{len(asked)}", "expiration": expires}
            answer = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


def test_temporary_credentials_of_a_workgroup(serverless: list[dict[str, Any]]) -> None:
    host = "team.123456789012.eu-west-1.redshift-serverless.amazonaws.com"
    keys = {"access_key_id": "a", "secret_access_key": "b"}  # pragma: allowlist secret
    logins, values = Logins(), {**CLUSTER, **keys, "host": host, "method": "iam", "user": "loader"}
    assert [logins.login(values, "t").password for _ in "12"] == ["p1", "p1"]
    assert logins.login({**values, "serverless_work_group": "other"}, "t").user == "IAMR:role"
    assert [(item["workgroupName"], item["dbName"]) for item in serverless] == [("team", "sluice"), ("other", "sluice")]


def test_methods_that_need_a_person_are_refused_with_those_that_work() -> None:
    for method in ("browser_identity_center", "oauth_token_identity_center", "saml"):
        with pytest.raises(ConfigurationError) as refused:
            Logins().login({**CLUSTER, "method": method}, "redshift")
        assert method in refused.value.message
        assert "iam" in str(refused.value.hint)
    assert Logins().login({"user": "u", "pass": "p"}, "redshift") == Login("u", "p")


def test_aws_that_cannot_be_reached_is_soft_and_a_missing_identity_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"access_key_id": "a", "secret_access_key": "b"}  # pragma: allowlist secret
    values = {**CLUSTER, "method": "iam", "cluster_id": "c", "user": "loader"}
    with pytest.raises(SoftRunError):
        Logins().login({**values, **keys}, "redshift")
    with pytest.raises(ConfigurationError, match="nobody"):
        Logins().login({**values, "iam_profile": "nobody"}, "redshift")
