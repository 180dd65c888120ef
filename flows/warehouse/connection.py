"""Read-only connections to the warehouse, and the SQL text that all of them understand. Only dbt writes.

A connection to the embedded warehouse is confined: it reads the files of declared sources and no others. The checks of
SELECTs are the first wall; a SELECT that slips through them still opens no other file and no other database, and
changes no setting. The macro `confine_files` does the same to dbt's connection.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

from flows.warehouse.profile import Profile
from flows.warehouse.redshift_login import LOGINS, tls_options
from flows.warehouse.table_columns import type_of_result
from metadata_sync.analysis.lake_location import file_folder
from metadata_sync.analysis.text_copies import copies_of_project
from metadata_sync.errors import ConfigurationError, HardRunError, SoftRunError, TimedOutError
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, type_text
from metadata_sync.rows.names import quote_identifier
from metadata_sync.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import psycopg
    from sqlglot import exp

logger = logging.getLogger(__name__)

Row = Sequence[Any]
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")

STATEMENT_TIMEOUT_SECONDS: Final = 300.0
_BIND_SECONDS: Final = 8
"""How long a server may think about a SELECT that it only binds."""
LOCK_POLL_SECONDS: Final = 0.2
CHUNK_SIZE: Final = 200
"""SELECTs per statement: query planners are slow with many more."""
NO_NUMBER: Final = "cast(null as bigint)"

_SETTINGS: Final = "select set_config('statement_timeout', '{}', false), set_config('timezone', 'UTC', false)"
"""One statement for both; Redshift has this function, too.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_SET_CONFIG.html
"""

_TLS_FAULT: Final = re.compile(
    r"certificate verify failed|root certificate file|does not match host name|does not support SSL"
    r"|certificate .*(expired|not trusted)|sslmode|no shared cipher|unsupported protocol|wrong version number",
    re.IGNORECASE,
)
"""libpq's words for a server that the profile's TLS settings refuse."""


def retry_reads(read: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """Decorator: repeats a read in the middle of a run when the connection is lost."""

    @wraps(read)
    def patiently(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay
        from tenacity import wait_exponential_jitter as growing_pause

        retrying = Retrying(
            retry=retry_if_exception_type(SoftRunError),
            stop=stop_after_attempt(4) | stop_after_delay(30),
            wait=growing_pause(initial=1, max=10),
            reraise=True,
        )
        return retrying(read, *arguments, **options)

    return patiently


class Warehouse(Protocol):
    """A read-only connection, as the gate and the engine use it."""

    @property
    def dialect(self) -> str:
        """Its SQL, as sqlglot names it."""
        ...

    def query(self, question: exp.Query | str) -> Sequence[Row]:
        """Run one read-only query.

        Args:
            question: A query with a small result, never a table's rows. Text is in the warehouse's dialect.

        Raises:
            TimedOutError: When it exceeds the statement timeout.
            SoftRunError: When a retry may succeed: lock, lost connection.
            HardRunError: When a retry cannot succeed: missing table or column, wrong type.
        """
        ...

    def close(self) -> None:
        """Close the connection and release its locks."""
        ...


def open_warehouse(
    profile: Profile,
    *,
    wait_seconds: float,
    timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
    file_places: Collection[str] = (),
    attached: Mapping[str, Path] = MappingProxyType({}),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Warehouse:
    """Connect to the environment's warehouse, read-only.

    Args:
        profile: The target.
        wait_seconds: How long to wait for another process that writes the embedded warehouse.
        timeout_seconds: Statement timeout.
        file_places: Folders and prefixes that the embedded warehouse may read; see `file_places`.
        attached: Other DuckDB files, by the name that queries give them.
        clock: Monotonic seconds.
        sleep: Waits a number of seconds.

    Raises:
        SoftRunError: When it cannot be reached now.
        ConfigurationError: When its driver is not installed.
    """
    if profile.is_embedded:
        connection = _connect_duckdb(profile, wait_seconds, clock, sleep)
        others = {name: path for name, path in profile.attached_files.items() if path not in attached.values()}
        for name, path in {**others, **attached}.items():
            _attach(connection, name, path)
        return DuckDBWarehouse(_prepare(connection, profile, file_places), timeout_seconds)
    return PostgresWarehouse(connect_postgres(profile, timeout_seconds), profile.dialect, timeout_seconds)


class DuckDBWarehouse:
    """The embedded warehouse, opened read-only; before the first load an empty in-memory database."""

    dialect = "duckdb"

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS
    ) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds

    def query(self, question: exp.Query | str) -> Sequence[Row]:
        """Run one read-only query; see `Warehouse.query`."""
        import duckdb

        alarm = threading.Timer(self._timeout_seconds, self._connection.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            return self._connection.execute(_text(question, self.dialect)).fetchall()
        except duckdb.InterruptException as error:
            raise TimedOutError(f"The warehouse did not answer within {self._timeout_seconds:g} s.") from error
        except duckdb.Error as error:
            raise HardRunError(f"The warehouse refused a query: {first_line(error)}") from error
        finally:
            alarm.cancel()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PostgresWarehouse:
    """PostgreSQL, or Redshift through the same wire protocol, in a read-only session; see `connect_postgres`."""

    def __init__(
        self, connection: psycopg.Connection[Any], dialect: str, timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS
    ) -> None:
        self._connection = connection
        self.dialect = dialect
        self._timeout_seconds = timeout_seconds

    def query(self, question: exp.Query | str) -> Sequence[Row]:
        """Run one read-only query; see `Warehouse.query`."""
        import psycopg

        try:
            return self._connection.execute(_text(question, self.dialect).encode()).fetchall()
        except psycopg.errors.QueryCanceled as error:
            raise TimedOutError(f"The warehouse cancelled the query: {first_line(error)}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SoftRunError(f"The warehouse did not answer: {first_line(error)}") from error
        except psycopg.Error as error:
            raise HardRunError(f"The warehouse refused a query: {first_line(error)}") from error

    def describe(self, query: str) -> tuple[Column, ...]:
        """Return the output columns of a query, with the types as the server writes them, sizes included.

        Raises:
            HardRunError: When the server cannot bind it.
        """
        import psycopg

        try:
            with self._limited(_BIND_SECONDS):
                cursor = self._connection.execute(query.encode())
                result, described = cursor.pgresult, cursor.description or ()
                assert result is not None
                sizes = [(result.ftype(place), result.fmod(place)) for place in range(len(described))]
                types = self._types(sizes)
        except psycopg.Error as error:
            raise HardRunError(first_line(error)) from error
        return tuple(
            Column(name=column.name, type=type_text(kind, self.dialect))
            for column, kind in zip(described, types, strict=True)
        )

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """Bound the statements of a block; by session, because Redshift has no SET LOCAL."""
        self._limit(seconds)
        try:
            yield
        finally:
            if not self._connection.closed:
                self._limit(self._timeout_seconds)

    def _limit(self, seconds: float) -> None:
        self._connection.execute(f"set statement_timeout = {seconds * 1000:.0f}".encode())

    def _types(self, sizes: Sequence[tuple[int, int]]) -> Sequence[str]:
        """Return types as the server writes them, from their numbers and sizes."""
        if self.dialect == "redshift":
            return [type_of_result(oid, size) for oid, size in sizes]
        types = ", ".join(f"format_type({oid}, {size})" for oid, size in sizes)
        row = self._connection.execute(f"select {types}".encode()).fetchone() if sizes else ()
        return [str(kind) for kind in row or ()]

    def close(self) -> None:
        """End the session."""
        self._connection.close()


def _text(question: exp.Query | str, dialect: str) -> str:
    return question if isinstance(question, str) else question.sql(dialect, copy=False)


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's error, without the position markers below."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _connect_duckdb(
    profile: Profile, wait_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> duckdb.DuckDBPyConnection:
    import duckdb

    if not profile.database_file.exists():
        return duckdb.connect(":memory:")
    deadline = clock() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(profile.database_file), read_only=True)
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise HardRunError(f"{profile.database_file} cannot be opened: {first_line(error)}") from error
            if clock() >= deadline:
                raise SoftRunError(
                    f"Another process is writing {profile.database_file}: {first_line(error)}",
                    "Wait until it ends, or set a larger SLUICE_LOCK_WAIT_SECONDS.",
                ) from error
        except duckdb.ConnectionException as error:
            raise SoftRunError(f"{profile.database_file} is open in this process: {first_line(error)}") from error
        sleep(LOCK_POLL_SECONDS)


def _attach(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    import duckdb

    try:
        connection.execute(f"attach {literal(str(path))} as {quote_identifier(name)} (read_only)")
    except duckdb.Error as error:
        raise SoftRunError(f"{path} cannot be read now: {first_line(error)}") from error


def _prepare(
    connection: duckdb.DuckDBPyConnection, profile: Profile, file_places: Collection[str]
) -> duckdb.DuckDBPyConnection:
    """Load the profile's extensions and settings, as dbt does, set the time zone to UTC, and confine the connection."""
    settings = {**(profile.values.get("settings") or {}), "TimeZone": "UTC"}
    for extension in profile.values.get("extensions") or ():
        if isinstance(extension, str) and not is_confined(connection):
            connection.load_extension(extension)
    for name, value in settings.items():
        connection.execute(f"set {quote_identifier(str(name))} = {literal(str(value))}")
    if any(place.startswith("s3://") for place in file_places) and not is_confined(connection):
        from flows.warehouse.lake import s3

        s3.prepare(connection, profile.values)
    confine(connection, file_places, map(str, settings))
    return connection


def connect_postgres(profile: Profile, timeout_seconds: float) -> psycopg.Connection[Any]:
    """Open a read-only session on a server.

    Raises:
        SoftRunError: When it cannot be reached now.
        ConfigurationError: When its driver is not installed, or the profile's login or TLS settings cannot work.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            f"Target {profile.target!r} needs psycopg, which is not installed.", "pip install 'sluice-data[postgres]'"
        ) from error
    values = profile.values
    options = _postgres_options(values)
    if profile.type == "redshift":
        login = LOGINS.login(values, profile.target)
        options |= {**tls_options(values.get("sslmode")), "user": login.user, "password": login.password}
    try:
        connection = psycopg.connect(
            **options,
            application_name="sluice",
            client_encoding="utf8",  # Redshift's own word for it, UNICODE, is unknown to older versions of psycopg
            autocommit=True,
            prepare_threshold=None,  # Redshift's prepared statements outlive their session
        )
        # each statement is a `read only` transaction of its own, without BEGIN and COMMIT around it
        connection.execute("set session characteristics as transaction read only")
        connection.execute(_SETTINGS.format(f"{timeout_seconds * 1000:.0f}"))
    except psycopg.Error as error:
        raise _refused_connection(profile, first_line(error)) from error
    return connection


def _postgres_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile's connection as libpq names it."""
    certificates = {name: values[name] for name in ("sslrootcert", "sslcert", "sslkey") if values.get(name)}
    return {
        "host": values.get("host"),
        "port": int(values.get("port", 5432)),
        "user": values.get("user"),
        "password": values.get("password") or values.get("pass"),
        "dbname": values.get("dbname") or values.get("database"),
        "sslmode": values.get("sslmode"),
        "connect_timeout": int(values.get("connect_timeout") or 10),
        **certificates,
    }


def _refused_connection(profile: Profile, words: str) -> ConfigurationError | SoftRunError:
    """Return the error for a connection that failed: what the certificates forbid stays so, other causes may pass."""
    place = f"{profile.values.get('host')}:{profile.values.get('port', 5432)}"
    if _TLS_FAULT.search(words):
        return ConfigurationError(
            f"The warehouse at {place} fails the TLS checks of sslmode {profile.values.get('sslmode')!r}: {words}",
            f"Correct `host` or `sslmode` of target {profile.target!r} in profiles.yml, or let SSL_CERT_FILE name a "
            "file that also holds the certificate of the authority that signed the server's.",
        )
    return SoftRunError(
        f"The warehouse at {place} cannot be reached: {words}",
        f"Check target {profile.target!r} in profiles.yml, and that the server is running.",
    )


def file_places(project: Project, settings: Settings, locations: Iterable[str]) -> tuple[str, ...]:
    """Return the folders and prefixes that connections may read, each with a final slash.

    Args:
        project: Where relative locations begin.
        settings: What the team adds.
        locations: Locations of sources; one that leaves the project opens nothing.
    """
    places = {f"{copies_of_project(project)}/"}
    for location in locations:
        try:
            places.add(file_folder(project, location))
        except ValueError:
            continue
    added = (place.strip().rstrip("/") for place in (settings.duckdb_directories or "").split(","))
    return tuple(sorted(places | {f"{place}/" for place in added if place}))


def confine(connection: duckdb.DuckDBPyConnection, places: Collection[str], kept: Iterable[str] = ()) -> None:
    """Confine a connection, and every other one to the same database in this process, until it is closed.

    Args:
        connection: The connection; nothing can widen it again.
        places: What it may read; see `file_places`.
        kept: Settings that may still be changed.

    Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
    """
    if is_confined(connection):
        return
    connection.execute(f"set allowed_directories = {_array(places)}")
    connection.execute(f"set allowed_configs = {_array(kept)}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def is_confined(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the connection's settings are locked."""
    return bool(connection.execute("select current_setting('lock_configuration')").fetchall()[0][0])


def _array(values: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, values))}]"


def union_all(selects: Sequence[str]) -> str:
    """Join SELECTs into one `union all`."""
    return " union all ".join(selects)


def as_text(expression: str) -> str:
    """Cast to text: bounds and fingerprints are short."""
    return f"cast({expression} as varchar)"


def literal(text: str) -> str:
    """Write a text as a literal of DuckDB, which knows no escape but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"
