"""COPY and UNLOAD: Parquet between moto's S3 and the session, inside its transaction.

Only what Sluice's users write: FORMAT PARQUET, by position, with or without a manifest. Everything else is refused.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import duckdb
from sqlglot import exp

from tests.redshift_standin.errors import RedshiftError, not_known
from tests.redshift_standin.expressions.names import literal, relation_name
from tests.redshift_standin.protocol.wire import Column

REGION = "us-east-1"
ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+(,arn:aws:iam::\d{12}:role/[\w+=,.@/-]+)*")
UNLOAD = re.compile(
    r"unload\s*\(\s*'(?P<query>(?:[^']|'')*)'\s*\)\s*to\s*'(?P<to>s3://[^']+)'\s*iam_role\s+(?P<role>default|'[^']*')"
    r"(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)
# Type of Parquet, as DuckDB names it → what Redshift's COPY loads it into without a conversion.
LOADS = {
    "VARCHAR": ("character varying", "character"),
    "SMALLINT": ("smallint",),
    "INTEGER": ("integer",),
    "BIGINT": ("bigint",),
    "FLOAT": ("real",),
    "DOUBLE": ("double precision",),
    "BOOLEAN": ("boolean",),
    "DATE": ("date",),
    "TIMESTAMP": ("timestamp without time zone",),
    "TIMESTAMP WITH TIME ZONE": ("timestamp without time zone", "timestamp with time zone"),
}
# PostgreSQL's type of an unloaded column → DuckDB's
WRITES = {16: "BOOLEAN", 20: "BIGINT", 21: "SMALLINT", 23: "INTEGER", 700: "FLOAT", 701: "DOUBLE", 1082: "DATE"} | {
    1114: "TIMESTAMP",
    1184: "TIMESTAMPTZ",
    1700: "DECIMAL(38, 9)",
}

Query = Callable[[str], tuple[list[list[str | None]], list[Column]]]
"""Runs a statement in the client's transaction: rows, and name and type of each column. Raises RedshiftError."""


class Lake:
    """S3 on loopback."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # moto keeps what it holds for the whole process: what another test left is not this lake's
        with urlopen(Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10) as response:
            response.read()

    def stop(self) -> None:
        self._server.stop()

    @cached_property
    def client(self) -> Any:
        """boto3's client."""
        import boto3

        return boto3.client("s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test")  # fmt: skip

    def read(self, url: str) -> bytes:
        bucket, key = split(url)
        try:
            content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey as error:
            text = f"S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,Key {key}"
            raise RedshiftError("XX000", text) from error
        return content

    def write(self, url: str, content: bytes) -> None:
        bucket, key = split(url)
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def keys(self, prefix_url: str) -> list[str]:
        """Addresses of what lies below a prefix."""
        bucket, prefix = split(prefix_url)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [f"s3://{bucket}/{item['Key']}" for page in pages for item in page.get("Contents", [])]


def split(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


@dataclass(frozen=True)
class Copy:
    """COPY table FROM 's3://…' IAM_ROLE … FORMAT AS PARQUET [MANIFEST]."""

    table: str
    address: str
    has_manifest: bool

    def statements(self, lake: Lake, query: Query) -> Iterator[str]:
        """What PostgreSQL runs in its place."""
        select = f"""select attname, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = {literal(self.table)}::regclass and attnum > 0 and not attisdropped order by attnum"""
        columns = [(str(name), str(kind)) for name, kind in query(select)[0]]
        for url in self._files(lake):
            rows = _read_parquet(url, lake.read(url), columns)
            if rows:
                yield f"insert into {self.table} values {', '.join(rows)}"

    def _files(self, lake: Lake) -> list[str]:
        if not self.has_manifest:
            found = lake.keys(self.address)
            if not found:
                raise RedshiftError("XX000", f"The specified S3 prefix '{split(self.address)[1]}' does not exist")
            return found
        entries = json.loads(lake.read(self.address))["entries"]
        for entry in entries:
            size = entry.get("meta", {}).get("content_length")
            if size is None or size != len(lake.read(entry["url"])):
                raise RedshiftError("XX000", f"Manifest: content_length of {entry['url']} is {size}")
        return [entry["url"] for entry in entries]


@dataclass(frozen=True)
class Unload:
    """UNLOAD ('SELECT …') TO 's3://…' IAM_ROLE … FORMAT AS PARQUET [ALLOWOVERWRITE]."""

    sql: str
    address: str
    overwrites: bool

    def statements(self, lake: Lake, query: Query) -> Iterator[str]:
        if lake.keys(self.address) and not self.overwrites:
            raise RedshiftError("XX000", "Specified unload destination on S3 is not empty.")
        rows, columns = query(self.sql)
        lake.write(f"{self.address}0000_part_00.parquet", _parquet(rows, columns))
        return iter(())


def read_copy(tree: exp.Copy) -> Copy:
    """Read a COPY.

    Raises:
        RedshiftError: When it asks for anything else.
    """
    credentials = tree.args.get("credentials")
    _check_role(credentials.args.get("iam_role") if credentials is not None else None)
    options = [part for item in tree.args.get("params") or () for part in (item.this, item.expression)]
    words = [str(option.name).lower() for option in options if option]
    if words[:2] != ["format", "parquet"] or words[2:] not in ([], ["manifest"]) or isinstance(tree.this, exp.Schema):
        raise not_known(f"COPY with {' '.join(words) or 'a column list'}")
    return Copy(relation_name(tree.this), tree.args["files"][0].name, words[2:] == ["manifest"])


def read_unload(text: str, translate: Callable[[str], str]) -> Unload:
    """Read an UNLOAD; translate turns its query into PostgreSQL's."""
    match = UNLOAD.fullmatch(text)
    if match is None:
        raise not_known(text[:80])
    role = match["role"]
    _check_role(exp.Var(this="default") if role.lower() == "default" else exp.Literal.string(role.strip("'")))
    options = match["options"].lower().replace(" as ", " ").split()
    if options[:2] == ["format", "parquet"]:
        options = options[1:]
    if options[:1] != ["parquet"] or options[1:] not in ([], ["allowoverwrite"]):
        raise not_known(f"UNLOAD with {' '.join(options) or 'text files'}")
    return Unload(translate(match["query"].replace("''", "'")), match["to"], options[1:] == ["allowoverwrite"])


def _check_role(role: exp.Expr | None) -> None:
    if role is None:
        raise not_known("access keys: name a role by IAM_ROLE")
    is_default = isinstance(role, exp.Var) and role.name.lower() == "default"
    if not is_default and not ROLE.fullmatch(role.name):
        raise RedshiftError("XX000", f"Invalid IAM role: {role.name}")


def _read_parquet(url: str, content: bytes, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Rows of a file as VALUES; columns go by position, and are not converted."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        file = Path(folder, "rows.parquet")
        file.write_bytes(content)
        connection.execute("set timezone = 'UTC'")
        result = connection.execute("select * from read_parquet(?)", [str(file)])
        kinds = [str(column[1]) for column in result.description or ()]
        names = [str(column[0]) for column in result.description or ()]
        rows = result.fetchall()
    if len(kinds) != len(columns):
        text = f"Unmatched number of columns between table and file. Table columns: {len(columns)}, "
        raise RedshiftError("XX000", f"Spectrum Scan Error: {text}Data columns: {len(kinds)}, File name: {url}")
    for name, kind, (column, wanted) in zip(names, kinds, columns, strict=True):
        base = re.sub(r"\(\d+\)$", "", wanted)
        if base not in LOADS.get(kind, ()) and kind.replace(" ", "") != wanted.replace("numeric", "DECIMAL"):
            text = f"File '{url}' has an incompatible Parquet schema for column '{name}'. Column type: {wanted.upper()}"
            raise RedshiftError("XX000", f"Spectrum Scan Error: {text}, Parquet schema: {kind}; column {column}")
    return ["(" + ", ".join(bare_value(value) for value in row) + ")" for row in rows]


def bare_value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return literal(str(value))


def _parquet(rows: Sequence[Sequence[str | None]], columns: Sequence[Column]) -> bytes:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        kinds = ", ".join(f'"{name}" {WRITES.get(kind, "VARCHAR")}' for name, kind, _ in columns)
        connection.execute(f"create table unloaded ({kinds})")
        if rows:
            marks = ", ".join(["?"] * len(columns))
            connection.executemany(f"insert into unloaded values ({marks})", [list(row) for row in rows])
        file = Path(folder, "rows.parquet")
        connection.execute(f"copy unloaded to '{file}' (format parquet)")
        return file.read_bytes()
