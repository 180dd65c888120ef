"""How the gate logs in to Redshift: as dbt's adapter does, with the same trust and the same temporary credentials.

The adapter checks the server's certificate in every `sslmode` but `disable`: against the system's certificates and a
bundle of AWS's that its driver brings. libpq takes one file, so both are written to one.
"""

from __future__ import annotations

import atexit
import functools
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from metadata_sync.errors import ConfigurationError, SoftRunError

METHODS: Final = ("database", "iam", "iam_role")
"""Login methods of the adapter's that work without a browser or an identity provider."""

_BUNDLE: Final = "redshift-ca-bundle.crt"
_SYSTEM_BUNDLES: Final = ("ca-certificates.crt", "ca-bundle.crt", "cert.pem")
_LIFETIME: Final = timedelta(minutes=15)
_RENEW_BEFORE: Final = timedelta(minutes=3)
"""A login must still be valid while a slow connection is made."""
_SOFT_CODES: Final = ("Throttling", "ThrottlingException", "InternalFailure", "ServiceUnavailable", "RequestTimeout")


@dataclass(frozen=True, slots=True)
class Login:
    """A database user.

    Attributes:
        user: Name in the database.
        password: Never print it.
        expires_at: When it stops to be accepted; None for a password of the profile.
    """

    user: str | None
    password: str | None
    expires_at: datetime | None = None


def tls_options(sslmode: str | None) -> dict[str, str]:
    """Return libpq's options for a profile's `sslmode`, with the adapter's meaning.

    Source: SSL_MODE_TRANSLATION of dbt-redshift; `Connection.__init__` of redshift_connector.

    >>> tls_options("disable")
    {'sslmode': 'disable'}
    >>> tls_options("require")["sslmode"], tls_options("verify-full")["sslmode"]
    ('verify-ca', 'verify-full')
    """
    if sslmode == "disable":
        return {"sslmode": "disable"}
    paths = ssl.get_default_verify_paths()
    mode = "verify-full" if sslmode == "verify-full" else "verify-ca"
    return {"sslmode": mode, "sslrootcert": _trusted(paths.cafile, paths.capath)}


@functools.cache
def _trusted(cafile: str | None, capath: str | None) -> str:
    """Write the certificates that the adapter trusts to a file for this process."""
    places = [Path(cafile)] if cafile else []
    if capath and Path(capath).is_dir():
        bundles = [Path(capath, name) for name in _SYSTEM_BUNDLES if Path(capath, name).is_file()]
        places += bundles[:1] or sorted(Path(capath).glob("*.0"))
    driver = find_spec("redshift_connector")
    if driver is not None and driver.origin:
        places.append(Path(driver.origin).with_name("files") / _BUNDLE)
    texts = [place.read_text("ascii", "ignore") for place in places if place.is_file()]
    with tempfile.NamedTemporaryFile("w", prefix="sluice-ca-", suffix=".pem", delete=False) as written:
        written.write("\n".join(texts))
    atexit.register(Path(written.name).unlink, missing_ok=True)
    return written.name


class Logins:
    """Logins of profiles; temporary ones are asked for again shortly before they expire."""

    def __init__(self) -> None:
        self._known: dict[str, Login] = {}

    def login(self, values: Mapping[str, Any], target: str) -> Login:
        """Return the user and password of a profile's target.

        Args:
            values: The target's entries.
            target: Its name, for messages.

        Raises:
            ConfigurationError: When the method is another one, or AWS refuses the request.
            SoftRunError: When AWS does not answer.
        """
        method = values.get("method") or "database"
        if method not in METHODS:
            raise ConfigurationError(
                f"Target {target!r} uses login method {method!r}, which needs a person or an identity provider; "
                "the gate cannot log in.",
                f"Use one of {', '.join(METHODS)} as `method` in profiles.yml.",
            )
        if method == "database":
            return Login(values.get("user"), values.get("password") or values.get("pass"))
        key = repr(sorted((name, str(value)) for name, value in values.items()))
        known = self._known.get(key)
        if known is None or known.expires_at is None or known.expires_at - _RENEW_BEFORE <= datetime.now(UTC):
            known = self._known[key] = _temporary(values, target, str(method))
        return known


LOGINS: Final = Logins()
"""The process's own."""


def _temporary(values: Mapping[str, Any], target: str, method: str) -> Login:
    """Ask AWS for a login.

    Source: https://docs.aws.amazon.com/redshift/latest/mgmt/generating-user-credentials.html
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise ConfigurationError(
            f"Target {target!r} uses login method {method!r}, which needs boto3.", "pip install 'sluice-data[redshift]'"
        ) from error
    hint = f"Check target {target!r} in profiles.yml and the AWS identity of this process: aws sts get-caller-identity."
    is_own_key = method == "iam" and values.get("access_key_id") and values.get("secret_access_key")
    keys = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key"}
    settings = {name: values[entry] for name, entry in keys.items()} if is_own_key else {}
    if not is_own_key and values.get("iam_profile"):
        settings["profile_name"] = values["iam_profile"]
    try:
        session = boto3.Session(region_name=values.get("region"), **settings)
        return _ask_serverless(session, values) if _is_serverless(values) else _ask_cluster(session, values, method)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        message = f"AWS gives no login for target {target!r}: {error}"
        raise (SoftRunError if code in _SOFT_CODES else ConfigurationError)(message, hint) from error
    except (BotoCoreError, KeyError) as error:
        is_silent = type(error).__name__.endswith(("ConnectionError", "TimeoutError", "ConnectionClosedError"))
        message = f"AWS gives no login for target {target!r}: {error}"
        raise (SoftRunError if is_silent else ConfigurationError)(message, hint) from error


def _is_serverless(values: Mapping[str, Any]) -> bool:
    return "serverless" in str(values.get("host")) or values.get("is_serverless") is True


def _ask_serverless(session: Any, values: Mapping[str, Any]) -> Login:
    workgroup = values.get("serverless_work_group") or str(values.get("host")).partition(".")[0]
    answer = session.client("redshift-serverless").get_credentials(
        workgroupName=workgroup, dbName=_database(values), durationSeconds=round(_LIFETIME.total_seconds())
    )
    return Login(answer["dbUser"], answer["dbPassword"], answer["expiration"])


def _ask_cluster(session: Any, values: Mapping[str, Any], method: str) -> Login:
    client = session.client("redshift")
    asked = {
        "ClusterIdentifier": values.get("cluster_id") or str(values.get("host")).partition(".")[0],
        "DbName": _database(values),
        "DurationSeconds": round(_LIFETIME.total_seconds()),
    }
    if method == "iam_role":
        answer = client.get_cluster_credentials_with_iam(**asked)
    else:
        groups = {"DbGroups": list(values["db_groups"])} if values.get("db_groups") else {}
        answer = client.get_cluster_credentials(
            **asked, **groups, DbUser=values["user"], AutoCreate=bool(values.get("autocreate"))
        )
    return Login(answer["DbUser"], answer["DbPassword"], answer["Expiration"])


def _database(values: Mapping[str, Any]) -> str:
    return str(values.get("dbname") or values.get("database"))
