"""Lake sources in S3: the same files, names and faults as on disk, on a simulated S3 with DuckDB's own extension."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import httpx
import pytest
import yaml
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from flows.doctor.checks import _lake
from flows.doctor.finding import Level
from flows.warehouse.lake.folder import list_folder, resolve_folder
from metadata_sync.errors import ConfigurationError, SoftRunError
from tests.support.engine_project import Workshop, copy_project, transformation
from tests.support.s3_server import Refuse, SimulatedS3, install_httpfs, simulated_s3

NAMES = (
    *("plain.parquet", "part-0", "A.PARQ", "a b/[c].parquet", "per%20cent.parquet", "plus+.parquet", "hash#x.parquet"),
    *("star*.parquet", "ümlaut.parquet", "it's.parquet", "amp&x=1.parquet", "back\\slash.parquet", 'quo"te.parquet'),
    *("day=2013-01-01/x.parquet", "emoji😀.parquet", "a,b;c.parquet", "~@!$().parquet", "a//b.parquet"),
)
NO_DATA = ("_temporary/0/a.parquet", ".hidden.parquet", "_delta_log/0.parquet", "notes.txt", "a.parquet.tmp", "folder/")
SELECT = "select o.id, o.amount, o.sold_at from lake.sales as o"


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedS3]:
    with simulated_s3() as found:
        yield found


@pytest.fixture
def s3(server: SimulatedS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimulatedS3]:
    """A bucket, and AWS's variables for it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("HOME", os.environ["HOME"])
    install_httpfs(tmp_path / "home")
    boto3.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    server.requests.clear()
    yield server
    server.refuse = lambda method, path: None
    httpx.post(f"{server.url}/moto-api/reset").raise_for_status()


@pytest.fixture
def shop(s3: SimulatedS3, tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, {"sale": SELECT, "sale_line": SELECT})
    profiles = yaml.safe_load((root / "profiles.yml").read_text())
    # DuckDB 1.5 fails with an internal error on the view of watermarks; 2.0 does not.
    profiles["sluice"]["outputs"]["dev"]["settings"] = {"disabled_optimizers": "top_n_window_elimination"}
    (root / "profiles.yml").write_text(yaml.safe_dump(profiles))
    workshop = Workshop(root)
    yield workshop
    workshop.close()


def rows(location: str = "s3://lake/raw/sales") -> dict[str, list[dict[str, Any]]]:
    source = {"schema": "lake", "table": "sales", "kind": "lake", "format": "parquet", "location": location}
    return {
        "sources": [{**source, "incremental_key": "sold_at"}],
        "pipelines": [{"pipeline_id": "sales", "pipeline_name": "Sales", "template": "lake_to_warehouse"}],
        "transformations": [
            transformation("dwh", "sale", "sales", "lake.sales", load_type="scd1", business_key=["id"]),
            transformation("dwh", "sale_line", "sales", "lake.sales", load_type="append"),
        ],
    }


def parquet(folder: Path, *sales: tuple[int, int, str]) -> bytes:
    values = ", ".join(f"({id_}, {amount}, timestamp '{at}')" for id_, amount, at in sales)
    path = folder / "written.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select * from (values {values}) as v (id, amount, sold_at)) to '{path}'")
    return path.read_bytes()


def put(name: str, content: bytes, bucket: str = "lake", prefix: str = "raw/sales/") -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=prefix + name, Body=content)


def run(shop: Workshop) -> dict[str, str]:
    summary, _ = shop.run()
    return {item.target: f"{item.status} {item.error or item.decision.message}" for item in summary.outcomes}


def test_every_object_is_read_once_whatever_its_key(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        put(name, parquet(tmp_path, (number, 1, "2013-01-01 00:00:00")))
    for name in NO_DATA:
        put(name, b"no Parquet")
    put("other/x.parquet", parquet(tmp_path, (99, 1, "2013-01-01")), prefix="raw/sales_of_others/")
    shop.apply(rows())
    assert all(text.startswith("loaded") for text in run(shop).values())
    ids = [(number,) for number in range(len(NAMES))]
    assert shop.query("select id from dwh.sale order by id") == ids
    assert shop.query("select id from dwh.sale_line order by id") == ids
    assert all(text.startswith("skipped") for text in run(shop).values())

    put("late.parquet", parquet(tmp_path, (50, 1, "2012-01-01")))  # late, of an old key
    put(NAMES[0], parquet(tmp_path, (0, 7, "2013-01-01")))  # written again, as long as before
    boto3.client("s3").delete_object(Bucket="lake", Key=f"raw/sales/{NAMES[1]}")
    s3.requests.clear()
    assert all(text.startswith("loaded") for text in run(shop).values())
    assert shop.query("select amount from dwh.sale where id in (0, 50) order by id") == [(7,), (1,)]
    assert shop.query("select count(*), sum(amount) from dwh.sale") == [(len(NAMES) + 1, len(NAMES) + 7)]
    opened = {path for method, path, _, _ in s3.requests if method == "GET" and path.startswith("/lake/raw")}
    assert f"/lake/raw/sales/{NAMES[0]}" in opened


def test_a_key_that_duckdb_cannot_open_is_left_out_and_said(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    put("what?.parquet", parquet(tmp_path, (2, 1, "2013-01-01")))
    put("half.parquet", parquet(tmp_path, (3, 1, "2013-01-01"))[:-40])
    shop.apply(rows())
    assert run(shop)["dwh.sale"].startswith("loaded")
    assert shop.query("select id from dwh.sale") == [(1,)]
    (finding,) = _lake(shop.context)
    assert (finding.level, "files that do not fit: 2" in finding.message) == (Level.WARN, True), finding
    put("half.parquet", parquet(tmp_path, (3, 1, "2013-01-01")))
    assert run(shop)["dwh.sale"].startswith("loaded")
    assert shop.query("select id from dwh.sale order by id") == [(1,), (3,)]


def test_listings_of_many_pages_are_whole(shop: Workshop, s3: SimulatedS3) -> None:
    store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for number in range(2_300):
        store.put_object("lake", f"raw/sales/{number:05}.parquet", b"x")
    folder = resolve_folder(shop.project, "s3://lake/raw/sales")
    s3.requests.clear()
    listing = list_folder(folder)
    assert len({file.name for file in listing.files}) == 2_300
    assert len([path for _, path, _, _ in s3.requests]) == 3


def test_versioned_objects_are_read_in_their_current_version(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    boto3.client("s3").put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    put("a.parquet", parquet(tmp_path, (1, 2, "2013-01-01")))
    put("gone.parquet", parquet(tmp_path, (9, 9, "2013-01-01")))
    boto3.client("s3").delete_object(Bucket="lake", Key="raw/sales/gone.parquet")
    shop.apply(rows())
    run(shop)
    assert shop.query("select id, amount from dwh.sale") == [(1, 2)]


REFUSALS = [
    (403, "AccessDenied", ConfigurationError, "s3:ListBucket"),
    (404, "NoSuchBucket", ConfigurationError, "Correct the location"),
    (400, "ExpiredToken", ConfigurationError, "Renew the credentials"),
    (403, "InvalidAccessKeyId", ConfigurationError, "Renew the credentials"),
    (403, "SignatureDoesNotMatch", ConfigurationError, "Renew the credentials"),
    (403, "RequestTimeTooSkewed", ConfigurationError, "clock"),
    (503, "SlowDown", SoftRunError, "SlowDown"),
    (500, "InternalError", SoftRunError, "InternalError"),
]


def _refuse_all(status: int, code: str) -> Refuse:
    return lambda method, path: (status, code)


def test_refused_listings_say_what_to_do(
    s3: SimulatedS3, shop: Workshop, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for status, code, error, words in REFUSALS:
        s3.refuse = _refuse_all(status, code)
        with subtests.test(code), pytest.raises(error, match=words):
            list_folder(resolve_folder(shop.project, "s3://lake/raw/sales"))


def test_a_listing_that_is_slowed_down_twice_is_whole(s3: SimulatedS3, shop: Workshop) -> None:
    put("a.parquet", b"x")
    left = [503, 503]
    s3.refuse = lambda method, path: (left.pop(), "SlowDown") if left else None
    assert len(list_folder(resolve_folder(shop.project, "s3://lake/raw/sales")).files) == 1
    assert not left


def test_an_object_that_s3_refuses_holds_its_readers_and_heals(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    shop.apply(rows())
    run(shop)
    put("secret.parquet", parquet(tmp_path, (2, 1, "2013-01-02")))
    # as S3 answers when the key of KMS is not allowed, or the requester pays
    s3.refuse = lambda method, path: (403, "AccessDenied") if path.endswith("secret.parquet") else None
    held = run(shop)
    assert "403" in held["dwh.sale"], held
    assert not held["dwh.sale"].startswith("loaded")
    assert shop.query("select id from dwh.sale") == [(1,)]
    s3.refuse = lambda method, path: None
    assert run(shop)["dwh.sale"].startswith("loaded")
    assert shop.query("select id from dwh.sale order by id") == [(1,), (2,)]


def test_credentials_come_from_the_chain_of_aws_and_are_in_no_file(
    shop: Workshop, s3: SimulatedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    shared = tmp_path / "credentials"
    shared.write_text(
        "[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = secret-of-the-team\n"
        "aws_session_token = token-of-the-team\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_PROFILE", "team")
    shop.apply(rows())
    s3.requests.clear()
    assert run(shop)["dwh.sale"].startswith("loaded")
    assert s3.requests
    assert all("AKIDTEAM" in signed and token == "token-of-the-team" for _, _, signed, token in s3.requests)
    written = [path for path in shop.root.rglob("*") if path.is_file() and b"secret-of-the-team" in path.read_bytes()]
    assert not written
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


def test_doctor_says_what_s3_refuses(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    shop.apply(rows())
    s3.refuse = lambda method, path: (403, "AccessDenied")
    (finding,) = _lake(shop.context)
    assert finding.level is Level.FAIL
    assert "s3:GetObject" in finding.remedy


def test_no_credentials_are_said(shop: Workshop, s3: SimulatedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="variables, a profile or a role"):
        list_folder(resolve_folder(shop.project, "s3://lake/raw/sales"))


def test_secrets_of_the_profile_come_first(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    profiles = yaml.safe_load((shop.root / "profiles.yml").read_text())
    output = profiles["sluice"]["outputs"]["dev"]
    output["secrets"] = [
        {
            "type": "s3",
            "key_id": "AKIDPROFILE",
            "secret": "secret-of-the-profile",
            "region": "eu-central-1",
            "endpoint": s3.url.removeprefix("http://"),
            "url_style": "path",
            "use_ssl": "false",
        }
    ]
    (shop.root / "profiles.yml").write_text(yaml.safe_dump(profiles))
    shop.apply(rows())
    s3.requests.clear()
    assert run(shop)["dwh.sale"].startswith("loaded")
    read = [signed for method, path, signed, _ in s3.requests if path.endswith("a.parquet")]
    assert read
    assert all("AKIDPROFILE" in signed for signed in read)


def test_the_wall_holds_for_other_prefixes_and_buckets(shop: Workshop, s3: SimulatedS3, tmp_path: Path) -> None:
    put("a.parquet", parquet(tmp_path, (1, 1, "2013-01-01")))
    put("a.parquet", parquet(tmp_path, (2, 1, "2013-01-01")), prefix="raw/salaries/")
    shop.apply(rows())
    from flows.context import reading

    with reading(shop.context, shop.context.profile) as warehouse:
        assert warehouse.query("select id from read_parquet('s3://lake/raw/sales/a.parquet')") == [(1,)]
        for path in (
            "s3://lake/raw/salaries/a.parquet",
            "s3://other/raw/sales/a.parquet",
            f"{s3.url}/lake/raw/sales/a",
        ):
            with pytest.raises(Exception, match="disabled by configuration"):
                warehouse.query(f"select id from read_parquet('{path}')")
        with pytest.raises(Exception, match="configuration has been locked"):
            warehouse.query("set s3_endpoint = 'elsewhere.example'")
