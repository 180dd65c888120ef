"""S3: what lies below a prefix, and what DuckDB needs to read it. Identity and region are those of AWS's own chain.

Tested against a simulated S3 (moto) with DuckDB 1.5 and its extension `httpfs`; not against AWS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from metadata_sync.errors import ConfigurationError, SluiceError, SoftRunError
from metadata_sync.redact import remember_secrets

if TYPE_CHECKING:
    import duckdb

_REMEDIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "403", "Forbidden"),
        "Allow the identity that runs Sluice s3:ListBucket on the bucket and s3:GetObject below the prefix, and "
        "kms:Decrypt on the key when the objects are encrypted by KMS. Of a bucket whose requester pays, nothing is "
        "read.",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"),
        "Renew the credentials of the identity that runs Sluice.",
    ),
    "NoSuchBucket": "Correct the location of the source's row, or create the bucket.",
    "RequestTimeTooSkewed": "Set this machine's clock.",
}
"""Codes of S3's refusals that no retry mends. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


def list_objects(location: str, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
    """Yield the current objects below a prefix, as boto3 describes them: Key, Size, ETag, LastModified.

    Args:
        location: The location of the row, for messages.
        bucket: The bucket.
        prefix: The beginning of their keys.

    Raises:
        ConfigurationError: When boto3 or credentials are missing, or S3 refuses for good.
        SoftRunError: When S3 does not answer now.
    """
    boto3 = _boto3(location)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.Session().client("s3")  # sessions are not shared between threads
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", ())
    except (BotoCoreError, ClientError) as error:
        raise _explained(location, error) from error


def open_object(uri: str) -> Any:
    """Return the content of an object as a stream of bytes.

    Args:
        uri: `s3://bucket/key`.

    Raises:
        ConfigurationError: When boto3 or credentials are missing, or S3 refuses for good.
        SoftRunError: When S3 does not answer now.
    """
    boto3 = _boto3(uri)
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return boto3.Session().client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    except (BotoCoreError, ClientError) as error:
        raise _explained(uri, error, "read") from error


def duckdb_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Return DuckDB's settings for S3; nothing when the profile's target names credentials itself.

    Args:
        values: The profile's target: `secrets`, `use_credential_provider` or `settings.s3_access_key_id` come first.
    """
    own = {str(name).lower() for name in values.get("settings") or {}}
    if values.get("secrets") or values.get("use_credential_provider") or "s3_access_key_id" in own:
        return {}
    session = _boto3("S3").Session()
    credentials = session.get_credentials()
    found = {"s3_region": session.region_name or ""}
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        found |= {
            "s3_access_key_id": frozen.access_key or "",
            "s3_secret_access_key": frozen.secret_key or "",
            "s3_session_token": frozen.token or "",
        }
        remember_secrets(found)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        address = urlsplit(endpoint)
        is_safe = address.scheme == "https"
        found |= {"s3_endpoint": address.netloc, "s3_use_ssl": str(is_safe).lower(), "s3_url_style": "path"}
    return {name: value for name, value in found.items() if value and name not in own}


def prepare(connection: duckdb.DuckDBPyConnection, values: Mapping[str, Any]) -> None:
    """Let a connection read S3, before it is confined: afterwards DuckDB can load neither extension nor secrets.

    Args:
        connection: The connection.
        values: The profile's target.

    Raises:
        ConfigurationError: When the extension cannot be loaded, or boto3 is missing.
    """
    import duckdb

    try:
        connection.execute("install httpfs; load httpfs")  # what DuckDB does by itself, unless it is confined
    except duckdb.Error as error:
        raise ConfigurationError(
            f"DuckDB's extension httpfs, which reads S3, cannot be loaded: {str(error).splitlines()[0]}",
            "Let this machine reach DuckDB's site once, or put the extension into DuckDB's extension directory.",
        ) from error
    own = {name: str(value) for name, value in (values.get("settings") or {}).items() if name.startswith("s3_")}
    for name, value in {**own, **duckdb_settings(values)}.items():
        quoted = value.replace("'", "''")
        connection.execute(f"set global {name} = '{quoted}'")
    for statement in _secrets(values):
        connection.execute(statement)
    connection.execute("select count(*) from duckdb_secrets()")  # reads what is stored of them


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables by which dbt's connection reads S3 as `prepare` does.

    The extension itself reads the standard variables of credentials, so no statement holds a secret. The macro
    `confine_files` sets the rest.
    """
    found = duckdb_settings(values)
    named = {variable: found.pop(name) for name, variable in _VARIABLES.items() if name in found}
    return {**named, "SLUICE_OBJECT_STORE": json.dumps(found)}


_VARIABLES: Final = {
    "s3_access_key_id": "AWS_ACCESS_KEY_ID",
    "s3_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "s3_session_token": "AWS_SESSION_TOKEN",
    "s3_region": "AWS_REGION",
}


def _secrets(values: Mapping[str, Any]) -> list[str]:
    """Return the statements that make the secrets of the profile, as the adapter of dbt writes them."""
    if not (values.get("secrets") or values.get("use_credential_provider")):
        return []
    from dbt.adapters.duckdb.credentials import DuckDBCredentials

    named = ("secrets", "use_credential_provider")
    given = deepcopy({name: values[name] for name in named if values.get(name)})  # the adapter takes them apart
    return DuckDBCredentials.from_dict(
        {"path": ":memory:", "database": "memory", "schema": "main", **given}
    ).secrets_sql()


def unreadable_name(path: str) -> str:
    """Return why DuckDB cannot open an object because of its key; empty: it can."""
    if path.startswith("s3://") and "?" in path:
        return "DuckDB takes the ? in its name for the begin of options: give the object another key"
    return ""


def _boto3(location: str) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise ConfigurationError(
            f"{location} is in S3, and boto3 is not installed.", "pip install 'sluice-data[aws]'"
        ) from error
    return boto3


def _explained(location: str, error: Exception, what: str = "listed") -> SluiceError:
    from botocore.exceptions import ClientError, CredentialRetrievalError, HTTPClientError

    message = f"{location} cannot be {what}: {error}"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        return ConfigurationError(message, _REMEDIES[code]) if code in _REMEDIES else SoftRunError(message)
    if isinstance(error, HTTPClientError | CredentialRetrievalError):  # the network, or the service of a role
        return SoftRunError(message)
    return ConfigurationError(
        message, "Give AWS's credentials to the identity that runs Sluice: variables, a profile or a role."
    )
